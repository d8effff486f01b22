"""The difference of two configurations over the seeds that both have, and families of them."""

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np

from nnlab.analysis.mean_test import (
    ALPHA,
    all_equal,
    chance_of_deciding,
    further_seeds,
    holm,
    mean_interval,
    p_values,
)
from nnlab.analysis.statistics import MIN_SEEDS, Interval, Values
from nnlab.wording import counted

MAX_FURTHER = 1000  # further seeds that are told, and for which a command is given


@dataclass(frozen=True, eq=False)
class PairedDifference:
    """A minus B over the seeds that both have.

    Attributes
    ----------
    differences : array
        One for each pair; not finite where a value is not (a diverged run has an infinite loss).
    a_beats_b : float
        Share of the pairs that A wins; a tie counts half.
    lower_is_better : bool
    level : float
        The p-value up to which the difference is decided: 0.05, or less where it is one of many
        comparisons, or is looked at again and again.
    limit : float
        The largest difference that there can be: 1 of accuracies.
    """

    differences: Values
    a_beats_b: float
    lower_is_better: bool = False
    level: float = ALPHA
    limit: float = math.inf

    @property
    def n(self) -> int:
        """The number of pairs."""
        return self.differences.size

    @property
    def finite(self) -> bool:
        """Whether there is a mean difference."""
        return bool(np.isfinite(self.differences).all())

    @property
    def testable(self) -> bool:
        """Whether the pairs are enough to decide anything."""
        return self.n >= MIN_SEEDS and self.finite

    @property
    def mean(self) -> float | None:
        """Of the differences; None if there is none."""
        return float(self.differences.mean()) if self.n and self.finite else None

    @cached_property
    def p_value(self) -> float:
        """See ``p_values``; 1 where nothing can be decided."""
        return float(p_values(self.differences)) if self.testable else 1.0

    @cached_property
    def interval(self) -> Interval:
        """Of the mean difference, at the confidence 1 − ``level``; none below ``MIN_SEEDS``."""
        if not self.n:
            return Interval(None, None, "no value")
        if not self.finite:
            return Interval(None, None, "not finite")
        if not self.testable:
            return Interval(None, None, "few seeds")
        if all_equal(self.differences) and self.mean and not self.decided:
            return Interval(None, None, "equal values")
        found = mean_interval(self.differences, self.level)
        assert found.low is not None
        assert found.high is not None
        return replace(found, low=max(found.low, -self.limit), high=min(found.high, self.limit))

    @property
    def decided(self) -> bool:
        """Whether the seeds suffice: the interval leaves 0 out."""
        return self.testable and self.p_value <= self.level

    @property
    def a_is_better(self) -> bool:
        """Whether the mean difference is in favour of A."""
        return self.mean is not None and (self.mean < 0 if self.lower_is_better else self.mean > 0)

    @property
    def further(self) -> int | None:
        """About how many more seeds would decide it: 0 if it is decided, None if unknown."""
        if self.decided:
            return 0
        if not self.finite:
            return None
        if self.n < MIN_SEEDS:
            return MIN_SEEDS - self.n
        return further_seeds(self.differences, self.level)

    def chance(self, further: int) -> float:
        """Return the probability that further seeds decide it; see ``chance_of_deciding``."""
        return chance_of_deciding(self.differences, further, self.level)


def paired_difference(
    a: Sequence[float], b: Sequence[float], *, lower_is_better: bool = False
) -> PairedDifference:
    """Compare two configurations over common seeds, pair by pair.

    A seed draws the same random numbers for both, so that an effect of the draw on both cancels.

    Parameters
    ----------
    a, b : sequence of float
        The same seed stands at the same place.
    lower_is_better : bool
    """
    one, other = np.asarray(a, np.float64), np.asarray(b, np.float64)
    wins = (one < other) if lower_is_better else (one > other)
    a_beats_b = float(np.mean(wins + 0.5 * (one == other))) if one.size else math.nan
    with np.errstate(invalid="ignore"):  # infinite minus infinite
        return PairedDifference(one - other, a_beats_b, lower_is_better)


def further_text(further: int | None, n: int, chance: float | None = None) -> str:
    """Say of an undecided difference of n pairs how many more seeds may decide it."""
    if further is None:
        return "open: no difference to go by"
    if further > MAX_FURTHER:
        return f"open: more than {MAX_FURTHER} more seeds"
    seeds = counted(further, "more seed")
    if n < MIN_SEEDS:
        return f"open: {seeds} at least"
    return f"open: about {seeds}" + ("" if chance is None else f" (chance {chance:.0%})")


def wins_text(share: float, n: int) -> str:
    """Write how many of n common seeds one side wins: a share of few seeds is no probability."""
    return f"{share * n:g} of {n}" if n else "-"


def as_family(differences: Sequence[PairedDifference]) -> list[PairedDifference]:
    """Return comparisons with the levels at which all together err in 5 of 100 cases; see ``holm``.

    Comparisons that cannot be decided do not count.

    Parameters
    ----------
    differences : sequence of PairedDifference
        Each with the level that it would have alone.
    """
    family = list(differences)
    places = [place for place, difference in enumerate(family) if difference.testable]
    scaled = [family[place].p_value * ALPHA / family[place].level for place in places]
    for place, divisor in zip(places, holm(scaled), strict=True):
        family[place] = replace(family[place], level=family[place].level / divisor)
    return family
