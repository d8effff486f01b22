"""A run, from its plan to its end: its job, its data, what is known of it."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np

from nnlab.runs.config import RunConfig
from nnlab.runs.prepared_data import PreparedData, prepare
from nnlab.training.initializers import draw_params
from nnlab.training.network import Params
from nnlab.training.outcomes import Curve, Status


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
            config.init.initializer,
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
