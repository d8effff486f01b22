"""``exp``, ``log`` and draws of our own: against exact decimals, the standard library and NumPy."""

import math
import statistics
from decimal import Decimal, localcontext

import numpy as np
import pytest

from nnlab.training import exact_draws
from nnlab.training.elementary import CHUNK, exp, log

RNG = np.random.default_rng(0)


def units_off(found, arguments, function):
    """The largest error, in units in the last place of the correct result."""
    worst = 0.0
    with localcontext() as context:
        context.prec = 40
        for value, argument in zip(found.tolist(), arguments.tolist(), strict=True):
            exact = function(Decimal(argument))
            unit = Decimal(math.ulp(float(exact)))
            worst = max(worst, float(abs(Decimal(value) - exact) / unit))
    return worst


def test_exp_is_right_to_1_4_units_in_the_last_place():
    x = np.concatenate([
        -np.abs(RNG.standard_normal(1500) * 30), -RNG.random(500) * 700, RNG.random(200) * 700,
        [0.0, -0.0, -1e-300, 1e-17, -700.0, 700.0, -math.log(2), -math.log(2) / 4096],
    ])  # fmt: skip
    assert units_off(exp(x.copy()), x, Decimal.exp) <= 1.4


def test_exp_keeps_nan_and_ends_far_below_anything_that_counts():
    with np.errstate(invalid="ignore"):
        found = exp(np.array([np.nan, -np.inf, -1e4, -700.0]))
    assert np.isnan(found[0])
    assert found[1] == found[2] == found[3] < 1e-300


def test_exp_of_more_than_a_chunk_is_that_of_each_number():
    x = -np.abs(RNG.standard_normal((2, 3, CHUNK)))
    np.testing.assert_array_equal(exp(x.copy())[1, 2, -5:], exp(x[1, 2, -5:].copy()))


def test_log_is_right_to_2_units_in_the_last_place():
    x = np.concatenate([
        1 + RNG.random(500) * 255, 1 + RNG.standard_normal(500) * 1e-3, RNG.random(500),
        np.exp(RNG.standard_normal(300) * 200), [1.0, 2.0, 0.5, 10.0, 1e300, 2.0**-1022],
    ])  # fmt: skip
    assert units_off(log(x), x, Decimal.ln) <= 2
    assert np.isnan(log(np.array([np.nan, np.inf]))).all()


def test_uniform_draws_are_those_of_numpys_generator():
    theirs = np.random.Generator(np.random.PCG64(np.random.SeedSequence(5))).random((3, 4))
    found = exact_draws.uniform(np.random.SeedSequence(5), (3, 4))
    np.testing.assert_array_equal(found, theirs)


def test_normal_quantiles_are_those_of_the_standard_library():
    p = np.concatenate([RNG.random(2000), [2.0**-53, 1e-12, 0.075, 0.925, 1 - 2.0**-53, 0.5]])
    expected = [statistics.NormalDist().inv_cdf(value) for value in p.tolist()]
    np.testing.assert_allclose(exact_draws.normal_quantile(p), expected, rtol=1e-15, atol=0)


def test_normal_draws_have_the_moments_of_a_standard_normal_variable():
    z = exact_draws.normal(np.random.SeedSequence(1), (100_000,))
    moments = [(z**power).mean() for power in (1, 2, 3, 4)]
    np.testing.assert_allclose(moments, [0, 1, 0, 3], atol=0.05)


@pytest.mark.parametrize("shape", [(1, 10, 784), (1, 3, 1)])
def test_draws_of_a_seed_are_the_same_again(shape):
    draws = [exact_draws.normal(np.random.SeedSequence(3), shape) for _ in range(2)]
    np.testing.assert_array_equal(*draws)
