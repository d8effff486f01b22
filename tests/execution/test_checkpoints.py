"""Checkpoints come back as they were, or not at all."""

import errno
import os
from pathlib import Path

import numpy as np
import pytest
from support.digits import assert_same_bits, training_data, untrained

from nnlab.errors import TrackingError
from nnlab.execution.checkpoints import Checkpoint, Checkpoints
from nnlab.training.engine import State, train_segment
from nnlab.training.outcomes import Curve


@pytest.fixture
def checkpoints(tmp_path):
    return Checkpoints(tmp_path / "checkpoints")


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_training_goes_on_from_a_checkpoint_with_the_same_bits(checkpoints, dtype):
    data = training_data(dtype)
    whole, history = train_segment(untrained(runs=1, dtype=dtype), data, 7)
    half, first = train_segment(untrained(runs=1, dtype=dtype), data, 3)
    checkpoints.save({4: Checkpoint(half.params, 3, Curve.of(first, 0))})

    found = checkpoints.load(4)
    assert found.epoch == 3
    again = State(found.params, half.lr, found.epoch, np.array([-1]))
    end, second = train_segment(again, data, 4)
    assert_same_bits(end.params, whole.params)
    curve = found.curve.then(Curve.of(second, 0))
    expected = Curve.of(history, 0)
    np.testing.assert_array_equal(curve.epochs, expected.epochs)
    for name, values in expected.values.items():
        np.testing.assert_array_equal(curve.values[name], values)


def test_the_sharpness_goes_on_from_a_checkpoint_with_the_same_bits(checkpoints):
    data, start = training_data(), untrained(runs=1)
    _, history = train_segment(start, data, 7, sharpness_every=2)
    half, first = train_segment(start, data, 3, sharpness_every=2)
    checkpoints.save({0: Checkpoint(half.params, 3, Curve.of(first, 0), half.directions[0])})
    found = checkpoints.load(0)
    again = State(found.params, half.lr, 3, np.array([-1]), found.direction[None])
    _, second = train_segment(again, data, 4, sharpness_every=2)
    curve = found.curve.then(Curve.of(second, 0))
    for name, values in Curve.of(history, 0).values.items():
        np.testing.assert_array_equal(curve.values[name], values)


def test_snapshots_go_on_from_a_checkpoint(checkpoints):
    data, start, epochs = training_data(), untrained(runs=1), {0, 2, 5}
    _, history = train_segment(start, data, 7, snapshot_epochs=epochs)
    half, first = train_segment(start, data, 3, snapshot_epochs=epochs)
    checkpoints.save({0: Checkpoint(half.params, 3, Curve.of(first, 0))})
    _, second = train_segment(half, data, 4, snapshot_epochs=epochs)
    found = checkpoints.load(0).curve.then(Curve.of(second, 0)).snapshots
    assert found.keys() == epochs
    for epoch, counts in Curve.of(history, 0).snapshots.items():
        np.testing.assert_array_equal(found[epoch], counts)


def test_a_checkpoint_of_a_version_that_measured_less_goes_on(checkpoints):
    saved = some()
    less = {k: v for k, v in saved.curve.values.items() if not k.startswith("grad_norm")}
    checkpoints.save({0: Checkpoint(saved.params, 1, Curve(saved.curve.epochs, less))})
    curve = checkpoints.load(0).curve.then(saved.curve)
    assert np.isnan(curve.values["grad_norm/w1"]).tolist() == [True, False]


def some(epoch=1):
    state, history = train_segment(untrained(runs=1), training_data(), 1)
    return Checkpoint(state.params, epoch, Curve.of(history, 0))


def test_there_is_none_before_one_is_saved_and_none_after_it_is_discarded(checkpoints):
    assert checkpoints.load(0) is None
    checkpoints.save({0: some(), 1: some()})
    checkpoints.discard(0)
    checkpoints.discard(0)
    assert checkpoints.load(0) is None
    assert checkpoints.load(1).epoch == 1


@pytest.mark.parametrize("damage", ["cut", "flip", "empty"])
def test_a_torn_checkpoint_is_taken_for_none(checkpoints, tmp_path, damage):
    checkpoints.save({0: some()})
    (file,) = (tmp_path / "checkpoints").iterdir()
    content = bytearray(file.read_bytes())
    if damage == "flip":
        content[len(content) // 2] ^= 1
    file.write_bytes({"cut": content[:-9], "flip": content, "empty": b""}[damage])
    assert checkpoints.load(0) is None


def test_a_folder_that_cannot_be_written_is_named_and_what_was_there_stays(
    checkpoints, monkeypatch
):
    checkpoints.save({0: some(1)})

    def full(*_):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(Path, "replace", full)
    with pytest.raises(TrackingError, match=r"checkpoints cannot be written: .* free space"):
        checkpoints.save({0: some(2)})
    assert checkpoints.load(0).epoch == 1


def test_checkpoints_are_due_only_as_often_as_they_are_cheap(checkpoints, monkeypatch):
    now = [100.0]
    monkeypatch.setattr("nnlab.execution.checkpoints.time.monotonic", lambda: now[0])
    assert checkpoints.due

    def slowly(_states):
        now[0] += 0.5

    monkeypatch.setattr(checkpoints, "_save", slowly)
    checkpoints.save({0: "a state"})
    assert not checkpoints.due
    now[0] += 9.9
    assert not checkpoints.due
    now[0] += 0.2
    assert checkpoints.due
