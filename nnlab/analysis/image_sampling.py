"""What the choice of the test images adds to the interval of a test error."""

import math
from collections.abc import Iterable
from fractions import Fraction

from nnlab.analysis.ranking import wilson_interval
from nnlab.analysis.statistics import Interval

TEST_ACCURACY = "test/accuracy"
MOST_IMAGES = 10**6  # of a test set


def test_images(accuracies: Iterable[float]) -> int:
    """Return the lowest number of images of which accuracies are shares: 0.91 and 0.916 of 500.

    The true number is a multiple of it: of 10,000 images that 5 runs classified, it is half in 3
    of 100 cases, and nearly never less. An interval is then too wide, not too narrow.
    """
    shares = (Fraction(accuracy).limit_denominator(MOST_IMAGES) for accuracy in accuracies)
    return min(MOST_IMAGES, math.lcm(*(share.denominator for share in shares)))


def with_sampling(seeds: Interval, rate: float, images: int) -> Interval:
    """Widen the interval of a mean test error over seeds by the sampling of the test images.

    The error of seed s at image i, 0 or 1, is ``μ + a_s + b_i + c_si``: the seed, the image, and
    what is left. The mean over S seeds that all classify the *same* N images has the variance
    ``σ_a²/S + σ_b²/N + σ_c²/(S N)`` (Searle, Casella & McCulloch 1992, *Variance Components*,
    chapter 5, two-way crossed random model). What the seeds vary estimates the first and the last
    term. The images' term does not shrink with more seeds. An error of 0 or 1 has the variance
    ``μ (1 − μ) = σ_a² + σ_b² + σ_c²``, so that it is at most ``μ (1 − μ) / N``: the binomial
    variance, which is taken. (Bouthillier et al. 2021, "Accounting for Variance in Machine Learning
    Benchmarks", find it next to the seeds' own.) The two intervals, the seeds' and Wilson's, are
    joined as independent: each side's distances to the mean add up by their squares (Zou & Donner
    2008, "Construction of confidence limits about effect measures").

    Parameters
    ----------
    seeds : Interval
        Of the mean over the seeds.
    rate : float
        The mean error (or accuracy).
    images : int
        How many.
    """
    if seeds.low is None or seeds.high is None:
        return seeds
    low, high = wilson_interval(rate, images)
    return Interval(
        max(0.0, rate - math.hypot(rate - seeds.low, rate - low)),
        min(1.0, rate + math.hypot(seeds.high - rate, high - rate)),
        seeds.method,
    )
