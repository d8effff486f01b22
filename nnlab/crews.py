"""Who does the work: this process, joblib's workers, or a dask cluster, behind one interface.

The workers stand behind ``concurrent.futures``; what differs is how the data reaches them, and
what it looks like when one of them dies.
"""

import logging
import socket
import tempfile
from collections.abc import Iterable, Iterator
from concurrent.futures import FIRST_COMPLETED, BrokenExecutor, Executor, Future, wait
from contextlib import contextmanager
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

import joblib

from nnlab import child
from nnlab.errors import ConfigError, WorkersLostError
from nnlab.pools import close_pool, open_pool
from nnlab.training_data import TrainingData
from nnlab.worker import Segment, SegmentResult, run_segment

if TYPE_CHECKING:
    from distributed import Client

ANSWER_SECONDS = 20  # within which a dask scheduler must answer
LOOK_SECONDS = 2.0  # between two looks at whether a dask scheduler is still there
_NO_SCHEDULER = (
    "hydra.launcher.address={}: no dask scheduler answers there. Start one with `dask scheduler`, "
    "and workers with `dask worker`."
)
_SCHEDULER_GONE = "The dask scheduler is gone, and its workers with it."


class Crew(Protocol):
    """Workers, seen by the parent's loop."""

    threads: int  # that each segment may use

    @property
    def count(self) -> int:
        """How many segments they train at a time."""

    def submit(self, segment: Segment, data: TrainingData) -> Future[SegmentResult]:
        """Hand out a segment."""

    def wait(self, futures: Iterable[Future[SegmentResult]]) -> Iterable[Future[SegmentResult]]:
        """Wait until some are done, and return those."""

    def lost_worker(self, error: BaseException) -> bool:
        """Tell whether a segment failed because its worker died, and not by itself.

        The crew is then ready for work again.
        """


class Alone:
    """The process itself, one segment at a time: for single runs and small sweeps."""

    count = 1

    def __init__(self, threads: int) -> None:
        self.threads = threads
        self._orders: dict[Future[SegmentResult], tuple[Segment, TrainingData]] = {}

    def submit(self, segment: Segment, data: TrainingData) -> Future[SegmentResult]:
        """Note the order; it is carried out when it is waited for."""
        future: Future[SegmentResult] = Future()
        self._orders[future] = segment, data
        return future

    def wait(self, futures: Iterable[Future[SegmentResult]]) -> Iterable[Future[SegmentResult]]:
        """Train the first of them."""
        future = next(iter(futures))
        segment, data = self._orders.pop(future)
        try:
            future.set_result(run_segment(segment, data))
        except Exception as error:  # noqa: BLE001 - handed over, not swallowed
            future.set_exception(error)
        return [future]

    def lost_worker(self, error: BaseException) -> bool:  # noqa: ARG002
        """Nobody else works here."""
        return False


class LokyCrew:
    """Worker processes on this machine, from joblib; the data is mapped into their memory."""

    def __init__(self, count: int, threads: int, folder: Path) -> None:
        self.count = count
        self.threads = threads
        self._folder = folder
        self._files: dict[int, tuple[TrainingData, Path]] = {}
        self._pool = self._new_pool()
        self._broken = False

    def _new_pool(self) -> Executor:
        return open_pool(self.count, child.set_up, {"OPENBLAS_NUM_THREADS": "1"})

    def submit(self, segment: Segment, data: TrainingData) -> Future[SegmentResult]:
        """Hand a segment to the pool; the data is written to a file once."""
        if id(data) not in self._files:
            path = self._folder / f"{len(self._files)}.joblib"
            joblib.dump(data, path)
            self._files[id(data)] = data, path  # holding the data keeps its id its own
        try:
            return self._pool.submit(_run_mapped, segment, self._files[id(data)][1])
        except BrokenExecutor as error:  # a moment ago
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
        """A pool of which one process died is of no use: start another."""
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


class DaskCrew:
    """The workers of a dask cluster; the data goes to each of them once."""

    def __init__(self, client: "Client", count: int | None, threads: int | None) -> None:
        self._client = client
        self._most = count
        self._executor = client.get_executor(pure=False)  # type: ignore[no-untyped-call]
        self._data: dict[int, tuple[TrainingData, Any]] = {}
        fewest = min((worker["nthreads"] for worker in self._workers()), default=1)
        self.threads = min(threads or fewest, fewest)

    def _workers(self) -> Iterable[dict[str, Any]]:
        return list(self._client.scheduler_info(n_workers=-1).get("workers", {}).values())

    @property
    def count(self) -> int:
        """As many as there are now: workers may come and go."""
        there = max(1, len(list(self._workers())))
        return there if self._most is None else min(self._most, there)

    def submit(self, segment: Segment, data: TrainingData) -> Future[SegmentResult]:
        """Hand a segment to the cluster; it sends the data where it is needed, once."""
        self._check()
        if id(data) not in self._data:
            try:
                there = self._client.scatter(data, hash=False, broadcast=True)  # type: ignore[no-untyped-call]
            except OSError as error:  # its timeouts and closed connections too
                raise WorkersLostError(_SCHEDULER_GONE) from error
            self._data[id(data)] = data, there
        future: Future[SegmentResult] = self._executor.submit(
            run_segment, segment, self._data[id(data)][1]
        )
        return future

    def wait(self, futures: Iterable[Future[SegmentResult]]) -> Iterable[Future[SegmentResult]]:
        """Wait for the first.

        A client that gives its scheduler up cancels most of what it waits for, but not always all.
        """
        waiting = set(futures)
        while True:
            done = wait(waiting, LOOK_SECONDS, FIRST_COMPLETED).done
            if any(future.cancelled() for future in done):
                raise WorkersLostError(_SCHEDULER_GONE)
            if done:
                return done
            self._check()

    def _check(self) -> None:
        """A client that loses its scheduler loses its orders, even if it finds it again."""
        if self._client.status != "running":
            raise WorkersLostError(_SCHEDULER_GONE)

    def lost_worker(self, error: BaseException) -> bool:
        """Dask gives a segment to another worker by itself, and gives up after several died."""
        from distributed import KilledWorker

        return isinstance(error, KilledWorker)


@contextmanager
def open_crew(backend: str, count: int, threads: int, address: str | None) -> Iterator[Crew]:
    """Provide workers, and see to their end.

    Parameters
    ----------
    backend : ``sequential``, ``loky`` or ``dask``
    count : workers; one loky worker is this process
    threads : of each
    address : of a dask scheduler; None starts a cluster on this machine

    Raises
    ------
    ConfigError
        Where dask is not installed, or no scheduler answers.
    """
    if backend == "dask":
        with _dask_client(count, threads, address) as client:
            yield DaskCrew(client, count if address is None else None, threads)
    elif backend == "sequential" or count == 1:
        yield Alone(threads)
    else:
        with tempfile.TemporaryDirectory(prefix="nnlab-") as folder:
            crew = LokyCrew(count, threads, Path(folder))
            try:
                yield crew
            finally:
                crew.close()


def check_address(address: str) -> None:
    """Make sure that something listens at a scheduler's address, before anything is begun.

    Raises
    ------
    ConfigError
        Where nothing does.
    """
    host, _, port = address.rpartition("/")[2].rpartition(":")
    try:
        socket.create_connection((host.strip("[]"), int(port)), ANSWER_SECONDS).close()
    except (OSError, ValueError) as error:
        raise ConfigError(_NO_SCHEDULER.format(address)) from error


@contextmanager
def _dask_client(count: int, threads: int, address: str | None) -> Iterator["Client"]:
    try:
        from distributed import Client, LocalCluster
    except ImportError as error:
        raise ConfigError(
            "hydra.launcher.backend=dask needs dask: pip install 'nnlab[dask]'."
        ) from error
    # It tells of a lost scheduler with a traceback; we say it in a sentence.
    logging.getLogger("distributed.client").setLevel(logging.CRITICAL)
    if address is None:
        with (
            LocalCluster(  # type: ignore[no-untyped-call]
                n_workers=count, threads_per_worker=threads, dashboard_address=None
            ) as cluster,
            Client(cluster) as client,  # type: ignore[no-untyped-call]
        ):
            yield client
        return
    try:
        client = Client(address, timeout=ANSWER_SECONDS)  # type: ignore[no-untyped-call]
    except (OSError, ValueError) as error:
        raise ConfigError(_NO_SCHEDULER.format(address)) from error
    with client:
        yield client


def available_cores() -> int:
    """Return how many cores this process may use (a container may grant fewer than there are)."""
    return int(joblib.cpu_count())


def _run_mapped(segment: Segment, path: Path) -> SegmentResult:
    return run_segment(segment, _mapped(path))


@lru_cache(maxsize=4)
def _mapped(path: Path) -> TrainingData:
    data = joblib.load(path, mmap_mode="r")
    assert isinstance(data, TrainingData)
    return data
