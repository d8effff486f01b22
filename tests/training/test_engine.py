"""The engine: right against other libraries, and the same bits however a run is trained."""

import importlib.util
import warnings

import numpy as np
import pytest
from support.digits import assert_same_bits, rows_and_labels, training_data, untrained
from support.small_networks import gradients

from nnlab.training import first_layer, network
from nnlab.training.engine import State, measure, train_segment
from nnlab.training.full_batch import dead_units
from nnlab.training.history import METRICS, SCORES, STEPS
from nnlab.training.network import Params


def one(state, run):
    return state.select(np.array([run]))


def test_fifty_epochs_give_the_losses_and_weights_of_scikit_learns_mlp():
    from sklearn.exceptions import ConvergenceWarning
    from sklearn.neural_network import MLPClassifier

    data = training_data("float64")
    rows, labels = rows_and_labels(data)
    state = untrained(dtype="float64", lr=[0.3])
    w1, b1, w2, b2 = (array[0] for array in state.params)
    peer = MLPClassifier(
        hidden_layer_sizes=(10,),
        solver="sgd",
        alpha=0,
        momentum=0,
        batch_size=len(labels),
        learning_rate_init=0.3,
        max_iter=1,
        shuffle=False,
        warm_start=True,
    )
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        peer.fit(rows, labels)  # allocates; the weights are then replaced by ours
        peer.coefs_ = [w1.T.copy(), w2.T.copy()]
        peer.intercepts_ = [b1[:, 0].copy(), b2[:, 0].copy()]
        peer._optimizer.params = peer.coefs_ + peer.intercepts_
        peer._optimizer.velocities = [np.zeros_like(param) for param in peer._optimizer.params]
        peer.loss_curve_ = []
        for _ in range(50):
            peer.partial_fit(rows, labels)

    trained, history = train_segment(state, data, 50)
    np.testing.assert_allclose(
        history.values["train/loss"][0], peer.loss_curve_[-50:], rtol=0, atol=1e-6
    )
    np.testing.assert_allclose(trained.params.w1[0], peer.coefs_[0].T, rtol=0, atol=1e-9)
    np.testing.assert_allclose(trained.params.b2[0, :, 0], peer.intercepts_[1], rtol=0, atol=1e-9)


def plain_numpy(params, rows, labels, lr, batches):
    """The notes, line by line, one run, no blocks: an independent second opinion."""
    w1, b1, w2, b2 = (array[0].copy() for array in params)
    for chosen in batches:
        x, y = rows[chosen].T, np.eye(w2.shape[0])[labels[chosen]].T
        z1 = w1 @ x + b1
        a1 = np.maximum(z1, 0)
        e = np.exp(w2 @ a1 + b2)
        dz2 = e / e.sum(axis=0) - y
        dz1 = w2.T @ dz2 * (z1 > 0)
        m = len(chosen)
        w2 -= lr * dz2 @ a1.T / m
        b2 -= lr * dz2.sum(axis=1, keepdims=True) / m
        w1 -= lr * dz1 @ x.T / m
        b1 -= lr * dz1.sum(axis=1, keepdims=True) / m
    return w1, b1, w2, b2


def test_mini_batches_take_the_steps_of_the_notes_in_the_documented_order():
    from nnlab.data.dataset import batch_order

    data = training_data("float64", batch_size=48)
    rows = data.batches.pixels / 255
    batches = []
    for epoch in range(3):
        order = batch_order(0, epoch, 640)
        batches += [order[at : at + 48] for at in range(0, 640, 48)]
    state = untrained(dtype="float64", lr=[0.2])
    expected = plain_numpy(state.params, rows, data.batches.labels, 0.2, batches)
    trained, _ = train_segment(state, data, 3)
    for ours, theirs in zip(trained.params, expected, strict=True):
        np.testing.assert_allclose(ours[0], theirs, rtol=1e-9, atol=1e-12)


def test_one_batch_of_all_samples_is_the_full_batch():
    state = untrained(dtype="float64", lr=[0.2])
    full, _ = train_segment(state, training_data("float64"), 5)
    batch, _ = train_segment(state, training_data("float64", batch_size=640), 5)
    np.testing.assert_allclose(full.params.w1, batch.params.w1, rtol=1e-9, atol=1e-12)


@pytest.mark.parametrize("batch_size", [None, 64, 50])
@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("hidden", [1, 2, 10, 37])
def test_a_run_has_the_same_bits_alone_in_a_stack_and_with_any_number_of_threads(
    hidden, dtype, batch_size
):
    data = training_data(dtype, batch_size)
    stack = untrained(5, hidden, dtype)
    together, history = train_segment(stack, data, 4, threads=2)
    for run in (0, 3):
        alone, its = train_segment(one(stack, run), data, 4, threads=1)
        assert_same_bits(one(together, run).params, alone.params)
        for name in METRICS:
            np.testing.assert_array_equal(history.values[name][run], its.values[name][0])


@pytest.mark.parametrize("batch_size", [None, 64, 512])
@pytest.mark.parametrize("dtype", ["float32", pytest.param("float64", marks=pytest.mark.long)])
@pytest.mark.parametrize(
    ("runs", "hidden"),
    [
        (2, 10),
        (16, 10),
        (4, 64),
        *(pytest.param(*size, marks=pytest.mark.long) for size in [(64, 10), (16, 64), (4, 256)]),
    ],
)
def test_a_run_has_the_same_bits_in_stacks_of_any_size_at_the_size_of_real_work(
    runs, hidden, dtype, batch_size
):
    data = training_data(dtype, batch_size, train=4000, val=1000)
    stack = untrained(runs, hidden, dtype, lr=[0.1 + 0.001 * run for run in range(runs)])
    together, history = train_segment(stack, data, 2, threads=2)
    for run in (1, runs - 1):
        alone, its = train_segment(one(stack, run), data, 1)
        alone, later = train_segment(alone, data, 1)
        assert_same_bits(one(together, run).params, alone.params)
        for name in METRICS:
            expected = [its.values[name][0, 0], later.values[name][0, 0]]
            np.testing.assert_array_equal(history.values[name][run], expected)


@pytest.mark.parametrize("batch_size", [None, 64])
def test_segments_give_the_bits_of_one_long_training(batch_size):
    data = training_data("float32", batch_size)
    whole, history = train_segment(untrained(3), data, 7)
    state, pieces = untrained(3), []
    for epochs in (1, 0, 4, 2):
        state, piece = train_segment(state, data, epochs)
        pieces.append(piece)
    assert_same_bits(whole.params, state.params)
    assert state.epoch == 7
    joined = pieces[0]
    for piece in pieces[1:]:
        joined = joined.then(piece)
    np.testing.assert_array_equal(joined.epochs, history.epochs)
    for name in METRICS:
        np.testing.assert_array_equal(joined.values[name], history.values[name])


def test_the_last_measurement_is_the_first_of_a_longer_training():
    data = training_data()
    short, _ = train_segment(untrained(2), data, 3)
    _, longer = train_segment(untrained(2), data, 4)
    last = measure(short, data)
    assert last.epochs.tolist() == [3]
    for name in SCORES:
        np.testing.assert_array_equal(last.values[name][:, 0], longer.values[name][:, 3])
    for name in STEPS:
        assert np.isnan(last.values[name]).all()


def test_metrics_mean_what_their_names_say():
    data = training_data("float64")
    state = untrained(1, dtype="float64", lr=[0.4])
    after, history = train_segment(state, data, 1)
    w1, b1, w2, b2 = (array[0] for array in state.params)
    for which in ("train", "val"):
        rows, labels = rows_and_labels(data, which)
        logits = w2 @ np.maximum(w1 @ rows.T + b1, 0) + b2
        log_probs = logits - np.log(np.exp(logits).sum(axis=0))
        loss = -log_probs[labels, np.arange(len(labels))].mean()
        assert history.values[f"{which}/loss"][0, 0] == pytest.approx(loss, rel=1e-12)
        accuracy = (logits.argmax(axis=0) == labels).mean()
        assert history.values[f"{which}/accuracy"][0, 0] == accuracy
    for layer in ("w1", "w2"):
        before = getattr(state.params, layer)
        change = np.linalg.norm(getattr(after.params, layer) - before)
        ratio = history.values[f"update_ratio/{layer}"][0, 0]
        assert ratio == pytest.approx(change / np.linalg.norm(before), rel=1e-12)
        assert history.values[f"grad_norm/{layer}"][0, 0] == pytest.approx(change / 0.4, rel=1e-9)


def test_dead_fraction_counts_units_that_no_training_sample_activates():
    data = training_data()
    state = untrained(1, hidden=8)
    w1 = state.params.w1.copy()
    w1[0, :3] = -1.0
    params = state.params._replace(w1=w1)
    _, history = train_segment(State.start(params, [0.1]), data, 1)
    assert history.values["dead_fraction"][0, 0] == 3 / 8


def test_the_notes_first_init_is_dead_on_arrival():
    _, history = train_segment(untrained(3, init="randn_minus_half"), training_data(), 1)
    np.testing.assert_array_equal(history.values["dead_fraction"][:, 0], 1)


@pytest.mark.parametrize("batch_size", [None, 64])
def test_a_diverging_run_stops_with_its_last_finite_weights_and_leaves_the_others_alone(batch_size):
    data = training_data("float32", batch_size)
    stack = untrained(3, lr=[0.1, 1e30, 0.2])
    together, history = train_segment(stack, data, 6)
    assert together.diverged_at[0] == -1
    assert 1 <= together.diverged_at[1] <= 3
    for array in together.params:
        assert np.isfinite(array).all()
    assert np.isnan(history.values["val/accuracy"][1, together.diverged_at[1] + 1 :]).all()
    for run in (0, 2):
        alone, _ = train_segment(one(stack, run), data, 6)
        assert_same_bits(one(together, run).params, alone.params)


@pytest.mark.parametrize("lr", [1e37, 3e38, 1e39, 1e300])
def test_a_learning_rate_at_the_end_of_the_floats_diverges_without_a_warning(lr):
    state, _ = train_segment(untrained(1, lr=[lr]), training_data(), 3)
    assert 0 <= state.diverged_at[0] <= 2
    assert np.isfinite(state.params.w1).all()


def test_a_diverged_run_does_not_train_on():
    data = training_data()
    stopped, _ = train_segment(untrained(2, lr=[0.1, 1e30]), data, 5)
    further, history = train_segment(stopped, data, 2)
    assert_same_bits(one(stopped, 1).params, one(further, 1).params)
    assert np.isnan(history.values["train/loss"][1]).all()
    assert further.diverged_at[1] == stopped.diverged_at[1]


def test_a_network_of_zeros_trains_without_a_warning():
    zeros = Params(*(np.zeros_like(array) for array in untrained().params))
    _, history = train_segment(State.start(zeros, [0.1]), training_data(), 2)
    assert np.isnan(history.values["update_ratio/w1"]).all()
    assert np.isfinite(history.values["train/loss"]).all()


def test_a_segment_leaves_the_callers_state_alone():
    state = untrained(2)
    before = [array.copy() for array in state.params]
    train_segment(state, training_data(), 2)
    assert_same_bits(state.params, before)


@pytest.mark.skipif(importlib.util.find_spec("torch") is None, reason="PyTorch is not installed")
def test_fifty_epochs_give_the_losses_of_pytorch():
    import torch

    data = training_data("float64")
    rows, labels = (torch.tensor(array) for array in rows_and_labels(data))
    state = untrained(dtype="float64", lr=[0.3])
    w1, b1, w2, b2 = (torch.tensor(array[0], requires_grad=True) for array in state.params)
    optimiser = torch.optim.SGD([w1, b1, w2, b2], lr=0.3)
    losses = []
    for _ in range(50):
        logits = w2 @ torch.relu(w1 @ rows.T + b1) + b2
        loss = torch.nn.functional.cross_entropy(logits.T, labels)
        losses.append(loss.item())
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
    _, history = train_segment(state, data, 50)
    np.testing.assert_allclose(history.values["train/loss"][0], losses, rtol=0, atol=1e-6)


@pytest.mark.parametrize("batch_size", [None, 50])
def test_where_a_stack_would_change_bits_each_run_trains_by_its_own_products(
    monkeypatch, batch_size
):
    data, stack = training_data("float32", batch_size), untrained(3, lr=[0.1, 1e30, 0.2])
    expected, history = train_segment(stack, data, 3)
    monkeypatch.setattr(first_layer, "stacks_exactly", lambda runs, *_: runs == 1)
    found, its = train_segment(stack, data, 3)
    assert_same_bits(found.params, expected.params)
    for name in METRICS:
        np.testing.assert_array_equal(its.values[name], history.values[name])


def test_the_engines_gradient_is_that_of_the_plain_equations():
    data, state = training_data("float64"), untrained(3, hidden=37, dtype="float64")
    rows, labels = rows_and_labels(data)
    slopes = gradients(state.params, rows.T, labels)
    stepped = network.update(state.params, slopes, state.lr)
    found, _ = train_segment(state, data, 1)
    for ours, plain in zip(found.params, stepped, strict=True):
        np.testing.assert_allclose(ours, plain, rtol=1e-9, atol=1e-12)


@pytest.mark.parametrize("batch_size", [None, 32])
def test_a_dead_unit_keeps_its_bits_and_never_comes_back(batch_size):
    data = training_data("float32", batch_size=batch_size)
    state = untrained(lr=[0.7])
    state, history = train_segment(state, data, 30)
    dead = history.values["dead_fraction"][0]
    assert 0 < dead[-1] < 1  # some have died on the way
    assert (np.diff(dead) >= 0).all()
    units = dead_units(state.params, data.train)[0]
    later, _ = train_segment(state, data, 10)
    np.testing.assert_array_equal(later.params.w1[0, units], state.params.w1[0, units])
    np.testing.assert_array_equal(later.params.b1[0, units], state.params.b1[0, units])
