"""Reading many runs at once, from whatever store: what a reader is, and the one for servers."""

import io
from collections.abc import Sequence
from typing import Protocol

import numpy as np
import pandas as pd

from nnlab.tracking.locations import local_database
from nnlab.tracking.records import RunRecord
from nnlab.tracking.sqlite_reader import DatabaseReader
from nnlab.tracking.store import Store

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
        return self._store.read_file(run_id, name)

    def curves(self, run_ids: Sequence[str], metrics: Sequence[str]) -> pd.DataFrame:
        """Return metrics by epoch: ``run_id``, ``epoch`` and a column each, NaN where not taken."""
        pieces = {run_id: self._history(run_id, metrics) for run_id in run_ids}
        if not pieces:
            return pd.DataFrame(columns=["run_id", "epoch", *metrics])
        found = pd.concat(pieces, names=["run_id"]).replace([np.inf, -np.inf], np.nan)
        return found.dropna(how="all").sort_index().reset_index()

    def _history(self, run_id: str, metrics: Sequence[str]) -> pd.DataFrame:
        """Read a run's own table, one request; of a run that has none yet, metric by metric."""
        text = self.file(run_id, "history.csv")
        if text is not None:
            table = pd.read_csv(io.StringIO(text), index_col="epoch")
            return table.reindex(columns=list(metrics)).astype(float)
        curves: dict[str, dict[int, float]] = {metric: {} for metric in metrics}
        for metric, value, _, epoch in self._store.measurements(run_id, metrics):
            curves[metric][epoch] = value
        return pd.DataFrame(curves, dtype=float).rename_axis("epoch")

    def _search(self, condition: str) -> list[str]:
        found = {record.run_id: record for record in self._store.search(condition)}
        self._known |= found
        return list(found)
