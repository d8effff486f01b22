"""``nnlab doctor``: repairs a store, and ends the runs of processes that died."""

import shlex
import sqlite3
from collections import Counter
from contextlib import closing
from pathlib import Path

from nnlab.analysis.terminal import echo
from nnlab.errors import RecordError, TrackingError
from nnlab.execution.incomplete_records import add_missing, lacking
from nnlab.execution.ledger import PLAN, Ledger, unfinished
from nnlab.execution.leftovers import remove_folders, remove_ledgers
from nnlab.execution.missing_figures import draw_missing
from nnlab.execution.removal import complete_removals
from nnlab.interrupts import deferred
from nnlab.jobs.tags import Tag
from nnlab.reproduction.missing_certificates import certify_missing
from nnlab.tracking.database import is_read_only, reading_address
from nnlab.tracking.locations import (
    ledger_folder,
    local_database,
    sweeps_folder,
    tracking_uri,
    uri_option,
)
from nnlab.tracking.process import ProcessId
from nnlab.tracking.readers import open_reader
from nnlab.tracking.records import RunRecord
from nnlab.tracking.relocation import find_moves, repair
from nnlab.tracking.store import Store
from nnlab.tracking.writer import Writer
from nnlab.transfer.importing import clean_up_imports
from nnlab.wording import counted


def examine(uri: str | None, *, dry_run: bool = False, lost_host: str | None = None) -> bool:
    """Check a store, repair its addresses, end the runs of dead processes, list what can go on.

    Parameters
    ----------
    uri : str or None
        Of the store; None as in the config.
    dry_run : bool
        Only say what would be done.
    lost_host : str or None
        A machine on which no process runs any more.

    Returns
    -------
    bool
        Whether the store is sound.

    Raises
    ------
    TrackingError
        Where the store cannot be opened at all.
    """
    address = tracking_uri(uri)
    database = local_database(address)
    if database is not None and not database.exists():
        if uri is not None:
            raise TrackingError(f"There is no tracking store {address}: check --uri.")
        echo(f"no store {address} yet: nothing to look after")
        return True
    echo(f"store {address}")
    if database is not None:
        if is_read_only(database) and not dry_run:
            echo("the store cannot be written from here: nothing is repaired")
            dry_run = True
        if not _is_sound(database):
            return False
        _repair_addresses(database, dry_run=dry_run)
    writer = Writer(Store(address))
    for message in (
        *clean_up_imports(writer, dry_run=dry_run, lost_host=lost_host),
        *complete_removals(writer, dry_run=dry_run, lost_host=lost_host),
    ):
        echo(message)
    _end_orphans(writer, dry_run=dry_run, lost_host=lost_host)
    _complete_records(writer, dry_run=dry_run)
    for message in (
        *certify_missing(writer, dry_run=dry_run),
        *draw_missing(writer, dry_run=dry_run),
        *remove_ledgers(writer.store, dry_run=dry_run),
        *remove_folders(address, dry_run=dry_run),
    ):
        echo(message)
    _list_unfinished(writer.store, dry_run=dry_run)
    _list_deleted(writer.store)
    _list_empty(writer.store)
    return True


def _is_sound(database: Path) -> bool:
    """Have SQLite check every page and index of a local store."""
    with closing(sqlite3.connect(reading_address(database), uri=True)) as connection:
        try:
            faults = [row[0] for row in connection.execute("PRAGMA integrity_check")]
        except (sqlite3.DatabaseError, UnicodeDecodeError) as error:
            faults = [str(error)]
    if faults == ["ok"]:
        echo("the database is sound")
        return True
    echo(f"the database is damaged: {'; '.join(faults[:3])}")
    echo(f"Copy it away, then: sqlite3 {shlex.quote(str(database))} .recover | sqlite3 repaired.db")
    return False


def _repair_addresses(database: Path, *, dry_run: bool) -> None:
    """Change the addresses of a store that was moved or copied to where it is."""
    moves, backup = (find_moves(database), None) if dry_run else repair(database)
    verb = "would repair" if dry_run else "repaired"
    for move in moves:
        origin = (
            f"is a copy of the one in {move.old}, into which its runs would be written"
            if move.copied
            else f"was moved from {move.old}"
        )
        echo(f"the store {origin}: {verb} {len(move.changes)} addresses")
        if move.left:
            echo(f"{move.left} addresses stay: their files are in {move.old} alone")
    if backup is not None:
        echo(f"the database as it was: {backup}")


def _end_orphans(writer: Writer, *, dry_run: bool, lost_host: str | None) -> None:
    """End the runs that are RUNNING though their process is gone."""
    orphans = 0
    for record in list(writer.store.search("attributes.status = 'RUNNING'")):
        diagnosis = None if Tag.IMPORTING in record.tags else _diagnose(record, lost_host)
        if diagnosis is None:
            continue
        is_orphan, reason = diagnosis
        orphans += is_orphan
        if is_orphan and not dry_run:
            with deferred():
                writer.finish(record.run_id, "KILLED", tags={Tag.REASON: reason})
        verb = ("would close" if dry_run else "closed") if is_orphan else "left alone"
        echo(f"{verb} {record.run_id[:8]} {record.name}: {reason}")
    if not orphans:
        echo("every run that is RUNNING has a living owner")


def _complete_records(writer: Writer, *, dry_run: bool) -> None:
    """Write the params and the dataset of runs whose process was killed before it did."""
    for record in list(writer.store.search("attributes.status != 'RUNNING'")):
        lack = "" if Tag.IMPORTED_FROM in record.tags else lacking(record)
        if not lack:
            continue
        message = f"{record.run_id[:8]} {record.name} has no {lack}"
        if dry_run:
            echo(f"{message}: would add what its config tells")
            continue
        try:
            with deferred():
                add_missing(writer, record)
        except RecordError as error:
            echo(f"{message}. {error}")
            continue
        rest = lacking(writer.store.get(record.run_id))
        ending = f"; the dataset cannot be read, so it still has no {rest}" if rest else ""
        echo(f"{message}: added from its config{ending}")


def _diagnose(record: RunRecord, lost_host: str | None) -> tuple[bool, str] | None:
    """Tell whether a run's process is known to be gone, and why; None if the process lives."""
    process = ProcessId.parse(record.tags.get(Tag.OWNER, ""))
    if process is None:
        return False, "not made by nnlab"
    if process.host == lost_host:
        return True, f"its process {process.pid} was on {process.host}, which is said to be gone"
    if not process.is_here:
        return False, (
            f"it runs on {process.host}, of which nothing can be told from here; {process.if_gone}"
        )
    if not process.lives:
        return True, f"its process {process.pid} on {process.host} is gone"
    return None


def _list_unfinished(store: Store, *, dry_run: bool) -> None:
    """Name the sweeps that can be resumed, and ledgers that belong to no run."""
    folder = sweeps_folder(store.uri)
    for head in unfinished(store.uri):
        try:
            record = store.get(head)
        except TrackingError:
            echo(f"{folder / head} belongs to no run of this store: it may be removed")
            continue
        if record.status != "RUNNING" or dry_run:
            echo(
                f"{head[:8]} {record.name} is not complete; go on with it: "
                f"nnlab resume {head[:8]}{uri_option(store.uri)}"
            )


def _list_deleted(store: Store) -> None:
    """Name the sweeps of which single runs are in the trash."""
    trash, option = Store(store.uri, trash=True), uri_option(store.uri)
    deleted = Counter(record.parent for record in trash.search() if record.parent is not None)
    for sweep in open_reader(store.uri).read(list(deleted)):  # others are in the trash as a whole
        name, count = f"{sweep.run_id[:8]} {sweep.name}", counted(deleted[sweep.run_id], "run")
        echo(
            f"{name} lacks {count}, which the trash has: nnlab rm --restore RUN brings it back, "
            f"and nnlab resume {sweep.run_id[:8]}{option} trains it again"
        )


def _list_empty(store: Store) -> None:
    """Name sweeps and single runs that were killed before they had a plan, and hold nothing."""
    for record in store.search("attributes.status = 'KILLED'"):
        is_run = Tag.JOB in record.tags and record.parent is None
        if (
            (record.is_sweep or is_run)
            and not record.metrics
            and not Ledger(ledger_folder(store.uri, record.run_id)).plan_file.exists()
            and store.read_file(record.run_id, PLAN) is None
            and not store.children(record.run_id)
        ):
            echo(
                f"{record.run_id[:8]} {record.name} is empty: it was killed before its plan was "
                "written, and cannot go on; start its command again, and remove this "
                f"run: nnlab rm {record.run_id[:8]}{uri_option(store.uri)}"
            )
