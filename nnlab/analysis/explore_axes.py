"""The axes and the colours that ``explore.html`` offers: fields, outcomes and results of runs."""

import math
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from nnlab.analysis.configurations import endings, run_results, value_key
from nnlab.analysis.figures import LOG_RATIO
from nnlab.analysis.formatting import metric_name, settings_text, short, written
from nnlab.analysis.groups import RunGroup
from nnlab.analysis.ranking import ENDINGS, METRIC
from nnlab.plots.labels import COLOURS
from nnlab.plots.outcome_marks import outcome_style
from nnlab.plots.phase_cells import ordered_colours
from nnlab.plots.style import GREY, format_number
from nnlab.safe_text import printable

MAX_TICKS = 24  # levels of a field beyond which its axis has the numbers themselves
MAX_COLOURS = 10  # more levels share colours, neighbours first
NO_RESULT = "no result"
RESULTS = (
    METRIC, "best_val_accuracy", "test/accuracy", "final_train_loss", "dead_fraction",
    "epochs_to_target",
)  # fmt: skip
# Plotly's names of the marks in ``outcome_marks``.
MARKS = {"o": "circle", "_": "line-ew-open", "x": "x-thin-open", "^": "triangle-up",
         "s": "square-open", "d": "diamond-open"}  # fmt: skip


def endings_of(runs: pd.DataFrame, groups: Sequence[RunGroup]) -> dict[str, Any]:
    """Return what became of the runs, and of most runs of each group, with marks and colours."""
    words = endings(runs).astype(str).tolist()
    names = sorted(set(words), key=lambda name: ([*ENDINGS, name].index(name), name))
    styles = [outcome_style(name) for name in names]
    return {
        "names": list(map(printable, names)),
        "colours": [style.colour for style in styles],
        "marks": [MARKS[style.mark] for style in styles],
        "runs": [names.index(word) for word in words],
        "groups": [names.index(group.ending) for group in groups],
    }


def axes_of(runs: pd.DataFrame, fields: Sequence[str], metric: str) -> dict[str, Any]:
    """Return the axes of fields and results by their names.

    An axis has a number for each run, None where there is none. Where ``ticks`` is not None, the
    number is the place of the run's value among them.
    """
    axes = {short(field): _field_axis(runs[field].tolist(), short(field)) for field in fields}
    for name in dict.fromkeys((metric, *RESULTS)):
        if name in runs and runs[name].notna().any():
            numbers = _numbers(runs[name].tolist())
            axes[name] = _axis(metric_name(name), numbers, log=name.endswith("loss"))
    return axes


def _field_axis(values: Sequence[object], label: str) -> dict[str, Any]:
    levels = sorted(dict.fromkeys(map(_known, values)), key=value_key)
    numeric = all(isinstance(level, int | float) for level in levels)
    if numeric and len(levels) > MAX_TICKS:
        return _axis(label, _numbers(values), log=True)
    ticks = [printable(written(level)) for level in levels]
    return {
        "label": printable(label), "ticks": ticks, "log": False,
        "values": [levels.index(_known(value)) for value in values],
    }  # fmt: skip


def _axis(label: str, values: Sequence[float | None], *, log: bool) -> dict[str, Any]:
    known = [value for value in values if value is not None]
    log = log and min(known) > 0 and max(known) >= LOG_RATIO * min(known)
    return {"label": printable(label), "ticks": None, "log": log, "values": list(values)}


def colourings(
    runs: pd.DataFrame,
    groups: Sequence[RunGroup],
    members: Sequence[NDArray[np.int64]],
    fields: Sequence[str],
    metric: str,
) -> dict[str, Any]:
    """Return what the colour of runs and of their groups can tell, by name; ``outcome`` is apart.

    Each has the labels of its levels with their colours, and the level of each run and group.
    Ordered levels have ordered colours. Few configurations have a colour each.

    Parameters
    ----------
    runs : DataFrame
    groups : sequence of RunGroup
        The best first.
    members : sequence of NDArray
        The rows of each group's runs.
    fields : sequence of str
        The parameters that vary between the groups.
    metric : str
    """
    made: dict[str, Any] = {}
    if 1 < len(groups) <= len(COLOURS):
        place = {row: group for group, rows in enumerate(members) for row in rows.tolist()}
        made["configuration"] = {
            "labels": [printable(settings_text(group.settings)) for group in groups],
            "colours": list(COLOURS[: len(groups)]),
            "runs": [place[row] for row in range(len(runs))],
            "groups": list(range(len(groups))),
        }
    for field in fields:
        values = list(map(_known, runs[field].tolist()))
        of_groups = [group.settings[field] for group in groups]
        levels = sorted(dict.fromkeys((*values, *of_groups)), key=value_key)
        ordered = all(isinstance(level, int | float) for level in levels)
        made[short(field)] = _coloured(
            [list(part) for part in np.array_split(np.array(levels, object), MAX_COLOURS)],
            values, of_groups, written, ordered=ordered,
        )  # fmt: skip
    results = run_results(runs, metric).to_numpy(np.float64)
    if np.isfinite(results).any():
        known = [results[rows][~np.isnan(results[rows])] for rows in members]
        means = [group.mean() if group.size else None for group in known]
        made[metric] = _by_size(_numbers(results.tolist()), _numbers(means))
    return made


def _by_size(of_runs: Sequence[float | None], of_groups: Sequence[float | None]) -> dict[str, Any]:
    """Colour numbers by size, in classes of equal width."""
    known = sorted({number for number in (*of_runs, *of_groups) if number is not None})
    edges = np.linspace(known[0], known[-1], MAX_COLOURS + 1)[1:-1]
    classes: list[list[object]] = [[] for _ in range(MAX_COLOURS)]
    for number in known:
        classes[int(np.searchsorted(edges, number))].append(number)
    if None in (*of_runs, *of_groups):
        classes.append([None])
    return _coloured(
        classes, of_runs, of_groups, lambda number: format_number(float(str(number))), ordered=True
    )


def _coloured(
    classes: Sequence[list[Any]],
    of_runs: Sequence[object],
    of_groups: Sequence[object],
    write: Callable[[object], str],
    *,
    ordered: bool,
) -> dict[str, Any]:
    classes = [levels for levels in classes if levels]
    place = {level: index for index, levels in enumerate(classes) for level in levels}
    labels = [
        NO_RESULT if levels == [None] and write is not written
        else " – ".join(dict.fromkeys(map(write, (levels[0], levels[-1]))))
        for levels in classes
    ]  # fmt: skip
    scale = ordered_colours(len(classes))
    colours = [
        GREY if levels == [None]
        else scale[index] if ordered
        else COLOURS[index % len(COLOURS)]
        for index, levels in enumerate(classes)
    ]  # fmt: skip
    return {
        "labels": list(map(printable, labels)),
        "colours": colours,
        "runs": [place[value] for value in of_runs],
        "groups": [place[value] for value in of_groups],
    }


def _numbers(values: Sequence[object]) -> list[float | None]:
    """Return numbers as JSON has them: None where there is none, or it is not finite."""
    plain = [float(value) if isinstance(value, int | float) else math.nan for value in values]
    return [float(f"{value:.7g}") if math.isfinite(value) else None for value in plain]


def _known(value: object) -> object:
    """Return a field's value; None for NaN, which no run was given."""
    return None if value != value else value  # noqa: PLR0124 - NaN
