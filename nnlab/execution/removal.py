"""``nnlab rm``: sweeps and runs into MLflow's trash and back, or deleted for good.

A removal is many writes. While it is under way, a file beside the ledgers says so: where a kill
breaks it off, ``nnlab doctor`` or the same command completes it.
"""

from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, get_args

from nnlab.analysis.formatting import size_text
from nnlab.errors import ConfigError, TrackingError
from nnlab.execution.checkpoints import writing
from nnlab.execution.ledger import TRASH, Ledger, unfinished
from nnlab.interrupts import deferred
from nnlab.jobs.tags import Tag
from nnlab.tracking.locations import (
    RUN_ID,
    files_folder,
    ledger_folder,
    local_database,
    sweeps_folder,
    tracking_uri,
    uri_option,
)
from nnlab.tracking.lookup import find_run
from nnlab.tracking.process import ProcessId
from nnlab.tracking.readers import open_reader
from nnlab.tracking.records import RunRecord
from nnlab.tracking.store import existing_store
from nnlab.tracking.writer import Writer
from nnlab.wording import counted

Action = Literal["trash", "restore", "forever"]

DONE: dict[Action, str] = {
    "trash": "in the trash", "restore": "out of the trash", "forever": "deleted for good",
}  # fmt: skip
SURE = 2  # times that deleting for good is asked for


@dataclass(frozen=True)
class Family:
    """A sweep with its runs, or a run alone.

    Attributes
    ----------
    head_id : str
        Of the one that stands for all.
    active, trashed : list of RunRecord
        Those in the store, and those in MLflow's trash.
    """

    head_id: str
    active: list[RunRecord]
    trashed: list[RunRecord]

    @classmethod
    def of(cls, uri: str, head: str) -> "Family":
        """Read a family, by the whole id of the run that stands for it."""
        readers = (open_reader(uri, trash=trash) for trash in (False, True))
        return cls(
            head, *([*each.tagged(Tag.PARENT, head), *each.read([head])] for each in readers)
        )

    @property
    def runs(self) -> list[RunRecord]:
        """All of them."""
        return [*self.active, *self.trashed]

    @property
    def head(self) -> RunRecord:
        """The one that stands for all."""
        return next(run for run in self.runs if run.run_id == self.head_id)

    def described(self, uri: str) -> str:
        """Write how many runs and files there are: ``13 runs, 96 files, 14.2 MB``."""
        database = local_database(uri)
        folders = [files_folder(database, run.run_id) for run in self.runs] if database else []
        sizes = [
            path.lstat().st_size
            for folder in folders if not folder.is_symlink()
            for path in folder.rglob("*") if path.is_file()
        ]  # fmt: skip
        counts = counted(len(self.runs), "run"), counted(len(sizes), "file")
        return ", ".join([*counts, size_text(sum(sizes))])


def remove(words: Sequence[str], uri: str | None = None, *, forever: int = 0) -> list[str]:
    """Put sweeps with their runs, or runs, into MLflow's trash, or delete them for good.

    Parameters
    ----------
    words : sequence of str
        See ``find_run``.
    uri : str or None
        Of the store; None as in the config.
    forever : int
        How often deleting for good is asked for: not before the second time is it done.

    Returns
    -------
    list of str
        A sentence for each.

    Raises
    ------
    TrackingError
        Where there is no such run, or it is RUNNING; then nothing was removed.
    ConfigError
        Where deleting for good is asked for once.
    """
    address = tracking_uri(uri)
    if forever and local_database(address) is None:
        raise ConfigError(
            f"{address} is a tracking server: it deletes for good where it runs, by `mlflow gc`. "
            "Without --forever, runs go into its trash."
        )
    heads = dict.fromkeys(_head(address, word, trashed=bool(forever)) for word in words)
    families = {head: Family.of(address, head) for head in heads}
    for head, family in families.items():
        _refuse_at_work(address, head, family)
    if 0 < forever < SURE:
        listed = "; ".join(
            f"{head[:8]} {family.head.name} ({family.described(address)})"
            for head, family in families.items()
        )
        raise ConfigError(
            f"Nothing brings back what is deleted for good: {listed}. Say --forever twice to do it."
        )
    writer, option = Writer(existing_store(uri)), uri_option(uri)
    action: Action = "forever" if forever else "trash"
    messages = []
    for head, family in families.items():
        name, described = family.head.name, family.described(address)
        left = _carry_out(writer, head, action)
        hint = "" if forever else f"; to bring it back: nnlab rm --restore {head[:8]}{option}"
        messages += [f"{DONE[action]}: {head[:8]} {name} ({described}){hint}", *left]
    return messages


def restore(words: Sequence[str], uri: str | None = None) -> list[str]:
    """Bring sweeps with their runs, or runs, back from MLflow's trash.

    Returns
    -------
    list of str
        A sentence for each.

    Raises
    ------
    TrackingError
        Where there is no such run in the trash, or its sweep is there too.
    """
    address = tracking_uri(uri)
    trash = open_reader(address, trash=True)
    records = [find_run(trash, word) for word in words]
    for record in records:
        if record.parent is not None and trash.read([record.parent]):
            raise TrackingError(
                f"{record.run_id[:8]} belongs to the sweep {record.parent[:8]}, which is in the "
                "trash too; to bring both back: "
                f"nnlab rm --restore {record.parent[:8]}{uri_option(uri)}"
            )
    writer = Writer(existing_store(uri))
    for record in records:
        _carry_out(writer, record.run_id, "restore")
    return [f"{DONE['restore']}: {record.run_id[:8]} {record.name}" for record in records]


def complete_removals(
    writer: Writer, *, dry_run: bool = False, lost_host: str | None = None
) -> list[str]:
    """Complete removals that a kill broke off, and put ledgers where their runs are.

    Parameters
    ----------
    writer : Writer
    dry_run : bool
        Only say what would be done.
    lost_host : str or None
        A machine on which no process runs any more.

    Returns
    -------
    list of str
        A sentence for each.
    """
    uri, messages = writer.store.uri, []
    for mark in sorted(_trash(uri).glob("*.pending")):
        head, (action, process) = mark.stem, _read(mark)
        if not RUN_ID.fullmatch(head) or action is None:  # a kill came before the first step
            if not dry_run:
                mark.unlink()
            continue
        if process is not None and not process.is_here and process.host != lost_host:
            messages.append(
                f"left alone the removal of {head[:8]} by {process.host}; {process.if_gone}"
            )
        elif process is None or not process.is_here or not process.lives:
            verb = "would complete" if dry_run else "completed"
            messages.append(f"{verb} what was broken off: {head[:8]} is {DONE[action]}")
            if not dry_run:
                messages += _carry_out(writer, head, action)
    messages += _mend_ledgers(uri, dry_run=dry_run)
    if not dry_run:
        with suppress(OSError):  # others are in it, or it is not there
            _trash(uri).rmdir()
    return messages


def _mend_ledgers(uri: str, *, dry_run: bool) -> list[str]:
    """Have ledgers follow their runs, which MLflow's UI moves into the trash and back."""
    messages = []
    aside = [path.name for path in _trash(uri).glob("*") if RUN_ID.fullmatch(path.name)]
    for head in (*unfinished(uri), *aside):
        family, ledger = Family.of(uri, head), Ledger(ledger_folder(uri, head))
        known = {run.run_id for run in family.trashed}
        moves = {run.run_id for run in family.active} if head in aside else known
        if head in moves:
            where = "taken out of the trash" if head in aside else "in the trash"
            messages.append(f"the ledger of {head[:8]} is {where}, as its runs are")
            if not dry_run:
                (ledger.take_back if head in aside else ledger.set_aside)()
        elif head in aside and head not in known:
            messages.append(f"removed the ledger of {head[:8]}, which is deleted for good")
            if not dry_run:
                ledger.remove_aside()
    return messages


def _head(uri: str, word: str, *, trashed: bool) -> str:
    """Return the id of the run that is meant, which may be in the trash already."""
    try:
        return find_run(open_reader(uri), word).run_id
    except TrackingError:
        if trashed:
            with suppress(TrackingError):
                return find_run(open_reader(uri, trash=True), word).run_id
        raise


def _refuse_at_work(uri: str, head: str, family: Family) -> None:
    """Refuse runs that a process may be writing.

    Raises
    ------
    TrackingError, ResumeError
        Naming the first one.
    """
    parent = family.head.parent  # it would still write of its run
    writers = [*family.active, *(open_reader(uri).read([parent]) if parent else ())]
    running = next((run for run in writers if run.status == "RUNNING"), None)
    if running is not None:
        raise TrackingError(
            f"{running.run_id[:8]} {running.name} is RUNNING: stop it first. Where its process is "
            "gone, `nnlab doctor` closes it."
        )
    ledger = Ledger(ledger_folder(uri, head))
    if ledger.folder.exists():
        with ledger.locked():  # raises where another process has the lock
            pass


def _carry_out(writer: Writer, head: str, action: Action) -> list[str]:
    """Do what an action consists of, or what is left of it; say what stays."""
    uri = writer.store.uri
    ledger, trash = Ledger(ledger_folder(uri, head)), _trash(uri)
    mark = trash / f"{head}.pending"
    with deferred():
        with writing(trash):
            trash.mkdir(parents=True, exist_ok=True)
            mark.write_text(f"{action} {ProcessId.this_process()}", encoding="utf-8")
        family, left = Family.of(uri, head), []
        if action == "restore":
            for run in reversed(family.trashed):
                writer.bring_back(run.run_id)
            ledger.take_back()
        else:
            if action == "trash":
                ledger.set_aside()
            else:
                ledger.close()
                ledger.remove_aside()
            for run in family.active:
                writer.put_into_trash(run.run_id)
        if action == "forever":
            for run in sorted(family.runs, key=lambda run: run.run_id == head):  # it comes last
                left += writer.erase(run.run_id)
        with writing(trash):
            mark.unlink()
            with suppress(OSError):  # others are in it
                trash.rmdir()
    return left


def _trash(uri: str) -> Path:
    return sweeps_folder(uri) / TRASH


def _read(mark: Path) -> tuple[Action | None, ProcessId | None]:
    """Read which action is under way, and in which process; none of a file that says neither."""
    text = mark.read_text(encoding="utf-8", errors="replace")
    word, _, process = text.partition(" ")
    action = next((action for action in get_args(Action) if action == word), None)
    return action, ProcessId.parse(process)
