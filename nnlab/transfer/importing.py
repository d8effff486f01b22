"""A parcel's runs into a store: all of them or none, and none over what is there already."""

import re
import shutil
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from nnlab.errors import ArchiveError, TrackingError
from nnlab.interrupts import deferred
from nnlab.runs.code_version import CodeVersion
from nnlab.tracking.connection import readable_errors, with_retries
from nnlab.tracking.locations import local_database, local_path, tracking_uri
from nnlab.tracking.process import ProcessId
from nnlab.tracking.store import RunRecord, Store
from nnlab.tracking.tracker import DatasetInput, Tracker
from nnlab.transfer.archive import PackedRun
from nnlab.transfer.archive_reader import UnpackedRun, unpacked
from nnlab.transfer.lineage import IMPORTED_FROM, IMPORTING, NAME, PARENT, whereabouts

RUN_ID = re.compile(r"\b[0-9a-f]{32}\b")
OURS = (PARENT, NAME, IMPORTING, IMPORTED_FROM)  # tags that no parcel decides on


@dataclass(frozen=True)
class Imported:
    """What became of a parcel's runs.

    Attributes
    ----------
    made : id in the parcel -> id here, of the runs that were made
    there : likewise, of those that were here already and were left alone
    """

    made: dict[str, str]
    there: dict[str, str]


def import_archive(path: Path, uri: str | None = None) -> Imported:
    """Check a parcel and write those of its runs into a store that are not there yet.

    Where that fails or is interrupted, the runs that were made are deleted again; where this
    process is killed, ``settle`` does it.

    Parameters
    ----------
    uri : of the store; None as in the config

    Raises
    ------
    ArchiveError
        Where the parcel is refused; the store is untouched.
    TrackingError
        Where the store fails.
    """
    with unpacked(path) as runs:
        address = tracking_uri(uri)
        store = Store(address)
        settle(store)
        _refuse_two_at_once(store, runs)
        there = _there(store, runs)
        new = [each for each in runs if each.run.run_id not in there]
        with deferred():
            trackers = {
                name: Tracker(address, name, CodeVersion())
                for name in sorted({each.run.experiment for each in new})
            }
        made = _write(new, trackers, there)
    return Imported(made, {run.run.run_id: there[run.run.run_id] for run in runs if run not in new})


def _there(store: Store, runs: Sequence[UnpackedRun]) -> dict[str, str]:
    """Find which runs of a parcel, and which parents of them, the store has: id there -> id here.

    A run of the parcel may have come from the very store, or be made from the same original.
    """
    origins = {each.run.run_id: _origin(each.run) for each in runs}
    parents = {each.run.parent for each in runs if each.run.parent is not None}
    here = whereabouts(store, {*origins, *origins.values(), *parents})
    found = {parent: here[parent] for parent in parents if parent in here}
    for run_id, origin in origins.items():
        if run_id in here or origin in here:
            found[run_id] = here.get(run_id) or here[origin]
    return found


def _origin(run: PackedRun) -> str:
    """Return the id under which a run was made: it may have been carried around before."""
    return run.tags.get(IMPORTED_FROM, run.run_id)


def _write(
    runs: Sequence[UnpackedRun], trackers: Mapping[str, Tracker], there: Mapping[str, str]
) -> dict[str, str]:
    """Make the runs, fill them in, and only then end them all."""
    made: dict[str, str] = {}
    complete = False
    try:
        for each in runs:
            with deferred():
                made[each.run.run_id] = _create(trackers[each.run.experiment], each.run)
        ids = {**there, **made}
        for each in runs:
            with deferred():
                _fill(trackers[each.run.experiment], each, ids)
        with deferred():
            _end(
                [(trackers[each.run.experiment], made[each.run.run_id], each.run) for each in runs]
            )
            complete = True
    except BaseException:
        if not complete:
            with deferred(), suppress(TrackingError):  # then `nnlab doctor` does it
                for each in runs:
                    if each.run.run_id in made:
                        _discard(trackers[each.run.experiment], made[each.run.run_id])
        raise
    return made


def _create(tracker: Tracker, run: PackedRun) -> str:
    """Create a run: RUNNING, and marked as being imported by this process."""
    tags = {IMPORTING: str(ProcessId.this_process()), IMPORTED_FROM: _origin(run)}
    if "mlflow.user" in run.tags:
        tags["mlflow.user"] = run.tags["mlflow.user"]  # MLflow keeps it in a column as well
    with readable_errors(tracker.uri):
        created = with_retries(
            lambda: tracker.client.create_run(
                tracker.experiment_id, start_time=run.start_time, tags=tags, run_name=run.name
            )
        )
    return str(created.info.run_id)


def _fill(tracker: Tracker, unpacked_run: UnpackedRun, ids: Mapping[str, str]) -> None:
    run = unpacked_run.run
    run_id = ids[run.run_id]
    tags = {key: value for key, value in run.tags.items() if key not in OURS}
    if run.parent is not None and run.parent in ids:
        tags[PARENT] = run.parent
    tracker.restore(
        run_id,
        params=run.params,
        tags={key: _renamed(value, ids) for key, value in tags.items()},
        metrics=unpacked_run.metrics(),
        datasets=[DatasetInput(**each.model_dump()) for each in run.datasets],
    )
    if unpacked_run.artifacts.is_dir():
        with tracker.folder(run_id) as folder:
            shutil.copytree(unpacked_run.artifacts, folder, dirs_exist_ok=True)


def _renamed(text: str, ids: Mapping[str, str]) -> str:
    """Put the ids of this store where a tag names runs by those of the parcel."""
    return RUN_ID.sub(lambda found: ids.get(found.group(), found.group()), text)


def _end(runs: Sequence[tuple[Tracker, str, PackedRun]]) -> None:
    """End the runs: when none is RUNNING any more, the import is complete. See ``settle``."""
    for tracker, run_id, run in runs:
        with readable_errors(tracker.uri):
            if run.end_time is None:  # set_terminated would take the present
                with_retries(
                    lambda: tracker.client.update_run(run_id, status=run.status)  # noqa: B023 - at once
                )
            else:
                with_retries(
                    lambda: tracker.client.set_terminated(run_id, run.status, run.end_time)  # noqa: B023
                )
    for tracker, run_id, _ in runs:
        _unmark(tracker, run_id)


def _unmark(store: Store, run_id: str) -> None:
    with readable_errors(store.uri):
        with_retries(lambda: store.client.delete_tag(run_id, IMPORTING))


def _refuse_two_at_once(store: Store, runs: Sequence[UnpackedRun]) -> None:
    """Refuse a parcel that another process is importing."""
    origins = {_origin(each.run) for each in runs}
    for record in _marked(store):
        if record.tags.get(IMPORTED_FROM) in origins:
            raise ArchiveError(
                f"These runs are being imported by the process {record.tags[IMPORTING]}: wait "
                "for it; if that machine is gone, run `nnlab doctor --host` with its name."
            )


def _marked(store: Store) -> list[RunRecord]:
    return list(store.search(f"tags.{IMPORTING} LIKE '%'"))


def settle(store: Store, *, dry_run: bool = False, gone: str | None = None) -> list[str]:
    """Bring imports to an end whose process was killed, and say which.

    Where all runs have their status, the import was complete but for its marks; else its runs are
    deleted, as the import itself would have done.

    Parameters
    ----------
    dry_run : only tell
    gone : a machine of which it is known that nothing runs there any more
    """
    imports: dict[str, list[RunRecord]] = {}
    for record in _marked(store):
        imports.setdefault(record.tags[IMPORTING], []).append(record)
    told = []
    for mark, records in imports.items():
        owner = ProcessId.parse(mark)
        if owner is not None and owner.host != gone and (not owner.is_here or owner.lives):
            if not owner.is_here:
                told.append(
                    f"left alone an import of {len(records)} runs by {owner.host}; if that "
                    f"machine is gone, use --host {owner.host}"
                )
            continue
        half = any(record.status == "RUNNING" for record in records)
        verb = ("would delete" if dry_run else "deleted") if half else "complete:"
        why = ", half imported when their process died: import them again" if half else " imported"
        told.append(f"{verb} {len(records)} runs{why}")
        if not dry_run:
            with deferred():
                for record in records:
                    (_discard if half else _unmark)(store, record.run_id)
    return told


def _discard(store: Store, run_id: str) -> None:
    """Delete a run, and in a local store its files, where they are this run's for certain."""
    where = local_path(store.artifacts(run_id))
    with readable_errors(store.uri):
        with_retries(lambda: store.client.delete_run(run_id))
    database = local_database(store.uri)
    if where is None or database is None:
        return
    folder = Path(where).parent
    if folder.name == run_id and folder.resolve().is_relative_to(database.resolve().parent):
        shutil.rmtree(folder, ignore_errors=True)
