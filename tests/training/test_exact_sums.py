"""Exact sums: no order of addition changes a bit, and the errors stay below their bounds."""

from fractions import Fraction

import numpy as np
import pytest

from nnlab.training.arithmetic import ExactArithmetic, arithmetic_of
from nnlab.training.exact_sums import (
    LARGEST,
    PART,
    ordered_sum,
    product,
    product_over_samples,
    rounded,
)
from nnlab.training.workspace import Workspace

RNG = np.random.default_rng(0)


def mixed(*shape):
    """Numbers of very different sizes, of both signs."""
    return RNG.standard_normal(shape) * np.exp(4 * RNG.standard_normal(shape))


def multiplied(a, b):
    return product(a, b, np.empty((*a.shape[:2], b.shape[2])), Workspace())


def exactly(a, b):
    """``A B`` of two matrices in rational numbers, rounded once."""
    return np.array(
        [[float(sum(Fraction(x) * Fraction(y) for x, y in zip(row, column, strict=True)))
          for column in b.T.tolist()] for row in a.tolist()]
    )  # fmt: skip


@pytest.mark.parametrize("inner", [1, 2, 10, 37, 256])
def test_no_order_of_units_changes_a_bit_of_a_product(inner):
    a, b = mixed(2, 3, inner), mixed(2, inner, 50)
    order = RNG.permutation(inner)
    np.testing.assert_array_equal(multiplied(a, b), multiplied(a[..., order], b[:, order]))


@pytest.mark.parametrize("samples", [1, 7, 100, PART])
def test_no_order_of_samples_changes_a_bit_of_a_product_over_them(samples):
    a, b = mixed(2, 3, samples), mixed(2, 4, samples)
    order = RNG.permutation(samples)
    one = product_over_samples(a, b, Workspace())
    other = product_over_samples(a[..., order], b[..., order], Workspace())
    np.testing.assert_array_equal(one, other)


def test_no_order_of_pixels_or_samples_changes_a_bit_of_the_first_layer():
    exact, work = arithmetic_of("exact"), Workspace()
    x = RNG.integers(0, 256, (PART, 785)).astype(float)
    w1_b1, dz1 = exact.weights(mixed(6, 785)), exact.errors(mixed(6, PART), PART, work).copy()
    pixels, samples = RNG.permutation(785), RNG.permutation(PART)
    z1 = exact.forward(w1_b1, x, np.empty((6, PART)), work)
    again = exact.forward(w1_b1[:, pixels], x[:, pixels], np.empty((6, PART)), work)
    np.testing.assert_array_equal(z1, again)
    dw1 = exact.backward(dz1, x, np.empty((6, 785)))
    np.testing.assert_array_equal(dw1, exact.backward(dz1[:, samples], x[samples], dw1.copy()))
    worst = np.full((6, PART), 255.0)  # the largest sums that there are
    np.testing.assert_array_equal(
        exact.backward(exact.errors(dz1, PART, work), worst.T, np.empty((6, 6))),
        exact.errors(dz1, PART, work)[:, ::-1] @ worst.T / 255,
    )


def test_products_err_by_less_than_their_bound():
    a, b = mixed(1, 3, 10), mixed(1, 10, 20)
    largest = 2 * np.abs(a).max(2, keepdims=True) * 2 * np.abs(b).max(1, keepdims=True)
    error = np.abs(multiplied(a, b)[0] - exactly(a[0], b[0]))
    assert (error <= (3 * 10 * 2.0 ** -(2 * 24 + 2) + 2.0**-52) * largest[0]).all()
    a, b = mixed(1, 2, 500), mixed(1, 3, 500)
    largest = 2 * np.abs(a).max(2)[0, :, None] * 2 * np.abs(b).max(2)[0]
    error = np.abs(product_over_samples(a, b, Workspace())[0] - exactly(a[0], b[0].T))
    assert (error <= 3 * 500 * 2.0 ** -(2 * 22 + 2) * largest).all()


def test_rounding_keeps_so_many_bits_of_the_largest_of_a_row():
    row = np.array([[1.0, 0.3, -0.7, 1e-9, 0.0], [0.0, 0.0, 0.0, 0.0, 0.0]])
    np.testing.assert_array_equal(rounded(row, 9)[0] * 256, np.rint(row[0] * 256))
    np.testing.assert_array_equal(rounded(row, 9)[1], 0)


@pytest.mark.parametrize("bad", [np.inf, -np.inf, np.nan, 1e300, 1e200])
def test_a_number_that_cannot_be_rounded_makes_its_run_nan_whatever_it_is_multiplied_with(bad):
    a, b = mixed(2, 3, 4), mixed(2, 4, 5)
    a[1, 0, 0], b[1, 0] = bad, 0.0
    with np.errstate(invalid="ignore", over="ignore"):
        found = multiplied(a, b)
    assert np.isfinite(found[0]).all()
    assert np.isnan(found[1]).all()


@pytest.mark.parametrize("bad", [np.inf, np.nan, 1e200])
def test_such_a_number_makes_its_row_nan_in_the_first_layer_even_beside_black_pixels(bad):
    exact, work = arithmetic_of("exact"), Workspace()
    rows = mixed(3, 8)
    rows[1, 2] = bad
    with np.errstate(invalid="ignore", over="ignore"):
        z1 = exact.forward(exact.weights(rows), np.zeros((5, 8)), np.empty((3, 5)), work)
        dw1 = exact.backward(exact.errors(rows, 8, work), np.zeros((8, 5)), np.empty((3, 5)))
    for found in (z1, dw1):
        assert np.isnan(found[1]).all()
        assert (found[[0, 2]] == 0).all()


def test_no_product_of_accepted_numbers_overflows():
    a = np.full((1, 2, PART), LARGEST)
    assert np.isfinite(product_over_samples(a, -a, Workspace())).all()


def test_tiny_numbers_make_no_subnormal_products():
    a, b = mixed(1, 2, 3) * 1e-200, mixed(1, 3, 2) * 1e-200
    found = multiplied(a, b)
    assert ((found == 0) | (np.abs(found) > np.finfo(float).tiny)).all()


@pytest.mark.parametrize("terms", [1, 2, 3, 10, 1000, 1001])
def test_ordered_sums_add_everything_once_along_any_axis(terms):
    numbers = RNG.integers(0, 1000, (2, terms, 3)).astype(float)
    np.testing.assert_array_equal(ordered_sum(numbers, 1), numbers.sum(axis=1))
    np.testing.assert_array_equal(ordered_sum(numbers.transpose(0, 2, 1)), numbers.sum(axis=1))


def test_norms_are_those_of_numpy():
    array = mixed(3, 10, 784)
    expected = np.linalg.norm(array.reshape(3, -1), axis=1)
    exact = ExactArithmetic(np.dtype(np.float64))
    np.testing.assert_allclose(exact.norms(array), expected, rtol=1e-14)
