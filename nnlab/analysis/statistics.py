"""Statistics over seeds: means with intervals, robust means, paired differences, seeds needed.

All random numbers are drawn under a fixed seed, so that equal values give equal intervals.
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
POWER = 0.8  # probability that the recommended number of seeds suffices
RESAMPLES = 9999

Method = Literal["BCa", "percentile", "equal values", "one value", "not finite", "no value"]
Values = NDArray[np.float64]


@dataclass(frozen=True)
class Interval:
    """A 95 % interval of a mean.

    Attributes
    ----------
    low, high : float or None
        None if there is no interval.
    method : str
        How the interval was found, or why there is none. ``BCa``; ``percentile`` where BCa is not
        defined; ``equal values``: the bootstrap has nothing to vary, and the interval is a point.
    """

    low: float | None
    high: float | None
    method: Method


@dataclass(frozen=True)
class Summary:
    """One configuration's values over its seeds, summed up.

    Attributes
    ----------
    n : int
        The number of values.
    mean : float
    interval : Interval
        Of the mean.
    median : float
    iqm : float
        See ``interquartile_mean``.
    worst, best : float
        In the sense of the metric: the worst loss is the largest one.
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
    reached, n : int
        The number of runs that reached it, and of all runs.
    median : float or None
        Epochs; the Kaplan–Meier median, in which a run that did not reach the target counts as
        later than all that did. None if fewer than half did: it is not known then.
    """

    reached: int
    n: int
    median: float | None


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


def summarise(values: Sequence[float] | Values, *, lower_is_better: bool = False) -> Summary:
    """Sum up one configuration's values over its seeds.

    Parameters
    ----------
    values : sequence of float
        One for each seed; infinite for a run that is worse than any number, such as the loss of a
        run that diverged.
    lower_is_better : bool

    Returns
    -------
    Summary
    """
    sample = np.asarray(values, np.float64)
    if not sample.size:
        nan = math.nan
        return Summary(0, nan, Interval(None, None, "no value"), nan, nan, nan, nan)
    low, high = float(sample.min()), float(sample.max())
    return Summary(
        n=sample.size,
        mean=fmean(sample),
        interval=bootstrap_interval(sample),
        median=float(np.median(sample)),
        iqm=interquartile_mean(sample),
        worst=high if lower_is_better else low,
        best=low if lower_is_better else high,
    )


def interquartile_mean(values: Sequence[float] | Values) -> float:
    """Return the mean of the middle half: a quarter, rounded down, is left out at either end.

    Outliers change it less than the mean, and a single value changes it less than the median
    (Agarwal et al. 2021, "Deep Reinforcement Learning at the Edge of the Statistical Precipice").
    """
    return float(stats.trim_mean(np.asarray(values, np.float64), 0.25))


def bootstrap_interval(values: Sequence[float] | Values) -> Interval:
    """Return a 95 % interval of the mean: bias-corrected and accelerated bootstrap.

    Efron 1987, "Better bootstrap confidence intervals". A plain bootstrap interval is too narrow
    for a handful of seeds, so this one has a ``raised_confidence``. For 5 normal values it covers
    the true mean in 92 cases of 100, where the plain one covers it in 83; for 10 in 94, against
    89; for 3 in 75, against 71: an interval within the range of 3 values cannot do better. The
    order of the values does not matter.
    """
    sample = np.sort(np.asarray(values, np.float64))
    if not sample.size:
        return Interval(None, None, "no value")
    if not np.isfinite(sample).all():
        return Interval(None, None, "not finite")
    if sample.size == 1:
        return Interval(None, None, "one value")
    if np.ptp(sample) == 0:
        return Interval(float(sample[0]), float(sample[0]), "equal values")
    methods: tuple[Method, ...] = ("BCa", "percentile")
    for method in methods:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # BCa warns where it is not defined, and gives NaN
            result = stats.bootstrap(
                (sample,), np.mean, vectorized=True, n_resamples=RESAMPLES,
                confidence_level=raised_confidence(sample.size), method=method,
                rng=np.random.default_rng(0),
            )  # fmt: skip
        low, high = map(float, result.confidence_interval)
        if math.isfinite(low) and math.isfinite(high):
            return Interval(low, high, method)
    raise AssertionError("percentiles of finite values are finite")


def raised_confidence(n: int) -> float:
    """Return the nominal confidence at which a bootstrap of n values covers about 95 %.

    The bootstrap divides by n instead of n − 1, and assumes a normal distribution instead of
    Student's t. ``1 − 2 Φ(−√(n/(n−1)) t)``, with Student's 97.5 % quantile ``t`` at n − 1 degrees
    of freedom, corrects both: the expanded interval of Hesterberg 2015, "What Teachers Should Know
    About the Bootstrap".
    """
    t = float(stats.t.ppf((1 + CONFIDENCE) / 2, n - 1))
    return 1 - 2 * float(stats.norm.cdf(-math.sqrt(n / (n - 1)) * t))


def time_to_target(epochs: Sequence[float] | Values) -> TimeToTarget:
    """Return how many runs reached their target, and in how many epochs the median run did.

    Parameters
    ----------
    epochs : sequence of float
        One for each run; NaN if it did not reach the target. It then counts as later than all
        others, even if it ended early: a run that diverged would not have reached it.

    Returns
    -------
    TimeToTarget
    """
    ordered = np.sort(np.asarray(epochs, np.float64))  # NaN last
    reached, n = int(np.isfinite(ordered).sum()), ordered.size
    half = (n + 1) // 2  # when so many runs have reached it, half of them or more have
    return TimeToTarget(reached, n, float(ordered[half - 1]) if n and reached >= half else None)


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

    Returns
    -------
    PairedDifference
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
