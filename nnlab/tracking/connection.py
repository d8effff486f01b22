"""The connection to the tracking store: opened lightly, patient, and its failures said plainly."""

import gc
import os
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, TypeVar

from nnlab.errors import TrackingError
from nnlab.tracking.database import ensure_database
from nnlab.tracking.locations import local_database

if TYPE_CHECKING:
    from mlflow import MlflowClient

T = TypeVar("T")

PATIENCE = 120  # seconds to wait for a database that another writer has locked
ANSWER_SECONDS = 10  # within which a tracking server must answer at the start


def client_of(uri: str) -> "MlflowClient":
    """Open a store through MLflow; a local one is made where there is none.

    Raises
    ------
    TrackingError
        Where it cannot be used or reached.
    """
    # No telemetry, and no collection of garbage among a million freshly imported objects, which
    # would take 0.8 s of the 2.
    os.environ.setdefault("MLFLOW_DISABLE_TELEMETRY", "true")
    os.environ.setdefault("MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR", "false")
    os.environ.setdefault("MLFLOW_SUPPRESS_PRINTING_URL_TO_STDOUT", "true")  # two lines a run
    collecting = gc.isenabled()
    gc.disable()
    try:
        database = local_database(uri)
        if database is not None:
            ensure_database(database)
        elif uri.startswith(("http://", "https://")):
            _ask(uri)
        import mlflow

        return mlflow.MlflowClient(uri)
    finally:
        gc.freeze()
        if collecting:
            gc.enable()


def with_retries(call: Callable[[], T]) -> T:
    """Call the store, again and again while another writer is in the way.

    SQLite itself waits 20 s for a lock, whatever the address says; then MLflow gives up at once.
    And MLflow adds a dataset in two steps, look and insert, between which another process may
    insert the same one: the next look finds it.
    """
    from mlflow.exceptions import MlflowException

    deadline = time.monotonic() + PATIENCE
    while True:
        try:
            return call()
        except MlflowException as error:
            locked = error.error_code == "TEMPORARILY_UNAVAILABLE" or "is locked" in str(error)
            beaten = "IntegrityError" in str(error) and "datasets" in str(error)
            if not (locked or beaten) or time.monotonic() > deadline:
                raise
            time.sleep(0.2)


@contextmanager
def readable_errors(uri: str) -> Iterator[None]:
    """Turn a store's failure into one sentence that names the store."""
    from mlflow.exceptions import MlflowException
    from sqlalchemy.exc import SQLAlchemyError

    try:
        yield
    except (MlflowException, SQLAlchemyError) as error:
        first = str(error).strip().splitlines()[0]
        if "out-of-date database schema" in first:
            raise TrackingError(
                f"The tracking store {uri} was made by another version of MLflow: back it up, "
                f"then run `mlflow db upgrade {uri}`."
            ) from error
        raise TrackingError(
            f"The tracking store {uri} failed: {first} Check tracking.uri and "
            "MLFLOW_TRACKING_URI, and that the store can be reached."
        ) from error


def _ask(uri: str) -> None:
    """Make sure that a server is there at all; MLflow itself would try again for minutes."""
    try:
        with urllib.request.urlopen(f"{uri.rstrip('/')}/health", timeout=ANSWER_SECONDS):  # noqa: S310 - http(s) only
            return
    except urllib.error.HTTPError:
        return  # a server, at least; what it refuses is its client's business
    except (urllib.error.URLError, OSError) as error:
        raise TrackingError(
            f"The tracking server {uri} does not answer: {getattr(error, 'reason', error)}. Check "
            "tracking.uri and MLFLOW_TRACKING_URI, or log to this machine with tracking.uri=null."
        ) from error
