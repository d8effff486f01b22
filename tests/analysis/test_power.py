"""The power of a paired t-test and the spread of paired differences, calculated otherwise."""

import numpy as np
import pandas as pd
import pytest
from scipy import integrate, stats

from nnlab.analysis.power import detectable_effect, paired_power, spread_of


def power_by_integration(effect, n):
    """Average, over the distribution of the standard deviation, of a normal mean's tails."""
    limit = stats.t.ppf(0.975, n - 1)

    def tails(s):  # s: estimated over true deviation; (n − 1) s² is a χ² of n − 1
        density = stats.chi2.pdf((n - 1) * s**2, n - 1) * 2 * (n - 1) * s
        shift = effect * np.sqrt(n)
        return density * (stats.norm.sf(limit * s - shift) + stats.norm.cdf(-limit * s - shift))

    return integrate.quad(tails, 0, 10, limit=200)[0]


@pytest.mark.parametrize("n", [2, 3, 5, 10, 30])
@pytest.mark.parametrize("effect", [0.0, 0.3, 1.0, 3.0])
def test_the_power_is_that_of_the_distribution_written_out(n, effect):
    assert paired_power(effect, n) == pytest.approx(power_by_integration(effect, n), abs=1e-6)


def test_the_power_without_a_difference_is_the_level():
    assert paired_power(0, 7) == pytest.approx(0.05)


@pytest.mark.parametrize(
    # statsmodels 0.15.0, TTestPower().solve_power(nobs=n, alpha=0.05, power=0.8)
    ("n", "expected"),
    [(2, 11.5499), (3, 3.26404), (5, 1.68200), (10, 0.996001), (20, 0.660442), (100, 0.282913)],
)
def test_the_detectable_effect_is_that_of_statsmodels(n, expected):
    assert detectable_effect(n) == pytest.approx(expected, rel=1e-4)


def test_one_seed_detects_nothing():
    assert detectable_effect(1) is None


def table(**configurations):
    """Runs of some configurations: lr -> their results by seed."""
    rows = [
        {
            "lr": float(lr[1:]) / 10, "seed": seed, "status": "FINISHED", "outcome": outcome,
            "late_val_accuracy": value, "run_id": f"{lr}{seed}",
        }
        for lr, results in configurations.items()
        for seed, (value, outcome) in enumerate(results)
    ]  # fmt: skip
    frame = pd.DataFrame(rows)
    frame.attrs.update(params=["lr", "seed"], metrics=["late_val_accuracy"])
    return frame


def learned(*values):
    return [(value, "learned") for value in values]


def test_the_spread_is_the_deviation_of_the_paired_differences():
    one, other = np.array([0.9, 0.8, 0.7, 0.85]), np.array([0.88, 0.81, 0.66, 0.85])
    found = spread_of(table(r1=learned(*one), r2=learned(*other)), "late_val_accuracy")
    assert found.deviation == pytest.approx(np.std(one - other, ddof=1))
    assert (found.pairs, found.low, found.high) == (1, found.deviation, found.deviation)


def test_configurations_that_failed_with_a_seed_tell_nothing_of_the_spread():
    good, bad = learned(0.9, 0.8, 0.7), [*learned(0.9, 0.8), (0.1, "dead")]
    assert spread_of(table(r1=good, r2=bad), "late_val_accuracy") is None
    assert spread_of(table(r1=good, r2=good[:2]), "late_val_accuracy") is None
    assert spread_of(table(r1=bad[2:]), "late_val_accuracy") is None
