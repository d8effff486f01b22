"""Statistics over seeds that two configurations have in common, and how many more they need."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy import stats

from nnlab.analysis.statistics import CONFIDENCE, Interval, Values, bootstrap_interval

POWER = 0.8  # probability that the recommended number of seeds suffices


@dataclass(frozen=True)
class PairedDifference:
    """A minus B over the seeds that both have.

    Attributes
    ----------
    n : int
        The number of pairs.
    mean : float or None
        Of the differences; None if one is not finite (a diverged run has an infinite loss).
    interval : Interval
        Of that mean.
    a_beats_b : float
        Share of the pairs that A wins; a tie counts half.
    further : int or None
        About how many more seeds the interval needs to leave 0 out: 0 if it does already, None if
        that is not known.
    """

    n: int
    mean: float | None
    interval: Interval
    a_beats_b: float
    further: int | None

    @property
    def decided(self) -> bool:
        """Whether the seeds suffice: the interval leaves 0 out."""
        low, high = self.interval.low, self.interval.high
        return low is not None and high is not None and self.n > 1 and not low <= 0 <= high


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
    if not (np.isfinite(one).all() and np.isfinite(other).all()):
        return PairedDifference(one.size, None, Interval(None, None, "not finite"), a_beats_b, None)
    differences = one - other
    interval = bootstrap_interval(differences)
    mean = float(differences.mean()) if one.size else None
    result = PairedDifference(one.size, mean, interval, a_beats_b, 0)
    if result.decided:
        return result
    return PairedDifference(one.size, mean, interval, a_beats_b, further_seeds(differences))


def further_seeds(differences: Sequence[float] | Values) -> int | None:
    """Return about how many more pairs would distinguish a mean difference from 0.

    The normal approximation for a paired test, ``n = ((z₀.₉₇₅ + z₀.₈) s / d)² + z₀.₉₇₅² / 2``,
    whose last term corrects for Student's t at small n (Guenther 1981, "Sample size formulas for
    normal theory t tests"). If the true difference and its standard deviation are the observed
    ones (d and s), the interval leaves 0 out in 4 cases of 5. Both are estimates from few seeds.

    Parameters
    ----------
    differences : sequence of float
        One for each pair.

    Returns
    -------
    int or None
        1 or more. None if it is not known: with fewer than two pairs, or a mean difference of 0.
    """
    sample = np.asarray(differences, np.float64)
    if sample.size < 2 or sample.mean() == 0:  # noqa: PLR2004 - a spread takes two
        return None
    z = float(stats.norm.ppf((1 + CONFIDENCE) / 2))
    ratio = float(sample.std(ddof=1) / sample.mean())
    needed = ((z + float(stats.norm.ppf(POWER))) * ratio) ** 2 + z**2 / 2
    return max(1, math.ceil(needed) - sample.size)
