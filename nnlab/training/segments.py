"""What a worker does: train a stack for one segment of its epochs.

A worker needs NumPy and nnlab's ``training`` and ``data``; it never sees the tracking store.
"""

import time
from dataclasses import dataclass

from nnlab.training.engine import State, measure, train_segment
from nnlab.training.history import History
from nnlab.training.training_data import TrainingData


@dataclass(frozen=True)
class Segment:
    """All that a worker is told, apart from the data.

    Attributes
    ----------
    state : State
        From which it trains.
    epochs : int
    last : bool
        Whether to measure the state that it ends with, too.
    threads : int
    sharpness_every : int or None
    snapshot_epochs : frozenset of int
        See ``train_segment``.
    """

    state: State
    epochs: int
    last: bool
    threads: int
    sharpness_every: int | None = None
    snapshot_epochs: frozenset[int] = frozenset()


@dataclass(frozen=True)
class SegmentResult:
    """What a worker returns.

    Attributes
    ----------
    state : State
        After the segment.
    history : History
        One row for each of its epochs.
    final : History or None
        The row at ``state.epoch``; None if the segment is not the last one.
    seconds : float
        How long it took.
    """

    state: State
    history: History
    final: History | None
    seconds: float


def run_segment(segment: Segment, data: TrainingData) -> SegmentResult:
    """Train for a segment, and measure the end of the last one."""
    begin = time.perf_counter()
    every, threads = segment.sharpness_every, segment.threads
    state, history = train_segment(
        segment.state, data, segment.epochs, threads=threads, sharpness_every=every,
        snapshot_epochs=segment.snapshot_epochs,
    )  # fmt: skip
    final = None
    if segment.last:
        final = measure(
            state, data, threads=threads, sharpness=every is not None,
            snapshot=state.epoch in segment.snapshot_epochs,
        )  # fmt: skip
    return SegmentResult(state, history, final, time.perf_counter() - begin)
