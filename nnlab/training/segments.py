"""What a worker does: one segment of one stack, wherever the worker is.

A worker needs NumPy and nnlab's core; it never sees the tracking store.
"""

import time
from dataclasses import dataclass

from nnlab.training.engine import State, measure, train_segment
from nnlab.training.history import History
from nnlab.training.training_data import TrainingData


@dataclass(frozen=True)
class Segment:
    """Some epochs of one stack: a worker's whole order, but for the data."""

    state: State
    epochs: int
    last: bool  # whether to measure the state that it ends with, too
    threads: int


@dataclass(frozen=True)
class SegmentResult:
    """The state after a segment, what was measured on the way, and how long it took."""

    state: State
    history: History
    final: History | None  # the row at the state's own epoch, for the runs that end there
    seconds: float


def run_segment(segment: Segment, data: TrainingData) -> SegmentResult:
    """Train a segment."""
    begin = time.perf_counter()
    state, history = train_segment(segment.state, data, segment.epochs, threads=segment.threads)
    final = measure(state, data, threads=segment.threads) if segment.last else None
    return SegmentResult(state, history, final, time.perf_counter() - begin)
