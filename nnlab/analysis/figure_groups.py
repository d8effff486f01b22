"""Which configurations a figure shows, and how they are arranged in rows."""

from collections.abc import Sequence

import numpy as np

from nnlab.analysis.formatting import settings_text
from nnlab.analysis.groups import RunGroup, levels, numeric


def axis(groups: Sequence[RunGroup]) -> str | None:
    """Return the field of the horizontal axis: ``lr``, or else the number with most values."""
    counts = {
        field: len(levels(groups, field)) for field in groups[0].settings if numeric(groups, field)
    }
    counts = {field: count for field, count in counts.items() if count > 1}
    return "lr" if "lr" in counts else max(counts, key=lambda field: counts[field], default=None)


def rows_of(groups: Sequence[RunGroup], across: str) -> dict[str, list[RunGroup]]:
    """Return the groups that differ in one field alone, by a label of what they have in common.

    The groups are given best first, and so are those of each row.

    Rows are sorted by size if only one other field varies and is a number; otherwise the row with
    the best group comes first.
    """
    rows: dict[str, list[RunGroup]] = {}
    for group in groups:
        shared = {field: value for field, value in group.settings.items() if field != across}
        rows.setdefault(settings_text(shared), []).append(group)
    others = [field for field in groups[0].settings if field != across]
    if len(others) == 1 and numeric(groups, others[0]):
        return dict(sorted(rows.items(), key=lambda row: number_of(row[1][0], others[0])))
    return rows


def _best_of_each_row(groups: Sequence[RunGroup]) -> list[RunGroup]:
    """Return the best group of each row; all groups if there is one row, or no axis."""
    across = axis(groups)
    if across is None:
        return list(groups)
    rows = rows_of(groups, across)
    if len(rows) == 1:
        return sorted(groups, key=lambda group: number_of(group, across))
    return [members[0] for members in rows.values()]


def shown_hidden_units(groups: Sequence[RunGroup], count: int) -> list[RunGroup]:
    """Return the best groups of rows, and the one with the most dead units at the end."""
    chosen = _best_of_each_row(groups)
    most = max(groups, key=_final_dead_units)
    if _final_dead_units(most) <= max(map(_final_dead_units, chosen)):
        return _evenly(chosen, count)
    return [*_evenly(chosen, count - 1), most]


def _final_dead_units(group: RunGroup) -> float:
    """Return the mean share of dead units at the end; 0 where none is known."""
    if "dead_fraction" not in group.runs:
        return 0.0
    return float(group.runs["dead_fraction"].fillna(0).mean())


def _evenly(groups: Sequence[RunGroup], count: int) -> list[RunGroup]:
    """Return at most ``count`` groups, at even distances from the first to the last."""
    if len(groups) <= count:
        return list(groups)
    places = np.linspace(0, len(groups) - 1, count).round().astype(int)
    return [groups[place] for place in places]


def number_of(group: RunGroup, field: str) -> float:
    """Return a group's value of a field; NaN where it is a word."""
    value = group.settings[field]
    return float(value) if isinstance(value, int | float) else np.nan
