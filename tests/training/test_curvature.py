"""Products with the Hessian and its largest eigenvalue, against independent calculations."""

import numpy as np
import pytest
from support.digits import rows_and_labels, training_data, untrained
from support.small_networks import gradients, losses, random_params

from nnlab.training.curvature import (
    Hessian,
    Linearised,
    flattened,
    hessian_product,
    sharpness,
    unflattened,
)
from nnlab.training.engine import State, measure, train_segment
from nnlab.training.network import Params


def tiny(seed=0, **shape):
    """A network of 67 parameters and 20 images, in float64."""
    rng = np.random.default_rng(seed)
    params = random_params(rng, **{"hidden": 5, "pixels": 7, "classes": 4, **shape})
    return params, rng.random((7, 20)), rng.integers(0, 4, 20)


def hessian(params, x, labels):
    """The whole Hessian of the mean cross-entropy, column by column from its products."""
    size, at = flattened(params).size, Linearised.of(params, x, labels)
    columns = [
        flattened(hessian_product(at, unflattened(unit, params))) / labels.size
        for unit in np.eye(size)
    ]
    return np.stack(columns, axis=1)


def test_the_product_in_every_direction_is_the_central_difference_of_the_gradient():
    params, x, labels = tiny()
    flat, step = flattened(params), 1e-5
    found = hessian(params, x, labels)
    for which, unit in enumerate(np.eye(flat.size)):
        after, before = (
            flattened(gradients(unflattened(flat + sign * step * unit, params), x, labels))
            for sign in (1, -1)
        )
        expected = (after - before) / (2 * step)
        np.testing.assert_allclose(found[:, which], expected, rtol=1e-6, atol=1e-9)


def test_the_quadratic_form_is_the_second_difference_of_the_loss():
    params, x, labels = tiny(1)
    rng = np.random.default_rng(2)
    flat, step = flattened(params), 1e-3
    v = rng.standard_normal(flat.size) / np.sqrt(flat.size)
    below, here, above = (
        losses(unflattened(flat + shift * step * v, params), x, labels)[0] for shift in (-1, 0, 1)
    )
    expected = (above - 2 * here + below) / step**2
    assert v @ hessian(params, x, labels) @ v == pytest.approx(expected, rel=1e-4)


def test_the_hessian_is_symmetric():
    params, x, labels = tiny(3)
    found = hessian(params, x, labels)
    assert np.abs(found).max() > 0.1
    np.testing.assert_allclose(found, found.T, rtol=1e-12, atol=1e-14)


def test_runs_in_a_stack_have_hessians_of_their_own():
    params, x, labels = tiny(4, runs=3)
    v = random_params(np.random.default_rng(5), runs=3, hidden=5, pixels=7, classes=4)
    together = hessian_product(Linearised.of(params, x, labels), v)
    for run in range(3):
        one = np.array([run])
        alone = hessian_product(Linearised.of(params.select(one), x, labels), v.select(one))
        for stacked, single in zip(together, alone, strict=True):
            np.testing.assert_allclose(stacked[run], single[0], rtol=1e-12, atol=1e-14)


def test_a_product_over_blocks_is_that_over_plain_images():
    data = training_data("float64", train=2500)
    assert len(data.train) > 1
    assert all(block.used < 784 for block in data.train)
    params = untrained(dtype="float64").params
    v = random_params(np.random.default_rng(6), hidden=10, pixels=784, classes=10)
    rows, labels = rows_and_labels(data)
    expected = hessian_product(Linearised.of(params, rows.T, labels), v)
    found = unflattened(Hessian(params, data.train).product(flattened(v)), params)
    for ours, plain in zip(found, expected, strict=True):
        np.testing.assert_allclose(ours, plain / len(labels), rtol=1e-10, atol=1e-14)


def small_network(init="he", hidden=2):
    """A real one, of few enough parameters for a Hessian in full."""
    data = training_data("float64", train=160)
    return untrained(hidden=hidden, dtype="float64", init=init).params, data


def test_the_sharpness_is_the_largest_eigenvalue_of_the_assembled_hessian():
    params, data = small_network(hidden=1)
    rows, labels = rows_and_labels(data)
    eigenvalues = np.linalg.eigvalsh(hessian(params, rows.T, labels))
    assert (
        eigenvalues[0] < -1e-3 * eigenvalues[-1]
    )  # a saddle: the largest, not the largest in size
    assert sharpness(params, data.train) == pytest.approx(eigenvalues[-1], rel=1e-5)


def test_the_sharpness_is_the_same_from_float32_blocks_but_for_their_rounding():
    params, data = small_network()
    rounded = Params(*(array.astype(np.float32) for array in params))
    found = sharpness(rounded, training_data("float32", train=160).train)
    assert found == pytest.approx(sharpness(params, data.train), rel=1e-5)


def test_the_sharpness_is_the_same_number_at_every_call():
    params, data = small_network()
    assert sharpness(params, data.train) == sharpness(params, data.train)


def dead_network(data):
    """No image reaches the logits: the loss is that of ten biases, placed at its minimum."""
    state = untrained(dtype="float64", init="randn_minus_half")
    _, labels = rows_and_labels(data)
    shares = np.bincount(labels, minlength=10) / len(labels)
    return state.params._replace(b2=np.log(shares).reshape(1, 10, 1)), shares


def test_the_sharpness_of_a_dead_network_is_that_of_ten_biases():
    # L(b) = log Σ exp(b) − Σ π b, so H = diag(p) − p pᵀ with p = softmax(b), whatever the labels.
    data = training_data("float64")
    params, shares = dead_network(data)
    expected = np.linalg.eigvalsh(np.diag(shares) - np.outer(shares, shares))[-1]
    assert sharpness(params, data.train) == pytest.approx(expected, rel=1e-6)
    untrained = params._replace(b2=np.zeros((1, 10, 1)))
    assert sharpness(untrained, data.train) == pytest.approx(0.1, rel=1e-6)


@pytest.mark.parametrize(("factor", "stays"), [(0.97, True), (1.03, False)])
def test_gradient_descent_leaves_a_minimum_just_above_2_over_the_sharpness(factor, stays):
    data = training_data("float64")
    minimum, _ = dead_network(data)
    rate = factor * 2 / sharpness(minimum, data.train)
    nudge = 1e-3 * np.random.default_rng(7).standard_normal((1, 10, 1))
    state = State.start(minimum._replace(b2=minimum.b2 + nudge), [rate])
    lowest = measure(State.start(minimum, [rate]), data).values["train/loss"][0, 0]
    end, history = train_segment(state, data, 100)
    excess = measure(end, data).values["train/loss"][0, 0] - lowest
    assert (excess < 0.1 * (history.values["train/loss"][0, 0] - lowest)) == stays


def test_hessian_products_equal_those_of_pytorch():
    torch = pytest.importorskip("torch", reason="PyTorch is not installed")
    params, x, labels = tiny(8)
    v = random_params(np.random.default_rng(9), hidden=5, pixels=7, classes=4)

    def loss(w1, b1, w2, b2):
        logits = w2 @ torch.relu(w1 @ torch.tensor(x) + b1) + b2
        return torch.nn.functional.cross_entropy(logits.T, torch.tensor(labels))

    point, direction = (tuple(torch.tensor(array[0]) for array in each) for each in (params, v))
    at = Linearised.of(params, x, labels)
    _, expected = torch.autograd.functional.hvp(loss, point, direction)
    for ours, theirs in zip(hessian_product(at, v), expected, strict=True):
        np.testing.assert_allclose(ours[0] / 20, theirs.numpy(), rtol=1e-10, atol=1e-14)


def test_flattened_parameters_come_back_as_they_were():
    params, _, _ = tiny()
    for before, after in zip(params, unflattened(flattened(params), params), strict=True):
        np.testing.assert_array_equal(before, after)
