"""Why a sweep came out as it did, in sentences: each by a rule from the numbers."""

import math
from collections.abc import Iterator, Sequence
from itertools import permutations
from typing import NamedTuple

import numpy as np
import pandas as pd
from scipy import stats

from nnlab.analysis.best_set import may_be_best
from nnlab.analysis.conclusions import UNLEARNED, value_range
from nnlab.analysis.configurations import value_key
from nnlab.analysis.formatting import interval, metric_name, number, short, written
from nnlab.analysis.groups import RunGroup, Value
from nnlab.analysis.paired_statistics import paired_difference
from nnlab.analysis.ranking import lower_is_better
from nnlab.jobs.study import Reference
from nnlab.wording import agreeing, counted

MAJORITY = 0.5  # share of hidden units, or of seeds, above which a rule speaks of them all
NEARLY_ALL = 0.9  # share of dead hidden units from which a network is dead on arrival
TREND_P_VALUE = 0.05  # below it, a rank correlation is called a trend
FEW_RANKS = 8  # whose 40,320 orders are all tried
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


def variation_shares(effects: pd.DataFrame, metric: str, among: str = "over this grid") -> str:
    """Say which hyper-parameter matters: shares of the variation, and what is beyond chance.

    Parameters
    ----------
    effects : DataFrame
        See ``comparison.importance``.
    metric : str
    among : str
        Of which runs it is said.
    """
    parts = []
    columns = effects[["cause", "eta_squared", "omega_squared", "shown"]]
    for cause, share, further, shown in columns.itertuples(index=False):
        names = short_cause(str(cause))
        beyond = f"{further:.1%} beyond chance" if shown else "not told from chance"
        chance = "" if math.isnan(further) else f" ({beyond})"
        parts.append(f"{'the seed' if names == 'seed' else names} {share:.1%}{chance}")
    name = metric_name(metric)
    if len(parts) == 1:
        return f"All variation of {name} {among} is accounted for by {parts[0]}."
    return (
        f"The variation of {name} {among} is accounted for by {', '.join(parts[:-1])} and "
        f"{parts[-1]}."
    )


def short_cause(cause: str) -> str:
    """Write a cause of variation with its fields' short names: ``init × lr``."""
    return " × ".join(map(short, cause.split(" × ")))


class BestValue(NamedTuple):
    """The best value of one field where another field has a certain value.

    Attributes
    ----------
    at : int, float, str or None
        The value of the other field.
    best : float or None
        None if nothing learned there, or all values did equally well.
    candidates : tuple
        The values that may be the best: the best one, and those that the seeds do not tell from it.
    """

    at: Value
    best: float | None
    candidates: tuple[Value, ...]


def best_value_trend(rows: Sequence[BestValue], field: str, across: str) -> str | None:
    """Say how the best value of one field changes with another field.

    Parameters
    ----------
    rows : sequence of BestValue
        In the order of the other field's values.
    field, across : str
        The other field, and the one whose best value it is.
    """
    known = [(row, row.best) for row in rows if row.best is not None]
    if len(known) < 2:  # noqa: PLR2004 - a change takes two
        return None
    bests = [best for _, best in known]
    low, high, name = min(bests), max(bests), short(across)
    dead = len(known) < len(rows)
    of_all = f"{len(known)} of {len(rows)}"
    listed = ", ".join(f"{written(row.at)}: {best:g}" for row, best in known)
    text = (
        f"The best {name} is {low:g} at every {short(field)}"
        + f" at which anything learned ({of_all})" * dead
        if low == high
        else f"The best {name} lies between {low:g} and {high:g} ({listed})"
        + f", where anything learned ({of_all} values of {short(field)})" * dead
    )
    open_ = [row for row, _ in known if len(row.candidates) > 1]
    if open_:
        text += f"; in {len(open_)} of {len(known)} the seeds do not tell it from other values"
    if low == high:
        return f"{text}."
    everywhere = [
        value
        for value in known[0][0].candidates
        if all(value in row.candidates for row, _ in known)
    ]
    if everywhere:
        likely = max(everywhere, key=lambda value: sum(best == value for best in bests))
        return f"{text}, and {written(likely)} may be the best everywhere: no change is shown."
    numbers = [(float(row.at), best) for row, best in known if isinstance(row.at, int | float)]
    if len(numbers) < max(TREND_VALUES, len(known)):
        return f"{text}."
    rho, p = rank_correlation(*zip(*numbers, strict=True))
    trend = f"it {'rises' if rho > 0 else 'falls'} with {short(field)}"
    judgement = trend if p < TREND_P_VALUE else "no one-way trend is shown"
    return f"{text}: {judgement} (Spearman's ρ = {rho:+.2f}, p = {p:.2g})."


def rank_correlation(one: Sequence[float], other: Sequence[float]) -> tuple[float, float]:
    """Return Spearman's ρ and its p-value; of few values, over all their orders.

    SciPy approximates by Student's t, which gives p = 0 for any few values in order.
    """
    rho, p = map(float, stats.spearmanr(one, other))
    if len(one) <= FEW_RANKS:
        ranks, others = stats.rankdata(one), stats.rankdata(other)
        sums = np.array([ranks @ order for order in permutations(others)])
        middle = sums.mean()
        p = float(np.mean(np.abs(sums - middle) >= abs(ranks @ others - middle) - 1e-9))
    return rho, p


def dead_on_arrival(states: Sequence[InitialState]) -> Iterator[str]:
    """Say which initial weights kill the hidden units before training begins, and why."""
    killed = [state for state in states if state.dead > MAJORITY]
    for label, dead, mean in killed:
        reason = (
            f": its mean weight is {mean:+.2f}, and pixels are never negative, so that their "
            "weighted sum is below 0 on nearly every image"
            if mean < 0
            else ""
        )
        left = " Only the output biases are left." if dead == 1 else ""
        begins = "is dead on arrival" if dead >= NEARLY_ALL else "begins with dead units"
        yield (
            f"{label} {begins}: {dead:.0%} of its hidden units are silent on every training image "
            f"before the first step{reason}.{left}"
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
                matched.append(group)
    if not rows:
        return [], ""
    if len(rows) == 1:
        return rows, _against_single(rows[0], matched[0], reference)
    tolerance = REFERENCE_ROUNDING
    within = sum(row.low - tolerance <= row.reference <= row.high + tolerance for row in rows)
    furthest = max(rows, key=lambda row: abs(row.difference))
    deviation = np.mean([abs(row.difference) for row in rows])
    return rows, (
        f"{within} of {len(rows)} reference figures ({reference.source}) lie within the range of "
        f"our seeds; the mean deviation is {deviation:.3f}, the largest {furthest.difference:+.3f} "
        f"({furthest.label})."
    )


def _against_single(row: ReferenceRow, group: RunGroup, reference: Reference) -> str:
    """Say whether our seeds tell a mean from a reference, which is taken as exact."""
    results = group.independent_results.tolist()
    lower = lower_is_better(reference.metric)
    difference = paired_difference(results, [row.reference] * len(results), lower_is_better=lower)
    low, high = difference.interval.low, difference.interval.high
    between = ""
    if low is not None and high is not None:
        between = interval(row.reference + low, row.reference + high)
    mean = f"{number(row.mean)} {between}".strip()
    seeds = counted(len(results), "seed")
    better = (row.mean < row.reference) == lower
    verdict = (
        f"{'better' if better else 'worse'} than the reference's {number(row.reference)}"
        if difference.decided
        else f"which {seeds} {agreeing(len(results), 'does', 'do')} not tell from the reference's "
        f"{number(row.reference)}"
    )
    return (
        f"{row.label}: a mean {metric_name(reference.metric)} of {mean} over {seeds}, {verdict} "
        f"({reference.source}), whose own spread is not known."
    )


def _is(group: RunGroup, words: Sequence[str]) -> bool:
    """Tell whether overrides such as ``init=he lr=0.5`` mean this configuration."""
    wanted = dict(word.split("=", 1) for word in words)
    settings = {short(field): written(value) for field, value in group.settings.items()}
    return all(settings.get(field) == value for field, value in wanted.items())


def best_across(groups: Sequence[RunGroup], across: str) -> float | None:
    """Return the value of a field in the best of some groups.

    None if nothing learned in any of them, or all are equal.
    """
    best = min(groups, key=lambda group: group.rank)
    value = best.settings[across]
    if len(groups) > 1 and all(group.rank == best.rank for group in groups):
        return None
    if not any(group.share("learned") for group in groups):
        return None
    return float(value) if isinstance(value, int | float) else None


def candidates_across(groups: Sequence[RunGroup], across: str) -> tuple[Value, ...]:
    """Return a field's values in the best of some groups, and in those not told from it."""
    candidates = may_be_best(sorted(groups, key=lambda group: group.rank))
    return tuple(sorted((group.settings[across] for group in candidates), key=value_key))


def learned_between(groups: Sequence[RunGroup], across: str) -> str:
    """Write the range of a field in which most seeds that came to their end learn.

    ``0.05 … 0.5``; "nowhere" if all runs came to their end; else "not known".
    """
    values, known = [], True
    for group in groups:
        ended = group.endings[group.endings.isin(("learned", *UNLEARNED))]
        known = known and len(ended) == len(group.endings)
        if len(ended) and (ended == "learned").mean() > MAJORITY:
            values.append(group.settings[across])
    if values:
        return value_range(sorted(values, key=value_key))
    return "nowhere" if known else "not known"
