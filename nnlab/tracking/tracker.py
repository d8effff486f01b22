"""The tracker: how a run is written down, from its start to its end."""

import getpass
import json
import math
import tempfile
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import NamedTuple, TypeVar

from nnlab.errors import TrackingError
from nnlab.runs.code_version import CodeVersion
from nnlab.tracking.connection import readable_errors, with_retries
from nnlab.tracking.locations import local_database, local_path, tracking_uri
from nnlab.tracking.process import ProcessId
from nnlab.tracking.relocation import is_outside, refuse_moved_store
from nnlab.tracking.store import Store
from nnlab.training.outcomes import Status

T = TypeVar("T")

Point = tuple[str, float, int]  # metric, value, epoch

METRICS_A_BATCH = 1000  # MLflow's limit for one request
TEXTS_A_BATCH = 20  # of the longest params or tags, below MLflow's limit of a megabyte
TAG_LENGTH = 5000  # below MLflow's limit


class Measurement(NamedTuple):
    """A value of a metric at a step; the timestamp is in milliseconds since 1970."""

    key: str
    value: float
    timestamp: int
    step: int


@dataclass(frozen=True)
class DatasetInput:
    """A dataset that a run names as its input, in MLflow's own fields."""

    name: str
    digest: str
    source_type: str
    source: str
    data_schema: str | None
    profile: str | None
    tags: Mapping[str, str]


@dataclass(frozen=True)
class DatasetRecord:
    """What a run tells of its dataset: MLflow's own digest reads only the first 10,000 values."""

    name: str
    digest: str
    source: str
    images: int
    pixels: int
    classes: int


class Tracker(Store):
    """One experiment in one tracking store, seen by its only writer.

    Raises
    ------
    TrackingError
        From any method, where the store cannot be reached or refuses.
    """

    def __init__(self, uri: str | None, experiment: str, code: CodeVersion) -> None:
        super().__init__(tracking_uri(uri))
        self.experiment = experiment
        self._code = code
        with readable_errors(self.uri):
            self.experiment_id = self._get_or_create_experiment()

    def _get_or_create_experiment(self) -> str:
        from mlflow.exceptions import MlflowException

        database = local_database(self.uri)
        found = self.client.get_experiment_by_name(self.experiment)
        if found is not None:
            if found.lifecycle_stage != "active":
                raise TrackingError(
                    f"tracking.experiment={self.experiment} was deleted in {self.uri}: restore it "
                    f"with `mlflow experiments restore -x {found.experiment_id}`, or name another."
                )
            if database is not None and is_outside(database, found.artifact_location):
                refuse_moved_store(database)  # its runs would be written elsewhere
            return str(found.experiment_id)
        location = None if database is None else (database.parent / "artifacts").as_uri()
        try:
            return str(self.client.create_experiment(self.experiment, location))
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
            "owner": str(ProcessId.this_process()),
        }
        if parent is not None:
            system["mlflow.parentRunId"] = parent
        if code.commit is not None:
            system["mlflow.source.git.commit"] = code.commit
            system["git_commit"] = code.commit
            system["git_dirty"] = str(code.dirty).lower()
        with readable_errors(self.uri):
            run = with_retries(
                lambda: self.client.create_run(
                    self.experiment_id, tags={**system, **tags}, run_name=name
                )
            )
            run_id = str(run.info.run_id)
            uri = str(run.info.artifact_uri)
            self._artifacts[run_id] = local_path(uri) or uri
            with_retries(
                lambda: self.client.log_batch(
                    run_id, params=[Param(key, value) for key, value in params.items()]
                )
            )
            if dataset is not None:
                self._log_dataset(run_id, dataset)
        return run_id

    def _log_dataset(self, run_id: str, dataset: DatasetRecord) -> None:
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
        with_retries(lambda: self.client.log_inputs(run_id, inputs))

    def log(
        self, run_id: str, points: Iterable[Point], tags: Mapping[str, str] | None = None
    ) -> None:
        """Log metrics by epoch, in batches, and tags; what is not finite is left out.

        MLflow would store infinity as 1.8e308 and draw it.
        """
        from mlflow.entities import Metric, RunTag

        now = int(time.time() * 1000)
        metrics = [
            Metric(name, float(value), now, step)
            for name, value, step in points
            if math.isfinite(value)
        ]
        batches = [
            metrics[start : start + METRICS_A_BATCH]
            for start in range(0, len(metrics), METRICS_A_BATCH)
        ]
        last = [RunTag(key, value[:TAG_LENGTH]) for key, value in (tags or {}).items()]
        with readable_errors(self.uri):
            for batch in batches or [[]]:
                own = last if not batches or batch is batches[-1] else []
                if batch or own:
                    with_retries(
                        lambda batch=batch, own=own: self.client.log_batch(  # type: ignore[misc]
                            run_id, metrics=batch, tags=own
                        )
                    )

    def finish(self, run_id: str, status: Status, *, tags: Mapping[str, str] | None = None) -> None:
        """End a run: its last tags, and then its status."""
        self.log(run_id, (), tags)
        with readable_errors(self.uri):
            with_retries(lambda: self.client.set_terminated(run_id, status))

    def reopen(self, run_id: str) -> None:
        """Take up a run again: RUNNING, this process's, without the reason why it stopped."""
        from mlflow.exceptions import MlflowException

        self.log(run_id, (), {"owner": str(ProcessId.this_process())})
        with readable_errors(self.uri):
            with_retries(lambda: self.client.update_run(run_id, status="RUNNING"))
            with suppress(MlflowException):  # it had none
                self.client.delete_tag(run_id, "reason")

    def restore(
        self,
        run_id: str,
        *,
        params: Mapping[str, str],
        tags: Mapping[str, str],
        metrics: Iterable[Measurement],
        datasets: Iterable[DatasetInput],
    ) -> None:
        """Write into a run what another store said of it, with its own times, as it stands."""
        from mlflow.entities import Dataset, InputTag, Metric, Param, RunTag
        from mlflow.entities import DatasetInput as Input

        def send(
            params: Sequence[Param] = (),
            tags: Sequence[RunTag] = (),
            metrics: Sequence[Metric] = (),
        ) -> None:
            with_retries(lambda: self.client.log_batch(run_id, metrics, params, tags))

        with readable_errors(self.uri):
            for batch in _batches(params.items(), TEXTS_A_BATCH):
                send(params=[Param(*each) for each in batch])
            for batch in _batches(tags.items(), TEXTS_A_BATCH):
                send(tags=[RunTag(*each) for each in batch])
            for points in _batches(metrics, METRICS_A_BATCH):
                send(metrics=[Metric(*each) for each in points])
            inputs = []
            for each in datasets:
                source, texts = (each.source_type, each.source), (each.data_schema, each.profile)
                marks = [InputTag(*tag) for tag in each.tags.items()]
                inputs.append(Input(Dataset(each.name, each.digest, *source, *texts), marks))
            if inputs:
                with_retries(lambda: self.client.log_inputs(run_id, inputs))

    @contextmanager
    def folder(self, run_id: str) -> Iterator[Path]:
        """Provide a folder whose files are a run's artifacts; what it holds already stays.

        Raises
        ------
        TrackingError
            Where they cannot be written: a full disk, for one.
        """
        where = self.artifacts(run_id)
        try:
            if local_path(where) is not None:
                Path(where).mkdir(parents=True, exist_ok=True)
                yield Path(where)
                return
            with tempfile.TemporaryDirectory(prefix="nnlab-") as folder:
                yield Path(folder)
                with readable_errors(self.uri):
                    with_retries(lambda: self.client.log_artifacts(run_id, folder))
        except OSError as error:
            raise TrackingError(
                f"The artifacts of run {run_id[:8]} cannot be written to {where}: {error}. Check "
                "the folder's permissions and free space."
            ) from error


def _batches(entities: Iterable[T], size: int) -> Iterator[list[T]]:
    rest = iter(entities)
    while batch := list(islice(rest, size)):
        yield batch
