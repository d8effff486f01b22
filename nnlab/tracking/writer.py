"""Writing into a tracking store: metrics, tags, files and ends of runs, and imported runs."""

import math
import shutil
import time
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager, suppress
from itertools import islice
from pathlib import Path
from typing import TypeVar

from nnlab.errors import TrackingError, reason_of
from nnlab.jobs.tags import Tag
from nnlab.safe_text import masked
from nnlab.system.temporary import temporary_folder
from nnlab.tracking.locations import files_folder, local_database, local_path, refuse_links
from nnlab.tracking.process import ProcessId
from nnlab.tracking.records import DatasetInput, Measurement, RunRecord
from nnlab.tracking.relocation import refuse_moved_store
from nnlab.tracking.store import Store
from nnlab.tracking.store_folder import is_outside
from nnlab.training.outcomes import Status

T = TypeVar("T")

Point = tuple[str, float, int]  # metric, value, epoch

METRICS_A_BATCH = 10_000  # in memory at a time; MLflow's client sends a server 1,000 at a time
TEXTS_A_BATCH = 20  # of the longest params or tags, below MLflow's limit of a megabyte
TAG_LENGTH = 5000  # below MLflow's limit


class Writer:
    """Changes what a store holds.

    Attributes
    ----------
    store : Store
        The store that it writes into, for reading.

    Raises
    ------
    TrackingError
        From any method, where the store cannot be reached or refuses.
    """

    def __init__(self, store: Store) -> None:
        self.store = store
        self._connection = store._connection  # noqa: SLF001 - one connection serves both
        self._client, self._call = self._connection.client, self._connection.call

    @property
    def lost(self) -> bool:
        """Whether the store's server does not answer; it is asked again in the background."""
        server = self._connection.server
        return server is not None and server.lost

    def log(
        self, run_id: str, points: Iterable[Point], tags: Mapping[str, str] | None = None
    ) -> None:
        """Log metrics by epoch, and tags.

        Values that are not finite are left out: MLflow would store infinity as 1.8e308 and draw it.
        """
        from mlflow.entities import Metric, RunTag

        now = int(time.time() * 1000)
        metrics = [
            Metric(name, float(value), now, step)
            for name, value, step in points
            if math.isfinite(value)
        ]
        run_tags = [RunTag(key, masked(value)[:TAG_LENGTH]) for key, value in (tags or {}).items()]
        if metrics or run_tags:
            self._call(self._connection.log_batch, run_id, metrics=metrics, tags=run_tags)

    def finish(self, run_id: str, status: Status, *, tags: Mapping[str, str] | None = None) -> None:
        """End a run: its last tags, and then its status."""
        self.log(run_id, (), tags)
        self._call(self._client.set_terminated, run_id, status)

    def reopen(self, run_id: str) -> None:
        """Continue a run in this process: RUNNING, without the reason why it stopped."""
        self.log(run_id, (), {Tag.OWNER: str(ProcessId.this_process())})
        self._call(self._client.update_run, run_id, status="RUNNING")
        with suppress(TrackingError):  # it had none
            self.remove_tag(run_id, Tag.REASON)

    @contextmanager
    def folder(self, run_id: str) -> Iterator[Path]:
        """Provide a folder whose files become a run's artifacts; the run keeps those it has.

        Raises
        ------
        TrackingError
            Where they cannot be written: a full disk, for one.
        """
        location = self.store.artifacts(run_id)
        try:
            if local_path(location) is not None:
                Path(location).mkdir(parents=True, exist_ok=True)
                refuse_links(Path(location))
                yield Path(location)
                return
            with temporary_folder() as folder:
                yield folder
                self._call(self._client.log_artifacts, run_id, str(folder))
        except OSError as error:
            raise TrackingError(
                f"The artifacts of run {run_id[:8]} cannot be written to {location}: "
                f"{reason_of(error)}. Check the folder's permissions and free space."
            ) from error

    def remove_tag(self, run_id: str, tag: str) -> None:
        """Remove a run's tag."""
        self._call(self._client.delete_tag, run_id, tag)

    def tag_experiment(self, experiment_id: str, key: str, value: str) -> None:
        """Write a tag of an experiment."""
        self._call(self._client.set_experiment_tag, experiment_id, key, value)

    def get_or_create_experiment(self, name: str) -> str:
        """Return the id of the experiment of this name; it is created where there is none."""
        uri = self.store.uri
        database = local_database(uri)
        experiment = self._call(self._client.get_experiment_by_name, name)
        if experiment is not None:
            if experiment.lifecycle_stage != "active":
                raise TrackingError(
                    f"tracking.experiment={name} was deleted in {uri}: restore it with `mlflow "
                    f"experiments restore -x {experiment.experiment_id}`, or name another."
                )
            if database is not None and is_outside(database, experiment.artifact_location):
                refuse_moved_store(database)  # its runs would be written elsewhere
            return str(experiment.experiment_id)
        location = None if database is None else (database.parent / "artifacts").as_uri()
        try:
            return str(self._call(self._client.create_experiment, name, location))
        except TrackingError:
            if self._call(self._client.get_experiment_by_name, name) is None:
                raise
            return self.get_or_create_experiment(name)  # another process has just created it

    def create(
        self, experiment_id: str, name: str, start_time: int | None, tags: Mapping[str, str]
    ) -> str:
        """Create a run, RUNNING from a time in milliseconds or from now on; return its id."""
        run = self._call(
            self._client.create_run, experiment_id, start_time,
            {key: masked(value) for key, value in tags.items()}, name,
        )  # fmt: skip
        run_id, uri = str(run.info.run_id), str(run.info.artifact_uri)
        self.store.artifact_locations[run_id] = local_path(uri) or uri
        return run_id

    def restore(
        self,
        run_id: str,
        *,
        params: Mapping[str, str],
        tags: Mapping[str, str],
        metrics: Iterable[Measurement],
        datasets: Iterable[DatasetInput],
    ) -> None:
        """Write into a run what another store holds of it, with its own times, unchanged."""
        from mlflow.entities import Metric, RunTag

        send, batch = self._call, self._connection.log_batch
        for texts in _batches(params.items(), TEXTS_A_BATCH):
            self.log_params(run_id, dict(texts))
        for texts in _batches(tags.items(), TEXTS_A_BATCH):
            send(batch, run_id, tags=[RunTag(*each) for each in texts])
        for points in _batches(metrics, METRICS_A_BATCH):
            send(batch, run_id, metrics=[Metric(*each) for each in points])
        self.log_datasets(run_id, datasets)

    def restore_end(self, run_id: str, status: Status, end_time: int | None) -> None:
        """Give a run the status and the end that it has in another store."""
        if end_time is None:  # set_terminated would take the present
            self._call(self._client.update_run, run_id, status=status)
        else:
            self._call(self._client.set_terminated, run_id, status, end_time)

    def add_missing(
        self,
        record: RunRecord,
        *,
        params: Mapping[str, str],
        tags: Mapping[str, str],
        dataset: DatasetInput | None,
    ) -> None:
        """Write what a run lacks: a kill can part its creation from its params and its dataset."""
        new_params = {name: value for name, value in params.items() if name not in record.params}
        new_tags = {name: value for name, value in tags.items() if name not in record.tags}
        if new_params:
            self.log_params(record.run_id, new_params)
        self.log(record.run_id, (), new_tags)
        if dataset is not None and not record.has_dataset:
            self.log_datasets(record.run_id, [dataset])

    def log_params(self, run_id: str, params: Mapping[str, str]) -> None:
        """Write params of a run, in one request."""
        from mlflow.entities import Param

        entries = [Param(name, value) for name, value in params.items()]
        self._call(self._connection.log_batch, run_id, params=entries)

    def log_datasets(self, run_id: str, datasets: Iterable[DatasetInput]) -> None:
        """Name datasets as a run's inputs."""
        from mlflow.entities import Dataset, InputTag
        from mlflow.entities import DatasetInput as MlflowInput

        inputs = [
            MlflowInput(
                Dataset(
                    each.name,
                    each.digest,
                    each.source_type,
                    each.source,
                    each.data_schema,
                    each.profile,
                ),
                [InputTag(*tag) for tag in each.tags.items()],
            )
            for each in datasets
        ]
        if inputs:
            self._call(self._client.log_inputs, run_id, inputs)

    def delete(self, run_id: str) -> None:
        """Delete a run, and in a local store its files, where they are certainly its own."""
        location = local_path(self.store.artifacts(run_id))
        self._call(self._client.delete_run, run_id)
        database = local_database(self.store.uri)
        if location is None or database is None:
            return
        folder = Path(location).parent
        if folder.name == run_id and folder.resolve().is_relative_to(database.resolve().parent):
            shutil.rmtree(folder, ignore_errors=True)

    def put_into_trash(self, run_id: str) -> None:
        """Mark a run as deleted; its files stay."""
        self._call(self._client.delete_run, run_id)

    def bring_back(self, run_id: str) -> None:
        """Undo ``put_into_trash``."""
        self._call(self._client.restore_run, run_id)

    def erase(self, run_id: str) -> list[str]:
        """Delete for good a run of a local store that is in the trash, and its files.

        The files come first, so that a kill leaves the run in the trash. They are those beside the
        database, whatever address it has for them.

        Returns
        -------
        list of str
            A sentence where files stay, as they are elsewhere.
        """
        database = local_database(self.store.uri)
        if database is None:
            raise TrackingError(f"{self.store.uri} is no local store: nothing was deleted.")
        folder = files_folder(database, run_id)
        address = str(self._call(self._client.get_run, run_id).info.artifact_uri)
        try:
            if folder.is_symlink():
                folder.unlink()
            elif folder.exists():
                shutil.rmtree(folder)
        except OSError as error:
            raise TrackingError(
                f"The files of run {run_id[:8]} cannot be deleted: {error}. It is in the trash; "
                "give its command again when that is mended."
            ) from error
        # As `mlflow gc` does it, which would also delete the files at whatever address there is.
        self._call(self._client._tracking_client.store._hard_delete_run, run_id)  # noqa: SLF001
        place = Path(local_path(address) or folder)
        stay = local_path(address) is None or (place.parent != folder and place.exists())
        return [f"the files of {run_id[:8]} stay: they are in {address}"] if stay else []


def _batches(entities: Iterable[T], size: int) -> Iterator[list[T]]:
    rest = iter(entities)
    while batch := list(islice(rest, size)):
        yield batch
