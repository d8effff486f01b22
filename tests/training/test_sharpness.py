"""The sharpness along training, against the whole Hessian by finite differences of the gradient."""

import numpy as np
import pytest
from support.digits import rows_and_labels, training_data, untrained
from support.small_networks import gradients

from nnlab.training.curvature import flattened, sharpness, unflattened
from nnlab.training.engine import State, measure, train_segment
from nnlab.training.history import CURVES, METRICS
from nnlab.training.network import Params, stack
from nnlab.training.sharpness import largest_eigenvalue

EPOCHS = 12


def states(lrs=(0.5,), hidden=1, dtype="float64"):
    """Networks of so few units that their Hessian can be written out."""
    inits = ("he", "randn_small", "randn")
    networks = [
        untrained(hidden=hidden, dtype=dtype, init=inits[place]).params for place in range(len(lrs))
    ]
    return State.start(stack(networks), lrs)


def dense_hessian(params, data):
    """Central differences of the gradient in every parameter, from the equations alone."""
    rows, labels = rows_and_labels(data)
    flat, step = flattened(params), 1e-5
    columns = [
        flattened(gradients(unflattened(flat + step * unit, params), rows.T, labels))
        - flattened(gradients(unflattened(flat - step * unit, params), rows.T, labels))
        for unit in np.eye(flat.size)
    ]
    hessian = np.array(columns) / (2 * step)
    return (hessian + hessian.T) / 2


def test_the_sharpness_of_each_epoch_is_the_largest_eigenvalue_of_the_dense_hessian():
    data = training_data("float64", train=96)
    start = states()
    _, history = train_segment(start, data, EPOCHS + 1, sharpness_every=6)
    for epoch in range(0, EPOCHS + 1, 6):
        state, _ = train_segment(start, data, epoch)
        values, vectors = np.linalg.eigh(dense_hessian(state.params, data))
        found = history.values["sharpness"][0, epoch]
        assert found == pytest.approx(values[-1], rel=1e-4)
        rows, labels = rows_and_labels(data)
        gradient = flattened(gradients(state.params, rows.T, labels))
        cosine = abs(gradient @ vectors[:, -1]) / np.linalg.norm(gradient)
        alignment = history.values["gradient_alignment"][0, epoch]
        assert alignment == pytest.approx(cosine, abs=2e-3)
    unmeasured = [epoch for epoch in range(EPOCHS + 1) if epoch % 6]
    assert np.isnan(history.values["sharpness"][0, unmeasured]).all()


@pytest.mark.parametrize("batch_size", [None, 64])
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_the_weights_and_all_other_metrics_keep_their_bits(dtype, batch_size):
    data = training_data(dtype, train=160, batch_size=batch_size)
    start = states((0.1, 0.5, 1e30), hidden=4, dtype=dtype)  # the last one diverges
    plain, before = train_segment(start, data, EPOCHS)
    observed, after = train_segment(start, data, EPOCHS, sharpness_every=3)
    for one, other in zip(plain.params, observed.params, strict=True):
        np.testing.assert_array_equal(one, other)
    assert set(before.values) == set(METRICS)
    assert set(after.values) == set(CURVES)
    for name in METRICS:
        np.testing.assert_array_equal(before.values[name], after.values[name])
    assert np.isfinite(after.values["sharpness"][:2, ::3]).all()


def test_the_sharpness_has_the_same_bits_in_any_stack_segment_and_number_of_threads():
    data = training_data("float32", train=3000)
    start = states((0.1, 0.5), hidden=3, dtype="float32")
    whole, history = train_segment(start, data, EPOCHS, sharpness_every=3)
    for run in range(2):
        alone = start.select(np.array([run]))
        first, early = train_segment(alone, data, 5, threads=2, sharpness_every=3)
        second, late = train_segment(first, data, EPOCHS - 5, sharpness_every=3)
        curve = early.then(late).values["sharpness"][0]
        np.testing.assert_array_equal(curve, history.values["sharpness"][run])
        end = measure(second, data, sharpness=True).values["sharpness"][0]
        np.testing.assert_array_equal(
            end, measure(whole, data, sharpness=True, threads=2).values["sharpness"][run]
        )


def test_a_warm_start_agrees_with_an_independent_iteration_from_elsewhere():
    data = training_data("float32", train=500)
    state, _ = train_segment(
        states((0.5,), hidden=10, dtype="float32"), data, 30, sharpness_every=10
    )
    assert state.directions.any()
    end = measure(state, data, sharpness=True).values["sharpness"][0, 0]
    params = Params(*(array.astype(np.float64) for array in state.params))
    assert end == pytest.approx(sharpness(params, data.train), rel=1e-4)


def test_a_start_at_an_eigenvector_that_is_not_the_largest_is_left():
    eigenvalues = np.array([5.0, 4.0, *np.linspace(-1, 1, 60)])
    rotation, _ = np.linalg.qr(np.random.default_rng(3).standard_normal((62, 62)))
    matrix = rotation @ np.diag(eigenvalues) @ rotation.T
    value, vector = largest_eigenvalue(lambda v: matrix @ v, rotation[:, 1].copy())
    assert value == pytest.approx(5, rel=1e-5)
    assert abs(vector @ rotation[:, 0]) == pytest.approx(1, abs=1e-5)


@pytest.mark.parametrize(
    ("matrix", "expected"),
    [
        (np.zeros((8, 8)), 0),
        (np.eye(8), 1),
        (-np.diag(np.arange(1.0, 9)), -1),  # the largest, not the largest in size
        (np.full((8, 8), np.nan), np.nan),
    ],
)
def test_matrices_without_much_to_find_end_the_iteration(matrix, expected):
    value, vector = largest_eigenvalue(lambda v: matrix @ v, np.zeros(8))
    assert value == pytest.approx(expected, abs=1e-9, nan_ok=True)
    assert np.linalg.norm(vector) == pytest.approx(0 if np.isnan(expected) else 1)
