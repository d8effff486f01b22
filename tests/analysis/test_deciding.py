"""Whether a difference is decided: error rates by simulation, whose truth is known."""

import math

import numpy as np
import pytest
from scipy import stats

from nnlab.analysis.looks import look_level
from nnlab.analysis.mean_test import (
    ALPHA,
    chance_of_deciding,
    further_seeds,
    mean_interval,
    p_values,
)
from nnlab.analysis.paired_statistics import (
    MIN_SEEDS,
    PairedDifference,
    as_family,
    paired_difference,
)

DRAWS = 20_000
MONTE_CARLO = 3 * math.sqrt(0.05 * 0.95 / DRAWS)  # three standard errors of a rate of 5 %
NO_DIFFERENCE = {
    "normal": lambda rng, shape: rng.standard_normal(shape),
    "exponential": lambda rng, shape: rng.exponential(size=shape) - 1,
    "lognormal": lambda rng, shape: rng.lognormal(0, 0.5, shape) - math.exp(0.125),
    "t with 3 degrees of freedom": lambda rng, shape: rng.standard_t(3, shape),
}


def difference(values, level=ALPHA):
    return PairedDifference(np.asarray(values, float), math.nan, level=level)


@pytest.mark.parametrize("seeds", [5, 6, 8, 10, 20])
@pytest.mark.parametrize("family", NO_DIFFERENCE)
def test_without_a_difference_at_most_five_in_a_hundred_are_decided(family, seeds):
    drawn = NO_DIFFERENCE[family](np.random.default_rng(seeds), (DRAWS, seeds))
    assert np.mean(p_values(drawn) <= ALPHA) <= 0.05 + MONTE_CARLO


@pytest.mark.parametrize(("seeds", "power"), [(5, 0.29), (8, 0.68), (10, 0.83)])
def test_a_difference_of_1_2_standard_deviations_is_decided_as_often_as_documented(seeds, power):
    drawn = np.random.default_rng(seeds).normal(1.2, 1, (DRAWS, seeds))
    assert np.mean(p_values(drawn) <= ALPHA) == pytest.approx(power, abs=0.015)


@pytest.mark.parametrize("seeds", [2, 3, 4])
def test_below_five_seeds_nothing_is_decided_and_no_interval_shown(seeds):
    found = paired_difference(np.linspace(0.9, 0.91, seeds), np.linspace(0.1, 0.12, seeds))
    assert not found.decided
    assert found.interval.low is None
    assert found.further == MIN_SEEDS - seeds


@pytest.mark.parametrize("level", [0.05, 0.0125, 0.001])
def test_the_interval_holds_zero_just_where_the_test_does_not_decide(level):
    rng = np.random.default_rng(1)
    for _ in range(300):
        drawn = rng.exponential(size=rng.integers(5, 15)) - rng.uniform(-0.5, 2)
        found = difference(drawn if rng.random() < 0.5 else -drawn, level)
        assert found.interval.low <= found.mean <= found.interval.high
        assert found.decided == (not found.interval.low <= 0 <= found.interval.high)


def test_without_skewness_it_is_students_test_with_one_degree_of_freedom_less():
    values = np.array([-2.0, -1, 0, 1, 2]) + 1.5
    assert p_values(values) == pytest.approx(
        2 * stats.t.sf(stats.ttest_1samp(values, 0).statistic, 3)
    )
    bounds = stats.t.interval(0.95, 3, values.mean(), stats.sem(values))
    found = mean_interval(values)
    assert (found.low, found.high) == pytest.approx(bounds)


def test_equal_differences_have_the_sign_tests_p_value():
    assert p_values(np.full(5, 0.1)) == 2 / 32  # five heads, or five tails
    assert not difference([0.1] * 5).decided
    assert difference([0.1] * 5).interval.low is None
    assert difference([0.1] * 6).decided
    assert difference([0.1] * 6).interval.low == pytest.approx(0.1)
    assert not difference([0.0] * 9).decided
    assert not difference([0.9 - 0.8, 0.7 - 0.6, 0.5 - 0.4, 0.3 - 0.2, 0.8 - 0.7]).decided


def adjusted_by_holm(p):
    """Holm's adjusted p-values, as Wright 1992 writes them."""
    order, p = np.argsort(p), np.asarray(p)
    adjusted = np.maximum.accumulate(p[order] * np.arange(len(p), 0, -1))
    return np.minimum(adjusted, 1)[np.argsort(order)]


def test_a_family_is_decided_as_by_holms_adjusted_p_values():
    rng = np.random.default_rng(2)
    for _ in range(50):
        alone = [difference(rng.normal(rng.choice([0, 3]), 1, 6)) for _ in range(12)]
        family = as_family(alone)
        adjusted = adjusted_by_holm([each.p_value for each in alone])
        assert [each.decided for each in family] == (adjusted <= ALPHA).tolist()
        for each in family:
            assert each.decided == (not each.interval.low <= 0 <= each.interval.high)


def test_holms_steps_are_those_of_a_hand():
    class Known(PairedDifference):
        @property
        def p_value(self):
            return self.differences[0]

    p = [0.01, 0.04, 0.03, 0.005]  # below 0.05/4; 0.05/3; above 0.05/2
    family = as_family([Known(np.full(5, value), math.nan) for value in p])
    assert [each.decided for each in family] == [True, False, False, True]
    assert [each.level for each in family] == pytest.approx([0.05 / 3, 0.025, 0.025, 0.0125])


def test_comparisons_that_cannot_be_decided_weaken_no_other():
    few, enough = difference([0.1, 0.2]), difference([1.0, 1.1, 0.9, 1.05, 0.95])
    assert [each.level for each in as_family([few, enough])] == [ALPHA, ALPHA]


SCHEDULES = {
    "a seed at a time": range(5, 15),
    "half as many again": [5, 8, 12, 18, 27, 40],
    "doubled": [5, 10, 20, 40, 80],
}


@pytest.mark.parametrize("schedule", SCHEDULES)
@pytest.mark.parametrize("family", NO_DIFFERENCE)
def test_looking_again_and_again_decides_in_at_most_five_of_a_hundred(family, schedule):
    draws, looks = 5000, SCHEDULES[schedule]
    drawn = NO_DIFFERENCE[family](np.random.default_rng(7), (draws, max(looks)))
    ever = np.zeros(draws, bool)
    for look, seeds in enumerate(looks, start=1):
        ever |= p_values(drawn[:, :seeds]) <= look_level(look)
    assert ever.mean() <= 0.05 + 3 * math.sqrt(0.05 * 0.95 / draws)


def test_following_the_advice_again_and_again_decides_in_at_most_five_of_a_hundred():
    """As a user would: 5 seeds, then as many more as advised, up to ten looks."""
    rng, draws, decided = np.random.default_rng(8), 300, 0
    for _ in range(draws):
        values = rng.standard_normal(5)
        for look in range(1, 11):
            if difference(values, look_level(look)).decided:
                decided += 1
                break
            more = min(difference(values, look_level(look + 1)).further, 100)
            values = np.append(values, rng.standard_normal(more))
    assert decided / draws <= 0.05


def test_the_chance_that_further_seeds_decide_is_that_of_a_simulation():
    values = np.random.default_rng(3).normal(0.8, 1, 6)
    further = further_seeds(values)
    rng, decided = np.random.default_rng(4), []
    for _ in range(600):
        spread = values.std(ddof=1) * math.sqrt(5 / rng.chisquare(5))
        truth = rng.normal(values.mean(), spread / math.sqrt(6))
        both = np.append(values, rng.normal(truth, spread, further))
        t = stats.ttest_1samp(both, 0).statistic
        decided.append(2 * stats.t.sf(abs(t), both.size - 2) <= ALPHA)
    assert chance_of_deciding(values, further, ALPHA) == pytest.approx(np.mean(decided), abs=0.06)
