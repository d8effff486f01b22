"""What the seeds say: means with intervals, robust means, paired differences, seeds needed.

Nothing here knows the store. All random numbers are drawn under a fixed seed, so equal values give
equal intervals.
"""

import math
import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from statistics import fmean
from typing import Literal

import numpy as np
from numpy.typing import NDArray
from scipy import stats

CONFIDENCE = 0.95
POWER = 0.8  # probability that the seeds that are asked for will do
RESAMPLES = 9999

Method = Literal["BCa", "percentile", "equal values", "one value", "not finite", "no value"]
Values = NDArray[np.float64]


@dataclass(frozen=True)
class Interval:
    """A 95 % interval of a mean.

    Attributes
    ----------
    low, high : None where there is none
    method : how it was found, or why there is none. ``BCa``; ``percentile`` where BCa is not
        defined; ``equal values``: the bootstrap has nothing to vary, and the interval is a point.
    """

    low: float | None
    high: float | None
    method: Method


@dataclass(frozen=True)
class Summary:
    """One configuration's values over its seeds.

    Attributes
    ----------
    n : values
    iqm : see ``interquartile_mean``
    worst, best : as the metric has it: the worst of losses is the largest
    """

    n: int
    mean: float
    interval: Interval
    median: float
    iqm: float
    worst: float
    best: float


@dataclass(frozen=True)
class TimeToTarget:
    """When runs reached their target.

    Attributes
    ----------
    reached, n : so many of so many did
    median : epochs; the Kaplan–Meier median, in which a run that did not reach it counts as
        beyond all that did. None where fewer than half did: it is not known then.
    """

    reached: int
    n: int
    median: float | None


@dataclass(frozen=True)
class PairedDifference:
    """A minus B over the seeds that both have.

    Attributes
    ----------
    n : pairs
    mean : of the differences; None where one is not finite (a diverged run has an infinite loss)
    interval : of that mean
    a_beats_b : share of the pairs that A wins, ties counted half
    further : about how many more seeds the interval needs to leave 0 out; 0 where it does already,
        None where that cannot be told
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


def summarise(values: Sequence[float] | Values, *, lower_is_better: bool = False) -> Summary:
    """Sum up one configuration's values over its seeds.

    Parameters
    ----------
    values : one a seed; infinite for a run that is worse than any number, such as the loss of one
        that diverged
    """
    found = np.asarray(values, np.float64)
    if not found.size:
        nan = math.nan
        return Summary(0, nan, Interval(None, None, "no value"), nan, nan, nan, nan)
    low, high = float(found.min()), float(found.max())
    return Summary(
        n=found.size,
        mean=fmean(found),
        interval=bootstrap_interval(found),
        median=float(np.median(found)),
        iqm=interquartile_mean(found),
        worst=high if lower_is_better else low,
        best=low if lower_is_better else high,
    )


def interquartile_mean(values: Sequence[float] | Values) -> float:
    """Return the mean of the middle half: the quarter at either end is left out, rounded down.

    Less moved by outliers than the mean, and less by a single value than the median (Agarwal et
    al. 2021, "Deep Reinforcement Learning at the Edge of the Statistical Precipice").
    """
    return float(stats.trim_mean(np.asarray(values, np.float64), 0.25))


def bootstrap_interval(values: Sequence[float] | Values) -> Interval:
    """Return a 95 % interval of the mean: bias-corrected and accelerated bootstrap (Efron 1987).

    A plain bootstrap interval is too narrow for a handful of seeds, so it is asked for at a
    ``raised_confidence``. Of 5 normal values it then covers the true mean in 92 cases of 100,
    where the plain one covers it in 83; of 10 in 94, against 89; of 3 in 75, against 71: an
    interval within the range of 3 values cannot do better. The order of the values does not
    matter.
    """
    found = np.sort(np.asarray(values, np.float64))
    if not found.size:
        return Interval(None, None, "no value")
    if not np.isfinite(found).all():
        return Interval(None, None, "not finite")
    if found.size == 1:
        return Interval(None, None, "one value")
    if np.ptp(found) == 0:
        return Interval(float(found[0]), float(found[0]), "equal values")
    methods: tuple[Method, ...] = ("BCa", "percentile")
    for method in methods:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # BCa tells so where it is not defined, and gives NaN
            result = stats.bootstrap(
                (found,), np.mean, vectorized=True, n_resamples=RESAMPLES,
                confidence_level=raised_confidence(found.size), method=method,
                rng=np.random.default_rng(0),
            )  # fmt: skip
        low, high = map(float, result.confidence_interval)
        if math.isfinite(low) and math.isfinite(high):
            return Interval(low, high, method)
    raise AssertionError("percentiles of finite values are finite")


def raised_confidence(n: int) -> float:
    """Return the nominal confidence at which a bootstrap of n values covers about 95 %.

    The bootstrap divides by n where n − 1 is due, and knows nothing of Student's t. With
    Student's 97.5 % quantile ``t`` at n − 1 degrees of freedom, ``1 − 2 Φ(−√(n/(n−1)) t)`` makes
    up for both: the expanded interval of Hesterberg (2015, "What Teachers Should Know About the
    Bootstrap").
    """
    t = float(stats.t.ppf((1 + CONFIDENCE) / 2, n - 1))
    return 1 - 2 * float(stats.norm.cdf(-math.sqrt(n / (n - 1)) * t))


def time_to_target(epochs: Sequence[float] | Values) -> TimeToTarget:
    """Say how many runs reached their target, and in how many epochs the median one did.

    Parameters
    ----------
    epochs : one a run; NaN where it did not reach the target. It is taken to be beyond all
        others then, also where it ended early: what diverged would not have reached it.
    """
    found = np.sort(np.asarray(epochs, np.float64))  # NaN last
    reached, n = int(np.isfinite(found).sum()), found.size
    half = (n + 1) // 2  # the first epoch by which half of the runs, or more, have reached it
    return TimeToTarget(reached, n, float(found[half - 1]) if n and reached >= half else None)


def paired_difference(
    a: Sequence[float], b: Sequence[float], *, lower_is_better: bool = False
) -> PairedDifference:
    """Compare two configurations over common seeds, pair by pair.

    A seed draws the same random numbers for both, so what the draw does to both cancels.

    Parameters
    ----------
    a, b : at the same place the same seed
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
    """Return about how many more pairs would tell a mean difference from 0.

    The normal approximation for a paired test, ``n = ((z₀.₉₇₅ + z₀.₈) s / d)² + z₀.₉₇₅² / 2``,
    whose last term makes up for Student's t at small n (Guenther 1981): if the true difference
    and its spread are those that were seen (d and s), the interval leaves 0 out in 4 cases of 5.
    Both are themselves guesses from few seeds.

    Returns
    -------
    int or None
        1 or more. None where it cannot be told: of fewer than two pairs, or where the mean
        difference is 0.
    """
    found = np.asarray(differences, np.float64)
    if found.size < 2 or found.mean() == 0:  # noqa: PLR2004 - a spread takes two
        return None
    z = float(stats.norm.ppf((1 + CONFIDENCE) / 2))
    ratio = float(found.std(ddof=1) / found.mean())
    needed = ((z + float(stats.norm.ppf(POWER))) * ratio) ** 2 + z**2 / 2
    return max(1, math.ceil(needed) - found.size)
