"""The interval of a test error holds other seeds and other test images, by simulation."""

import math

import numpy as np
import pandas as pd
import pytest
from scipy import stats

from nnlab.analysis.confirmation_text import test_error as said_of_test_error
from nnlab.analysis.groups import RunGroup
from nnlab.analysis.image_sampling import test_images as images_of
from nnlab.analysis.image_sampling import with_sampling
from nnlab.analysis.statistics import Interval

SEEDS, IMAGES, DRAWS = 5, 500, 400


def test_it_covers_the_error_over_all_images_where_the_seeds_alone_do_not():
    """An image has a difficulty, a seed its luck: errors are drawn from both.

    The truth is the mean over many images and seeds of the same kind.
    """
    rng = np.random.default_rng(1)

    def errors(seeds, images):
        difficulty = rng.normal(-3, 2, images)
        luck = rng.normal(0, 0.1, (seeds, 1))
        return rng.random((seeds, images)) < 1 / (1 + np.exp(-difficulty - luck))

    truth = errors(20, 100_000).mean()
    alone = both = 0
    for _ in range(DRAWS):
        rates = errors(SEEDS, IMAGES).mean(axis=1)
        low, high = stats.t.interval(0.95, SEEDS - 1, rates.mean(), stats.sem(rates))
        alone += low <= truth <= high
        wide = with_sampling(Interval(low, high, "BCa"), rates.mean(), IMAGES)
        both += wide.low <= truth <= wide.high
    assert both / DRAWS >= 0.95 - 3 * math.sqrt(0.05 * 0.95 / DRAWS)
    assert alone / DRAWS < 0.85


def test_without_a_spread_of_the_seeds_it_is_wilsons_interval():
    found = with_sampling(Interval(0.1, 0.1, "equal values"), 0.1, 100)
    expected = stats.binomtest(10, 100).proportion_ci(method="wilson")
    assert (found.low, found.high) == pytest.approx((expected.low, expected.high))


@pytest.mark.parametrize(
    ("accuracies", "images"), [([0.9791, 0.979], 10_000), ([0.91, 0.916], 500), ([1.0], 1)]
)
def test_the_images_are_counted_from_the_accuracies(accuracies, images):
    assert images_of(accuracies) == images


def test_a_report_quotes_it_and_counts_a_diverged_run_as_all_wrong():
    """2.09 % of 10,000 images: ± 0.28 % by the images, less by seeds that agree."""
    accuracies = [0.9791, 0.9790, 0.9792, 0.9789, 0.9793]
    runs = pd.DataFrame(
        {"seed": range(5), "outcome": "learned", "test/accuracy": accuracies, "lr": 0.1}
    )
    group = RunGroup({"lr": 0.1}, runs, "late_val_accuracy")
    (line,) = said_of_test_error(group, "chosen so")
    assert line == (
        "On the test images lr=0.1 errs in 2.09% (5 seeds, 95 % interval for other seeds and "
        "images [1.83%, 2.39%]): chosen so."
    )
    died = runs.assign(outcome=["diverged", *["learned"] * 4])
    died.loc[0, "test/accuracy"] = np.nan
    (line,) = said_of_test_error(RunGroup({"lr": 0.1}, died, "late_val_accuracy"), "chosen so")
    assert line.startswith("On the test images lr=0.1 errs in 21.67% (5 seeds")
