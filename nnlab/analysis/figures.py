"""Which figures a sweep has, and what each shows: from runs to the arrays of ``nnlab.plots``."""

import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from nnlab.analysis.figure_data import CURVES, FigureData
from nnlab.analysis.figure_groups import axis, number_of, rows_of, shown_hidden_units
from nnlab.analysis.formatting import short, written
from nnlab.analysis.groups import RunGroup, Value, grouped, levels, numeric
from nnlab.analysis.ranking import lower_is_better
from nnlab.plots.against import MetricCurve, metric_against_parameter
from nnlab.plots.best_and_worst import best_and_worst_filters
from nnlab.plots.hidden_units import MAX_GROUPS, HiddenUnitCurves, hidden_unit_curves
from nnlab.plots.learning_curves import LearningCurve, learning_curves
from nnlab.plots.phase import PhaseMap, phase_diagram
from nnlab.plots.style import Figure
from nnlab.safe_text import file_name

MAX_SIDE = 40  # rows, and columns, of a phase diagram
MIN_FILLED = 0.5  # share of the cells of a phase diagram that must have runs
LOG_RATIO = 4  # from this ratio of the largest to the smallest value on, the axis is logarithmic


@dataclass(frozen=True)
class FigureSpec:
    """A figure that can be drawn.

    Attributes
    ----------
    name : str
        Of its file, without the suffix.
    caption : str
        A sentence on what it shows.
    """

    name: str
    caption: str
    draw: Callable[[], Figure]


def sweep_figures(data: FigureData) -> Iterator[FigureSpec]:
    """Yield the figures that the design of a sweep supports."""
    groups = grouped(data.runs, data.fields, data.metric)
    across = axis(groups)
    if across is not None:
        yield from _phase_figure(data, groups, across)
        yield _parameter_figure(data, groups, across)
    yield from _learning_figure(data, groups)
    yield from _hidden_unit_figure(data, groups)
    if data.filters:
        best, worst = data.filters
        yield FigureSpec(
            "filters",
            f"What the hidden units look for: {best.label} (the best run) and {worst.label} (the "
            "worst), each on its own scale of colours.",
            lambda: best_and_worst_filters(best, worst, data.image_shape, data.title),
        )


def _phase_figure(
    data: FigureData, groups: Sequence[RunGroup], across: str
) -> Iterator[FigureSpec]:
    rows, columns = rows_of(groups, across), levels(groups, across)
    filled = len(groups) >= MIN_FILLED * len(rows) * len(columns)
    if not (2 <= len(rows) <= MAX_SIDE and len(columns) <= MAX_SIDE and filled):  # noqa: PLR2004
        return
    if lower_is_better(data.metric):
        return
    seeds = max(len(group.runs) for group in groups)
    accuracies = np.full((len(rows), len(columns), seeds), np.nan)
    outcomes = np.full(accuracies.shape, "", dtype=object)
    for row, members in enumerate(rows.values()):
        for group in members:
            cell = row, columns.index(group.settings[across])
            accuracies[cell][: len(group.runs)] = group.results.to_numpy(np.float64)
            outcomes[cell][: len(group.runs)] = group.endings.to_numpy()
    others = [field for field in data.fields if field != across]
    single = others[0] if len(others) == 1 else None
    names = [members[0].settings[single] if single else label for label, members in rows.items()]
    phase_map = PhaseMap(
        short(across), tuple(map(_axis_value, columns)),
        short(single) if single else "configuration", tuple(map(_axis_value, names)),
        accuracies, outcomes,
    )  # fmt: skip
    yield FigureSpec(
        "phase",
        f"{' and '.join(map(short, others))} against {short(across)}: the colour is the mean "
        "validation accuracy over seeds, the mark is the outcome; where seeds disagree, each has "
        "its own mark.",
        lambda: phase_diagram(phase_map, data.title),
    )


def _parameter_figure(data: FigureData, groups: Sequence[RunGroup], across: str) -> FigureSpec:
    others = [field for field in data.fields if field != across]
    curves = [
        _metric_curve(label, members, across, _order(members[0], others))
        for label, members in rows_of(groups, across).items()
    ]
    values = np.array([number_of(group, across) for group in groups])
    log = bool(values.min() > 0 and values.max() >= LOG_RATIO * values.min())
    return FigureSpec(
        "rates" if across == "lr" else re.sub(r"\W", "_", file_name(short(across))) or "parameter",
        f"{data.metric} against {short(across)}: the mean over seeds with its 95 % interval; each "
        "dot is a run.",
        lambda: metric_against_parameter(
            curves, data.title, short(across), data.metric, log_x=log, reference=data.reference
        ),
    )


def _metric_curve(
    label: str, members: Sequence[RunGroup], across: str, order: float | None
) -> MetricCurve:
    groups = sorted(members, key=lambda group: number_of(group, across))
    intervals = [group.summary.interval for group in groups]
    return MetricCurve(
        label,
        np.array([number_of(group, across) for group in groups]),
        np.array([group.summary.mean for group in groups]),
        np.array([interval.low for interval in intervals], np.float64),  # NaN for None
        np.array([interval.high for interval in intervals], np.float64),
        [group.results.dropna().to_numpy(np.float64) for group in groups],
        order,
    )


def _order(group: RunGroup, fields: Sequence[str]) -> float | None:
    """Return the number that orders a group among others that differ in these fields."""
    if len(fields) != 1 or not numeric([group], fields[0]):
        return None
    return number_of(group, fields[0])


def _learning_figure(data: FigureData, groups: Sequence[RunGroup]) -> Iterator[FigureSpec]:
    table = _by_run(data.curves, "val/accuracy")
    curves = [
        LearningCurve(
            group.label or data.title,
            *_curve(table, group),
            group.ending,
            _order(group, data.fields),
        )
        for group in groups
    ]
    if any(curve.epochs.size for curve in curves):
        yield FigureSpec(
            "curves",
            "Validation accuracy over the epochs: the median seed, and a band from the lowest to "
            "the highest.",
            lambda: learning_curves(
                curves, data.title, "validation accuracy", data.target, len(data.runs)
            ),
        )


def _hidden_unit_figure(data: FigureData, groups: Sequence[RunGroup]) -> Iterator[FigureSpec]:
    tables = [_by_run(data.curves, name) for name in CURVES[1:]]
    across = axis(groups)
    fields = [field for field in data.fields if field != across] or data.fields
    curves = []
    for group in shown_hidden_units(groups, MAX_GROUPS):
        (epochs, dead), (_, first), (_, second) = (_curve(table, group) for table in tables)
        if epochs.size:
            label, order = group.label or "all runs", _order(group, fields)
            curves.append(HiddenUnitCurves(label, epochs, dead, first, second, order))
    if curves:
        yield FigureSpec(
            "units",
            "Dead hidden units, and the norm of the gradient at each layer, over the epochs, of "
            "the best configurations and of the one with the most dead units at the end: the "
            "median seed, and a band from the lowest to the highest.",
            lambda: hidden_unit_curves(curves, data.title, len(groups)),
        )


def _by_run(curves: pd.DataFrame, metric: str) -> pd.DataFrame:
    """Return a metric as a table: a row for each epoch, a column for each run."""
    return curves.pivot_table(metric, "epoch", "run_id", dropna=False) if len(curves) else curves


def _curve(table: pd.DataFrame, group: RunGroup) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
    """Return the epochs at which a group was measured, and ``(seeds, epochs)`` values."""
    ids = [run_id for run_id in group.runs["run_id"] if run_id in table]
    rows = table[ids].dropna(how="all") if ids else pd.DataFrame()
    return rows.index.to_numpy(np.int64), rows.to_numpy(np.float64).T.reshape(len(ids), len(rows))


def _axis_value(value: Value) -> float | str:
    return float(value) if isinstance(value, int | float) else written(value)
