"""Statistics over seeds, against hand calculations, SciPy, and simulations whose truth is known."""

import math
from itertools import pairwise

import numpy as np
import pytest
from scipy import stats

from nnlab.analysis.mean_test import further_seeds, mean_interval
from nnlab.analysis.paired_statistics import paired_difference
from nnlab.analysis.statistics import (
    Interval,
    bootstrap_interval,
    interquartile_mean,
    raised_confidence,
    summarise,
)


def standardised(n, mean, spread, seed=0):
    """Values whose mean and spread are just these."""
    drawn = np.random.default_rng(seed).normal(size=n)
    return mean + spread * (drawn - drawn.mean()) / drawn.std(ddof=1)


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        ([1, 2, 3, 4, 5, 6, 7, 8], 4.5),  # 3, 4, 5, 6
        ([0.92, 0.0, 0.90, 0.91, 0.80], (0.80 + 0.90 + 0.91) / 3),  # one off at either end
        ([5, 1, 3], 3.0),  # a quarter of three is none
        ([7], 7.0),
        ([0, 0, 1, 2, 3, 4, 5, 6, 7, 1000, 1000, 1000], (2 + 3 + 4 + 5 + 6 + 7) / 6),
    ],
)
def test_the_interquartile_mean_is_that_of_the_middle_half(values, expected):
    assert interquartile_mean(values) == pytest.approx(expected, rel=1e-14)


def test_a_summary_is_what_a_hand_works_out():
    found = summarise([0.9, 0.5, 0.7, 0.8])
    assert (found.n, found.worst, found.best) == (4, 0.5, 0.9)
    assert found.mean == pytest.approx(0.725)
    assert found.median == pytest.approx(0.75)
    assert found.iqm == pytest.approx(0.75)


def test_four_values_have_no_interval_and_five_have_one():
    assert summarise([0.9, 0.5, 0.7, 0.8]).interval == Interval(None, None, "few seeds")
    found = summarise([0.9, 0.5, 0.7, 0.8, 0.85])
    assert found.interval.low < found.mean < found.interval.high


def test_the_worst_of_losses_is_the_largest():
    found = summarise([0.9, 0.5, 0.7], lower_is_better=True)
    assert (found.worst, found.best) == (0.9, 0.5)


def test_an_infinite_loss_leaves_median_and_iqm_but_no_interval():
    found = summarise([0.2, math.inf, 0.4, 0.3, 0.5], lower_is_better=True)
    assert (found.mean, found.worst) == (math.inf, math.inf)
    assert found.interval == Interval(None, None, "not finite")
    assert found.median == pytest.approx(0.4)
    assert found.iqm == pytest.approx(0.4)


def test_no_interval_is_made_up_where_there_is_none():
    assert bootstrap_interval([]) == Interval(None, None, "no value")
    assert bootstrap_interval([0.5]) == Interval(None, None, "one value")
    assert bootstrap_interval([0.5, 0.5, 0.5]) == Interval(0.5, 0.5, "equal values")
    assert math.isnan(summarise([]).mean)


def test_where_bca_is_not_defined_the_interval_says_so():
    assert bootstrap_interval([0.4, 0.6]) == Interval(0.4, 0.6, "percentile")


@pytest.mark.parametrize(("n", "tail"), [(5, 0.0010), (10, 0.0086), (20, 0.0159), (1000, 0.0248)])
def test_the_raised_confidence_is_hesterbergs(n, tail):
    assert (1 - raised_confidence(n)) / 2 == pytest.approx(tail, abs=5e-5)


def test_the_interval_is_scipys_whatever_its_random_numbers_and_the_order_of_the_values():
    values = np.random.default_rng(3).gamma(2, size=12)
    expected = stats.bootstrap(
        (values,), np.mean, n_resamples=50_000, confidence_level=raised_confidence(12),
        method="BCa", rng=np.random.default_rng(99),
    ).confidence_interval  # fmt: skip
    found = bootstrap_interval(values)
    assert found.method == "BCa"
    assert (found.low, found.high) == pytest.approx(expected, rel=0.02)
    assert bootstrap_interval(values[::-1]) == found


def test_of_many_normal_values_the_interval_is_students():
    values = np.random.default_rng(4).normal(5, 2, 200)
    expected = stats.t.interval(0.95, 199, values.mean(), stats.sem(values))
    found = bootstrap_interval(values)
    assert (found.low, found.high) == pytest.approx(expected, abs=0.06)


@pytest.mark.parametrize(("n", "at_least"), [(5, 0.87), (10, 0.91)])
@pytest.mark.parametrize("shape", ["normal", "skewed"])
def test_the_interval_covers_the_true_mean_about_as_often_as_it_says(n, at_least, shape):
    rng = np.random.default_rng(n)
    draws = rng.normal(size=(200, n)) if shape == "normal" else 1 - rng.gamma(4, size=(200, n))
    truth = 0 if shape == "normal" else -3
    found = [bootstrap_interval(draw) for draw in draws]
    covered = np.mean([each.low <= truth <= each.high for each in found])
    assert at_least - 0.03 <= covered <= 0.99  # three times the simulation's own error is 0.05


def test_a_paired_difference_cancels_what_the_seed_does_to_both():
    rng = np.random.default_rng(6)
    luck = rng.normal(0, 1, 8)
    a, b = luck + 0.1 + rng.normal(0, 0.02, 8), luck
    found = paired_difference(a, b)
    assert found.n == 8
    assert found.mean == pytest.approx(a.mean() - b.mean())
    assert found.decided
    assert found.further == 0
    assert not paired_difference(a, rng.permutation(b)).decided
    assert found.interval == mean_interval(a - b)


def test_the_probability_of_winning_counts_pairs_and_half_of_the_ties():
    a, b = [0.9, 0.5, 0.7, 0.2], [0.8, 0.5, 0.6, 0.3]  # won, tied, won, lost
    assert paired_difference(a, b).a_beats_b == 2.5 / 4
    assert paired_difference(b, a).a_beats_b == 1.5 / 4
    assert paired_difference(a, b, lower_is_better=True).a_beats_b == 1.5 / 4


def test_a_diverged_loss_loses_its_pair_and_leaves_no_mean_difference():
    found = paired_difference([0.2, math.inf, math.inf], [0.3, 0.3, math.inf], lower_is_better=True)
    assert found.a_beats_b == 1.5 / 3
    assert found.mean is None
    assert found.further is None
    assert not found.decided


def test_one_pair_decides_nothing():
    found = paired_difference([0.9], [0.1])
    assert found.mean == pytest.approx(0.8)
    assert not found.decided
    assert found.further == 4
    assert paired_difference([], []).n == 0


@pytest.mark.parametrize("effect", [0.3, 0.5, 1.0])
def test_the_seeds_asked_for_give_a_paired_t_test_its_power(effect):
    needed = 10 + further_seeds(standardised(10, effect, 1.0))

    def power(n):
        critical = stats.t.ppf(0.975, n - 1)
        return 1 - stats.nct.cdf(critical, n - 1, effect * math.sqrt(n))

    if needed > 11:
        assert power(needed) >= 0.8 - 0.005
        assert power(needed - 2) < 0.8


def test_more_seeds_are_asked_for_the_smaller_the_difference_and_one_at_least():
    asked = [further_seeds(standardised(5, mean, 1.0)) for mean in (3, 1, 0.5, 0.1)]
    assert asked[0] == 1
    assert all(fewer < more for fewer, more in pairwise(asked))
    assert further_seeds(standardised(5, -0.5, 1.0)) == asked[2]
    assert further_seeds([1.0, -1.0]) is None
