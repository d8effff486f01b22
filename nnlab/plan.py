"""The plan: which runs there are, what is known of each, and how many workers share them."""

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np

from nnlab.config import LaunchConfig, RunConfig
from nnlab.crews import available_cores
from nnlab.init import draw_params
from nnlab.network import Params
from nnlab.outcomes import Curve
from nnlab.prepare import PreparedData, prepare
from nnlab.tracking import Status

WORTH_WORKERS = 20.0  # seconds of work below which starting processes costs more than it gains
MULTIPLY_ADDS_A_SECOND = 1.5e10  # of one core, for that estimate only
KEPT_SHARE = 0.5  # share of the pixels that blocks keep, likewise


@dataclass(frozen=True)
class Job:
    """One run to make: its config, the overrides that led to it, and what to call it.

    Attributes
    ----------
    tags : more that the store is to say of it
    """

    config: RunConfig
    overrides: tuple[str, ...]
    name: str
    tags: Mapping[str, str] = field(default_factory=dict)


@dataclass
class Run:
    """What the parent knows of one run, from its plan to its end.

    Attributes
    ----------
    index : its place in the plan, and so its name among the checkpoints
    key : its identity
    epoch : reached so far
    logged : metric -> last epoch that the store has of it
    curve : the history so far, of a run that is under way
    status : how it ended; None before
    outcome : what it came to; None where it did not come to its end
    reason : why it broke off
    stopped : whether it is in the store, and stands still there
    reused : whether an earlier sweep made it
    """

    job: Job
    index: int
    prepared: PreparedData
    key: str
    epoch: int = 0
    run_id: str = ""
    logged: dict[str, int] = field(default_factory=dict)
    curve: Curve | None = None
    status: Status | None = None
    outcome: str | None = None
    metrics: dict[str, float] = field(default_factory=dict)
    reason: str | None = None
    stopped: bool = False
    error: BaseException | None = None
    reused: bool = False

    @property
    def complete(self) -> bool:
        """Whether nothing is left to do: trained to its end, or pruned."""
        return self.outcome is not None

    @property
    def objective(self) -> float:
        """What an optimising sweeper looks at; without it, a run has learned nothing."""
        name = self.job.config.objective
        return self.metrics.get(name, math.inf if name.endswith("loss") else 0.0)

    def initial(self) -> Params:
        """Draw the initial weights: a stack of one, the same at every call."""
        config = self.job.config
        return draw_params(
            config.init.initialiser,
            config.seed,
            pixels=self.prepared.dataset.pixels.shape[1],
            hidden=config.hidden_size,
            classes=self.prepared.dataset.classes,
            dtype=np.dtype(config.dtype),
        )


def plan_runs(jobs: Sequence[Job], first: int = 0) -> list[Run]:
    """Load each dataset once, and give every run its identity and its place, ``first`` and on."""
    datasets: dict[object, PreparedData] = {}
    runs = []
    for index, job in enumerate(jobs, start=first):
        prepared = datasets.get(job.config.data)
        if prepared is None:
            prepared = datasets[job.config.data] = prepare(job.config.data)
        runs.append(Run(job, index, prepared, job.config.key(prepared.digest)))
    return runs


def division(runs: Sequence[Run], settings: LaunchConfig) -> tuple[int, int]:
    """Decide how many workers there are, and how many threads each has."""
    cores = available_cores()
    wanted = cores if settings.n_jobs == -1 else settings.n_jobs
    threads = min((run.job.config.threads or cores for run in runs), default=1)
    small = settings.n_jobs == -1 and settings.backend == "loky" and seconds(runs) < WORTH_WORKERS
    if settings.backend == "sequential" or small:
        return 1, threads
    count = max(1, min(wanted, len(runs)))
    return count, min(threads, max(1, cores // count))


def seconds(runs: Iterable[Run]) -> float:
    """Estimate the work in core-seconds: two products forward and back over what blocks keep."""
    total = 0.0
    for run in runs:
        samples = len(run.prepared.split.train)
        weights = run.job.config.hidden_size * run.prepared.dataset.pixels.shape[1]
        epochs = run.job.config.epochs - run.epoch
        total += 2 * KEPT_SHARE * samples * weights * epochs
    return total / MULTIPLY_ADDS_A_SECOND
