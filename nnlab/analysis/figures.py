"""Which pictures a sweep has, and what each shows: from runs to the arrays of ``nnlab.plots``."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from nnlab.analysis.configurations import lower_is_better
from nnlab.analysis.figure_data import CURVES, FigureData
from nnlab.analysis.groups import Group, Value, grouped, levels, named, numeric, short, written
from nnlab.plots.against import MetricCurve, metric_against_parameter
from nnlab.plots.best_and_worst import best_and_worst_filters
from nnlab.plots.hidden_units import HiddenUnitCurves, hidden_unit_curves
from nnlab.plots.learning_curves import LearningCurve, learning_curves
from nnlab.plots.phase import PhaseMap, phase_diagram
from nnlab.plots.style import Figure

SIDE = 40  # rows, and columns, of a phase diagram
FULL = 0.5  # share of its cells that must have runs
HEALTHY = 8  # configurations whose dead units and gradients are shown
LOGARITHMIC = 4  # from this ratio of largest to smallest on, values stand on a log axis


@dataclass(frozen=True)
class FigureSpec:
    """One picture.

    Attributes
    ----------
    name : of its file, without the suffix
    caption : what is to be seen, in a sentence
    """

    name: str
    caption: str
    draw: Callable[[], Figure]


def gallery(figure_data: FigureData) -> Iterator[FigureSpec]:
    """Yield the pictures that the design of a sweep supports."""
    groups = grouped(figure_data.runs, figure_data.fields, figure_data.metric)
    across = axis(groups)
    if across is not None:
        yield from _phase(figure_data, groups, across)
        yield from _against(figure_data, groups, across)
    yield from _bands(figure_data, groups)
    yield from _health(figure_data, groups)
    if figure_data.filters:
        best, worst = figure_data.filters
        yield FigureSpec(
            "filters",
            f"What the hidden units look for: {best.label} (the best run) and {worst.label} (the "
            "worst), each on its own scale of colours.",
            lambda: best_and_worst_filters(best, worst, figure_data.image_shape, figure_data.title),
        )


def axis(groups: Sequence[Group]) -> str | None:
    """Return the field that goes across: the learning rate, or the number of most values."""
    if not groups[0].settings:
        return None
    found = {
        field: len(levels(groups, field)) for field in groups[0].settings if numeric(groups, field)
    }
    found = {field: count for field, count in found.items() if count > 1}
    return "lr" if "lr" in found else max(found, key=lambda each: found[each], default=None)


def rows_of(groups: Sequence[Group], across: str) -> dict[str, list[Group]]:
    """Return the groups that agree in all but one field, by what they agree in.

    Numbers by size, where only one other field varies and is a number; else the row first that
    has the best group.
    """
    found: dict[str, list[Group]] = {}
    for group in groups:
        found.setdefault(row_label(group, across), []).append(group)
    others = [field for field in groups[0].settings if field != across]
    if len(others) == 1 and numeric(groups, others[0]):
        first = {label: members[0].settings[others[0]] for label, members in found.items()}
        return dict(sorted(found.items(), key=lambda item: float(first[item[0]] or 0)))
    return found


def row_label(group: Group, across: str) -> str:
    """Name what a group has in common with those that differ from it in one field."""
    return named({field: value for field, value in group.settings.items() if field != across})


def _phase(figure_data: FigureData, groups: Sequence[Group], across: str) -> Iterator[FigureSpec]:
    rows = rows_of(groups, across)
    columns = levels(groups, across)
    full = len(groups) >= FULL * len(rows) * len(columns)
    if not (2 <= len(rows) <= SIDE and len(columns) <= SIDE and full):  # noqa: PLR2004 - one is no map
        return
    if lower_is_better(figure_data.metric):
        return
    seeds = max(len(group.runs) for group in groups)
    values = np.full((len(rows), len(columns), seeds), np.nan)
    outcomes = np.full(values.shape, "", dtype=object)
    for row, members in enumerate(rows.values()):
        for group in members:
            place = row, columns.index(group.settings[across])
            values[place][: len(group.runs)] = group.results.to_numpy(np.float64)
            outcomes[place][: len(group.runs)] = group.endings.to_numpy()
    others = [field for field in figure_data.fields if field != across]
    single = others[0] if len(others) == 1 else None
    names = [members[0].settings[single] if single else label for label, members in rows.items()]
    chart = PhaseMap(
        short(across), tuple(map(_axis_value, columns)),
        short(single) if single else "configuration", tuple(map(_axis_value, names)),
        values, outcomes,
    )  # fmt: skip
    yield FigureSpec(
        "phase",
        f"{' and '.join(map(short, others))} against {short(across)}: colour is the mean "
        " validation accuracy over seeds, the mark what became of the runs; where seeds "
        "disagree, each has its own.",
        lambda: phase_diagram(chart, figure_data.title),
    )


def _against(figure_data: FigureData, groups: Sequence[Group], across: str) -> Iterator[FigureSpec]:
    series = [
        _series(label or figure_data.metric, members, across)
        for label, members in rows_of(groups, across).items()
    ]
    xs = np.array([_number(group, across) for group in groups])
    log = bool(xs.min() > 0 and xs.max() >= LOGARITHMIC * xs.min())
    yield FigureSpec(
        "rates" if across == "lr" else short(across).replace(".", "_"),
        f"{figure_data.metric} against {short(across)}: the mean over seeds with its 95 % "
        "interval; each dot is a run.",
        lambda: metric_against_parameter(
            series, figure_data.title, short(across), figure_data.metric, log_x=log,
            reference=figure_data.reference,
        ),
    )  # fmt: skip


def _series(label: str, members: Sequence[Group], across: str) -> MetricCurve:
    groups = sorted(members, key=lambda each: _number(each, across))
    summaries = [group.summary for group in groups]
    return MetricCurve(
        label,
        np.array([_number(group, across) for group in groups]),
        np.array([each.mean for each in summaries]),
        np.array([_bound(each.interval.low) for each in summaries]),
        np.array([_bound(each.interval.high) for each in summaries]),
        [np.array(group.results.dropna().tolist()) for group in groups],
    )


def _bands(figure_data: FigureData, groups: Sequence[Group]) -> Iterator[FigureSpec]:
    pivot = _by_run(figure_data.curves, "val/accuracy")
    bands = [
        LearningCurve(group.label or figure_data.title, *_curve(pivot, group), group.ending)
        for group in groups
    ]
    if any(band.epochs.size for band in bands):
        yield FigureSpec(
            "curves",
            "Validation accuracy over the epochs: the median seed, and a band from the lowest to "
            "the highest.",
            lambda: learning_curves(
                bands,
                figure_data.title,
                "validation accuracy",
                figure_data.target,
                len(figure_data.runs),
            ),
        )


def _health(figure_data: FigureData, groups: Sequence[Group]) -> Iterator[FigureSpec]:
    pivots = [_by_run(figure_data.curves, name) for name in CURVES[1:]]
    chosen = _evenly(_best_of_each(groups), HEALTHY)
    shown = []
    for group in chosen:
        (epochs, dead), (_, first), (_, second) = (_curve(pivot, group) for pivot in pivots)
        if epochs.size:
            shown.append(HiddenUnitCurves(group.label or "all runs", epochs, dead, first, second))
    if shown:
        yield FigureSpec(
            "units",
            "Dead hidden units, and the norm of the gradient at each layer, over the epochs: the "
            "median seed, and a band from the lowest to the highest.",
            lambda: hidden_unit_curves(shown, figure_data.title),
        )


def _best_of_each(groups: Sequence[Group]) -> list[Group]:
    """Return the best learning rate of each row; of a sweep over learning rates alone, all."""
    across = axis(groups)
    if across is None:
        return list(groups)
    rows = rows_of(groups, across)
    if len(rows) == 1:
        return sorted(groups, key=lambda each: _number(each, across))
    return [min(members, key=lambda each: each.rank) for members in rows.values()]


def _evenly(groups: Sequence[Group], count: int) -> list[Group]:
    """Return so many of the groups, from the first to the last."""
    if len(groups) <= count:
        return list(groups)
    places = np.linspace(0, len(groups) - 1, count).round().astype(int)
    return [groups[place] for place in places]


def _by_run(curves: pd.DataFrame, metric: str) -> pd.DataFrame:
    """Return a metric as a table: a row an epoch, a column a run."""
    return curves.pivot_table(metric, "epoch", "run_id", dropna=False) if len(curves) else curves


def _curve(pivot: pd.DataFrame, group: Group) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
    """Return the epochs at which a group was measured, and ``(seeds, epochs)`` values."""
    ids = [run for run in group.runs["run_id"] if run in pivot]
    own = pivot[ids].dropna(how="all") if ids else pd.DataFrame()
    return own.index.to_numpy(np.int64), own.to_numpy(np.float64).T.reshape(len(ids), len(own))


def _number(group: Group, field: str) -> float:
    value = group.settings[field]
    return float(value) if isinstance(value, int | float) else np.nan


def _bound(value: float | None) -> float:
    return np.nan if value is None else value


def _axis_value(value: Value) -> float | str:
    return float(value) if isinstance(value, int | float) else written(value)
