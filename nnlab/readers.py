"""Reading many runs at once: from a local store straight by SQL, from a server as it serves them.

MLflow's own search builds an object for every value and takes its seconds to be imported; a local
database gives up a thousand runs in a fraction of one. Nothing here writes.
"""

import io
import json
import sqlite3
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import pandas as pd

from nnlab.errors import TrackingError
from nnlab.store import RunRecord, Store, local_database, local_path

PARENT = "mlflow.parentRunId"
AMONG = "run_uuid IN (SELECT value FROM json_each(?))"  # one argument, however many ids

AT_ONCE = 100  # ids in one question to a server


class Reader(Protocol):
    """A store, for reading in bulk; deleted runs and experiments are not there."""

    uri: str

    def experiments(self) -> dict[str, str]:
        """Return the names of all experiments by their ids."""

    def beginning(self, letters: str) -> list[str]:
        """Return the ids of the runs whose ids begin so."""

    def tagged(self, key: str, value: str) -> list[str]:
        """Return the ids of the runs with this tag, the newest first."""

    def of_experiment(self, experiment_id: str) -> list[str]:
        """Return the ids of an experiment's runs, the newest first."""

    def read(self, run_ids: Sequence[str]) -> list[RunRecord]:
        """Return what the store has of these runs, in their order; unknown ones are left out."""

    def file(self, run_id: str, name: str) -> str | None:
        """Return the text of one of a run's files, or None where there is none."""

    def curves(self, run_ids: Sequence[str], metrics: Sequence[str]) -> pd.DataFrame:
        """Return metrics by epoch: ``run_id``, ``epoch`` and a column each, NaN where not taken."""


def reader(uri: str) -> Reader:
    """Open a store for reading.

    Raises
    ------
    TrackingError
        Where it is not there.
    """
    database = local_database(uri)
    return ServerReader(uri) if database is None else DatabaseReader(uri, database)


class DatabaseReader:
    """A local SQLite store, read without MLflow.

    Raises
    ------
    TrackingError
        From any method, where the database cannot be read.
    """

    def __init__(self, uri: str, database: Path) -> None:
        self.uri = uri
        self._database = database
        if not database.exists():
            raise TrackingError(
                f"There is no tracking store {database} yet: `python run.py` makes it with the "
                "first run, or name another one with --uri."
            )

    def experiments(self) -> dict[str, str]:
        """Return the names of all experiments by their ids."""
        rows = self._rows(
            "SELECT experiment_id, name FROM experiments WHERE lifecycle_stage = 'active'"
        )
        return {str(number): str(name) for number, name in rows}

    def beginning(self, letters: str) -> list[str]:
        """Return the ids of the runs whose ids begin so."""
        return self._ids("substr(run_uuid, 1, ?) = ?", len(letters), letters)

    def tagged(self, key: str, value: str) -> list[str]:
        """Return the ids of the runs with this tag, the newest first."""
        return self._ids(
            "run_uuid IN (SELECT run_uuid FROM tags WHERE key = ? AND value = ?)", key, value
        )

    def of_experiment(self, experiment_id: str) -> list[str]:
        """Return the ids of an experiment's runs, the newest first."""
        return self._ids("experiment_id = ?", int(experiment_id))

    def read(self, run_ids: Sequence[str]) -> list[RunRecord]:
        """Return what the store has of these runs, in their order; unknown ones are left out."""
        among = json.dumps(list(run_ids))
        with self._connection() as connection:  # one snapshot for all tables
            connection.execute("BEGIN")
            runs = connection.execute(
                "SELECT run_uuid, experiment_id, name, status, start_time FROM runs "
                f"WHERE lifecycle_stage = 'active' AND {AMONG}", (among,)
            ).fetchall()  # fmt: skip
            found = {
                run_id: RunRecord(
                    run_id, str(experiment), name or "", status, {}, {}, {}, {}, int(start or 0)
                )
                for run_id, experiment, name, status, start in runs
            }
            for table in ("tags", "params"):
                for run_id, key, value in connection.execute(
                    f"SELECT run_uuid, key, value FROM {table} WHERE {AMONG}",  # noqa: S608 - the two names above
                    (among,),
                ):
                    if run_id in found:
                        getattr(found[run_id], table)[key] = value
            for run_id, key, value, step, is_nan in connection.execute(
                f"SELECT run_uuid, key, value, step, is_nan FROM latest_metrics WHERE {AMONG}",  # noqa: S608 - no input
                (among,),
            ):
                if run_id in found:
                    found[run_id].metrics[key] = float("nan") if is_nan else value
                    found[run_id].steps[key] = step
        return [found[run_id] for run_id in run_ids if run_id in found]

    def file(self, run_id: str, name: str) -> str | None:
        """Return the text of one of a run's files, or None where there is none."""
        ((uri,),) = self._rows("SELECT artifact_uri FROM runs WHERE run_uuid = ?", run_id)
        folder = local_path(uri)
        path = None if folder is None else Path(folder) / name
        return path.read_text(encoding="utf-8") if path is not None and path.exists() else None

    def curves(self, run_ids: Sequence[str], metrics: Sequence[str]) -> pd.DataFrame:
        """Return metrics by epoch: ``run_id``, ``epoch`` and a column each, NaN where not taken."""
        columns = [self._curve(run_ids, metric) for metric in metrics]
        return pd.concat(columns, axis=1).sort_index().reset_index()

    def _curve(self, run_ids: Sequence[str], metric: str) -> pd.Series:
        with self._connection() as connection:
            points = pd.read_sql_query(
                "SELECT run_uuid AS run_id, step AS epoch, "  # noqa: S608 - no input
                "CASE WHEN is_nan THEN NULL ELSE value END AS value FROM metrics "
                f"WHERE {AMONG} AND key = ? ORDER BY run_uuid, step, timestamp",
                connection,
                params=(json.dumps(list(run_ids)), metric),
            )
        last = points.drop_duplicates(["run_id", "epoch"], keep="last")
        return last.set_index(["run_id", "epoch"])["value"].astype(float).rename(metric)

    def _ids(self, condition: str, *arguments: object) -> list[str]:
        rows = self._rows(
            "SELECT run_uuid FROM runs WHERE lifecycle_stage = 'active' "  # noqa: S608 - conditions of this class
            f"AND {condition} ORDER BY start_time DESC, run_uuid",
            *arguments,
        )
        return [run_id for (run_id,) in rows]

    def _rows(self, query: str, *arguments: object) -> list[tuple[Any, ...]]:
        with self._connection() as connection:
            return connection.execute(query, arguments).fetchall()

    @contextmanager
    def _connection(self) -> Iterator[sqlite3.Connection]:
        try:
            connection = sqlite3.connect(f"{self._database.as_uri()}?mode=ro", uri=True, timeout=20)
            try:
                yield connection
            finally:
                connection.close()
        except (sqlite3.Error, pd.errors.DatabaseError) as error:
            raise TrackingError(
                f"The tracking store {self._database} cannot be read: {error}. `nnlab doctor` "
                "checks it."
            ) from error


class ServerReader:
    """Any other store, through MLflow's client.

    Raises
    ------
    TrackingError
        From any method, where the store cannot be reached.
    """

    def __init__(self, uri: str) -> None:
        self.uri = uri
        self._store = Store(uri)
        self._known: dict[str, RunRecord] = {}  # a search returns runs whole: not asked for twice

    def experiments(self) -> dict[str, str]:
        """Return the names of all experiments by their ids."""
        return self._store.experiments()

    def beginning(self, letters: str) -> list[str]:
        """Return the ids of the runs whose ids begin so."""
        return self._search(f"attributes.run_id LIKE '{letters}%'")

    def tagged(self, key: str, value: str) -> list[str]:
        """Return the ids of the runs with this tag, the newest first."""
        return self._search(f"tags.`{key}` = '{value}'")

    def of_experiment(self, experiment_id: str) -> list[str]:
        """Return the ids of an experiment's runs, the newest first."""
        found = self._search("")
        return [each for each in found if self._known[each].experiment_id == experiment_id]

    def read(self, run_ids: Sequence[str]) -> list[RunRecord]:
        """Return what the store has of these runs, in their order; unknown ones are left out."""
        unknown = [each for each in run_ids if each not in self._known]
        for start in range(0, len(unknown), AT_ONCE):
            listed = ", ".join(f"'{each}'" for each in unknown[start : start + AT_ONCE])
            self._search(f"attributes.run_id IN ({listed})")
        return [self._known[each] for each in run_ids if each in self._known]

    def file(self, run_id: str, name: str) -> str | None:
        """Return the text of one of a run's files, or None where there is none."""
        with tempfile.TemporaryDirectory(prefix="nnlab-") as folder:
            try:
                path = self._store.download(run_id, name, Path(folder))
                return path.read_text(encoding="utf-8")
            except (TrackingError, OSError):
                return None

    def curves(self, run_ids: Sequence[str], metrics: Sequence[str]) -> pd.DataFrame:
        """Return metrics by epoch: ``run_id``, ``epoch`` and a column each, NaN where not taken."""
        pieces = {run_id: self._history(run_id, metrics) for run_id in run_ids}
        found = pd.concat(pieces, names=["run_id"]).replace([np.inf, -np.inf], np.nan)
        return found.dropna(how="all").sort_index().reset_index()

    def _history(self, run_id: str, metrics: Sequence[str]) -> pd.DataFrame:
        """Read a run's own table, one request; of a run that has none yet, metric by metric."""
        text = self.file(run_id, "history.csv")
        if text is not None:
            table = pd.read_csv(io.StringIO(text), index_col="epoch")
            return table.reindex(columns=list(metrics)).astype(float)
        curves = {metric: dict(self._store.curve(run_id, metric)) for metric in metrics}
        return pd.DataFrame(curves, dtype=float).rename_axis("epoch")

    def _search(self, condition: str) -> list[str]:
        found = {record.run_id: record for record in self._store.search(condition)}
        self._known |= found
        return list(found)
