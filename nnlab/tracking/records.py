"""What a store holds of a run, as plain values."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

from nnlab.errors import RecordError
from nnlab.jobs.tags import Tag

if TYPE_CHECKING:
    from mlflow.entities import Run as MlflowRun

LONGEST_NUMBER = 10  # digits of a job's number


@dataclass(frozen=True)
class RunRecord:
    """A run as the store has it.

    Attributes
    ----------
    run_id, experiment_id, name : str
    status : str
        RUNNING, FINISHED, FAILED, KILLED or SCHEDULED.
    tags, params : dict of str to str
        As they were logged.
    metrics : dict of str to float
        The last value of each metric.
    steps : dict of str to int
        The epoch of that value.
    start_time : int
        Milliseconds since 1970, UTC.
    has_dataset : bool or None
        Whether it names a dataset as its input; None where that was not read.
    end_time : int or None
        Milliseconds since 1970, UTC; None for a run that has no end.
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
    has_dataset: bool | None = None
    end_time: int | None = None

    @classmethod
    def of(cls, run: "MlflowRun") -> "RunRecord":
        """Convert MLflow's run object."""
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
            bool(run.inputs and run.inputs.dataset_inputs),
            run.info.end_time,
        )

    @property
    def is_sweep(self) -> bool:
        """Whether it stands for the runs of a sweep."""
        return self.tags.get(Tag.KIND) == "sweep"

    @property
    def parent(self) -> str | None:
        """The id of the run that it is nested under; None for a run on its own."""
        return self.tags.get(Tag.PARENT)

    @property
    def job(self) -> int:
        """Its number in its sweep, from 0.

        Raises
        ------
        RecordError
            Where the store holds something else.
        """
        number = self.tags.get(Tag.JOB, "0")
        if not (number.isascii() and number.isdigit() and len(number) < LONGEST_NUMBER):
            raise RecordError(
                f"The tag `{Tag.JOB}` of run {self.run_id[:8]} is {number[:20]!r}, expected the "
                "number of the run in its sweep; the store was changed after the run."
            )
        return int(number)


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
class RunDetails:
    """A run with what a ``RunRecord`` leaves out.

    Attributes
    ----------
    record : RunRecord
    end_time : int or None
        Milliseconds since 1970, UTC; None for a run that has no end.
    datasets : list of DatasetInput
        Sorted by name and digest.
    models : int
        Number of models that MLflow has logged beside the run's own files.
    """

    record: RunRecord
    end_time: int | None
    datasets: list[DatasetInput]
    models: int

    @classmethod
    def of(cls, run: "MlflowRun") -> "RunDetails":
        """Convert MLflow's run object."""
        datasets = [
            DatasetInput(
                each.dataset.name,
                each.dataset.digest,
                each.dataset.source_type,
                each.dataset.source,
                each.dataset.schema,
                each.dataset.profile,
                {tag.key: tag.value for tag in sorted(each.tags, key=lambda tag: tag.key)},
            )
            for each in (run.inputs.dataset_inputs if run.inputs else ())
        ]
        return cls(
            RunRecord.of(run),
            run.info.end_time,
            sorted(datasets, key=lambda each: (each.name, each.digest)),
            len(run.outputs.model_outputs) if run.outputs else 0,
        )
