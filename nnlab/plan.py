"""The plan: which runs there are, which train together, and how many workers share them."""

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

import numpy as np

from nnlab.config import LaunchConfig, RunConfig
from nnlab.engine import State
from nnlab.init import draw_params, stack
from nnlab.network import Params
from nnlab.outcomes import Curve, Summary
from nnlab.prepare import PreparedData, prepare
from nnlab.tracking import Status
from nnlab.training_data import TrainingData
from nnlab.worker import DataRef, Segment, Workers, available_cores

SEGMENT_SECONDS = 1.0  # how often a stack reports: live curves and a prompt Ctrl-C, at little cost
STACK_ROWS = 320  # rows of a stacked product beyond which a wider one gains nothing
WORTH_WORKERS = 20.0  # seconds of work below which starting processes costs more than it gains
MULTIPLY_ADDS_A_SECOND = 1.5e10  # of one core, for that estimate only
KEPT_SHARE = 0.5  # share of the pixels that blocks keep, likewise


@dataclass(frozen=True)
class Job:
    """One run to make: its config, the overrides that led to it, and what to call it."""

    config: RunConfig
    overrides: tuple[str, ...]
    name: str


@dataclass
class Run:
    """What the parent knows of one run, from its plan to its end."""

    job: Job
    prepared: PreparedData
    key: str
    initial: Params
    training: TrainingData | None = None
    run_id: str = ""
    status: Status | None = None
    curve: Curve | None = None
    final: Params | None = None
    summary: Summary | None = None
    error: BaseException | None = None
    metrics: dict[str, float] = field(default_factory=dict)

    @property
    def objective(self) -> float:
        """What an optimising sweeper maximises: the final validation accuracy, or else 0."""
        return self.metrics.get("final_val_accuracy", 0.0)

    @property
    def reason(self) -> str | None:
        """Why the run broke off; None if it did not."""
        if self.error is None:
            return None
        if isinstance(self.error, KeyboardInterrupt):
            return str(self.error) or "interrupted"
        return f"{type(self.error).__name__}: {self.error}"


@dataclass
class Stack:
    """Runs that train together, and the state they have reached."""

    runs: list[Run]
    state: State
    data: DataRef
    threads: int
    seconds_an_epoch: float | None = None

    def next_segment(self) -> Segment:
        """Return the next order: about a second of work, and not past the end of any run."""
        ends = min(run.job.config.epochs for run in self.runs)
        left = ends - self.state.epoch
        affordable = 2 if self.seconds_an_epoch is None else SEGMENT_SECONDS / self.seconds_an_epoch
        epochs = min(left, max(1, int(affordable)))
        return Segment(self.state, self.data, epochs, epochs == left, self.threads)


def ranked(runs: Sequence[Run]) -> list[Run]:
    """Sort runs from best to worst: by final validation accuracy, without one last."""
    return sorted(runs, key=lambda run: -run.metrics.get("final_val_accuracy", -1.0))


def value_of(run: Run, key: str) -> str:
    """Return what a run's overrides say of a field."""
    for override in run.job.overrides:
        name, _, value = override.partition("=")
        if name.lstrip("+~") == key:
            return value
    return ""


def plan_runs(jobs: Sequence[Job]) -> list[Run]:
    """Load each dataset once, and draw every run's initial weights."""
    datasets: dict[object, PreparedData] = {}
    runs = []
    for job in jobs:
        config = job.config
        prepared = datasets.get(config.data)
        if prepared is None:
            prepared = datasets[config.data] = prepare(config.data)
        initial = draw_params(
            config.init.initialiser,
            config.seed,
            pixels=prepared.dataset.pixels.shape[1],
            hidden=config.hidden_size,
            classes=prepared.dataset.classes,
            dtype=np.dtype(config.dtype),
        )
        runs.append(Run(job, prepared, config.key(prepared.digest), initial))
    return runs


def division(runs: Sequence[Run], settings: LaunchConfig) -> tuple[int, int]:
    """Decide how many workers there are, and how many threads each has."""
    cores = available_cores()
    wanted = cores if settings.n_jobs == -1 else settings.n_jobs
    threads = min((run.job.config.threads or cores for run in runs), default=1)
    small = settings.n_jobs == -1 and _seconds(runs) < WORTH_WORKERS
    if settings.backend == "sequential" or small:
        return 1, threads
    count = max(1, min(wanted, len(runs)))
    return count, min(threads, max(1, cores // count))


def _seconds(runs: Iterable[Run]) -> float:
    """Estimate the work in core-seconds: two products forward and back over what blocks keep."""
    total = 0.0
    for run in runs:
        samples = len(run.prepared.split.train)
        weights = run.job.config.hidden_size * run.prepared.dataset.pixels.shape[1]
        total += 2 * KEPT_SHARE * samples * weights * run.job.config.epochs
    return total / MULTIPLY_ADDS_A_SECOND


def plan_stacks(runs: Sequence[Run], crew: Workers, settings: LaunchConfig) -> list[Stack]:
    """Group runs that may share their products, and cut the groups to balanced stacks."""
    groups: dict[object, list[Run]] = {}
    for run in runs:
        config = run.job.config
        shape = (config.data, config.dtype, config.batch_size, config.hidden_size)
        groups.setdefault(shape, []).append(run)

    stacks = []
    for group in groups.values():
        config = group[0].job.config
        limit = max(1, STACK_ROWS // config.hidden_size)
        if isinstance(settings.stack, int):
            limit = settings.stack
        pieces = max(math.ceil(len(group) / limit), min(crew.count, len(group)))
        training = group[0].prepared.training(config)
        for run in group:
            run.training = training
        data = crew.share(training)
        # Runs that end together stand together, so that a stack stays whole for long.
        group.sort(key=lambda run: run.job.config.epochs)
        for piece in range(pieces):
            members = group[piece * len(group) // pieces : (piece + 1) * len(group) // pieces]
            params = stack([run.initial for run in members])
            state = State.start(params, [run.job.config.lr for run in members])
            stacks.append(Stack(members, state, data, crew.threads))
    return stacks
