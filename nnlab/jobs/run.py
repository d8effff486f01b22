"""A run: the job, the data and the identity that it was planned with, and what became of it."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np

from nnlab.errors import DoesNotFitError
from nnlab.jobs.config import RunConfig
from nnlab.jobs.prepared_data import PreparedData, prepare
from nnlab.system.memory import memory_size
from nnlab.system.status_line import status
from nnlab.training.initializers import draw_params
from nnlab.training.network import Params
from nnlab.training.outcomes import Curve, Status

SEEDS = ("seed", "data.seed", "order_seed")  # of the initial weights, the split, the batches' order

DRAWING = 16  # bytes that each initial weight takes at least: it is drawn, and scaled, in float64


@dataclass(frozen=True)
class Job:
    """One run to make: its config, the overrides that led to it, its name.

    Attributes
    ----------
    tags : Mapping[str, str]
        Further tags of the run in the tracking store.
    """

    config: RunConfig
    overrides: tuple[str, ...]
    name: str
    tags: Mapping[str, str] = field(default_factory=dict)


@dataclass
class RunState:
    """What has become of a run so far.

    Only ``execution.recorder`` writes it, and ``execution.reuse`` where the store or a checkpoint
    knows the run already.

    Attributes
    ----------
    run_id : str
        Id in the tracking store; empty until the run is created there.
    epoch : int
        The epoch reached so far.
    curve : Curve or None
        The history so far; None before the first segment and after the end.
    logged : dict[str, int]
        Metric -> the last epoch that the store has of it.
    suspended : bool
        Whether the run was ended in the store before it was complete, and has to be reopened.
    reused : bool
        Whether an earlier sweep made the run.
    late : bool
        Whether the store lacks something of the run, as its server was lost.
    status : Status or None
        How the run ended; None before.
    outcome : str or None
        See ``training.outcomes``; None unless the run was trained to its end, or pruned.
    metrics : dict[str, float]
        The summary metrics of a run that has an outcome.
    best : float or None
        The best validation accuracy so far, at finite losses.
    last : tuple[float, int] or None
        The last such accuracy, and its epoch.
    reason : str or None
        Why the run failed, was interrupted or was pruned.
    error : BaseException or None
        What ended a run that has no outcome.
    """

    run_id: str = ""
    epoch: int = 0
    curve: Curve | None = None
    logged: dict[str, int] = field(default_factory=dict)
    suspended: bool = False
    reused: bool = False
    late: bool = False
    status: Status | None = None
    outcome: str | None = None
    metrics: dict[str, float] = field(default_factory=dict)
    best: float | None = None
    last: tuple[float, int] | None = None
    reason: str | None = None
    error: BaseException | None = None

    def advance(self, epoch: int, piece: Curve) -> Curve:
        """Add the measurements up to an epoch, and return the whole curve."""
        self.epoch = epoch
        accuracy, losses = (piece.values[name] for name in ("val/accuracy", "val/loss"))
        rows = np.flatnonzero(np.isfinite(losses))
        if rows.size:
            self.best = max(self.best or 0.0, float(accuracy[rows].max()))
            self.last = float(accuracy[rows[-1]]), int(piece.epochs[rows[-1]])
        self.curve = piece if self.curve is None else self.curve.then(piece)
        return self.curve


@dataclass(frozen=True, eq=False)
class Run:
    """One run of a plan.

    Attributes
    ----------
    index : int
        Position in the plan; names the run's checkpoint.
    key : str
        Identity of the run, see ``RunConfig.key``.
    """

    job: Job
    index: int
    prepared: PreparedData
    key: str
    state: RunState = field(default_factory=RunState)

    @property
    def complete(self) -> bool:
        """Whether nothing is left to do: trained to its end, or pruned, and the store has it."""
        return self.state.outcome is not None and not self.state.late

    @property
    def objective(self) -> float:
        """The value that an optimising sweeper compares; the worst one where there is none."""
        name = self.job.config.objective
        return self.state.metrics.get(name, math.inf if name.endswith("loss") else 0.0)

    def initial(self) -> Params:
        """Draw the initial weights: a stack of one, the same at every call.

        Raises
        ------
        DoesNotFitError
            Where they are larger than the memory.
        """
        config = self.job.config
        self._require_memory()
        return draw_params(
            config.init.initializer,
            config.seed,
            pixels=self.prepared.dataset.pixels.shape[1],
            hidden=config.hidden_size,
            classes=self.prepared.dataset.classes,
            dtype=config.dtype,
        )

    def _require_memory(self) -> None:
        data, hidden = self.prepared.dataset, self.job.config.hidden_size
        needed, size = DRAWING * hidden * (data.pixels.shape[1] + data.classes), memory_size()
        if size is not None and needed > size:
            raise DoesNotFitError(
                f"hidden_size={hidden} takes {needed / 2**30:,.0f} GiB for the initial weights "
                f"alone, and this machine has {size / 2**30:,.1f} GiB of memory. A smaller "
                "hidden_size needs less."
            )


def plan_runs(jobs: Sequence[Job], first: int = 0) -> list[Run]:
    """Load each dataset once, and give every run its identity and its index, from ``first`` on."""
    datasets: dict[object, PreparedData] = {}
    runs = []
    for index, job in enumerate(jobs, start=first):
        prepared = datasets.get(job.config.data)
        if prepared is None:
            with status("loading data"):
                prepared = datasets[job.config.data] = prepare(job.config.data)
        runs.append(Run(job, index, prepared, job.config.key(prepared.digest)))
    return runs
