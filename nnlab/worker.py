"""What a worker does, and who the workers are: the standard executor interface, three ways.

A worker needs NumPy and nnlab's core; it never sees the tracking store.
"""

import os
import signal
import tempfile
import time
from collections.abc import Callable, Iterator
from concurrent.futures import Executor, Future
from contextlib import contextmanager
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

import joblib

from nnlab.engine import State, measure, train_segment
from nnlab.history import History
from nnlab.training_data import TrainingData

DataRef = TrainingData | Path  # the data itself, or a file of it that workers map into memory


@dataclass(frozen=True)
class Segment:
    """Some epochs of one stack: a worker's whole order."""

    state: State
    data: DataRef
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


def run_segment(segment: Segment) -> SegmentResult:
    """Train a segment, wherever this process is."""
    begin = time.perf_counter()
    data = segment.data if isinstance(segment.data, TrainingData) else _mapped(segment.data)
    state, history = train_segment(segment.state, data, segment.epochs, threads=segment.threads)
    final = measure(state, data, threads=segment.threads) if segment.last else None
    return SegmentResult(state, history, final, time.perf_counter() - begin)


@lru_cache(maxsize=4)
def _mapped(path: Path) -> TrainingData:
    data = joblib.load(path, mmap_mode="r")
    assert isinstance(data, TrainingData)
    return data


class InlineExecutor(Executor):
    """Runs each call at once, in this process: for single runs and small sweeps."""

    def submit(self, fn: Callable[..., Any], /, *args: Any, **kwargs: Any) -> Future[Any]:  # noqa: ANN401 - as in the base class
        """Call the function now; its exception, if any, is the future's."""
        future: Future[Any] = Future()
        try:
            future.set_result(fn(*args, **kwargs))
        except Exception as error:  # noqa: BLE001 - handed over, not swallowed
            future.set_exception(error)
        return future


@dataclass(frozen=True)
class Workers:
    """An executor, how many calls it runs at a time, and the threads that each may use."""

    executor: Executor
    count: int
    threads: int
    share: Callable[[TrainingData], DataRef]


@contextmanager
def workers(count: int, threads: int) -> Iterator[Workers]:
    """Provide this many workers, with ``threads`` threads each; one works in this process."""
    if count == 1:
        yield Workers(InlineExecutor(), 1, threads, share=lambda data: data)
        return

    from joblib.externals.loky import get_reusable_executor

    with tempfile.TemporaryDirectory(prefix="nnlab-") as folder:
        executor = get_reusable_executor(
            max_workers=count, initializer=_ignore_interrupts, reuse=False
        )

        def share(data: TrainingData) -> Path:
            path = Path(folder) / f"{id(data)}.joblib"
            joblib.dump(data, path)
            return path

        try:
            yield Workers(executor, count, threads, share)
        finally:
            executor.shutdown(wait=True, kill_workers=True)


def available_cores() -> int:
    """Return how many cores this process may use (a container may grant fewer than there are)."""
    return int(joblib.cpu_count())


def _ignore_interrupts() -> None:
    """Leave Ctrl-C to the parent, which ends the workers in its own order."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
