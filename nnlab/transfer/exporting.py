"""Runs of a store into an archive: one run, or a sweep with all that belongs to it."""

from dataclasses import asdict, dataclass
from pathlib import Path

from nnlab.analysis.confirmation import confirming_sweeps
from nnlab.analysis.terminal import track
from nnlab.errors import ArchiveError
from nnlab.jobs.tags import Tag
from nnlab.system.stored_files import parse_column
from nnlab.tracking.records import RunDetails, RunRecord
from nnlab.tracking.store import Store, existing_store
from nnlab.transfer.archive import ArchivedRun, archived_run
from nnlab.transfer.archive_writer import create_archive
from nnlab.transfer.lineage import find_local_ids

ENDED = ("FINISHED", "FAILED", "KILLED")
LEFT_OUT = (Tag.PARENT, Tag.NAME, Tag.IMPORTING)  # fields of their own, or of this store alone
TABLE = "runs.csv"  # among the files of a sweep's run


@dataclass(frozen=True)
class ExportResult:
    """What went into an archive.

    Attributes
    ----------
    runs, files : int
        How many.
    size : int
        Bytes of the files.
    missing : tuple of str
        Ids of runs that the sweep's table lists and the store no longer has.
    models : int
        Number of models that were logged beside the runs' own files, and are left out.
    """

    runs: int
    files: int
    size: int
    missing: tuple[str, ...]
    models: int


def export_runs(which: str, out: Path, uri: str | None = None) -> ExportResult:
    """Write a run into an archive; with a sweep all its runs, reused ones, and what confirms it.

    Parameters
    ----------
    which : str
        As in ``Store.find_run``.
    out : Path
        The zip file; it must not exist.
    uri : str or None
        Of the store; None as in the config.

    Returns
    -------
    ExportResult

    Raises
    ------
    TrackingError
        Where the store cannot be read or the run is not there.
    ArchiveError
        Where a run has not ended, or the archive cannot be written.
    """
    store = existing_store(uri)
    runs, missing = _with_descendants(store, store.find_run(which))
    for record in runs:
        if record.status not in ENDED:
            raise ArchiveError(
                f"{record.run_id[:8]} {record.name} is {record.status}: wait for its end; if its "
                "process is gone, `nnlab doctor` ends it."
            )
    experiments: dict[str, str] = {}
    models = 0
    with create_archive(out) as archive:
        for record in track(sorted(runs, key=lambda each: each.run_id), "packing runs"):
            if record.experiment_id not in experiments:
                experiments[record.experiment_id] = store.experiment_of(record)
            details = store.details(record.run_id)
            models += details.models
            run = _archived(details, experiments[record.experiment_id])
            with store.files(record.run_id) as folder:
                archive.add_run(run, store.measurements(record.run_id, record.metrics), folder)
    return ExportResult(len(runs), len(archive.files), archive.size, missing, models)


def _with_descendants(store: Store, head: RunRecord) -> tuple[list[RunRecord], tuple[str, ...]]:
    """Return a run, those below it, and those that its sweeps reused; and the ids of missing ones.

    A reused run belongs to another sweep: only the sweep's own table lists it. The sweeps that
    confirm a sweep belong to it.
    """
    runs = {head.run_id: head}
    missing: list[str] = []
    waiting = [head]
    while waiting:
        run = waiting.pop()
        confirming = confirming_sweeps(store.uri, run.run_id) if run.is_sweep else []
        children = store.children(run.run_id) + list(map(store.get, confirming))
        # A sweep that the store has below itself is taken once.
        waiting += [child for child in children if child.is_sweep and child.run_id not in runs]
        runs.update((child.run_id, child) for child in children)
        reused = [run_id for run_id in _listed(store, run) if run_id not in runs]
        local_ids = find_local_ids(store, reused) if reused else {}
        runs.update((each, store.get(each)) for each in local_ids.values() if each not in runs)
        missing += [run_id for run_id in reused if run_id not in local_ids]
    return list(runs.values()), tuple(missing)


def _listed(store: Store, run: RunRecord) -> list[str]:
    """Return the ids in a sweep's table; none where it has no table."""
    table = store.read_file(run.run_id, TABLE) if run.is_sweep else None
    if table is None:
        return []
    ids = parse_column(table, "run_id", f"{TABLE} of {run.run_id[:8]}")
    return [run_id for run_id in ids if run_id.isalnum()]


def _archived(details: RunDetails, experiment: str) -> ArchivedRun:
    record = details.record
    return archived_run(
        run_id=record.run_id,
        name=record.name,
        experiment=experiment,
        status=record.status,
        start_time=record.start_time,
        end_time=details.end_time,
        parent=record.parent,
        tags={key: record.tags[key] for key in sorted(record.tags) if key not in LEFT_OUT},
        params=dict(sorted(record.params.items())),
        datasets=list(map(asdict, details.datasets)),
    )
