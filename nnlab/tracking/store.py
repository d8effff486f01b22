"""The tracking store, for reading: its runs, their histories and files."""

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from nnlab.errors import TrackingError
from nnlab.tracking.connection import client_of, readable_errors, with_retries
from nnlab.tracking.locations import local_database, local_path, tracking_uri
from nnlab.tracking.relocation import is_outside, refuse_moved_store

if TYPE_CHECKING:
    from mlflow.entities import Run as MlflowRun

Kind = Literal["sweep", "run"]

RUN_ADDRESS = re.compile(r"(?:/runs/|^runs:/)([0-9a-f]{32})\b")  # in the UI, or MLflow's own form

PAGE = 1000  # runs that one request returns


@dataclass(frozen=True)
class RunRecord:
    """A run as the store has it.

    Attributes
    ----------
    status : RUNNING, FINISHED, FAILED, KILLED or SCHEDULED
    params : as they were logged: text
    metrics : metric -> its last value
    steps : metric -> the epoch of that value
    start_time : milliseconds since 1970, UTC
    """

    run_id: str
    experiment_id: str
    name: str
    status: str
    tags: dict[str, str]
    params: dict[str, str]
    metrics: dict[str, float]
    steps: dict[str, int]
    start_time: int

    @classmethod
    def of(cls, run: "MlflowRun") -> "RunRecord":
        """Read MLflow's entity."""
        latest = {metric.key: metric for metric in run.data.to_proto().metrics}
        return cls(
            str(run.info.run_id),
            str(run.info.experiment_id),
            str(run.info.run_name),
            str(run.info.status),
            dict(run.data.tags),
            dict(run.data.params),
            {name: float(metric.value) for name, metric in latest.items()},
            {name: int(metric.step) for name, metric in latest.items()},
            int(run.info.start_time),
        )


class Store:
    """A tracking store, for reading.

    Raises
    ------
    TrackingError
        From any method, where the store cannot be reached.
    """

    def __init__(self, uri: str) -> None:
        self.uri = uri
        self._artifacts: dict[str, str] = {}  # run -> where its files are
        self._in_place = False  # known to have been neither moved nor copied
        with readable_errors(uri):
            self.client = client_of(uri)

    def search(self, condition: str = "") -> Iterator[RunRecord]:
        """Yield the runs of all experiments that meet a condition, the newest first."""
        with readable_errors(self.uri):
            ids = [each.experiment_id for each in self.client.search_experiments()]
            page = None
            while ids:
                found = with_retries(
                    lambda page=page: self.client.search_runs(  # type: ignore[misc]
                        ids, condition, max_results=PAGE, page_token=page
                    )
                )
                yield from map(RunRecord.of, found)
                page = found.token
                if not page:
                    return

    def get(self, run_id: str) -> RunRecord:
        """Return a run by its whole id."""
        with readable_errors(self.uri):
            return RunRecord.of(with_retries(lambda: self.client.get_run(run_id)))

    def children(self, parent: str) -> list[RunRecord]:
        """Return a sweep's runs, the newest first."""
        return list(self.search(f"tags.`mlflow.parentRunId` = '{parent}'"))

    def newest(self, condition: str = "") -> RunRecord | None:
        """Return the newest run of all, or of those that meet a condition, if there is one."""
        with readable_errors(self.uri):
            ids = [each.experiment_id for each in self.client.search_experiments()]
            found = self.client.search_runs(ids, condition, max_results=1) if ids else []
        return RunRecord.of(found[0]) if found else None

    def tag_experiment(self, experiment_id: str, key: str, value: str) -> None:
        """Write a tag of an experiment."""
        with readable_errors(self.uri):
            with_retries(lambda: self.client.set_experiment_tag(experiment_id, key, value))

    def find_run(self, which: str, kind: Kind | None = None) -> RunRecord:
        """Return the one run that is meant.

        Parameters
        ----------
        which : beginning of its id, or of the id that it had where it was imported from; its
            address in the UI, or ``runs:/…``; or ``last``, the newest
        kind : what it must be: a ``sweep`` or a ``run``; None takes either

        Raises
        ------
        TrackingError
            Where there is no such run, or several are meant.
        """
        if which == "last":
            found = self._newest(kind)
        else:
            address = RUN_ADDRESS.search(which)
            found = self._by_id(address.group(1) if address else which)
        is_sweep = found.tags.get("kind") == "sweep"
        if kind == "run" and is_sweep:
            raise TrackingError(f"{found.run_id[:8]} is a sweep: name one of its runs.")
        if kind == "sweep" and not is_sweep:
            raise TrackingError(f"{found.run_id[:8]} is a single run, and no sweep.")
        return found

    def _newest(self, kind: Kind | None) -> RunRecord:
        """Return the newest run that is somebody's work, not the repetition of another."""
        conditions = {None: "", "run": "tags.job != ''", "sweep": "tags.kind = 'sweep'"}
        for record in self.search(conditions[kind]):
            if "reproduces" not in record.tags:
                return record
        raise TrackingError(f"{self.uri} has no {kind or 'run'} yet.")

    def _by_id(self, beginning: str) -> RunRecord:
        if not beginning.isalnum():
            raise TrackingError(
                f"{beginning!r} is no run: give the first letters and digits of its id, its "
                "address in the UI, or `last`."
            )
        condition = f"attributes.run_id LIKE '{beginning}%'"
        found = list(islice(self.search(condition), 2))
        if not found:
            condition = f"tags.imported_from LIKE '{beginning}%'"
            found = list(islice(self.search(condition), 2))
        if len(found) == 1:
            return found[0]
        if found:
            raise TrackingError(
                f"In {self.uri} several runs begin with {beginning}: give more of the id."
            )
        raise TrackingError(
            f"In {self.uri} no run begins with {beginning}: check the id and --uri."
        )

    def experiment_of(self, run: RunRecord) -> str:
        """Return the name of a run's experiment."""
        with readable_errors(self.uri):
            return str(self.client.get_experiment(run.experiment_id).name)

    def history(self, run_id: str, names: Iterable[str]) -> dict[tuple[str, int], float]:
        """Return every value of some metrics, by metric and epoch."""
        with readable_errors(self.uri):
            return {
                (name, int(point.step)): float(point.value)
                for name in names
                for point in with_retries(
                    lambda name=name: self.client.get_metric_history(run_id, name)  # type: ignore[misc]
                )
            }

    def artifacts(self, run_id: str) -> str:
        """Return where a run's files are: a folder's path for a local store, else a URI."""
        if run_id not in self._artifacts:
            with readable_errors(self.uri):
                uri = str(with_retries(lambda: self.client.get_run(run_id)).info.artifact_uri)
            database = local_database(self.uri)
            if not self._in_place and database is not None and is_outside(database, uri):
                refuse_moved_store(database)
                self._in_place = True
            self._artifacts[run_id] = local_path(uri) or uri
        return self._artifacts[run_id]

    def experiments(self) -> dict[str, str]:
        """Return the names of all experiments by their ids."""
        with readable_errors(self.uri):
            found = with_retries(self.client.search_experiments)
        return {str(each.experiment_id): str(each.name) for each in found}

    def curve(self, run_id: str, metric: str) -> list[tuple[int, float]]:
        """Return a metric's values by epoch, as they were logged."""
        with readable_errors(self.uri):
            points = with_retries(lambda: self.client.get_metric_history(run_id, metric))
        return [(int(point.step), float(point.value)) for point in points]

    def download(self, run_id: str, file: str = "", to: Path | None = None) -> Path:
        """Return a local copy of a run's files, or of one; of a local store, the files themselves.

        The copy is in the folder ``to``, or else in a new one that nobody removes.

        Raises
        ------
        TrackingError
            Where they are not there.
        """
        here = local_path(self.artifacts(run_id))
        if here is not None:
            return Path(here) / file
        with readable_errors(self.uri):
            return Path(
                with_retries(
                    lambda: self.client.download_artifacts(
                        run_id, file, None if to is None else str(to)
                    )
                )
            )


def existing_store(uri: str | None) -> Store:
    """Open a store to read from it; where there is none, none is made.

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
