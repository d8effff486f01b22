"""Snapshots against numpy.histogram of what the equations give, and against training without."""

from decimal import Decimal

import numpy as np
import pytest
from support.digits import rows_and_labels, training_data, untrained

from nnlab.training.engine import State, measure, train_segment
from nnlab.training.history import METRICS, snapshot_epochs
from nnlab.training.network import stack
from nnlab.training.outcomes import Curve
from nnlab.training.snapshots import BINS, EDGES, QUANTITIES

EPOCHS = 12
TAKEN = {0, 3, 12}


def states(lrs, dtype="float64", hidden=4):
    inits = ("he", "randn_small", "randn")
    networks = [
        untrained(hidden=hidden, dtype=dtype, init=inits[place]).params for place in range(len(lrs))
    ]
    return State.start(stack(networks), lrs)


def test_the_bins_are_the_documented_ones():
    steps = ("1", "1.6", "2.5", "4", "6.3")
    positive = [float(Decimal(step).scaleb(power)) for power in range(-4, 4) for step in steps]
    expected = np.array([*positive, 1e4])
    np.testing.assert_array_equal(EDGES, np.concatenate((-expected[::-1], [0], expected)))
    assert len(EDGES) + 1 == BINS


def test_a_snapshot_counts_what_the_equations_give_by_hand():
    data = training_data("float64", train=96)
    start = states((0.5,))
    _, history = train_segment(start, data, EPOCHS + 1, snapshot_epochs=TAKEN)
    assert set(history.snapshots) == TAKEN
    x = rows_and_labels(data)[0].T
    bins = [-np.inf, *EDGES, np.inf]
    for epoch, counts in history.snapshots.items():
        state, _ = train_segment(start, data, epoch)
        w1, b1, w2, b2 = (array[0] for array in state.params)
        z1 = w1 @ x + b1
        z2 = w2 @ np.maximum(z1, 0) + b2
        for name, values in zip(QUANTITIES, (w1, z1, w2, z2), strict=True):
            expected, _ = np.histogram(values, bins)
            np.testing.assert_array_equal(counts[0, QUANTITIES.index(name)], expected, name)


def test_a_dead_network_has_no_pre_activation_above_0():
    data = training_data("float32", train=96)
    start = untrained(init="randn_minus_half", runs=1)
    counts = measure(start, data, snapshot=True).snapshots[0][0, QUANTITIES.index("Z1")]
    zero = int(np.searchsorted(EDGES, 0)) + 1  # the first bin that holds nothing negative
    assert counts[zero:].sum() == 0
    assert counts.sum() == 10 * 96


@pytest.mark.parametrize("batch_size", [None, 64])
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_weights_and_metrics_keep_their_bits(dtype, batch_size):
    data = training_data(dtype, train=160, batch_size=batch_size)
    start = states((0.1, 0.5, np.inf), dtype)  # the last one diverges
    plain, before = train_segment(start, data, EPOCHS)
    observed, after = train_segment(start, data, EPOCHS, snapshot_epochs=TAKEN)
    for one, other in zip(plain.params, observed.params, strict=True):
        np.testing.assert_array_equal(one, other)
    for name in METRICS:
        np.testing.assert_array_equal(before.values[name], after.values[name])
    assert before.snapshots == {}
    assert 3 not in Curve.of(after, 2).snapshots
    assert set(Curve.of(after, 1).snapshots) == {0, 3}


def test_snapshots_are_the_same_in_any_stack_segment_and_number_of_threads():
    data = training_data("float32", train=3000)
    start = states((0.1, 0.5), "float32", hidden=3)
    whole, history = train_segment(start, data, EPOCHS, snapshot_epochs=TAKEN)
    history = history.then(measure(whole, data, snapshot=True, threads=2))
    for run in range(2):
        alone = start.select(np.array([run]))
        first, early = train_segment(alone, data, 2, threads=2, snapshot_epochs=TAKEN)
        second, late = train_segment(first, data, EPOCHS - 2, snapshot_epochs=TAKEN)
        end = measure(second, data, snapshot=True)
        found = Curve.of(early.then(late).then(end), 0).snapshots
        expected = Curve.of(history, run).snapshots
        assert set(found) == set(expected) == TAKEN
        for epoch in TAKEN:
            np.testing.assert_array_equal(found[epoch], expected[epoch])


@pytest.mark.parametrize(
    ("epochs", "count", "expected"),
    [
        (0, 20, {0}),
        (1, 20, {0, 1}),
        (1000, 5, {0, 1, 10, 100, 1000}),
        (7, 2, {0, 7}),
        (3, 50, {0, 1, 2, 3}),
    ],
)
def test_snapshots_are_taken_at_log_spaced_epochs_with_the_first_and_the_last(
    epochs, count, expected
):
    assert snapshot_epochs(epochs, count) == expected
