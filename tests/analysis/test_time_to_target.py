"""The median epoch at the target, against hand calculation and SciPy's Kaplan-Meier curve."""

import math

import numpy as np
import pytest
from scipy import stats

from nnlab.analysis.time_to_target import time_to_target

NAN = math.nan


def test_pruned_runs_are_at_risk_up_to_the_epoch_at_which_they_were_pruned():
    """At 40 one of the 3 that are left arrives, at 50 one of 2: 2/3, then 1/3 are on the way."""
    found = time_to_target([40, 50, 60, NAN, NAN], [NAN, NAN, NAN, 20, 20])
    assert (found.reached, found.n, found.median) == (3, 5, 50)


def test_runs_that_ended_without_reaching_it_count_as_later_than_all_others():
    found = time_to_target([40, 50, 60, NAN, NAN])
    assert (found.reached, found.n, found.median) == (3, 5, 60)


def test_a_run_that_is_pruned_where_another_arrives_is_at_risk_there():
    """At 20 one of 4 arrives: 3/4. At 30 one of 2: 3/8."""
    assert time_to_target([20, 30, NAN, NAN], [NAN, NAN, 20, NAN]).median == 30


def test_the_median_is_that_of_scipys_kaplan_meier_curve():
    rng = np.random.default_rng(5)
    for _ in range(200):
        n = int(rng.integers(1, 9))
        epochs, pruned = rng.integers(1, 30, (2, n)).astype(float)
        ending = rng.choice(["reached", "pruned", "missed"], n, p=[0.6, 0.25, 0.15])
        reached = ending == "reached"
        left = np.where(ending == "missed", 500, np.where(reached, epochs, pruned))
        curve = stats.ecdf(stats.CensoredData.right_censored(left, ~reached)).sf
        # Its steps include the censored epochs, at which nothing changes.
        expected = [
            time
            for time, share in zip(curve.quantiles, curve.probabilities, strict=True)
            if share <= 0.5 + 1e-12 and time in epochs[reached]
        ]
        found = time_to_target(
            np.where(reached, epochs, NAN), np.where(ending == "pruned", pruned, NAN)
        )
        assert (found.reached, found.n) == (reached.sum(), n)
        assert found.median == (expected[0] if expected else None)


@pytest.mark.parametrize(
    ("epochs", "median"), [([10, 20, NAN, NAN], 20), ([10, NAN, NAN], None), ([], None)]
)
def test_fewer_than_half_have_no_median_epoch(epochs, median):
    assert time_to_target(epochs).median == median
