"""The connection to a tracking store: opened quickly, patient with locks, clear about failures."""

import gc
import logging
import os
import time
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from typing import TYPE_CHECKING, ParamSpec, TypeVar

from nnlab.errors import TrackingError
from nnlab.tracking import bulk
from nnlab.tracking.database import (
    LOCK_SECONDS,
    READ_ERRORS,
    client_address,
    damaged,
    ensure_database,
    is_lock,
    is_of_the_disk,
    sqlite_error,
    unusable,
)
from nnlab.tracking.locations import local_database
from nnlab.tracking.reachable import require_server
from nnlab.tracking.server import ServerCalls

if TYPE_CHECKING:
    from mlflow import MlflowClient
    from mlflow.exceptions import MlflowException

P = ParamSpec("P")
T = TypeVar("T")


class Connection:
    """MLflow's client of one store; a local store is made where there is none.

    Attributes
    ----------
    uri : str
    client : MlflowClient
        Its methods are called through ``call``.
    log_batch : Callable
        MLflow's, or for a local store one that does the same sooner.
    server : ServerCalls or None
        Makes the calls of a store that is not a local one.

    Raises
    ------
    TrackingError
        Where the store cannot be used or reached.
    """

    def __init__(self, uri: str) -> None:
        self.uri = uri
        with self._readable_errors():
            self.client = _open_client(uri)
        self.log_batch = self.client.log_batch
        self.server: ServerCalls | None = None
        if local_database(uri) is not None:
            self.log_batch = partial(bulk.log_batch, self.client._tracking_client.store)  # noqa: SLF001
        else:
            self.server = ServerCalls(uri, lambda: self.client.search_experiments(max_results=1))

    def call(self, function: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
        """Call a method of the client, and repeat it while another writer is in the way.

        SQLite itself waits 20 s for a lock, whatever the address says; then MLflow gives up at
        once. And MLflow adds a dataset in two steps, look and insert, between which another
        process may insert the same one: the next look finds it.

        Raises
        ------
        TrackingError
            Where the store cannot be reached or refuses.
        """
        from mlflow.exceptions import MlflowException

        deadline = time.monotonic() + LOCK_SECONDS
        with self._readable_errors():
            while True:
                try:
                    if self.server is None:
                        return function(*args, **kwargs)
                    return self.server.call(partial(function, *args, **kwargs))
                except MlflowException as error:
                    text = str(error)
                    inserted_twice = "IntegrityError" in text and "datasets" in text
                    waits = inserted_twice or _is_locked(error)
                    if not waits or time.monotonic() > deadline:
                        raise
                    time.sleep(0.2)

    @contextmanager
    def _readable_errors(self) -> Iterator[None]:
        """Turn a failure of the store into one sentence that names the store."""
        try:
            yield
        except Exception as error:
            from mlflow.exceptions import MlflowException
            from sqlalchemy.exc import SQLAlchemyError

            if not isinstance(error, MlflowException | SQLAlchemyError):
                if isinstance(error, READ_ERRORS) and local_database(self.uri) is not None:
                    raise damaged(self.uri, error) from error
                raise
            cause = sqlite_error(error)
            if cause is not None and is_of_the_disk(cause):
                raise unusable(self.uri, cause) from error
            if cause is not None and is_lock(cause):
                raise TrackingError(
                    f"The tracking store {self.uri} is locked by another program, which does not "
                    "let go of it: end that program, and try again."
                ) from error
            first = str(error).strip().splitlines()[0]
            if "out-of-date database schema" in first:
                raise TrackingError(
                    f"The tracking store {self.uri} was made by another version of MLflow: back it "
                    f"up, then run `mlflow db upgrade {self.uri}`."
                ) from error
            raise TrackingError(
                f"The tracking store {self.uri} failed: {first} Check tracking.uri and "
                "MLFLOW_TRACKING_URI, and that the store can be reached."
            ) from error


def _is_locked(error: "MlflowException") -> bool:
    """Tell whether another writer is in the way; MLflow's code is the same for a full disk."""
    cause = sqlite_error(error)
    if cause is not None:
        return is_lock(cause)
    text = str(error)  # a server's error has no cause, but its text has SQLite's
    unavailable = error.error_code == "TEMPORARILY_UNAVAILABLE"
    return "is locked" in text or (unavailable and "(sqlite3." not in text)


def _open_client(uri: str) -> "MlflowClient":
    # It logs each failure with its traceback, those too that are waited for; ours is one sentence.
    logging.getLogger("mlflow.store.db.utils").setLevel(logging.CRITICAL)
    os.environ.setdefault("MLFLOW_DISABLE_TELEMETRY", "true")
    os.environ.setdefault("MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR", "false")
    os.environ.setdefault("MLFLOW_SUPPRESS_PRINTING_URL_TO_STDOUT", "true")  # two lines a run
    # Collecting garbage among a million freshly imported objects would take 0.8 s of the 2 s.
    collecting = gc.isenabled()
    gc.disable()
    try:
        database = local_database(uri)
        if database is not None:
            ensure_database(database)
        else:
            require_server(uri)
        with warnings.catch_warnings():
            # Under ``python -OO`` it misses its docstrings.
            warnings.filterwarnings("ignore", "Failed to register a dataset source")
            import mlflow

        return mlflow.MlflowClient(uri if database is None else client_address(database))
    finally:
        gc.freeze()
        if collecting:
            gc.enable()
