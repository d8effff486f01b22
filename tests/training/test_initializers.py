"""The family of initializers, against its formulas and the moments of its distributions."""

import numpy as np
import pytest

from nnlab.training.initializers import INIT_NAMES, draw_params, fan_scale, named
from nnlab.training.network import stack

SHAPE = {"pixels": 784, "hidden": 50, "classes": 10, "dtype": np.float64}


def draw(name, seed=0, **options):
    shape = {**SHAPE, **{key: options.pop(key) for key in list(options) if key in SHAPE}}
    return draw_params(named(name, **options), seed, **shape)


@pytest.mark.parametrize(
    ("name", "mean", "deviation"),
    [
        ("randn_minus_half", -0.5, 1.0),
        ("rand_minus_half", 0.0, 12**-0.5),
        ("randn", 0.0, 1.0),
        ("randn_small", 0.0, 0.01),
        ("he", 0.0, (2 / 784) ** 0.5),
        ("glorot", 0.0, (2 / (784 + 50)) ** 0.5),
        ("lecun", 0.0, (1 / 784) ** 0.5),
    ],
)
def test_first_layer_weights_have_the_mean_and_deviation_of_their_formula(name, mean, deviation):
    w1 = draw(name).w1
    error = deviation / np.sqrt(w1.size)
    assert w1.mean() == pytest.approx(mean, abs=4 * error)
    assert w1.std() == pytest.approx(deviation, rel=0.02)


def test_fan_rules_use_the_fans_of_each_layer():
    w2 = draw("he", hidden=5000).w2
    assert w2.std() == pytest.approx((2 / 5000) ** 0.5, rel=0.02)
    assert fan_scale("glorot", 300, 100) == pytest.approx(np.sqrt(2 / 400))


def test_one_seed_draws_the_same_numbers_whatever_the_scale_and_the_shift():
    plain, small, shifted = draw("randn"), draw("randn_small"), draw("randn_minus_half")
    np.testing.assert_allclose(small.w1, 0.01 * plain.w1, rtol=1e-14)
    np.testing.assert_allclose(shifted.w2, plain.w2 - 0.5, rtol=1e-14)
    np.testing.assert_array_equal(draw("normal", scale=3.0, shift=1.0).w1, 3.0 * plain.w1 + 1.0)
    np.testing.assert_array_equal(draw("uniform", shift=-0.5).w1, draw("rand_minus_half").w1)


def test_the_first_layer_does_not_change_with_the_number_of_classes():
    np.testing.assert_array_equal(draw("randn").w1, draw("randn", classes=47).w1)


def test_seeds_differ_and_seed_zero_is_a_seed():
    assert not np.array_equal(draw("randn", seed=0).w1, draw("randn", seed=1).w1)
    np.testing.assert_array_equal(draw("randn", seed=0).w1, draw("randn", seed=0).w1)


def test_layers_and_biases_have_streams_of_their_own():
    params = draw("randn", bias="same", pixels=50, hidden=50, classes=50)
    flat = [array.ravel()[:50] for array in params]
    for index, one in enumerate(flat):
        for other in flat[index + 1 :]:
            assert not np.array_equal(one, other)


def test_biases_are_zero_unless_they_are_drawn_from_the_same_family():
    assert not draw("randn").b1.any()
    assert not draw("randn").b2.any()
    same = draw("randn_minus_half", bias="same", hidden=4000)
    assert same.b1.mean() == pytest.approx(-0.5, abs=0.1)
    assert same.b1.std() == pytest.approx(1, rel=0.1)


@pytest.mark.parametrize("name", INIT_NAMES)
def test_shapes_and_dtype_are_those_of_a_stack_of_one(name):
    params = draw(name, dtype=np.float32)
    assert [array.shape for array in params] == [(1, 50, 784), (1, 50, 1), (1, 10, 50), (1, 10, 1)]
    assert {array.dtype for array in params} == {np.dtype(np.float32)}


def test_a_float32_draw_is_the_float64_draw_rounded():
    np.testing.assert_array_equal(
        draw("randn", dtype=np.float32).w1, draw("randn").w1.astype(np.float32)
    )


def test_stacking_keeps_each_runs_numbers():
    one, two = draw("randn", seed=1), draw("he", seed=2)
    both = stack([one, two])
    np.testing.assert_array_equal(both.w1[0], one.w1[0])
    np.testing.assert_array_equal(both.w1[1], two.w1[0])
