"""Runs of an archive into a store: all of them or none, and none over what is there already."""

import re
import shutil
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from nnlab.analysis.terminal import track
from nnlab.errors import ArchiveError, TrackingError
from nnlab.interrupts import deferred
from nnlab.jobs.tags import Tag
from nnlab.tracking.locations import tracking_uri
from nnlab.tracking.process import ProcessId
from nnlab.tracking.records import DatasetInput, RunRecord
from nnlab.tracking.store import Store
from nnlab.tracking.writer import Writer
from nnlab.transfer.archive import ArchivedRun
from nnlab.transfer.archive_reader import ExtractedRun, open_archive
from nnlab.transfer.lineage import find_local_ids
from nnlab.wording import counted

RUN_ID = re.compile(r"\b[0-9a-f]{32}\b")
RESERVED = (Tag.PARENT, Tag.NAME, Tag.IMPORTING, Tag.IMPORTED_FROM)  # no archive may set these


@dataclass(frozen=True)
class ImportResult:
    """What became of an archive's runs.

    Attributes
    ----------
    created : dict of str to str
        Of the runs that were created: id in the archive -> id in the store.
    existing : dict of str to str
        Likewise, of those that the store had already and that were left alone.
    """

    created: dict[str, str]
    existing: dict[str, str]


def import_runs(path: Path, uri: str | None = None) -> ImportResult:
    """Check an archive, and write those of its runs into a store that are not there yet.

    Where that fails or is interrupted, the runs that were created are deleted again; where this
    process is killed, ``clean_up_imports`` deletes them.

    Parameters
    ----------
    path : Path
        The archive.
    uri : str or None
        Of the store; None as in the config.

    Returns
    -------
    ImportResult

    Raises
    ------
    ArchiveError
        Where the archive is refused; the store is untouched.
    TrackingError
        Where the store fails.
    """
    with open_archive(path) as runs:
        store = Store(tracking_uri(uri))
        writer = Writer(store)
        clean_up_imports(writer)
        _refuse_concurrent_import(store, runs)
        known = _known_ids(store, runs)
        new = [each for each in runs if each.run.run_id not in known]
        created = _write(writer, new, known)
    existing = [each.run.run_id for each in runs if each not in new]
    return ImportResult(created, {run_id: known[run_id] for run_id in existing})


def _known_ids(store: Store, runs: Sequence[ExtractedRun]) -> dict[str, str]:
    """Find which runs of an archive, and which of their parents, the store has.

    A run of the archive may have come from this very store, or be a copy of the same original.

    Returns
    -------
    dict
        Id in the archive -> id in the store.
    """
    origins = {each.run.run_id: _origin(each.run) for each in runs}
    parents = {each.run.parent for each in runs if each.run.parent is not None}
    local_ids = find_local_ids(store, {*origins, *origins.values(), *parents})
    known = {parent: local_ids[parent] for parent in parents if parent in local_ids}
    for run_id, origin in origins.items():
        if run_id in local_ids or origin in local_ids:
            known[run_id] = local_ids.get(run_id) or local_ids[origin]
    return known


def _origin(run: ArchivedRun) -> str:
    """Return the id under which a run was first made: it may be an imported one itself."""
    return run.tags.get(Tag.IMPORTED_FROM, run.run_id)


def _write(
    writer: Writer, runs: Sequence[ExtractedRun], known: Mapping[str, str]
) -> dict[str, str]:
    """Create the runs, fill them in, and only then end them all."""
    created: dict[str, str] = {}
    complete = False
    try:
        with deferred():
            names = sorted({each.run.experiment for each in runs})
            experiments = {name: writer.get_or_create_experiment(name) for name in names}
        for each in runs:
            with deferred():
                created[each.run.run_id] = _create(
                    writer, experiments[each.run.experiment], each.run
                )
        ids = {**known, **created}
        for each in track(runs, "importing runs"):
            with deferred():
                _fill(writer, each, ids)
        with deferred():
            _end(writer, {created[each.run.run_id]: each.run for each in runs})
            complete = True
    except BaseException:
        if not complete:
            with deferred(), suppress(TrackingError):  # what is left, `nnlab doctor` deletes
                for run_id in created.values():
                    writer.delete(run_id)
        raise
    return created


def _create(writer: Writer, experiment_id: str, run: ArchivedRun) -> str:
    """Create a run: RUNNING, and marked as being imported by this process."""
    tags = {Tag.IMPORTING: str(ProcessId.this_process()), Tag.IMPORTED_FROM: _origin(run)}
    if Tag.USER in run.tags:
        tags[Tag.USER] = run.tags[Tag.USER]  # MLflow keeps it in a column as well
    return writer.create(experiment_id, run.name, run.start_time, tags)


def _fill(writer: Writer, extracted: ExtractedRun, ids: Mapping[str, str]) -> None:
    run = extracted.run
    run_id = ids[run.run_id]
    tags = {key: value for key, value in run.tags.items() if key not in RESERVED}
    if run.parent is not None and run.parent in ids:
        tags[Tag.PARENT] = run.parent
    writer.restore(
        run_id,
        params=run.params,
        tags={key: _with_local_ids(value, ids) for key, value in tags.items()},
        metrics=extracted.metrics(),
        datasets=[DatasetInput(**each.model_dump()) for each in run.datasets],
    )
    if extracted.artifacts.is_dir():
        with writer.folder(run_id) as folder:
            shutil.copytree(extracted.artifacts, folder, dirs_exist_ok=True)


def _with_local_ids(text: str, ids: Mapping[str, str]) -> str:
    """Replace the archive's ids in the text of a tag by those of this store."""
    return RUN_ID.sub(lambda match: ids.get(match.group(), match.group()), text)


def _end(writer: Writer, runs: Mapping[str, ArchivedRun]) -> None:
    """End the runs: when none is RUNNING any more, the import is complete."""
    for run_id, run in runs.items():
        writer.restore_end(run_id, run.status, run.end_time)
    for run_id in runs:
        writer.remove_tag(run_id, Tag.IMPORTING)


def _refuse_concurrent_import(store: Store, runs: Sequence[ExtractedRun]) -> None:
    """Refuse an archive that another process is importing."""
    origins = {_origin(each.run) for each in runs}
    for record in _being_imported(store):
        if record.tags.get(Tag.IMPORTED_FROM) in origins:
            raise ArchiveError(
                f"These runs are being imported by the process {record.tags[Tag.IMPORTING]}: wait "
                "for it; if that machine is gone, run `nnlab doctor --host` with its name."
            )


def _being_imported(store: Store) -> list[RunRecord]:
    return list(store.search(f"tags.{Tag.IMPORTING} LIKE '%'"))


def clean_up_imports(
    writer: Writer, *, dry_run: bool = False, lost_host: str | None = None
) -> list[str]:
    """Bring imports to an end whose process was killed.

    Where all runs of an import have their status, it was complete but for its marks, which are
    removed; else its runs are deleted, as the import itself would have done.

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
        A sentence for each import.
    """
    imports: dict[str, list[RunRecord]] = {}
    for record in _being_imported(writer.store):
        imports.setdefault(record.tags[Tag.IMPORTING], []).append(record)
    messages = []
    for mark, records in imports.items():
        process, count = ProcessId.parse(mark), counted(len(records), "run")
        if process is not None and process.host != lost_host:
            if not process.is_here:
                messages.append(
                    f"left alone an import of {count} by {process.host}; {process.if_gone}"
                )
                continue
            if process.lives:
                continue
        partial = any(record.status == "RUNNING" for record in records)
        if partial:
            verb = "would delete" if dry_run else "deleted"
            reason = "half imported when their process died: import them again"
            messages.append(f"{verb} {count}, {reason}")
        else:
            messages.append(f"complete: {count} imported")
        if not dry_run:
            with deferred():
                for record in records:
                    if partial:
                        writer.delete(record.run_id)
                    else:
                        writer.remove_tag(record.run_id, Tag.IMPORTING)
    return messages
