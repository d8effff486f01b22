"""The notes' equations, against a hand calculation, central differences and other libraries."""

import importlib.util
import warnings

import numpy as np
import pytest
from support.small_networks import gradients, losses, random_params

from nnlab.training.network import Params, evaluate, output_error, softmax, update
from nnlab.training.workspace import Workspace


def test_one_step_of_a_2_2_2_network_equals_the_step_worked_by_hand():
    # W1 X + b1 = [[1·1 + 0·2 + 0, ...]]: two samples, x1 = (1, 2), x2 = (3, −1); both units see
    # Z1 = [[1, 3], [2, −1]]  =>  A1 = [[1, 3], [2, 0]]
    # Z2 = W2 A1 + b2 with W2 = I, b2 = 0  =>  [[1, 3], [2, 0]]
    # softmax columns: sample 1 (label 1): (1, e)/(1 + e) = (p, 1 − p), p = 1 / (1 + e);
    # sample 2 (label 0): (e³, 1)/(1 + e³) = (1 − q, q), q = 1 / (1 + e³).
    p, q = 1 / (1 + np.e), 1 / (1 + np.e**3)
    # dZ2 = A2 − Y = [[p, −q], [−p, q]], m = 2
    # dW2 = dZ2 A1ᵀ / 2 = [[p − 3q, 2p], [−p + 3q, −2p]] / 2;  db2 = [p − q, q − p] / 2
    # dZ1 = W2ᵀ dZ2 ∗ ReLU′ = [[p, −q], [−p, 0]]
    # dW1 = dZ1 Xᵀ / 2 = [[p − 3q, 2p + q], [−p, −2p]] / 2;  db1 = [p − q, −p] / 2
    eye = np.eye(2)[None]
    params = Params(eye.copy(), np.zeros((1, 2, 1)), eye.copy(), np.zeros((1, 2, 1)))
    x = np.array([[1.0, 3.0], [2.0, -1.0]])
    labels = np.array([1, 0])

    grads = gradients(params, x, labels)
    stepped = update(params, grads, np.array([0.1]))

    np.testing.assert_allclose(losses(params, x, labels)[0], -np.log([1 - p, 1 - q]).mean())
    np.testing.assert_allclose(grads.w2[0], np.array([[p - 3 * q, 2 * p], [3 * q - p, -2 * p]]) / 2)
    np.testing.assert_allclose(grads.b2[0, :, 0], np.array([p - q, q - p]) / 2)
    np.testing.assert_allclose(grads.w1[0], np.array([[p - 3 * q, 2 * p + q], [-p, -2 * p]]) / 2)
    np.testing.assert_allclose(grads.b1[0, :, 0], np.array([p - q, -p]) / 2)
    np.testing.assert_allclose(stepped.w1[0], np.eye(2) - 0.1 * grads.w1[0])
    np.testing.assert_allclose(stepped.b2[0], -0.1 * grads.b2[0])


def test_every_gradient_equals_its_central_difference():
    rng = np.random.default_rng(1)
    params = random_params(rng, runs=2, hidden=5, pixels=7, classes=4)
    x, labels = rng.random((7, 16)), rng.integers(0, 4, 16)
    grads = gradients(params, x, labels)
    step = 1e-6
    for which, array in enumerate(params):
        for index in np.ndindex(array.shape):
            lower, upper = array.copy(), array.copy()
            lower[index] -= step
            upper[index] += step
            shifted = [
                losses(Params(*(*params[:which], moved, *params[which + 1 :])), x, labels)
                for moved in (lower, upper)
            ]
            difference = (shifted[1] - shifted[0])[index[0]] / (2 * step)
            assert grads[which][index] == pytest.approx(difference, rel=1e-5, abs=1e-9)


def test_runs_in_a_stack_do_not_see_each_other():
    rng = np.random.default_rng(2)
    params = random_params(rng, runs=3)
    x, labels = rng.random((6, 16)), rng.integers(0, 3, 16)
    together = gradients(params, x, labels)
    for run in range(3):
        alone = gradients(params.select(np.array([run])), x, labels)
        for stacked, single in zip(together, alone, strict=True):
            np.testing.assert_allclose(stacked[run], single[0], rtol=1e-12, atol=1e-15)


def test_the_error_is_one_less_at_each_samples_class_and_zero_in_the_padding():
    a2 = np.full((2, 3, 5), 0.25)
    a2[..., 3:] = np.nan
    dz2 = output_error(a2, np.array([2, 0, 1]), Workspace())
    expected = np.full((3, 5), 0.25) - [[0, 1, 0, 0, 0], [0, 0, 1, 0, 0], [1, 0, 0, 0, 0]]
    expected[:, 3:] = 0
    np.testing.assert_array_equal(dz2, [expected, expected])


def test_probabilities_of_every_column_sum_to_one():
    z2 = np.random.default_rng(4).normal(0, 50, (2, 10, 32))
    probs, _ = softmax(z2.copy())
    np.testing.assert_allclose(probs.sum(axis=1), 1, rtol=1e-12)
    assert (probs >= 0).all()


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_the_loss_is_finite_and_exact_at_logits_of_ten_thousand(dtype):
    z2 = np.array([[[1e4, -1e4], [-1e4, 1e4], [0, 0]]], dtype)
    labels = np.array([0, 0])  # right by a margin of 1e4, wrong by 2e4
    _, loss, _ = evaluate(z2, labels)
    np.testing.assert_array_equal(loss, [[0, 2e4]])


def test_of_equal_logits_the_first_class_wins_as_in_argmax():
    z2 = np.zeros((1, 3, 4))
    labels = np.array([0, 1, 2, 0])
    assert evaluate(z2, labels)[2].tolist() == [[True, False, False, True]]


def test_correct_agrees_with_argmax_where_nothing_ties():
    rng = np.random.default_rng(5)
    z2, labels = rng.standard_normal((4, 10, 48)), rng.integers(0, 10, 48)
    expected = z2.argmax(axis=1) == labels
    np.testing.assert_array_equal(evaluate(z2, labels)[2], expected)


def test_a_nan_in_the_weights_reaches_the_loss_instead_of_being_rectified_away():
    rng = np.random.default_rng(6)
    params = random_params(rng)
    params.w1[0, 0, 0] = np.nan
    x, labels = rng.random((6, 16)), rng.integers(0, 3, 16)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", RuntimeWarning)
        assert np.isnan(losses(params, x, labels)).all()


def test_a_step_leaves_the_callers_parameters_alone():
    rng = np.random.default_rng(7)
    params, grads = random_params(rng), random_params(rng)
    before = [array.copy() for array in params]
    update(params, grads, np.array([0.1]))
    for array, copy in zip(params, before, strict=True):
        np.testing.assert_array_equal(array, copy)


@pytest.mark.skipif(importlib.util.find_spec("torch") is None, reason="PyTorch is not installed")
def test_loss_and_gradients_equal_those_of_pytorch():
    import torch

    rng = np.random.default_rng(8)
    params = random_params(rng, hidden=5, pixels=7, classes=4)
    x, labels = rng.random((7, 20)), rng.integers(0, 4, 20)
    w1, b1, w2, b2 = (torch.tensor(array[0], requires_grad=True) for array in params)
    logits = w2 @ torch.relu(w1 @ torch.tensor(x) + b1) + b2
    loss = torch.nn.functional.cross_entropy(logits.T, torch.tensor(labels))
    loss.backward()
    assert losses(params, x, labels)[0] == pytest.approx(loss.item(), rel=1e-12)
    for ours, theirs in zip(gradients(params, x, labels), (w1, b1, w2, b2), strict=True):
        np.testing.assert_allclose(ours[0], theirs.grad.numpy(), rtol=1e-10, atol=1e-14)
