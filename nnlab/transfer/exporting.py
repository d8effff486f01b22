"""Runs of a store into a parcel: one run, or a sweep with all that belongs to it."""

import csv
import sqlite3
import tempfile
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path

from nnlab.errors import ArchiveError
from nnlab.tracking.connection import readable_errors, with_retries
from nnlab.tracking.locations import local_database, local_path
from nnlab.tracking.store import RunRecord, Store, existing_store
from nnlab.tracking.tracker import Measurement
from nnlab.transfer.archive import PackedRun, packed
from nnlab.transfer.archive_writer import writing
from nnlab.transfer.lineage import IMPORTING, NAME, PARENT, whereabouts

ENDED = ("FINISHED", "FAILED", "KILLED")
OWN_FIELDS = (PARENT, NAME, IMPORTING)  # tags that are fields of their own, or of no meaning
TABLE = "runs.csv"  # among the files of a sweep's run


@dataclass(frozen=True)
class Exported:
    """What went into a parcel.

    Attributes
    ----------
    runs, files : how many
    size : of the files, in bytes
    gone : ids of runs that the sweep's table lists and the store no longer has
    models : number of models that were logged beside the runs' own files, and stay behind
    """

    runs: int
    files: int
    size: int
    gone: tuple[str, ...]
    models: int


def export(which: str, out: Path, uri: str | None = None) -> Exported:
    """Write a run into a parcel; of a sweep, all its runs, and those that it reused.

    Parameters
    ----------
    which : as in ``Store.find_run``
    out : the zip file; it must not be there
    uri : of the store; None as in the config

    Raises
    ------
    TrackingError
        Where the store cannot be read or the run is not there.
    ArchiveError
        Where a run has not ended, or the parcel cannot be written.
    """
    store = existing_store(uri)
    runs, gone = _family(store, store.find_run(which))
    for record in runs:
        if record.status not in ENDED:
            raise ArchiveError(
                f"{record.run_id[:8]} {record.name} is {record.status}: wait for its end; if its "
                "process is gone, `nnlab doctor` ends it."
            )
    names: dict[str, str] = {}
    models = 0
    with writing(out) as parcel:
        for record in sorted(runs, key=lambda each: each.run_id):
            if record.experiment_id not in names:
                with readable_errors(store.uri):
                    experiment = store.client.get_experiment(record.experiment_id)
                names[record.experiment_id] = experiment.name
            run, left = _packed(store, record.run_id, names[record.experiment_id])
            models += left
            with _artifacts(store, record.run_id) as folder:
                parcel.add_run(run, _metrics(store, record), folder)
    return Exported(len(runs), len(parcel.files), parcel.size, gone, models)


def _family(store: Store, head: RunRecord) -> tuple[list[RunRecord], tuple[str, ...]]:
    """Return a run, the runs below it, and those that its sweeps reused; and what is gone."""
    found = {head.run_id: head}
    gone: list[str] = []
    waiting = [head]
    while waiting:
        run = waiting.pop()
        below = store.children(run.run_id)
        waiting += [each for each in below if each.tags.get("kind") == "sweep"]
        found.update((each.run_id, each) for each in below)
        elsewhere = [each for each in _listed(store, run) if each not in found]
        here = whereabouts(store, elsewhere) if elsewhere else {}
        found.update((each, store.get(each)) for each in here.values() if each not in found)
        gone += [each for each in elsewhere if each not in here]
    return list(found.values()), tuple(gone)


def _listed(store: Store, run: RunRecord) -> list[str]:
    """Return the ids in a sweep's table; none where it has no table."""
    if run.tags.get("kind") != "sweep":
        return []
    with _artifacts(store, run.run_id, TABLE) as folder:
        path = folder / TABLE
        if not path.exists():
            return []
        with path.open(newline="", encoding="utf-8") as file:
            ids = [row.get("run_id") or "" for row in csv.DictReader(file)]
    return [each for each in ids if each.isalnum()]


@contextmanager
def _artifacts(store: Store, run_id: str, only: str | None = None) -> Iterator[Path]:
    """Provide the folder of a run's files, or one with ``only`` one of them, if it is there."""
    here = local_path(store.artifacts(run_id))
    if here is not None:
        yield Path(here)
        return
    with tempfile.TemporaryDirectory(prefix="nnlab-") as folder:
        with readable_errors(store.uri):
            for file in with_retries(lambda: store.client.list_artifacts(run_id)):
                if only is None or file.path == only:
                    with_retries(
                        lambda file=file: store.client.download_artifacts(  # type: ignore[misc]
                            run_id, file.path, folder
                        )
                    )
        yield Path(folder)


def _metrics(store: Store, record: RunRecord) -> Iterator[Measurement]:
    """Yield the whole history of all metrics of a run."""
    database = local_database(store.uri)
    if database is not None:
        yield from _rows(database, record.run_id)
        return
    with readable_errors(store.uri):
        for key in record.metrics:
            for each in with_retries(
                lambda key=key: store.client.get_metric_history(record.run_id, key)  # type: ignore[misc]
            ):
                yield Measurement(each.key, float(each.value), each.timestamp, each.step)


def _rows(database: Path, run_id: str) -> Iterator[Measurement]:
    """Read them from the table: MLflow takes 70 ms for the 500 values of a metric."""
    query = "SELECT key, value, timestamp, step, is_nan FROM metrics WHERE run_uuid = ?"
    with closing(sqlite3.connect(f"{database.as_uri()}?mode=ro", 120, uri=True)) as connection:
        for key, value, timestamp, step, is_nan in connection.execute(query, (run_id,)):
            yield Measurement(key, float("nan") if is_nan else float(value), timestamp, step)


def _packed(store: Store, run_id: str, experiment: str) -> tuple[PackedRun, int]:
    """Return a run without its metrics and files; and how many models are logged beside these."""
    with readable_errors(store.uri):
        run = with_retries(lambda: store.client.get_run(run_id))
    found = packed(
        run_id=run_id,
        name=run.info.run_name,
        experiment=experiment,
        status=run.info.status,
        start_time=run.info.start_time,
        end_time=run.info.end_time,
        parent=run.data.tags.get(PARENT),
        tags={key: run.data.tags[key] for key in sorted(run.data.tags) if key not in OWN_FIELDS},
        params=dict(sorted(run.data.params.items())),
        datasets=[
            {
                "name": each.dataset.name,
                "digest": each.dataset.digest,
                "source_type": each.dataset.source_type,
                "source": each.dataset.source,
                "data_schema": each.dataset.schema,
                "profile": each.dataset.profile,
                "tags": {tag.key: tag.value for tag in sorted(each.tags, key=lambda tag: tag.key)},
            }
            for each in sorted(
                run.inputs.dataset_inputs if run.inputs else (),
                key=lambda each: (each.dataset.name, each.dataset.digest),
            )
        ],
    )
    return found, len(run.outputs.model_outputs) if run.outputs else 0
