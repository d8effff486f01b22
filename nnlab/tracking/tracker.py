"""The tracker: starts the runs of one experiment, and writes them."""

import getpass
import json
from collections.abc import Mapping
from dataclasses import dataclass

from nnlab.runs.code_version import CodeVersion
from nnlab.runs.tags import Tag
from nnlab.tracking.process import ProcessId
from nnlab.tracking.records import DatasetInput
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
    """

    name: str
    digest: str
    source: str
    images: int
    pixels: int
    classes: int


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
        super().__init__(store)
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
        from mlflow.entities import Param

        code = self._code
        system = {
            "mlflow.source.name": "run.py",
            "mlflow.source.type": "LOCAL",
            Tag.USER: getpass.getuser(),
            Tag.OWNER: str(ProcessId.this_process()),
        }
        if parent is not None:
            system[Tag.PARENT] = parent
        if code.commit is not None:
            system["mlflow.source.git.commit"] = code.commit
            system[Tag.GIT_COMMIT] = code.commit
            system[Tag.GIT_DIRTY] = str(code.dirty).lower()
        run_id = self.create(self._experiment_id, name, None, {**system, **tags})
        entries = [Param(key, value) for key, value in params.items()]
        self._call(self._client.log_batch, run_id, params=entries)
        if dataset is not None:
            self.log_datasets(run_id, [_input(dataset)])
        return run_id


def _input(dataset: DatasetRecord) -> DatasetInput:
    return DatasetInput(
        name=dataset.name,
        digest=dataset.digest[:36],  # MLflow's limit; the tag data_digest holds it whole
        source_type="local",
        source=json.dumps({"uri": dataset.source}),
        data_schema=json.dumps({"pixels": ["uint8", dataset.pixels], "classes": dataset.classes}),
        profile=json.dumps({"images": dataset.images, "sha256": dataset.digest}),
        tags={"mlflow.data.context": "training"},
    )
