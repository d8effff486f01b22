"""Repair of a local store whose folder was moved or copied.

MLflow's database holds absolute addresses of the files of experiments, runs and models. After a
move these addresses lead nowhere; after a copy they lead into the original's folder, and new runs
of the copy would be written there. This module finds such addresses, and replaces them by the
corresponding places beside the database. Addresses that lead elsewhere on purpose (another disk,
``s3://…``) stay.
"""

import os
import shlex
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import NamedTuple

from nnlab.errors import TrackingError
from nnlab.tracking.database import LOCK_SECONDS, READ_ERRORS, damaged, reading_address
from nnlab.tracking.store_folder import StoreFolder

# Tables and columns in which MLflow keeps addresses. Those of the first kind are of a folder that
# belongs to one run or model alone, whose id is in the third column.
OWN_FOLDERS = (
    ("runs", "artifact_uri", "run_uuid"),
    ("logged_models", "artifact_location", "model_id"),
)
OTHER_ADDRESSES = (
    ("experiments", "artifact_location"),
    ("model_versions", "source"),
    ("model_versions", "storage_location"),
)
ARTIFACTS = "artifacts"  # the folder beside the database that nnlab gives its experiments


class Address(NamedTuple):
    """An address in a column of a table of MLflow's database."""

    table: str
    column: str
    text: str


@dataclass(frozen=True)
class Move:
    """What is to be repaired in a store that was moved or copied.

    Attributes
    ----------
    old, new : Path
        The folder that the addresses name, and the folder that the database is in.
    copied : bool
        Whether the original is still in the old folder.
    changes : tuple of (Address, str)
        Each with its replacement.
    left : int
        Number of addresses whose files exist in the old folder alone; they stay.
    """

    old: Path
    new: Path
    copied: bool
    changes: tuple[tuple[Address, str], ...]
    left: int


def find_moves(database: Path) -> list[Move]:
    """Find out from where a store was moved or copied.

    A store was moved if the folder of a run or model is found beside the database, under the last
    parts of its address. Where no such folder exists, the address of MLflow's experiment 0 tells:
    nnlab sets it beside the database when it creates one. It does not count if runs have their
    files in the old folder.

    Returns
    -------
    list of Move
        One for each old folder; empty for a store that was not moved.

    Raises
    ------
    TrackingError
        Where the database cannot be read.
    """
    try:
        with closing(_open(database, read_only=True)) as connection:
            return list(_moves(connection, database))
    except READ_ERRORS as error:
        raise damaged(str(database), error) from error


def repair(database: Path) -> tuple[list[Move], Path | None]:
    """Replace the addresses of a moved or copied store, all in one transaction.

    Returns
    -------
    moves : list of Move
        What was repaired.
    backup : Path or None
        The copy of the database as it was; None where there was nothing to repair.

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
                moves = list(_moves(connection, database))
                for move in moves:
                    for (table, column, text), replacement in move.changes:
                        connection.execute(
                            f"UPDATE {table} SET {column} = ? WHERE {column} = ?",  # noqa: S608 - names of our own
                            (replacement, text),
                        )
    except READ_ERRORS as error:
        raise TrackingError(
            f"The tracking store {database} cannot be repaired: {error}. It is as it was; check "
            "the folder's permissions and free space, and that no other program has it open."
        ) from error
    return moves, backup


def refuse_moved_store(database: Path) -> None:
    """Refuse a store that was moved or copied: its files are not where its addresses say.

    Raises
    ------
    TrackingError
        Where it was.
    """
    for move in find_moves(database):
        verb = "copied" if move.copied else "moved"
        raise TrackingError(
            f"The tracking store {database} was {verb} from {move.old}, where its addresses still "
            f"lead: `nnlab doctor --uri {shlex.quote(f'sqlite:///{database}')}` repairs them."
        )


def _open(database: Path, *, read_only: bool = False) -> sqlite3.Connection:
    resolved = database.resolve()
    address = reading_address(resolved) if read_only else f"{resolved.as_uri()}?mode=rw"
    return sqlite3.connect(address, LOCK_SECONDS, uri=True, isolation_level=None)


def _moves(connection: sqlite3.Connection, database: Path) -> Iterator[Move]:
    """Yield what is to be repaired, by the folder that the store came from."""
    home = StoreFolder(database)
    new = home.folder
    ids = {
        Address(table, column, text): key
        for table, column, key_column in OWN_FOLDERS
        for text, key in _select(connection, table, column, key_column)
    }
    others = [
        Address(table, column, text)
        for table, column in OTHER_ADDRESSES
        for (text,) in _select(connection, table, column)
    ]
    paths = {
        address: path
        for address in (*ids, *others)
        if (path := home.outside(address.text)) is not None
    }
    for old in _old_folders(connection, paths, ids, home):
        targets = {
            address: target
            for address, path in paths.items()
            if path.is_relative_to(old)
            and not _is_same_place(path, target := new / path.relative_to(old))
        }
        stay = {
            address
            for address, target in targets.items()
            if paths[address].exists()
            and not target.exists()
            and target != new / ARTIFACTS  # new runs go there, and must not go to the old folder
        }
        changes = tuple(
            (address, target.as_uri() if address.text.startswith("file:") else str(target))
            for address, target in targets.items()
            if address not in stay
        )
        paths = {address: path for address, path in paths.items() if address not in targets}
        if changes:
            yield Move(old, new, (old / database.name).exists(), changes, len(stay))


def _select(connection: sqlite3.Connection, table: str, *columns: str) -> list[tuple[str, ...]]:
    """Return distinct values of columns; none where this version of MLflow has no such columns."""
    existing = {row[1] for row in connection.execute(f"PRAGMA table_info({table})")}
    if not existing.issuperset(columns):
        return []
    query = f"SELECT DISTINCT {', '.join(columns)} FROM {table} WHERE {columns[0]} IS NOT NULL"  # noqa: S608 - names of our own
    return connection.execute(query).fetchall()


def _old_folders(
    connection: sqlite3.Connection,
    paths: dict[Address, Path],
    ids: dict[Address, str],
    home: "StoreFolder",
) -> list[Path]:
    """Return the folders from which the store came, the deepest first."""
    folders = {
        old
        for address, path in paths.items()
        if address in ids and (old := _old_folder(path, ids[address], home.folder)) is not None
    }
    experiment = connection.execute(
        "SELECT artifact_location FROM experiments WHERE experiment_id = 0"
    ).fetchone()
    first = home.outside(experiment[0]) if experiment and experiment[0] else None
    if first is not None and first.name == ARTIFACTS:
        old = first.parent
        if not any(
            path.exists()
            for address, path in paths.items()
            if address in ids and path.is_relative_to(old)
        ):
            folders.add(old)
    return sorted(folders, key=lambda path: len(path.parts), reverse=True)


def _old_folder(path: Path, run_id: str, new: Path) -> Path | None:
    """Return the folder that was moved to ``new``, if the folder of a run is found below that."""
    for depth in range(1, len(path.parts)):
        rest = path.parts[depth:]
        if run_id not in rest:
            return None
        if new.joinpath(*rest).is_dir():
            return Path(*path.parts[:depth])
    return None


def _is_same_place(one: Path, other: Path) -> bool:
    return os.path.realpath(one) == os.path.realpath(other)
