"""The workers of a dask cluster, and the connection to it."""

import logging
import socket
import time
from collections.abc import Iterable, Iterator
from concurrent.futures import FIRST_COMPLETED, CancelledError, Future, wait
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from nnlab.errors import ConfigError, WorkersLostError
from nnlab.training.segments import Segment, SegmentResult, run_segment
from nnlab.training.training_data import TrainingData

if TYPE_CHECKING:
    from distributed import Client

ANSWER_SECONDS = 20  # within which a dask scheduler must answer
CHECK_SECONDS = 2.0  # between two checks that the dask scheduler is alive
_NO_SCHEDULER = (
    "hydra.launcher.address={}: no dask scheduler answers there. Start one with `dask scheduler`, "
    "and workers with `dask worker`."
)
_NO_CERTIFICATES = (
    "hydra.launcher.address={}: dask's configuration names no certificates for TLS, or not all of "
    "them. docs/guides/other-machines.md shows how."
)
_SCHEDULER_GONE = "The dask scheduler is gone, and its workers with it."


class DaskWorkers:
    """The workers of a dask cluster; the data is sent to each of them once."""

    def __init__(self, client: "Client", count: int | None, threads: int | None) -> None:
        self._client = client
        self._most = count
        self._executor = client.get_executor(pure=False)  # type: ignore[no-untyped-call]
        self._data: dict[int, tuple[TrainingData, Any]] = {}
        fewest = min((worker["nthreads"] for worker in self._workers()), default=1)
        self.threads = min(threads or fewest, fewest)

    def _workers(self) -> list[dict[str, Any]]:
        return list(self._client.scheduler_info(n_workers=-1).get("workers", {}).values())

    @property
    def count(self) -> int:
        """How many segments are trained at a time; workers may come and go."""
        present = max(1, len(self._workers()))
        return present if self._most is None else min(self._most, present)

    def submit(self, segment: Segment, data: TrainingData) -> Future[SegmentResult]:
        """Hand a segment to the cluster, with the data the first time."""
        self._check()
        if id(data) not in self._data:
            try:
                sent = self._client.scatter(data, hash=False, broadcast=True)  # type: ignore[no-untyped-call]
            except OSError as error:  # a timeout or a closed connection
                raise WorkersLostError(_SCHEDULER_GONE) from error
            self._data[id(data)] = data, sent
        future: Future[SegmentResult] = self._executor.submit(
            run_segment, segment, self._data[id(data)][1]
        )
        return future

    def wait(self, futures: Iterable[Future[SegmentResult]]) -> Iterable[Future[SegmentResult]]:
        """Wait for the first; after a lost connection, return all, cancelled.

        A client that loses its scheduler cancels most of its futures, but not always all.
        """
        waiting = set(futures)
        while True:
            done = wait(waiting, CHECK_SECONDS, FIRST_COMPLETED).done
            lost = any(future.cancelled() for future in done)
            if lost or self._client.status != "running":
                self._check()
                self._data.clear()
                for future in waiting:
                    future.cancel()
                return waiting
            if done:
                return done

    def _check(self) -> None:
        """Wait for a client that has lost its scheduler to reconnect."""
        deadline = time.monotonic() + ANSWER_SECONDS
        while self._client.status == "connecting" and time.monotonic() < deadline:
            time.sleep(0.1)
        if self._client.status != "running":
            raise WorkersLostError(_SCHEDULER_GONE)

    def lost_worker(self, error: BaseException) -> bool:
        """Return whether dask gave up: it retries on another worker until several have died."""
        from distributed import KilledWorker

        return isinstance(error, KilledWorker | CancelledError)


def check_address(address: str) -> None:
    """Check that something listens at a scheduler's address, before anything is begun.

    Raises
    ------
    ConfigError
        Where nothing listens there.
    """
    host, _, port = address.rpartition("/")[2].rpartition(":")
    try:
        socket.create_connection((host.strip("[]"), int(port)), ANSWER_SECONDS).close()
    except (OSError, ValueError) as error:
        raise ConfigError(_NO_SCHEDULER.format(address)) from error


@contextmanager
def connected(count: int, threads: int, address: str | None) -> Iterator["Client"]:
    """Provide the client of a cluster; without an address, start one on this machine.

    Raises
    ------
    ConfigError
        Where dask is not installed, or no scheduler answers.
    """
    try:
        from distributed import Client

        from nnlab.execution.dask_cluster import local_cluster
    except ImportError as error:
        raise ConfigError(
            "hydra.launcher.backend=dask needs dask: pip install 'nnlab[dask]'."
        ) from error
    # They log tracebacks when the connection to the scheduler breaks; ours is one sentence.
    for name in ("distributed", "distributed.client", "tornado", "tornado.application", "asyncio"):
        logging.getLogger(name).setLevel(logging.CRITICAL)
    if address is None:
        with local_cluster(count, threads) as cluster, Client(cluster) as client:  # type: ignore[no-untyped-call]
            yield client
        return
    try:
        client = Client(address, timeout=ANSWER_SECONDS)  # type: ignore[no-untyped-call]
    except (OSError, ValueError) as error:
        raise ConfigError(_NO_SCHEDULER.format(address)) from error
    except TypeError as error:
        raise ConfigError(_NO_CERTIFICATES.format(address)) from error
    with client:
        yield client
