"""A local store whose folder was moved or copied: MLflow writes every address down in full.

A database says where its experiments, runs and models have their files, as absolute addresses.
After a move they lead nowhere; after a copy they lead into the original's folder, and runs of the
copy would be written there. Here such addresses are found, and turned to the place beside the
database. What points elsewhere on purpose (another disk, ``s3://…``) stays.
"""

import sqlite3
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from urllib.parse import urlparse
from urllib.request import url2pathname

from nnlab.errors import TrackingError
from nnlab.tracking.database import LOCK_SECONDS

# Where MLflow keeps addresses; the first ones are of folders that are a run's or a model's alone.
FILES = (("runs", "artifact_uri", "run_uuid"), ("logged_models", "artifact_location", "model_id"))
OTHERS = (
    ("experiments", "artifact_location"),
    ("model_versions", "source"),
    ("model_versions", "storage_location"),
)
OWN = "artifacts"  # the folder beside the database that nnlab gives its experiments


@dataclass(frozen=True)
class Move:
    """What is to be repaired in a store that stands elsewhere than its addresses say.

    Attributes
    ----------
    old, new : the folder that the addresses name, and the one that the database is in
    copied : whether the original stands in the old place still
    changes : (table, column, address, its replacement)
    left : number of addresses whose files are in the old place alone; they stay
    """

    old: Path
    new: Path
    copied: bool
    changes: tuple[tuple[str, str, str, str], ...]
    left: int


def find_moves(database: Path) -> list[Move]:
    """Find out from where a store was moved or copied; nothing if it was not.

    SweepResults is a run's (or model's) own folder that stands beside the database under the last
    parts of its address. Without any, it is the address of MLflow's experiment 0, which nnlab sets
    beside the database when it makes one, unless runs have their files in the old place.

    Raises
    ------
    TrackingError
        Where the database cannot be read.
    """
    try:
        with closing(_open(database, read_only=True)) as connection:
            return list(_moves(connection, database.resolve()))
    except sqlite3.Error as error:
        raise TrackingError(f"The tracking store {database} cannot be read: {error}.") from error


def repair(database: Path) -> tuple[list[Move], Path | None]:
    """Turn a moved store's addresses to where it is, all in one transaction.

    Returns
    -------
    moves : what was repaired
    backup : the copy of the database as it was; None where there was nothing to repair

    Raises
    ------
    TrackingError
        Where the database cannot be written; it is as it was.
    """
    if not find_moves(database):
        return [], None
    now = datetime.now(UTC).strftime("%Y%m%dT%H%M%S")
    backup = database.resolve().with_name(f"{database.stem}-before-mending-{now}.db")
    try:
        with closing(_open(database)) as connection:
            with closing(sqlite3.connect(backup)) as copy:
                connection.backup(copy)
            connection.execute("BEGIN IMMEDIATE")
            with connection:
                moves = list(_moves(connection, database.resolve()))
                for move in moves:
                    for table, column, before, after in move.changes:
                        connection.execute(
                            f"UPDATE {table} SET {column} = ? WHERE {column} = ?",  # noqa: S608 - names of our own
                            (after, before),
                        )
    except sqlite3.Error as error:
        raise TrackingError(
            f"The tracking store {database} cannot be repaired: {error}. It is as it was; check "
            "the folder's permissions and free space, and that no other program has it open."
        ) from error
    return moves, backup


def refuse_moved_store(database: Path) -> None:
    """Raise where a store was moved or copied: its files would be looked for elsewhere.

    Raises
    ------
    TrackingError
        With what to do about it.
    """
    for move in find_moves(database):
        what = "copied" if move.copied else "moved"
        raise TrackingError(
            f"The tracking store {database} was {what} from {move.old}, where its addresses still "
            f"lead: `nnlab doctor --uri sqlite:///{database}` repairs them."
        )


def is_outside(database: Path, address: str) -> bool:
    """Tell whether a local address leads out of the folder that the database is in."""
    path = _path(address)
    return path is not None and not path.resolve().is_relative_to(database.resolve().parent)


def _open(database: Path, *, read_only: bool = False) -> sqlite3.Connection:
    mode = "ro" if read_only else "rw"
    return sqlite3.connect(
        f"{database.resolve().as_uri()}?mode={mode}", LOCK_SECONDS, uri=True, isolation_level=None
    )


def _moves(connection: sqlite3.Connection, database: Path) -> Iterator[Move]:
    """Yield what is to be repaired, by the folder that it came from."""
    new = database.parent
    own = {
        (table, column, address): key
        for table, column, key_column in FILES
        for address, key in _rows(connection, table, column, key_column)
    }
    others = [
        (table, column, address)
        for table, column in OTHERS
        for (address,) in _rows(connection, table, column)
    ]
    paths = {each: path for each in (*own, *others) if (path := _strayed(each[2], new)) is not None}
    for old in _origins(connection, paths, own, new):
        below = {each: path for each, path in paths.items() if path.is_relative_to(old)}
        stay = {
            each
            for each, path in below.items()
            if path.exists()
            and not _beside(path, old, new).exists()
            and path != old / OWN  # where new runs go, and those of a copy may not
        }
        paths = {each: path for each, path in paths.items() if each not in below}
        changes = tuple(
            (*each, _like(each[2], _beside(path, old, new)))
            for each, path in below.items()
            if each not in stay
        )
        yield Move(old, new, (old / database.name).exists(), changes, len(stay))


def _rows(connection: sqlite3.Connection, table: str, *columns: str) -> list[tuple[str, ...]]:
    """Return distinct rows of a table; none where this version of MLflow has no such table."""
    there = {row[1] for row in connection.execute(f"PRAGMA table_info({table})")}
    if not there.issuperset(columns):
        return []
    query = f"SELECT DISTINCT {', '.join(columns)} FROM {table} WHERE {columns[0]} IS NOT NULL"  # noqa: S608 - names of our own
    return connection.execute(query).fetchall()


def _origins(
    connection: sqlite3.Connection,
    paths: dict[tuple[str, str, str], Path],
    own: dict[tuple[str, str, str], str],
    new: Path,
) -> list[Path]:
    """Return the folders from which the store came, the deepest first."""
    found = {
        origin
        for each, path in paths.items()
        if each in own and (origin := _origin(path, own[each], new)) is not None
    }
    made = connection.execute(
        "SELECT artifact_location FROM experiments WHERE experiment_id = 0"
    ).fetchone()
    first = _strayed(made[0], new) if made and made[0] else None
    if first is not None and first.name == OWN:
        old = first.parent
        if not any(
            path.exists()
            for each, path in paths.items()
            if each in own and path.is_relative_to(old)
        ):
            found.add(old)
    return sorted(found, key=lambda path: len(path.parts), reverse=True)


def _origin(path: Path, key: str, new: Path) -> Path | None:
    """Return the folder that corresponds to ``new``, if a run's own folder is found below it."""
    for depth in range(1, len(path.parts)):
        rest = path.parts[depth:]
        if key not in rest:
            return None
        if new.joinpath(*rest).is_dir():
            return Path(*path.parts[:depth])
    return None


def _beside(path: Path, old: Path, new: Path) -> Path:
    return new / path.relative_to(old)


def _strayed(address: str, new: Path) -> Path | None:
    """Return the path of a local address that leads out of a folder, else None."""
    path = _path(address)
    return None if path is None or path.resolve().is_relative_to(new) else path


def _path(address: str) -> Path | None:
    """Return the path of a local address; None for a server's, a bucket's, a model's name."""
    path = Path(url2pathname(urlparse(address).path) if address.startswith("file:") else address)
    return path if path.is_absolute() else None


def _like(address: str, path: Path) -> str:
    return path.as_uri() if address.startswith("file:") else str(path)
