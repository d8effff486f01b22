"""Reading many runs at once: what a reader is, and the reader of tracking servers."""

from collections.abc import Iterable, Iterator, Sequence
from contextlib import AbstractContextManager
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

import numpy as np

from nnlab.system.stored_files import parse_table
from nnlab.tracking.locations import local_database
from nnlab.tracking.lookup import Runs
from nnlab.tracking.records import Measurement, RunRecord
from nnlab.tracking.sqlite_reader import DatabaseReader
from nnlab.tracking.store import Store

if TYPE_CHECKING:
    import pandas as pd

IDS_A_SEARCH = 100


class Reader(Runs, Protocol):
    """Reads many runs of a store; deleted runs and experiments are left out."""

    def experiments(self) -> dict[str, str]:
        """Return the names of all experiments by their ids."""

    def read(self, run_ids: Sequence[str]) -> list[RunRecord]:
        """Return runs by their whole ids, in this order; unknown ones are left out."""

    def beginning_with(self, letters: str) -> list[RunRecord]:
        """Return the runs whose ids begin with these letters, the newest first."""

    def tagged(self, key: str, value: str) -> list[RunRecord]:
        """Return the runs with this tag, the newest first."""

    def in_experiment(self, experiment_id: str) -> list[RunRecord]:
        """Return an experiment's runs, the newest first."""

    def read_file(self, run_id: str, name: str) -> str | None:
        """Return the text of one of a run's files, or None where there is none."""

    def some_files(self, run_id: str, names: Iterable[str]) -> AbstractContextManager[Path]:
        """Provide a folder with some of a run's files for a while."""

    def file_sizes(self, run_id: str) -> dict[str, int]:
        """Return the sizes of a run's files, in bytes, by their names."""

    def dataset_schemas(self, run_id: str) -> list[str]:
        """Return the schemas, in JSON, of the datasets that a run names as its inputs."""

    def measurements(self, run_id: str, metrics: Sequence[str]) -> Iterator[Measurement]:
        """Yield every value of some metrics, as they were logged."""

    def curves(self, run_ids: Sequence[str], metrics: Sequence[str]) -> "pd.DataFrame":
        """Return ``run_id``, ``epoch`` and a column for each metric, NaN where it has no value."""


def open_reader(uri: str, *, trash: bool = False) -> Reader:
    """Open a store for reading.

    Parameters
    ----------
    uri : str
    trash : bool
        Whether to read what is in MLflow's trash, instead of the other runs.

    Raises
    ------
    TrackingError
        Where it is not there.
    """
    database = local_database(uri)
    if database is None:
        return ServerReader(uri, trash=trash)
    return DatabaseReader(uri, database, trash=trash)


class ServerReader(Store):
    """Reads any store through MLflow's client; tracking servers have no faster way.

    Raises
    ------
    TrackingError
        From any method, where the store cannot be reached.
    """

    def read(self, run_ids: Sequence[str]) -> list[RunRecord]:
        """Return runs by their whole ids, in this order; unknown ones are left out."""
        records: dict[str, RunRecord] = {}
        for start in range(0, len(run_ids), IDS_A_SEARCH):
            listed = ", ".join(f"'{run_id}'" for run_id in run_ids[start : start + IDS_A_SEARCH])
            chunk = self.search(f"attributes.run_id IN ({listed})")
            records.update((record.run_id, record) for record in chunk)
        return [records[run_id] for run_id in run_ids if run_id in records]

    def beginning_with(self, letters: str) -> list[RunRecord]:
        """Return the runs whose ids begin with these letters, the newest first."""
        return list(self.search(f"attributes.run_id LIKE '{letters}%'"))

    def tagged(self, key: str, value: str) -> list[RunRecord]:
        """Return the runs with this tag, the newest first."""
        return list(self.search(f"tags.`{key}` = '{value}'"))

    def in_experiment(self, experiment_id: str) -> list[RunRecord]:
        """Return an experiment's runs, the newest first."""
        return [run for run in self.search() if run.experiment_id == experiment_id]

    def dataset_schemas(self, run_id: str) -> list[str]:
        """Return the schemas, in JSON, of the datasets that a run names as its inputs."""
        return [dataset.data_schema or "" for dataset in self.details(run_id).datasets]

    def curves(self, run_ids: Sequence[str], metrics: Sequence[str]) -> "pd.DataFrame":
        """Return ``run_id``, ``epoch`` and a column for each metric, NaN where it has no value."""
        import pandas as pd  # here, so that a look-up need not load it

        pieces = {run_id: self._history(run_id, metrics) for run_id in run_ids}
        if not pieces:
            return pd.DataFrame(columns=["run_id", "epoch", *metrics])
        curves = pd.concat(pieces, names=["run_id"]).replace([np.inf, -np.inf], np.nan)
        return curves.dropna(how="all").sort_index().reset_index()

    def _history(self, run_id: str, metrics: Sequence[str]) -> "pd.DataFrame":
        """Read a run's history.csv in one request, or each metric where it has no such file yet."""
        import pandas as pd

        text = self.read_file(run_id, "history.csv")
        if text is not None:
            where = f"history.csv of {run_id[:8]}"
            table = parse_table(text, where, needed=("epoch",), numbers=("epoch", *metrics))
            table = table.set_index("epoch")
            return table.reindex(columns=list(metrics)).astype(float)
        curves: dict[str, dict[int, float]] = {metric: {} for metric in metrics}
        for metric, value, _, epoch in self.measurements(run_id, metrics):
            curves[metric][epoch] = value
        return pd.DataFrame(curves, dtype=float).rename_axis("epoch")
