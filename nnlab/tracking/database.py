"""Creates the local SQLite store: whole or not at all, even if many processes start at once."""

import os
import shutil
import sqlite3
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import parse_qsl

import click

from nnlab.data.cache import cache_file, cache_folder
from nnlab.errors import TrackingError, reason_of
from nnlab.jobs.provenance import project_root
from nnlab.system.temporary import MAKING, temporary_folder

if TYPE_CHECKING:
    from filelock import BaseFileLock

LOCK_SECONDS = 120  # to wait for a database that another writer has locked
# What reading a damaged database ends in: beside SQLite's own errors, text that is no UTF-8 and
# values of another type than their column's.
READ_ERRORS = (sqlite3.Error, ValueError, TypeError, LookupError, ArithmeticError, AttributeError)
DRIVER = "sqlite+pysqlite"  # that SQLAlchemy uses anyway
# SQLite's names of what no waiting mends: a full disk, a file or folder that cannot be written.
_DISK_ERRORS = ("SQLITE_FULL", "SQLITE_READONLY", "SQLITE_IOERR", "SQLITE_CANTOPEN")


def ensure_database(database: Path) -> None:
    """Create an empty MLflow database where there is none.

    MLflow's own way breaks when two processes start at once, and a kill while it works can leave
    the file unusable. So the database is created in a temporary file, under a lock, and moved into
    place. MLflow's migrations take over a second: the cache folder keeps an empty database.

    Raises
    ------
    TrackingError
        Where the folder cannot be written, or the file is no database.
    """
    if database.is_symlink() and not database.exists():
        database = Path(os.path.realpath(database))
    try:
        if database.exists() and database.stat().st_size > 0:
            _check(database)
            return
        _create(database)
    except (OSError, sqlite3.Error) as error:
        raise unusable(str(database), error) from error
    except UnicodeDecodeError as error:
        raise damaged(str(database), error) from error


def is_read_only(database: Path) -> bool:
    """Tell whether this process cannot write a database that exists."""
    return not os.access(database, os.W_OK) or not os.access(database.parent, os.W_OK)


def reading_address(database: Path) -> str:
    """Return SQLite's address of a database, for reading alone.

    SQLite reads a write-ahead log by means of a file that it makes beside the database. In a folder
    that cannot be written it has to be told that nobody writes; if a log is there, somebody does.
    """
    alone = is_read_only(database) and not _has_log(database)
    return f"{database.resolve().as_uri()}?mode=ro{'&immutable=1' if alone else ''}"


def _has_log(database: Path) -> bool:
    log = Path(f"{database.resolve()}-wal")
    return log.exists() and log.stat().st_size > 0


def client_address(database: Path) -> str:
    """Return MLflow's address of a database, in which ``?`` and ``%`` stand for other things.

    With a driver's name in it, MLflow makes no folders after the letters of the address.
    """
    read_only = is_read_only(database)
    if not read_only and not set("?%") & set(str(database)):
        return f"sqlite:///{database}"
    from sqlalchemy import URL

    options, path = {}, str(database)
    if read_only:
        address, _, query = reading_address(database).partition("?")
        options = {**dict(parse_qsl(query)), "uri": "true"}
        path = address.replace("file://", "file:", 1)
    return URL.create(DRIVER, database=path, query=options).render_as_string(hide_password=False)


def unusable(store: str, error: Exception) -> TrackingError:
    """Return the error that says why a local store cannot be used."""
    return TrackingError(
        f"The tracking store {store} cannot be used: {reason_of(error)}. "
        "Check the folder's permissions and "
        "free space, or name another store with tracking.uri=… ."
    )


def damaged(store: str, error: Exception) -> TrackingError:
    """Return the error that says that a local store holds something else than was written."""
    reason = " ".join(str(error).split())[:200]
    return TrackingError(
        f"The tracking store {store} cannot be read: {reason}. `nnlab doctor` checks it."
    )


def sqlite_error(error: BaseException | None) -> sqlite3.Error | None:
    """Return SQLite's own error behind one of MLflow's or SQLAlchemy's; None if there is none."""
    while error is not None and not isinstance(error, sqlite3.Error):
        error = error.__cause__ or error.__context__
    return error


def is_lock(error: sqlite3.Error) -> bool:
    """Tell whether another writer is in the way, so that waiting may help."""
    return _name(error).startswith(("SQLITE_BUSY", "SQLITE_LOCKED"))


def is_of_the_disk(error: sqlite3.Error) -> bool:
    """Tell whether the disk is full, or the file or its folder cannot be opened or written."""
    return _name(error).startswith(_DISK_ERRORS)


def _name(error: sqlite3.Error) -> str:
    return getattr(error, "sqlite_errorname", "")  # errors of the Python module itself have none


def file_lock(path: Path) -> "BaseFileLock":
    """Return a lock on a file, which is created.

    Raises
    ------
    OSError
        Where it cannot be created; filelock would try for ever in some folders.
    """
    from filelock import FileLock

    if not path.exists():  # nothing is done to a file that may be another user's
        path.touch()
    return FileLock(path)


def _check(database: Path) -> None:
    # By SQLite alone: to open and close the file here would release the locks that this process
    # holds on it, and another process could take the log away under an open connection.
    connection = sqlite3.connect(reading_address(database), uri=True)
    try:
        connection.execute("SELECT name FROM sqlite_master").fetchall()  # a damaged file fails here
    except sqlite3.DatabaseError as error:
        if _name(error) != "SQLITE_NOTADB":
            raise
        raise TrackingError(
            f"The tracking store {database} is not an SQLite database: move it away, or name "
            "another with tracking.uri=… ."
        ) from error
    finally:
        connection.close()


def _create(database: Path) -> None:
    _announce_folder(database.parent.parent)
    database.parent.mkdir(parents=True, exist_ok=True)
    with file_lock(database.with_name(database.name + ".lock")):
        if database.exists() and database.stat().st_size > 0:
            return
        with temporary_folder(MAKING, database.parent) as folder:
            temporary = folder / "mlflow.db"
            template = cache_folder() / f"mlflow-{version('mlflow')}.db"
            if template.exists():
                shutil.copyfile(template, temporary)
            else:
                _migrate(temporary)
                cache_file(template, temporary.read_bytes())
            artifacts = (database.parent / "artifacts").as_uri()
            connection = sqlite3.connect(temporary)
            with connection:  # experiment 0 has the address of the place where it was created
                connection.execute("UPDATE experiments SET artifact_location = ?", (artifacts,))
            # With a write-ahead log readers and the writer do not wait for each other, and commits
            # cost half as much.
            connection.execute("PRAGMA journal_mode = WAL")
            connection.close()
            temporary.replace(database)


def _announce_folder(root: Path) -> None:
    """Say that a store begins in the folder of ``NNLAB_ROOT``, where that is new; it may be a typo.

    Raises
    ------
    TrackingError
        Where not even the folder around it is there.
    """
    if "NNLAB_ROOT" not in os.environ or root != project_root() or root.exists():
        return
    if not root.parent.exists():
        raise TrackingError(
            f"NNLAB_ROOT={root}: there is no folder {root.parent}. Correct NNLAB_ROOT, or make the "
            "folder."
        )
    click.echo(f"A new store begins in {root}, as NNLAB_ROOT says: it was not there.", err=True)


def _migrate(database: Path) -> None:
    import logging

    from mlflow.store.tracking.sqlalchemy_store import SqlAlchemyStore
    from sqlalchemy import URL

    for name in ("alembic", "mlflow.store.db.utils"):
        logging.getLogger(name).setLevel(logging.WARNING)
    address = URL.create(DRIVER, database=str(database)).render_as_string()
    store = SqlAlchemyStore(address, str(database.parent))  # type: ignore[no-untyped-call]
    store.engine.dispose()
