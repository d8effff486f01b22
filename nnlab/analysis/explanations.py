"""Why a sweep came out as it did, in sentences: each by a rule from the numbers."""

from collections.abc import Iterator, Sequence
from typing import NamedTuple

import numpy as np
import pandas as pd
from scipy import stats

from nnlab.analysis.conclusions import metric_name, value_range
from nnlab.analysis.configurations import value_key
from nnlab.analysis.formatting import interval, number, short, written
from nnlab.analysis.groups import RunGroup, Value
from nnlab.analysis.ranking import lower_is_better
from nnlab.runs.study import Reference

MAJORITY = 0.5  # share of hidden units, or of seeds, above which a rule speaks of them all
TREND_P_VALUE = 0.05  # below it, a rank correlation is called a trend
TREND_VALUES = 5  # the number of values that a rank correlation needs at least
REFERENCE_ROUNDING = 0.005  # references are given to two decimals


class InitialState(NamedTuple):
    """How networks of one configuration begin.

    Attributes
    ----------
    dead : float
        Share of the hidden units that are dead before the first step.
    mean_weight : float
        Mean of W1.
    """

    label: str
    dead: float
    mean_weight: float


class ReferenceRow(NamedTuple):
    """A configuration's result beside that of a reference.

    Attributes
    ----------
    reference, mean : float
        The metric's value in the reference, and the mean over our seeds.
    low, high : float
        The lowest and the highest value of our seeds.
    """

    label: str
    reference: float
    mean: float
    low: float
    high: float

    @property
    def difference(self) -> float:
        """Our mean minus the reference."""
        return self.mean - self.reference


def variation_shares(effects: pd.DataFrame, metric: str) -> str:
    """Say which hyper-parameter matters.

    Parameters
    ----------
    effects : DataFrame
        See ``comparison.importance``.
    metric : str
    """
    parts = []
    for cause, share in zip(effects["cause"], effects["eta_squared"], strict=True):
        names = short_cause(str(cause))
        parts.append(f"{'the seed' if names == 'seed' else names} {share:.1%}")
    name = metric_name(metric)
    if len(parts) == 1:
        return f"All variation of {name} is accounted for by {parts[0]}."
    return (
        f"The variation of {name} over this grid is accounted for by {', '.join(parts[:-1])} and "
        f"{parts[-1]}."
    )


def short_cause(cause: str) -> str:
    """Write a cause of variation with its fields' short names: ``init × lr``."""
    return " × ".join(map(short, cause.split(" × ")))


def best_value_trend(
    best_values: Sequence[tuple[Value, float | None]], field: str, across: str
) -> str | None:
    """Say how the best value of one field changes with another field.

    Parameters
    ----------
    best_values : sequence of tuple
        The other field's values in order, each with the best value of ``across`` there, or None.
    field, across : str
    """
    known = [(value, best) for value, best in best_values if best is not None]
    if len(known) < 2:  # noqa: PLR2004 - a change takes two
        return None
    low, high = min(best for _, best in known), max(best for _, best in known)
    if low == high:
        return f"The best {short(across)} is {low:g} at every {short(field)}."
    listed = ", ".join(f"{written(value)}: {best:g}" for value, best in known)
    text = f"The best {short(across)} lies between {low:g} and {high:g} ({listed})"
    numbers = [(float(value), best) for value, best in known if isinstance(value, int | float)]
    if len(numbers) < max(TREND_VALUES, len(known)):
        return text + "."
    rho, p = stats.spearmanr(*zip(*numbers, strict=True))
    trend = f"it {'rises' if rho > 0 else 'falls'} with {short(field)}"
    judgement = trend if p < TREND_P_VALUE else "no one-way trend is shown"
    return f"{text}: {judgement} (Spearman's ρ = {rho:+.2f}, p = {p:.2g})."


def dead_on_arrival(states: Sequence[InitialState]) -> Iterator[str]:
    """Say which initial weights kill the hidden units before training begins, and why."""
    killed = [state for state in states if state.dead > MAJORITY]
    for label, dead, mean in killed:
        reason = (
            f"its mean weight is {mean:+.2f}, and pixels are never negative, so that their "
            "weighted sum is below 0 on nearly every image"
            if mean < 0
            else f"its mean weight is {mean:+.2g}"
        )
        yield (
            f"{label} is dead on arrival: {dead:.0%} of its hidden units are silent on every "
            f"training image before the first step: {reason}. Only the output biases are left."
        )
    alive = [state for state in states if state.dead <= MAJORITY]
    if killed and alive:
        worst = max(state.dead for state in alive)
        share = f"at most {worst:.1%} of their units" if worst else "no unit"
        yield f"All others begin with {share} dead."


def against_reference(
    groups: Sequence[RunGroup], reference: Reference
) -> tuple[list[ReferenceRow], str]:
    """Compare results with those of somebody else.

    Returns
    -------
    rows : list of ReferenceRow
    sentence : str
        Empty if no configuration has a reference.
    """
    rows, matched = [], []
    for words, value in reference.figures.items():
        for group in groups:
            if _is(group, words):
                summary = group.summary
                low, high = sorted((summary.worst, summary.best))
                rows.append(ReferenceRow(" ".join(words), value, summary.mean, low, high))
                matched.append(summary)
    if not rows:
        return [], ""
    if len(rows) == 1:
        (row,), (summary,) = rows, matched
        better = (row.mean < row.reference) == lower_is_better(reference.metric)
        between = interval(summary.interval.low, summary.interval.high)
        return rows, (
            f"{row.label}: a mean {metric_name(reference.metric)} of {number(row.mean)} {between}, "
            f"{'better' if better else 'not better'} than the reference's {number(row.reference)} "
            f"({reference.source})."
        )
    tolerance = REFERENCE_ROUNDING
    within = sum(row.low - tolerance <= row.reference <= row.high + tolerance for row in rows)
    furthest = max(rows, key=lambda row: abs(row.difference))
    deviation = np.mean([abs(row.difference) for row in rows])
    return rows, (
        f"{within} of {len(rows)} reference figures ({reference.source}) lie within the range of "
        f"our seeds; the mean deviation is {deviation:.3f}, the largest {furthest.difference:+.3f} "
        f"({furthest.label})."
    )


def _is(group: RunGroup, words: Sequence[str]) -> bool:
    """Tell whether overrides such as ``init=he lr=0.5`` mean this configuration."""
    wanted = dict(word.split("=", 1) for word in words)
    settings = {short(field): written(value) for field, value in group.settings.items()}
    return all(settings.get(field) == value for field, value in wanted.items())


def best_across(groups: Sequence[RunGroup], across: str) -> float | None:
    """Return the value of a field in the best of some groups; None if all groups are equal."""
    best = min(groups, key=lambda group: group.rank)
    value = best.settings[across]
    if len(groups) > 1 and all(group.rank == best.rank for group in groups):
        return None
    return float(value) if isinstance(value, int | float) else None


def learned_between(groups: Sequence[RunGroup], across: str) -> str:
    """Write the range of a field in which most seeds learn: ``0.05 … 0.5``, or "nowhere"."""
    values = [group.settings[across] for group in groups if group.share("learned") > MAJORITY]
    return value_range(sorted(values, key=value_key)) if values else "nowhere"
