"""The doctor: whether the store is sound and where it says, and who owns what is RUNNING."""

import sqlite3
from pathlib import Path

import click

from nnlab.errors import TrackingError
from nnlab.execution.ledger import unfinished
from nnlab.interrupts import deferred
from nnlab.tracking.connection import with_retries
from nnlab.tracking.locations import local_database, sweeps_folder, tracking_uri
from nnlab.tracking.process import ProcessId
from nnlab.tracking.relocation import mend, survey
from nnlab.tracking.store import RunRecord, Store
from nnlab.transfer.importing import settle
from nnlab.transfer.lineage import IMPORTING


def examine(uri: str | None, *, dry_run: bool = False, gone: str | None = None) -> bool:
    """Check a store, mend its addresses, close the runs of dead processes, tell what can go on.

    Parameters
    ----------
    uri : of the store; None as in the config
    dry_run : only tell
    gone : a machine of which it is known that nothing runs there any more

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
        click.echo(f"no store {address} yet: nothing to look after")
        return True
    click.echo(f"store {address}")
    if not _is_sound(database):
        return False
    if database is not None:
        _mend(database, dry_run=dry_run)
    store = Store(address)
    for line in settle(store, dry_run=dry_run, gone=gone):
        click.echo(line)
    orphans = 0
    for record in list(store.search("attributes.status = 'RUNNING'")):
        finding = None if IMPORTING in record.tags else _finding(record, gone)
        if finding is None:
            continue
        close = finding.startswith("its process")
        orphans += close
        if close and not dry_run:
            _close(store, record, finding)
        verb = ("would close" if dry_run else "closed") if close else "left alone"
        click.echo(f"{verb} {record.run_id[:8]} {record.name}: {finding}")
    if not orphans:
        click.echo("every run that is RUNNING has a living owner")
    _tell_unfinished(store, dry_run=dry_run)
    return True


def _mend(database: Path, *, dry_run: bool) -> None:
    """Turn the addresses of a store that was moved or copied to where it is."""
    moves, backup = (survey(database), None) if dry_run else mend(database)
    verb = "would mend" if dry_run else "mended"
    for move in moves:
        what = (
            f"is a copy of the one in {move.old}, into which its runs would be written"
            if move.copied
            else f"was moved from {move.old}"
        )
        click.echo(f"the store {what}: {verb} {len(move.changes)} addresses")
        if move.left:
            click.echo(f"{move.left} addresses stay: their files are in {move.old} alone")
    if backup is not None:
        click.echo(f"the database as it was: {backup}")


def _tell_unfinished(store: Store, *, dry_run: bool) -> None:
    """Name the sweeps that can be gone on with, and ledgers that belong to none."""
    folder = sweeps_folder(store.uri)
    for head in unfinished(folder):
        try:
            record = store.get(head)
        except TrackingError:
            click.echo(f"{folder / head} belongs to no run of this store: it may be removed")
            continue
        if record.status != "RUNNING" or dry_run:
            click.echo(
                f"{head[:8]} {record.name} is not complete; go on with it: nnlab resume {head[:8]}"
            )


def _finding(record: RunRecord, gone: str | None) -> str | None:
    """Say what is wrong with a run that is RUNNING; None if nothing is."""
    owner = ProcessId.parse(record.tags.get("owner", ""))
    if owner is None:
        return "not made by nnlab"
    if owner.host == gone:
        return f"its process {owner.pid} was on {owner.host}, which is said to be gone"
    if not owner.is_here:
        return (
            f"it runs on {owner.host}, of which nothing can be told from here; if that machine is "
            f"gone, use --host {owner.host}"
        )
    if not owner.lives:
        return f"its process {owner.pid} on {owner.host} is gone"
    return None


def _close(store: Store, record: RunRecord, reason: str) -> None:
    with deferred():
        with_retries(lambda: store.client.set_tag(record.run_id, "reason", reason))
        with_retries(lambda: store.client.set_terminated(record.run_id, "KILLED"))


def _is_sound(database: Path | None) -> bool:
    """Have SQLite check every page and index of a local store that is there."""
    if database is None:
        return True
    connection = sqlite3.connect(database)
    try:
        found = [row[0] for row in connection.execute("PRAGMA integrity_check")]
    except sqlite3.DatabaseError as error:
        found = [str(error)]
    finally:
        connection.close()
    sound = found == ["ok"]
    if sound:
        click.echo("the database is sound")
    else:
        click.echo(f"the database is damaged: {'; '.join(found[:3])}")
        click.echo(f"Copy it away, then: sqlite3 {database} .recover | sqlite3 mended.db")
    return sound
