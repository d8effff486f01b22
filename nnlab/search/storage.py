"""The database that keeps Optuna's studies."""

import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from nnlab.errors import TrackingError

if TYPE_CHECKING:
    from optuna.storages import RDBStorage

LOCK_SECONDS = 60  # to wait while another process writes to SQLite


def open_storage(url: str) -> "RDBStorage":
    """Open a database for Optuna; it is created where there is none."""
    from optuna.storages import RDBStorage

    connect = {"timeout": LOCK_SECONDS} if url.startswith("sqlite:") else {}
    return RDBStorage(url, engine_kwargs={"connect_args": connect})


def use_log(database: Path) -> None:
    """Let SQLite write ahead to a log: commits cost half as much, and readers do not wait."""
    connection = sqlite3.connect(database, timeout=LOCK_SECONDS)
    try:
        connection.execute("PRAGMA journal_mode = WAL")
    finally:
        connection.close()


@contextmanager
def readable_errors(url: str) -> Iterator[None]:
    """Turn a failure of the database into a sentence that names it.

    Raises
    ------
    TrackingError
        Where the database cannot be used.
    """
    from optuna.exceptions import OptunaError
    from sqlalchemy.exc import SQLAlchemyError

    try:
        yield
    except (SQLAlchemyError, sqlite3.Error, OptunaError, ImportError, OSError) as error:
        cause = error.__cause__ if isinstance(error.__cause__, SQLAlchemyError) else error
        first = str(cause).strip().partition("\n")[0].rstrip(".")
        raise TrackingError(
            f"Optuna's storage {url} cannot be used: {first}. Check hydra.sweeper.storage and the "
            "folder's permissions and free space."
        ) from error
