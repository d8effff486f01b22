"""The tracker: how a run is written down, from its start to its end."""

import getpass
import json
import math
import time
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Literal
from urllib.parse import urlparse
from urllib.request import url2pathname

from nnlab.errors import TrackingError
from nnlab.provenance import CodeVersion
from nnlab.store import Store, local_database, patiently, said_plainly, tracking_uri

Status = Literal["FINISHED", "FAILED", "KILLED"]
Point = tuple[str, float, int]  # metric, value, epoch

METRICS_A_BATCH = 1000  # MLflow's limit for one request


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
        with said_plainly(self.uri):
            self.experiment_id = self._get_or_create_experiment()

    def _get_or_create_experiment(self) -> str:
        from mlflow.exceptions import MlflowException

        found = self.client.get_experiment_by_name(self.experiment)
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
        }
        if parent is not None:
            system["mlflow.parentRunId"] = parent
        if code.commit is not None:
            system["mlflow.source.git.commit"] = code.commit
            system["git_commit"] = code.commit
            system["git_dirty"] = str(code.dirty).lower()
        with said_plainly(self.uri):
            run = patiently(
                lambda: self.client.create_run(
                    self.experiment_id, tags={**system, **tags}, run_name=name
                )
            )
            run_id = str(run.info.run_id)
            patiently(
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
        patiently(lambda: self.client.log_inputs(run_id, inputs))

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
        with said_plainly(self.uri):
            for start in range(0, len(metrics), METRICS_A_BATCH):
                batch = metrics[start : start + METRICS_A_BATCH]
                patiently(lambda batch=batch: self.client.log_batch(run_id, metrics=batch))  # type: ignore[misc]

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
        with said_plainly(self.uri):
            if tags:
                patiently(
                    lambda: self.client.log_batch(
                        run_id, tags=[RunTag(key, value[:5000]) for key, value in tags.items()]
                    )
                )
            patiently(lambda: self.client.set_terminated(run_id, status))

    def add_files(self, run_id: str, folder: Path) -> None:
        """Add a folder's files to a run's artifacts."""
        with said_plainly(self.uri):
            patiently(lambda: self.client.log_artifacts(run_id, str(folder)))

    def artifacts(self, run_id: str) -> str:
        """Return where a run's files are: a folder's path for a local store, else a URI."""
        uri = str(self.client.get_run(run_id).info.artifact_uri)
        return url2pathname(urlparse(uri).path) if uri.startswith("file:") else uri
