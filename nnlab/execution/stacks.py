"""Stacks: which runs train together, and what each stack is to do next."""

import math
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise

import numpy as np

from nnlab.arrays import Array
from nnlab.errors import ResumeError
from nnlab.execution.checkpoints import Checkpoint, Checkpoints
from nnlab.execution.workers import available_cores
from nnlab.jobs.launch_config import LaunchConfig
from nnlab.jobs.run import Run
from nnlab.training.engine import State
from nnlab.training.network import Params, stack
from nnlab.training.outcomes import Curve
from nnlab.training.segments import Segment, SegmentResult
from nnlab.training.training_data import TrainingData

SEGMENT_SECONDS = 2.0  # how often a stack reports: live curves and a prompt Ctrl-C, at little cost
STACK_ROWS = 320  # rows of a stacked product beyond which a wider one gains nothing

WORTH_WORKERS = 20.0  # seconds of work below which starting processes costs more than it gains
MULTIPLY_ADDS_A_SECOND = 1.5e10  # of one core, for that estimate only
KEPT_SHARE = 0.5  # share of the pixels that blocks keep, likewise


@dataclass
class Stack:
    """Runs that train together from the same epoch on.

    Attributes
    ----------
    state : State or None
        What the runs have reached; None until the stack is first handed out.
    seconds_an_epoch : float or None
        Measured in the last segment.
    worker_deaths : int
        Workers that died over the current segment.
    """

    runs: list[Run]
    training: TrainingData
    state: State | None = None
    seconds_an_epoch: float | None = None
    worker_deaths: int = 0

    def load(self, checkpoints: Checkpoints) -> State:
        """Return the state to go on from: of the checkpoints, or else freshly drawn."""
        if self.state is None:
            reached = [_reached(run, checkpoints) for run in self.runs]
            params = stack([params for params, _ in reached])
            fresh = State.start(params, [run.job.config.lr for run in self.runs])
            known = [direction for _, direction in reached if direction is not None]
            directions = np.stack(known) if len(known) == len(reached) else None
            self.state = replace(fresh, epoch=self.runs[0].state.epoch, directions=directions)
        return self.state

    def segment(self, state: State, threads: int, rung: int | None) -> Segment:
        """Return the next segment: some seconds of work, not past a run's end or the next rung."""
        end = min(run.job.config.epochs for run in self.runs)
        left = end - state.epoch
        affordable = 2 if self.seconds_an_epoch is None else SEGMENT_SECONDS / self.seconds_an_epoch
        epochs = min(left, max(1, int(affordable)))
        if rung is not None:
            epochs = min(epochs, rung - state.epoch)
        sharpness_every = self.runs[0].job.config.sharpness.every  # the same for all of a sweep
        snapshots = frozenset().union(*(run.job.config.snapshot_epochs for run in self.runs))
        return Segment(state, epochs, epochs == left, threads, sharpness_every, snapshots)

    def after(self, result: SegmentResult) -> "Stack | None":
        """Return the stack of the runs that go on after a segment, if there are any."""
        state = result.state
        positions = [
            position
            for position, run in enumerate(self.runs)
            if state.diverged_at[position] < 0 and run.job.config.epochs > state.epoch
        ]
        if not positions:
            return None
        assert self.state is not None
        epochs = state.epoch - self.state.epoch
        return Stack(
            [self.runs[position] for position in positions],
            self.training,
            state if len(positions) == len(self.runs) else state.select(np.array(positions)),
            result.seconds / max(1, epochs),
        )

    def snapshot(self, state: State) -> dict[int, Checkpoint]:
        """Return the checkpoints of the runs that have begun and not ended, by their index."""
        return {
            run.index: Checkpoint(
                state.params.select(np.array([position])),
                run.state.epoch,
                run.state.curve,
                None if state.directions is None else state.directions[position],
            )
            for position, run in enumerate(self.runs)
            if run.state.status is None and run.state.curve is not None
        }

    def ends(self, result: SegmentResult) -> dict[int, Checkpoint]:
        """Return checkpoints of the runs that a segment has brought to their end, by their index.

        A run that diverged has none: it has no state to go on from.
        """
        state = result.state
        return {
            run.index: Checkpoint(
                state.params.select(np.array([position])),
                state.epoch,
                Curve.of(result.history, position) if run.state.curve is None
                else run.state.curve.then(Curve.of(result.history, position)),
                None if state.directions is None else state.directions[position],
            )
            for position, run in enumerate(self.runs)
            if state.diverged_at[position] < 0 and run.job.config.epochs <= state.epoch
        }  # fmt: skip

    def split(self) -> "list[Stack]":
        """Return the runs as stacks of one, in the same state."""
        return [
            Stack(
                [run],
                self.training,
                None if self.state is None else self.state.select(np.array([position])),
            )
            for position, run in enumerate(self.runs)
        ]


def plan_stacks(runs: Sequence[Run], workers: int, settings: LaunchConfig) -> list[Stack]:
    """Form stacks, as many for each worker, the longest work first."""
    most = settings.stack if isinstance(settings.stack, int) else None
    stacks = [
        Stack(
            [runs[position] for position in positions],
            runs[positions[0]].prepared.training(runs[positions[0]].job.config),
        )
        for positions in stackable(runs, lambda run: run.state.epoch, most, workers)
    ]
    return sorted(stacks, key=lambda stack: -seconds(stack.runs))


def stackable(
    runs: Sequence[Run], same: Callable[[Run], object], most: int | None = None, workers: int = 1
) -> list[list[int]]:
    """Group runs that may share their products.

    Parameters
    ----------
    runs : Sequence[Run]
    same : Callable
        What else, besides the shapes and the data, has to be equal within a group.
    most : int or None
        Runs in a group; None: as many as a product gains by.
    workers : int
        Cut the groups so that each worker gets as many.

    Returns
    -------
    list[list[int]]
        Positions in ``runs``.
    """
    groups: dict[object, list[int]] = {}
    for position, run in enumerate(runs):
        config = run.job.config
        data = (config.data, config.dtype, config.batch_size, config.seed_of_order)
        shape = (*data, config.hidden_size, same(run))
        groups.setdefault(shape, []).append(position)

    pieces = []
    for group in groups.values():
        # Runs that end together stand together, so that a stack stays whole for long.
        group.sort(key=lambda position: runs[position].job.config.epochs)
        limit = most or max(1, STACK_ROWS // runs[group[0]].job.config.hidden_size)
        rounds = math.ceil(len(group) / (limit * workers))
        count = min(rounds * workers, len(group))
        cuts = [piece * len(group) // count for piece in range(count + 1)]
        pieces += [group[begin:end] for begin, end in pairwise(cuts)]
    return pieces


def _reached(run: Run, checkpoints: Checkpoints) -> tuple[Params, Array | None]:
    """Return a run's parameters at its epoch, and the direction of its sharpness."""
    if run.state.epoch == 0:
        return run.initial(), None
    checkpoint = checkpoints.load(run.index)
    if checkpoint is None or checkpoint.epoch != run.state.epoch:
        raise ResumeError(f"The checkpoint of {run.job.name} at epoch {run.state.epoch} is gone.")
    return checkpoint.params, checkpoint.direction


def division(runs: Sequence[Run], settings: LaunchConfig) -> tuple[int, int]:
    """Decide how many workers there are, and how many threads each has."""
    cores = available_cores()
    n_jobs = settings.n_jobs
    wanted = n_jobs if n_jobs > 0 else cores + 1 + n_jobs  # as joblib counts
    threads = min((run.job.config.threads or cores for run in runs), default=1)
    small = n_jobs < 0 and settings.backend == "loky" and seconds(runs) < WORTH_WORKERS
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
        epochs = run.job.config.epochs - run.state.epoch
        total += 2 * KEPT_SHARE * samples * weights * epochs
    return total / MULTIPLY_ADDS_A_SECOND
