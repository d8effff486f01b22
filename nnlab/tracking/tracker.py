"""The tracker: starts the runs of one experiment, and writes them."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Self

from nnlab.errors import TrackingError
from nnlab.jobs.code_version import CodeVersion
from nnlab.jobs.prepared_data import PreparedData
from nnlab.jobs.tags import Tag
from nnlab.system.home import user_name
from nnlab.tracking.process import ProcessId
from nnlab.tracking.records import DatasetInput
from nnlab.tracking.server import ANSWER_SECONDS
from nnlab.tracking.store import Store
from nnlab.tracking.writer import Writer


@dataclass(frozen=True)
class DatasetRecord:
    """What a run states of its dataset: MLflow's own digest reads only the first 10,000 values.

    Attributes
    ----------
    name : str
    digest : str
        SHA-256 of all of it, in hex.
    source : str
        Where it came from.
    images, pixels, classes : int
        How many images there are, pixels in each, and classes.
    read_as : str
        What the files were taken for, where that was told by their content.
    """

    name: str
    digest: str
    source: str
    images: int
    pixels: int
    classes: int
    read_as: str = ""

    @classmethod
    def of(cls, name: str, prepared: PreparedData) -> Self:
        """Describe loaded data."""
        data = prepared.dataset
        pixels = data.pixels.shape[1]
        return cls(
            name, prepared.digest, data.source, len(data.labels), pixels, data.classes,
            data.read_as,
        )  # fmt: skip

    def as_input(self) -> DatasetInput:
        """Return it in MLflow's own fields."""
        read_as = {"read_as": self.read_as} if self.read_as else {}
        return DatasetInput(
            name=self.name,
            digest=self.digest[:36],  # MLflow's limit; the tag data_digest holds it whole
            source_type="local",
            source=json.dumps({"uri": self.source, **read_as}),
            data_schema=json.dumps({"pixels": ["uint8", self.pixels], "classes": self.classes}),
            profile=json.dumps({"images": self.images, "sha256": self.digest}),
            tags={"mlflow.data.context": "training"},
        )


class Tracker(Writer):
    """Writes the runs of one experiment, made by one version of the code.

    Attributes
    ----------
    experiment : str
        Its name; it is created where there is none.

    Raises
    ------
    TrackingError
        From any method, where the store cannot be reached or refuses.
    """

    def __init__(self, store: Store, experiment: str, code: CodeVersion) -> None:
        if store.read_only:
            raise TrackingError(
                f"The tracking store {store.uri} cannot be written: its file or its folder is "
                "read-only. Change their permissions, or name another store with tracking.uri=… ."
            )
        super().__init__(store)
        server = self._connection.server
        if server is not None:
            server.limit = ANSWER_SECONDS
        self.experiment = experiment
        self._code = code
        self._experiment_id = self.get_or_create_experiment(experiment)

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
        code = self._code
        system = {
            "mlflow.source.name": "run.py",
            "mlflow.source.type": "LOCAL",
            Tag.USER: user_name(),
            Tag.OWNER: str(ProcessId.this_process()),
        }
        if parent is not None:
            system[Tag.PARENT] = parent
        if code.commit is not None:
            system["mlflow.source.git.commit"] = code.commit
            system[Tag.GIT_COMMIT] = code.commit
            system[Tag.GIT_DIRTY] = str(code.dirty).lower()
        run_id = self.create(self._experiment_id, name, None, {**system, **tags})
        self.log_params(run_id, params)
        if dataset is not None:
            self.log_datasets(run_id, [dataset.as_input()])
        return run_id
