"""Reading many runs at once from a local store, by SQL. Nothing here writes.

MLflow's own search creates an object for every value, and MLflow takes seconds to import; the
database itself returns a thousand runs in a fraction of a second.
"""

import json
import math
import os
import sqlite3
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from nnlab.errors import TrackingError
from nnlab.jobs.tags import Tag
from nnlab.system.stored_files import read_text
from nnlab.tracking.database import LOCK_SECONDS, READ_ERRORS, damaged, reading_address
from nnlab.tracking.locations import local_path, own_folder
from nnlab.tracking.records import Measurement, RunRecord

if TYPE_CHECKING:
    import pandas as pd

RUNS_AT_ONCE = 50

# All ids are one argument, a JSON list: SQLite limits the number of arguments.
RUNS = """
    SELECT run_uuid, experiment_id, name, status, start_time, end_time FROM runs
    WHERE run_uuid IN (SELECT value FROM json_each(?)) AND lifecycle_stage = ?
"""
TAGS = "SELECT run_uuid, key, value FROM tags WHERE run_uuid IN (SELECT value FROM json_each(?))"
PARAMS = (
    "SELECT run_uuid, key, value FROM params WHERE run_uuid IN (SELECT value FROM json_each(?))"
)
METRICS = """
    SELECT run_uuid, key, CASE WHEN is_nan THEN NULL ELSE value END, step FROM latest_metrics
    WHERE run_uuid IN (SELECT value FROM json_each(?))
"""
HEADS = """
    run_uuid NOT IN (
        SELECT tags.run_uuid FROM tags JOIN runs AS parents ON parents.run_uuid = tags.value
        WHERE tags.key = ? AND parents.lifecycle_stage = ?
    )
"""
CURVE = """
    SELECT step, CASE WHEN is_nan THEN NULL ELSE value END FROM metrics
    WHERE run_uuid = ? AND key = ? ORDER BY step, timestamp
"""
SCHEMAS = """
    SELECT dataset_schema FROM datasets JOIN inputs ON source_id = dataset_uuid
    WHERE destination_id = ? AND destination_type = 'RUN' ORDER BY name, digest
"""
MEASUREMENTS = """
    SELECT key, CASE WHEN is_nan THEN NULL ELSE value END, timestamp, step FROM metrics
    WHERE run_uuid = ? AND key IN (SELECT value FROM json_each(?)) ORDER BY timestamp, step
"""


class DatabaseReader:
    """Reads a local SQLite store without MLflow.

    Parameters
    ----------
    uri : str
    database : Path
    trash : bool
        Whether to read what is in MLflow's trash, instead of the other runs.

    Raises
    ------
    TrackingError
        From any method, where the database cannot be read.
    """

    def __init__(self, uri: str, database: Path, *, trash: bool = False) -> None:
        self.uri = uri
        self.trash = trash
        self._stage = "deleted" if trash else "active"
        self._database = database
        if not database.exists():
            raise TrackingError(
                f"There is no tracking store {database} yet: `python run.py` makes it with the "
                "first run, or name another one with --uri."
            )

    def experiments(self) -> dict[str, str]:
        """Return the names of all experiments by their ids."""
        experiments = self._fetch(
            "SELECT experiment_id, name FROM experiments WHERE lifecycle_stage = 'active'"
        )
        return {str(number): str(name) for number, name in experiments}

    def beginning_with(self, letters: str) -> list[RunRecord]:
        """Return the runs whose ids begin with these letters, the newest first."""
        return self._matching("substr(run_uuid, 1, ?) = ?", len(letters), letters)

    def imported_from(self, letters: str) -> list[RunRecord]:
        """Return the runs whose ids before an import begin with these letters, newest first."""
        return self._matching(
            "run_uuid IN (SELECT run_uuid FROM tags WHERE key = ? AND substr(value, 1, ?) = ?)",
            Tag.IMPORTED_FROM, len(letters), letters,
        )  # fmt: skip

    def heads(self) -> Iterator[RunRecord]:
        """Yield the runs that are under no other one of these, the newest first."""
        ids = self._ids(HEADS, Tag.PARENT, self._stage)
        for first in range(0, len(ids), RUNS_AT_ONCE):
            yield from self.read(ids[first : first + RUNS_AT_ONCE])

    def tagged(self, key: str, value: str) -> list[RunRecord]:
        """Return the runs with this tag, the newest first."""
        return self._matching(
            "run_uuid IN (SELECT run_uuid FROM tags WHERE key = ? AND value = ?)", key, value
        )

    def in_experiment(self, experiment_id: str) -> list[RunRecord]:
        """Return an experiment's runs, the newest first."""
        return self._matching("experiment_id = ?", int(experiment_id))

    def read(self, run_ids: Sequence[str]) -> list[RunRecord]:
        """Return runs by their whole ids, in this order; unknown ones are left out."""
        ids = (json.dumps(list(run_ids)),)
        records: dict[str, RunRecord] = {}
        with self._connection() as connection:
            connection.execute("BEGIN")  # one snapshot for all tables
            for run_id, experiment, name, status, start, end in connection.execute(
                RUNS, (*ids, self._stage)
            ):
                records[run_id] = RunRecord(
                    run_id, str(experiment), _text(name or ""), _text(status), {}, {}, {}, {},
                    int(start or 0), end_time=None if end is None else int(end),
                )  # fmt: skip
            for run_id, key, value in connection.execute(TAGS, ids):
                if run_id in records:
                    records[run_id].tags[_text(key)] = _text(value or "")
            for run_id, key, value in connection.execute(PARAMS, ids):
                if run_id in records:
                    records[run_id].params[_text(key)] = _text(value)
            for run_id, key, value, step in connection.execute(METRICS, ids):
                if run_id in records:
                    records[run_id].metrics[_text(key)] = _number(value)
                    records[run_id].steps[key] = int(step)
        return [records[run_id] for run_id in run_ids if run_id in records]

    def read_file(self, run_id: str, name: str) -> str | None:
        """Return the text of one of a run's files, or None where there is none."""
        with self.some_files(run_id, [name]) as folder:
            path = folder / name
            return read_text(path) if path.is_file() else None

    @contextmanager
    def some_files(self, run_id: str, names: Iterable[str]) -> Iterator[Path]:  # noqa: ARG002 - all
        """Provide the folder of a run's files."""
        uri = self.artifact_uri(run_id)
        assert uri is not None
        yield Path(local_path(own_folder(uri, run_id)) or os.devnull)

    def artifact_uri(self, run_id: str) -> str | None:
        """Return where a run's files are, as the store says; None where there is no such run."""
        uris = self._fetch("SELECT artifact_uri FROM runs WHERE run_uuid = ?", run_id)
        return _text(uris[0][0] or "") if uris else None

    def file_sizes(self, run_id: str) -> dict[str, int]:
        """Return the sizes of a run's files, in bytes, by their names."""
        with self.some_files(run_id, ()) as folder:
            files = [path for path in sorted(folder.rglob("*")) if path.is_file()]
            return {path.relative_to(folder).as_posix(): path.lstat().st_size for path in files}

    def dataset_schemas(self, run_id: str) -> list[str]:
        """Return the schemas, in JSON, of the datasets that a run names as its inputs."""
        return [_text(schema or "") for (schema,) in self._fetch(SCHEMAS, run_id)]

    def curves(self, run_ids: Sequence[str], metrics: Sequence[str]) -> "pd.DataFrame":
        """Return ``run_id``, ``epoch`` and a column for each metric, NaN where it has no value."""
        import pandas as pd  # here, so that a look-up need not load it

        epochs = [np.empty(0, np.int64)]  # so that there is a table without any run too
        values = [np.empty((0, len(metrics)))]
        with self._connection() as connection:
            for run_id in run_ids:
                curves = [
                    np.array(connection.execute(CURVE, (run_id, name)).fetchall(), float)
                    for name in metrics
                ]
                curves = [curve.reshape(-1, 2) for curve in curves]
                logged = np.unique(np.concatenate([curve[:, 0] for curve in curves]))
                table = np.full((logged.size, len(curves)), np.nan)
                for column, curve in enumerate(curves):  # the last value of an epoch is kept
                    table[np.searchsorted(logged, curve[:, 0]), column] = curve[:, 1]
                epochs.append(logged.astype(np.int64))
                values.append(table)
        lengths = [logged.size for logged in epochs[1:]]
        frame = pd.DataFrame(np.concatenate(values), columns=list(metrics))
        frame.insert(0, "epoch", np.concatenate(epochs))
        frame.insert(0, "run_id", np.repeat(np.array(run_ids, object), lengths))
        return frame

    def measurements(self, run_id: str, metrics: Sequence[str]) -> Iterator[Measurement]:
        """Yield every value of some metrics; MLflow takes 70 ms for 500 values of one metric."""
        with self._connection() as connection:
            values = connection.execute(MEASUREMENTS, (run_id, json.dumps(metrics)))
            for key, value, timestamp, step in values:
                yield Measurement(_text(key), _number(value), int(timestamp), int(step))

    def _matching(self, condition: str, *arguments: object) -> list[RunRecord]:
        return self.read(self._ids(condition, *arguments))

    def _ids(self, condition: str, *arguments: object) -> list[str]:
        ids = self._fetch(
            "SELECT run_uuid FROM runs WHERE lifecycle_stage = ? "  # noqa: S608 - conditions of this class
            "AND experiment_id IN "
            "(SELECT experiment_id FROM experiments WHERE lifecycle_stage = 'active') "
            f"AND {condition} ORDER BY start_time DESC, run_uuid",
            self._stage,
            *arguments,
        )
        return [run_id for (run_id,) in ids]

    def _fetch(self, query: str, *arguments: object) -> list[tuple[Any, ...]]:
        with self._connection() as connection:
            return connection.execute(query, arguments).fetchall()

    @contextmanager
    def _connection(self) -> Iterator[sqlite3.Connection]:
        try:
            connection = sqlite3.connect(reading_address(self._database), LOCK_SECONDS, uri=True)
            try:
                yield connection
            finally:
                connection.close()
        except READ_ERRORS as error:
            raise damaged(str(self._database), error) from error


def _text(value: object) -> str:
    """Return what a column of text holds: SQLite itself would hold anything."""
    if not isinstance(value, str):
        raise TypeError(f"{value!r} is no text")
    return value


def _number(value: object) -> float:
    if value is None:
        return math.nan
    if not isinstance(value, int | float):
        raise TypeError(f"{value!r} is no number")
    return float(value)
