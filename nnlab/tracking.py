"""The tracking store: the only module that imports mlflow, and only when it is first needed."""

import gc
import getpass
import math
import os
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Literal, TypeVar
from urllib.parse import urlparse
from urllib.request import url2pathname

from nnlab.errors import TrackingError
from nnlab.provenance import CodeVersion, project_root
from nnlab.store import ensure_store

if TYPE_CHECKING:
    from mlflow import MlflowClient

Status = Literal["FINISHED", "FAILED", "KILLED"]
Point = tuple[str, float, int]  # metric, value, epoch
T = TypeVar("T")

METRICS_A_BATCH = 1000  # MLflow's limit for one request
PATIENCE = 120  # seconds to wait for a database that another writer has locked


@dataclass(frozen=True)
class DatasetRecord:
    """What a run tells of its dataset: MLflow's own digest reads only the first 10,000 values."""

    name: str
    digest: str
    source: str
    images: int
    pixels: int
    classes: int


def tracking_uri(configured: str | None) -> str:
    """Return where runs are logged: the config's URI, the environment's, or ``mlruns/mlflow.db``.

    A local address becomes absolute: MLflow would read it relative to the working directory, and a
    run started in a subfolder would silently make a second store.
    """
    uri = configured or os.environ.get("MLFLOW_TRACKING_URI")
    if not uri:
        return f"sqlite:///{project_root() / 'mlruns' / 'mlflow.db'}"
    database = local_database(uri)
    return uri if database is None else f"sqlite:///{database}"


def local_database(uri: str) -> Path | None:
    """Return the file behind an SQLite URI, or None for any other store."""
    if not uri.startswith("sqlite:///"):
        return None
    return Path(uri.removeprefix("sqlite:///")).expanduser().absolute()


@dataclass(frozen=True)
class FoundRun:
    """A run in the store."""

    run_id: str
    experiment_id: str


class Store:
    """A tracking store, for reading.

    Raises
    ------
    TrackingError
        From any method, where the store cannot be reached.
    """

    def __init__(self, uri: str) -> None:
        self.uri = uri
        with _said_plainly(uri):
            self._client = _client(uri)

    def latest_experiment(self) -> str | None:
        """Return the id of the experiment whose last change is newest, if any has runs."""
        with _said_plainly(self.uri):
            ids = [each.experiment_id for each in self._client.search_experiments()]
            newest = self._client.search_runs(ids, max_results=1) if ids else []
        return str(newest[0].info.experiment_id) if newest else None

    def find_run(self, beginning: str) -> FoundRun:
        """Return the one run whose id begins so.

        Raises
        ------
        TrackingError
            Where no run's id begins so, or several do.
        """
        if not beginning.isalnum():
            raise TrackingError(f"{beginning!r} is no run id: give its first letters and digits.")
        with _said_plainly(self.uri):
            ids = [each.experiment_id for each in self._client.search_experiments()]
            found = self._client.search_runs(
                ids, f"attributes.run_id LIKE '{beginning}%'", max_results=2
            )
        if len(found) != 1:
            how_many = "several runs begin" if found else "no run begins"
            raise TrackingError(f"In {self.uri} {how_many} with {beginning}: give more of the id.")
        return FoundRun(str(found[0].info.run_id), str(found[0].info.experiment_id))


class Tracker:
    """One experiment in one tracking store, seen by its only writer.

    Raises
    ------
    TrackingError
        From any method, where the store cannot be reached or refuses.
    """

    def __init__(self, uri: str | None, experiment: str, code: CodeVersion) -> None:
        self.uri = tracking_uri(uri)
        self.experiment = experiment
        self._code = code
        with _said_plainly(self.uri):
            self._client = _client(self.uri)
            self.experiment_id = self._get_or_create_experiment()

    def _get_or_create_experiment(self) -> str:
        from mlflow.exceptions import MlflowException

        found = self._client.get_experiment_by_name(self.experiment)
        if found is not None:
            if found.lifecycle_stage != "active":
                raise TrackingError(
                    f"tracking.experiment={self.experiment} was deleted in {self.uri}: restore it "
                    f"with `mlflow experiments restore -x {found.experiment_id}`, or name another."
                )
            return str(found.experiment_id)
        database = local_database(self.uri)
        location = None if database is None else (database.parent / "artifacts").as_uri()
        try:
            return str(self._client.create_experiment(self.experiment, location))
        except MlflowException as error:
            if error.error_code != "RESOURCE_ALREADY_EXISTS":  # another process was quicker
                raise
            return self._get_or_create_experiment()

    def start(
        self,
        name: str,
        params: Mapping[str, str],
        tags: Mapping[str, str],
        *,
        parent: str | None = None,
        dataset: DatasetRecord | None = None,
    ) -> str:
        """Create a run, RUNNING from now on, and return its id."""
        from mlflow.entities import Param

        code = self._code
        system = {
            "mlflow.source.name": "run.py",
            "mlflow.source.type": "LOCAL",
            "mlflow.user": getpass.getuser(),
        }
        if parent is not None:
            system["mlflow.parentRunId"] = parent
        if code.commit is not None:
            system["mlflow.source.git.commit"] = code.commit
            system["git_commit"] = code.commit
            system["git_dirty"] = str(code.dirty).lower()
        with _said_plainly(self.uri):
            run = _patiently(
                lambda: self._client.create_run(
                    self.experiment_id, tags={**system, **tags}, run_name=name
                )
            )
            run_id = str(run.info.run_id)
            _patiently(
                lambda: self._client.log_batch(
                    run_id, params=[Param(key, value) for key, value in params.items()]
                )
            )
            if dataset is not None:
                self._log_dataset(run_id, dataset)
        return run_id

    def _log_dataset(self, run_id: str, dataset: DatasetRecord) -> None:
        import json

        from mlflow.entities import Dataset, DatasetInput, InputTag

        entity = Dataset(
            name=dataset.name,
            digest=dataset.digest[:36],  # MLflow's limit; the tag data_digest holds it whole
            source_type="local",
            source=json.dumps({"uri": dataset.source}),
            schema=json.dumps({"pixels": ["uint8", dataset.pixels], "classes": dataset.classes}),
            profile=json.dumps({"images": dataset.images, "sha256": dataset.digest}),
        )
        inputs = [DatasetInput(entity, [InputTag("mlflow.data.context", "training")])]
        _patiently(lambda: self._client.log_inputs(run_id, inputs))

    def log(self, run_id: str, points: Iterable[Point]) -> None:
        """Log metrics by epoch, in batches; what is not finite is left out.

        MLflow would store infinity as 1.8e308 and draw it.
        """
        from mlflow.entities import Metric

        now = int(time.time() * 1000)
        metrics = [
            Metric(name, float(value), now, step)
            for name, value, step in points
            if math.isfinite(value)
        ]
        with _said_plainly(self.uri):
            for start in range(0, len(metrics), METRICS_A_BATCH):
                batch = metrics[start : start + METRICS_A_BATCH]
                _patiently(lambda batch=batch: self._client.log_batch(run_id, metrics=batch))  # type: ignore[misc]

    def finish(
        self,
        run_id: str,
        status: Status,
        *,
        tags: Mapping[str, str] | None = None,
        folder: Path | None = None,
    ) -> None:
        """End a run: its last tags, its files, and then its status."""
        from mlflow.entities import RunTag

        if folder is not None:
            self.add_files(run_id, folder)
        with _said_plainly(self.uri):
            if tags:
                _patiently(
                    lambda: self._client.log_batch(
                        run_id, tags=[RunTag(key, value[:5000]) for key, value in tags.items()]
                    )
                )
            _patiently(lambda: self._client.set_terminated(run_id, status))

    def add_files(self, run_id: str, folder: Path) -> None:
        """Add a folder's files to a run's artifacts."""
        with _said_plainly(self.uri):
            _patiently(lambda: self._client.log_artifacts(run_id, str(folder)))

    def artifacts(self, run_id: str) -> str:
        """Return where a run's files are: a folder's path for a local store, else a URI."""
        uri = str(self._client.get_run(run_id).info.artifact_uri)
        return url2pathname(urlparse(uri).path) if uri.startswith("file:") else uri


def _client(uri: str) -> "MlflowClient":
    # No telemetry, and no collection of garbage among a million freshly imported objects, which
    # would take 0.8 s of the 2.
    os.environ.setdefault("MLFLOW_DISABLE_TELEMETRY", "true")
    collecting = gc.isenabled()
    gc.disable()
    try:
        database = local_database(uri)
        if database is not None:
            ensure_store(database)
        import mlflow

        return mlflow.MlflowClient(uri)
    finally:
        gc.freeze()
        if collecting:
            gc.enable()


def _patiently(call: Callable[[], T]) -> T:
    """Call the store, again and again while another writer has the database locked.

    SQLite itself waits 20 s, whatever the address says; then MLflow gives up at once.
    """
    from mlflow.exceptions import MlflowException

    deadline = time.monotonic() + PATIENCE
    while True:
        try:
            return call()
        except MlflowException as error:
            locked = error.error_code == "TEMPORARILY_UNAVAILABLE" or "is locked" in str(error)
            if not locked or time.monotonic() > deadline:
                raise
            time.sleep(0.2)


@contextmanager
def _said_plainly(uri: str) -> Iterator[None]:
    """Turn a store's failure into one sentence that names the store."""
    from mlflow.exceptions import MlflowException

    try:
        yield
    except MlflowException as error:
        first = str(error).strip().splitlines()[0]
        if "out-of-date database schema" in first:
            raise TrackingError(
                f"The tracking store {uri} was made by another version of MLflow: back it up, "
                f"then run `mlflow db upgrade {uri}`."
            ) from error
        raise TrackingError(
            f"The tracking store {uri} failed: {first} Check tracking.uri and "
            "MLFLOW_TRACKING_URI, and that the store can be reached."
        ) from error
