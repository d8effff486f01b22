"""Workers: this process, joblib's worker processes or a dask cluster, behind one interface.

All of them return ``concurrent.futures``; they differ in how the data reaches them, and in how the
death of a worker shows.
"""

from collections.abc import Iterable, Iterator
from concurrent.futures import FIRST_COMPLETED, BrokenExecutor, Executor, Future, wait
from contextlib import contextmanager
from functools import lru_cache
from pathlib import Path
from typing import Protocol

import joblib

from nnlab.execution import processes
from nnlab.execution.dask_workers import DaskWorkers, connected
from nnlab.execution.processes import close_pool, open_pool
from nnlab.system.temporary import temporary_folder
from nnlab.training.segments import Segment, SegmentResult, run_segment
from nnlab.training.training_data import TrainingData


class Workers(Protocol):
    """Workers as the scheduler sees them."""

    threads: int  # of each segment

    @property
    def count(self) -> int:
        """How many segments are trained at a time."""

    def submit(self, segment: Segment, data: TrainingData) -> Future[SegmentResult]:
        """Hand out a segment."""

    def wait(self, futures: Iterable[Future[SegmentResult]]) -> Iterable[Future[SegmentResult]]:
        """Wait until some are done, and return those."""

    def lost_worker(self, error: BaseException) -> bool:
        """Return whether a segment failed because its worker died, and not by itself.

        After that, the workers are ready for the next segment.
        """


class InProcess:
    """The process itself, one segment at a time: for single runs and small sweeps."""

    count = 1

    def __init__(self, threads: int) -> None:
        self.threads = threads
        self._submitted: dict[Future[SegmentResult], tuple[Segment, TrainingData]] = {}

    def submit(self, segment: Segment, data: TrainingData) -> Future[SegmentResult]:
        """Keep the segment; it is trained when it is waited for."""
        future: Future[SegmentResult] = Future()
        self._submitted[future] = segment, data
        return future

    def wait(self, futures: Iterable[Future[SegmentResult]]) -> Iterable[Future[SegmentResult]]:
        """Train the first segment."""
        future = next(iter(futures))
        segment, data = self._submitted.pop(future)
        try:
            future.set_result(run_segment(segment, data))
        except Exception as error:  # noqa: BLE001 - handed over in the future
            future.set_exception(error)
        return [future]

    def lost_worker(self, error: BaseException) -> bool:  # noqa: ARG002
        """No other process works here."""
        return False


class LokyWorkers:
    """Worker processes on this machine, from joblib; the data is mapped into their memory."""

    def __init__(self, count: int, threads: int, folder: Path) -> None:
        self.count = count
        self.threads = threads
        self._folder = folder
        self._files: dict[int, tuple[TrainingData, Path]] = {}
        self._pool = self._new_pool()
        self._broken = False

    def _new_pool(self) -> Executor:
        return open_pool(self.count, processes.set_up, {"OPENBLAS_NUM_THREADS": "1"})

    def submit(self, segment: Segment, data: TrainingData) -> Future[SegmentResult]:
        """Hand a segment to the pool; the data is written to a file once."""
        if id(data) not in self._files:
            path = self._folder / f"{len(self._files)}.joblib"
            joblib.dump(data, path)
            self._files[id(data)] = data, path  # no other data gets the id as long as it is held
        try:
            return self._pool.submit(_run_mapped, segment, self._files[id(data)][1])
        except BrokenExecutor as error:  # since the last wait
            self._broken = True
            future: Future[SegmentResult] = Future()
            future.set_exception(error)
            return future

    def wait(self, futures: Iterable[Future[SegmentResult]]) -> Iterable[Future[SegmentResult]]:
        """Wait for the first; when the pool breaks, all of them are done."""
        done, others = wait(futures, return_when=FIRST_COMPLETED)
        if any(isinstance(future.exception(), BrokenExecutor) for future in done):
            self._broken = True
            done |= wait(others).done
        return done

    def lost_worker(self, error: BaseException) -> bool:
        """Start another pool where a process died: the pool cannot be used any more."""
        if not isinstance(error, BrokenExecutor):
            return False
        if self._broken:
            self.close()
            self._pool = self._new_pool()
            self._broken = False
        return True

    def close(self) -> None:
        """End the processes, whatever they are doing."""
        close_pool(self._pool)


@contextmanager
def open_workers(backend: str, count: int, threads: int, address: str | None) -> Iterator[Workers]:
    """Provide workers, and end them.

    Parameters
    ----------
    backend : str
        ``sequential``, ``loky`` or ``dask``.
    count : int
        Number of workers; a single loky worker is this process.
    threads : int
        Of each worker.
    address : str or None
        Of a dask scheduler; None starts a cluster on this machine.

    Raises
    ------
    ConfigError
        Where dask is not installed, or no scheduler answers.
    """
    if backend == "dask":
        with connected(count, threads, address) as client:
            yield DaskWorkers(client, count if address is None else None, threads)
    elif backend == "sequential" or count == 1:
        yield InProcess(threads)
    else:
        with temporary_folder() as folder:
            workers = LokyWorkers(count, threads, folder)
            try:
                yield workers
            finally:
                workers.close()


def available_cores() -> int:
    """Return how many cores this process may use; a container may grant fewer than there are."""
    return int(joblib.cpu_count())


def _run_mapped(segment: Segment, path: Path) -> SegmentResult:
    return run_segment(segment, _mapped(path))


@lru_cache(maxsize=4)
def _mapped(path: Path) -> TrainingData:
    data = joblib.load(path, mmap_mode="r")
    assert isinstance(data, TrainingData)
    return data
