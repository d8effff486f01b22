"""Whether a mean differs from 0: the test, its interval, and how many more values decide.

The test decides only if two tests reject: the paired t-test, and Hall's test, which transforms t so
that skewness no longer shifts it (Hall 1992, "On the removal of skewness by transformation").
Student's t alone errs too often where differences are skewed, Hall's alone where they are not. Both
take n − 2 degrees of freedom: one for the mean, and one for the skewness, which few values
estimate badly. tests/analysis/test_deciding.py measures how often they decide without a
difference. Intervals are the union of both tests' intervals, so that they hold 0 just where the
test does not decide.
"""

import math
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from scipy import stats

from nnlab.analysis.statistics import CONFIDENCE, Interval, Values

ALPHA = round(1 - CONFIDENCE, 9)  # the rate of decisions without any difference
POWER = 0.8  # probability at which seeds are recommended, if the estimates are the truth
EQUAL = 1e-12  # range of differences below which they are equal
DRAWS = 4000  # of a simulation of further seeds


def p_values(differences: Values) -> Values:
    """Return p-values of "the mean difference is 0": the larger one of the t-test's and Hall's.

    Equal differences have the p-value of the sign test, 2 to the power of 1 − n.

    Parameters
    ----------
    differences : array, shape (..., n)
        Finite.

    Returns
    -------
    array, shape (...)
    """
    sample = np.asarray(differences, np.float64)
    n = sample.shape[-1]
    mean, deviation, skewness = _moments(sample)
    with np.errstate(divide="ignore", invalid="ignore"):
        t = mean / (deviation / math.sqrt(n))
        p = 2 * stats.t.sf(np.minimum(np.abs(t), np.abs(_hall(t, skewness, n))), n - 2)
    return np.where(deviation > 0, p, np.where(mean == 0, 1.0, 2.0 ** (1 - n)))


def holm(p: Sequence[float]) -> list[int]:
    """Return for each test of a family by how much its level is divided.

    Together they then err as often as one test at this level (Holm 1979, "A simple sequentially
    rejective multiple test procedure"): the smallest of m p-values is compared with ``ALPHA`` / m,
    the next with ``ALPHA`` / (m − 1), until one is above. All others keep the divisor of that one,
    so that their intervals hold 0.

    Parameters
    ----------
    p : sequence of float
        The p-values; of tests with levels of their own, p · ``ALPHA`` / level.
    """
    divisors, left = [0] * len(p), len(p)
    for place in sorted(range(len(p)), key=lambda place: p[place]):
        divisors[place] = left
        if p[place] <= ALPHA / left:  # false once, it is for all larger ones
            left -= 1
    return divisors


def mean_interval(values: Sequence[float] | Values, level: float = ALPHA) -> Interval:
    """Return the interval of a mean at the confidence 1 − ``level`` that belongs to ``p_values``.

    Parameters
    ----------
    values : sequence of float
        Three or more, finite.
    level : float
    """
    sample = np.asarray(values, np.float64)
    n = sample.size
    mean, deviation, skewness = (float(moment) for moment in _moments(sample))
    if deviation == 0:
        return Interval(mean, mean, "equal values")
    t, error = float(stats.t.ppf(1 - level / 2, n - 2)), deviation / math.sqrt(n)
    bounds = (-t, t, _inverse_of_hall(-t, skewness, n), _inverse_of_hall(t, skewness, n))
    return Interval(mean - max(bounds) * error, mean - min(bounds) * error, "t and Hall")


def _moments(sample: Values) -> tuple[Values, Values, Values]:
    """Return means, standard deviations and skewnesses over the last axis, without bias."""
    n = sample.shape[-1]
    mean = sample.mean(axis=-1)
    centred = sample - mean[..., None]
    deviation = np.where(all_equal(sample), 0.0, sample.std(axis=-1, ddof=1))
    third = (centred**3).sum(axis=-1) * n / ((n - 1) * (n - 2))
    with np.errstate(divide="ignore", invalid="ignore"):
        return mean, deviation, third / deviation**3


def all_equal(sample: Values) -> NDArray[np.bool_]:
    """Tell where values differ by rounding errors alone: 0.9 − 0.8 is not 0.7 − 0.6."""
    return np.asarray(np.ptp(sample, axis=-1) < EQUAL)


def _hall(t: Values, skewness: Values, n: int) -> Values:
    """Return Hall's transform of t, which rises with t.

    ``t + γ/√n · (t²/3 + 1/6) + γ²/n · t³/27``, with the skewness γ.
    """
    slope = skewness / math.sqrt(n)
    return t + slope * (t**2 / 3 + 1 / 6) + slope**2 * t**3 / 27


def _inverse_of_hall(value: float, skewness: float, n: int) -> float:
    """Return the t that Hall's transform takes to a value."""
    slope = skewness / math.sqrt(n)
    if abs(slope) < 1e-6:  # noqa: PLR2004 - the formula below divides by it
        return value
    return 3 / slope * (float(np.cbrt(1 + slope * (value - slope / 6))) - 1)


def further_seeds(differences: Sequence[float] | Values, level: float = ALPHA) -> int | None:
    """Return about how many more pairs would distinguish a mean difference from 0.

    The normal approximation for a paired test, ``n = ((z + z₀.₈) s / d)² + z² / 2``, where z is
    the quantile of ``level`` and the last term corrects for Student's t at small n (Guenther 1981,
    "Sample size formulas for normal theory t tests"). If the true difference and its standard
    deviation are the observed ones (d and s), the test decides in about 4 cases of 5. Both are
    estimates from few seeds: ``chance_of_deciding`` tells how little that promises.

    Parameters
    ----------
    differences : sequence of float
        One for each pair.
    level : float

    Returns
    -------
    int or None
        1 or more. None if it is not known: with fewer than two pairs, or a mean difference of 0.
    """
    sample = np.asarray(differences, np.float64)
    if sample.size < 2 or sample.mean() == 0:  # noqa: PLR2004 - a spread takes two
        return None
    z = float(stats.norm.ppf(1 - level / 2))
    ratio = float(sample.std(ddof=1) / sample.mean())
    needed = ((z + float(stats.norm.ppf(POWER))) * ratio) ** 2 + z**2 / 2
    return max(1, math.ceil(needed) - sample.size)


def chance_of_deciding(differences: Values, further: int, level: float) -> float:
    """Return the probability that a t-test over the old and further pairs decides at a level.

    Difference and spread are not taken for the truth: they are drawn from what the pairs leave
    open (the posterior of normal values, without prior knowledge), and then the further pairs.

    Parameters
    ----------
    differences : array
        One for each pair so far, three or more, finite.
    further : int
    level : float
    """
    sample, rng = np.asarray(differences, np.float64), np.random.default_rng(0)
    n = sample.size
    total = n + further
    spread = sample.std(ddof=1) * np.sqrt((n - 1) / rng.chisquare(n - 1, DRAWS))
    truth = sample.mean() + spread / math.sqrt(n) * rng.standard_normal(DRAWS)
    added = truth + spread / math.sqrt(further) * rng.standard_normal(DRAWS)
    squares = spread**2 * rng.chisquare(further - 1, DRAWS) if further > 1 else 0.0
    mean = (n * sample.mean() + further * added) / total
    squares = squares + (n - 1) * sample.var(ddof=1)
    squares = squares + n * further / total * (added - sample.mean()) ** 2
    with np.errstate(divide="ignore"):
        t = np.abs(mean) / np.sqrt(squares / (total - 1) / total)
    return float(np.mean(t >= stats.t.ppf(1 - level / 2, total - 2)))
