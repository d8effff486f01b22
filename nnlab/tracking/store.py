"""The tracking store, for reading: its runs, their metrics and files."""

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from functools import cached_property
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Any

from nnlab.errors import StoredFileError, TrackingError
from nnlab.jobs.tags import Tag
from nnlab.system.stored_files import read_text
from nnlab.system.temporary import temporary_folder
from nnlab.tracking import lookup
from nnlab.tracking.connection import Connection
from nnlab.tracking.database import ensure_database, is_read_only
from nnlab.tracking.locations import local_database, local_path, own_folder, tracking_uri
from nnlab.tracking.lookup import Kind
from nnlab.tracking.records import Measurement, RunDetails, RunRecord
from nnlab.tracking.relocation import refuse_moved_store
from nnlab.tracking.sqlite_reader import DatabaseReader
from nnlab.tracking.store_folder import is_outside

if TYPE_CHECKING:
    from mlflow import MlflowClient

PAGE = 1000  # runs that one request returns


class Store:
    """A tracking store, for reading; ``Writer`` and ``Tracker`` write.

    A local store is made where there is none. MLflow is imported when something needs it:
    ``find_run`` reads the rows of a local store, so that a wrong id is answered at once.

    Parameters
    ----------
    uri : str
    trash : bool
        Whether to search what is in MLflow's trash, instead of the other runs.

    Attributes
    ----------
    artifact_locations : dict of str to str
        Where the files of a run are, by its id, as far as that is known already.

    Raises
    ------
    TrackingError
        From any method, where the store cannot be reached.
    """

    def __init__(self, uri: str, *, trash: bool = False) -> None:
        self.uri = uri
        self.trash = trash
        self._database = local_database(uri)
        if self._database is None:
            self._connection  # noqa: B018 - opened now: a server may not answer
        else:
            ensure_database(self._database)
        self.artifact_locations: dict[str, str] = {}
        self._in_place = False  # known to have been neither moved nor copied

    @property
    def read_only(self) -> bool:
        """Whether it is a local store that this process cannot write."""
        return self._database is not None and is_read_only(self._database)

    @cached_property
    def _connection(self) -> Connection:
        return Connection(self.uri)

    @property
    def _client(self) -> "MlflowClient":
        return self._connection.client

    def _call(self, function: Any, *arguments: Any) -> Any:  # noqa: ANN401 - as MLflow's client
        return self._connection.call(function, *arguments)

    def search(self, condition: str = "", page: int = PAGE) -> Iterator[RunRecord]:
        """Yield the runs of all experiments that meet a condition, the newest first.

        Parameters
        ----------
        condition : str
            In MLflow's search syntax.
        page : int
            Number of runs that one request returns.
        """
        experiments = list(self.experiments())
        token = None
        while experiments:
            records, token = self._call(self._page, experiments, condition, page, token)
            yield from records
            if not token:
                return

    def _page(
        self, experiments: list[str], condition: str, size: int, token: str | None
    ) -> tuple[list[RunRecord], str | None]:
        stage = 2 if self.trash else 1  # of mlflow.entities.ViewType
        runs = self._client.search_runs(experiments, condition, stage, size, page_token=token)
        return [RunRecord.of(run) for run in runs], runs.token

    def get(self, run_id: str) -> RunRecord:
        """Return a run by its whole id."""
        run: RunRecord = self._call(lambda: RunRecord.of(self._client.get_run(run_id)))
        return run

    def details(self, run_id: str) -> RunDetails:
        """Return a run by its whole id, with its end and its datasets."""
        run: RunDetails = self._call(lambda: RunDetails.of(self._client.get_run(run_id)))
        return run

    def children(self, parent: str) -> list[RunRecord]:
        """Return a sweep's runs, the newest first."""
        return list(self.search(f"tags.`{Tag.PARENT}` = '{parent}'"))

    def newest(self, condition: str = "") -> RunRecord | None:
        """Return the newest run of all, or of those that meet a condition, if there is one."""
        return next(self.search(condition, page=1), None)

    def find_run(self, which: str, kind: Kind | None = None) -> RunRecord:
        """Return the one run that is meant; see ``lookup.find_run``."""
        return lookup.find_run(self._runs, which, kind)

    def last_sweep(self) -> RunRecord:
        """Return the sweep that was started last."""
        return lookup.last_sweep(self._runs)

    @property
    def _runs(self) -> "lookup.Runs":
        return (
            self
            if self._database is None
            else DatabaseReader(self.uri, self._database, trash=self.trash)
        )

    def beginning_with(self, letters: str) -> list[RunRecord]:
        """Return the first two runs whose ids begin with these letters."""
        return list(islice(self.search(f"attributes.run_id LIKE '{letters}%'"), 2))

    def imported_from(self, letters: str) -> list[RunRecord]:
        """Return the first two runs whose ids before an import begin with these letters."""
        return list(islice(self.search(f"tags.{Tag.IMPORTED_FROM} LIKE '{letters}%'"), 2))

    def heads(self) -> Iterator[RunRecord]:
        """Yield the runs that are under no other one of these, the newest first."""
        records = self.search()
        if not self.trash:
            return (record for record in records if record.parent is None)
        runs = {record.run_id: record for record in records}
        return (record for record in runs.values() if record.parent not in runs)

    def experiments(self) -> dict[str, str]:
        """Return the names of all experiments by their ids."""
        experiments = self._call(self._client.search_experiments)
        return {str(each.experiment_id): str(each.name) for each in experiments}

    def experiment_of(self, run: RunRecord) -> str:
        """Return the name of a run's experiment."""
        return str(self._call(self._client.get_experiment, run.experiment_id).name)

    def measurements(self, run_id: str, metrics: Iterable[str]) -> Iterator[Measurement]:
        """Yield every value of some metrics of a run, as they were logged."""
        if self._database is not None:
            yield from DatabaseReader(self.uri, self._database).measurements(run_id, list(metrics))
            return
        for metric in metrics:
            for point in self._call(self._client.get_metric_history, run_id, metric):
                yield Measurement(metric, float(point.value), int(point.timestamp), int(point.step))

    def artifacts(self, run_id: str) -> str:
        """Return where a run's files are: a folder's path for a local store, else a URI."""
        locations, database = self.artifact_locations, self._database
        if run_id not in locations:
            reader = None if database is None else DatabaseReader(self.uri, database)
            uri = None if reader is None else reader.artifact_uri(run_id)
            uri = uri or str(self._call(self._client.get_run, run_id).info.artifact_uri)
            if not self._in_place and database is not None and is_outside(database, uri):
                refuse_moved_store(database)
                self._in_place = True
            locations[run_id] = own_folder(uri, run_id)
        return locations[run_id]

    def download(self, run_id: str, file: str = "", to: Path | None = None) -> Path:
        """Return a local copy of a run's files, or of one; of a local store, the files themselves.

        The copy is in the folder ``to``, or else in a new one that is not removed.

        Raises
        ------
        TrackingError
            Where they are not there.
        """
        location = local_path(self.artifacts(run_id))
        if location is not None:
            return Path(location) / file
        folder = None if to is None else str(to)
        return Path(self._call(self._client.download_artifacts, run_id, file, folder))

    @contextmanager
    def files(self, run_id: str) -> Iterator[Path]:
        """Provide a folder with all of a run's files for a while: copies, or the files themselves.

        The folder may be absent where the run has none.
        """
        location = local_path(self.artifacts(run_id))
        if location is not None:
            yield Path(location)
            return
        with temporary_folder() as folder:
            for file in self._call(self._client.list_artifacts, run_id):
                self._call(self._client.download_artifacts, run_id, file.path, str(folder))
            yield folder

    @contextmanager
    def some_files(self, run_id: str, names: Iterable[str]) -> Iterator[Path]:
        """Provide a folder with some of a run's files for a while, or the files themselves."""
        if local_path(self.artifacts(run_id)) is not None:
            yield self.download(run_id)
            return
        with temporary_folder() as folder:
            for name in names:
                self.download(run_id, name, folder)
            yield folder

    def file_sizes(self, run_id: str, folder: str | None = None) -> dict[str, int]:
        """Return the sizes of a run's files, in bytes, by their names."""
        sizes: dict[str, int] = {}
        for file in self._call(self._client.list_artifacts, run_id, folder):
            inner = self.file_sizes(run_id, file.path) if file.is_dir else {}
            sizes |= inner or {str(file.path): int(file.file_size or 0)}
        return sizes

    def read_file(self, run_id: str, name: str) -> str | None:
        """Return the text of one of a run's files, or None where there is none."""
        with temporary_folder() as folder:
            try:
                return read_text(self.download(run_id, name, folder))
            except (TrackingError, StoredFileError):
                if name in {file.path for file in self._call(self._client.list_artifacts, run_id)}:
                    raise
                return None


def existing_store(uri: str | None) -> Store:
    """Open a store for reading; where there is none, none is created.

    Parameters
    ----------
    uri : str or None
        None as in the config.

    Returns
    -------
    Store

    Raises
    ------
    TrackingError
        Where there is none, or it cannot be reached.
    """
    address = tracking_uri(uri)
    database = local_database(address)
    if database is not None and not database.exists():
        raise TrackingError(f"There is no tracking store {address}: check --uri.")
    return Store(address)
