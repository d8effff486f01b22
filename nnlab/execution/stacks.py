"""Stacks: which runs train together, and what each is to do next."""

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np

from nnlab.errors import ResumeError
from nnlab.execution.checkpoints import Checkpoints
from nnlab.execution.workers import available_cores
from nnlab.runs.launch_config import LaunchConfig
from nnlab.runs.run import Run
from nnlab.training.engine import State
from nnlab.training.initializers import stack
from nnlab.training.network import Params
from nnlab.training.segments import Segment
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
    state : what they have reached; None until they are first handed out
    failures : workers that died over it since it last came on
    """

    runs: list[Run]
    training: TrainingData
    state: State | None = None
    seconds_an_epoch: float | None = None
    failures: int = 0

    def load(self, checkpoints: Checkpoints) -> State:
        """Return the state to go on from: of the checkpoints, or else freshly drawn."""
        if self.state is None:
            params = stack([_reached(run, checkpoints) for run in self.runs])
            fresh = State.start(params, [run.job.config.lr for run in self.runs])
            self.state = State(fresh.params, fresh.lr, self.runs[0].epoch, fresh.diverged_at)
        return self.state

    def segment(self, state: State, threads: int, rung: int | None) -> Segment:
        """Return the next order: some seconds of work, not past a run's end or the next rung."""
        end = min(run.job.config.epochs for run in self.runs)
        left = end - state.epoch
        affordable = 2 if self.seconds_an_epoch is None else SEGMENT_SECONDS / self.seconds_an_epoch
        epochs = min(left, max(1, int(affordable)))
        if rung is not None:
            epochs = min(epochs, rung - state.epoch)
        return Segment(state, epochs, epochs == left, threads)

    def alone(self) -> "list[Stack]":
        """Return its runs as stacks of one, each as far as it was."""
        return [
            Stack(
                [run],
                self.training,
                None if self.state is None else self.state.select(np.array([place])),
            )
            for place, run in enumerate(self.runs)
        ]


def plan_stacks(runs: Sequence[Run], count: int, settings: LaunchConfig) -> list[Stack]:
    """Group runs that may share their products, cut evenly for so many workers, longest first."""
    groups: dict[object, list[Run]] = {}
    for run in runs:
        config = run.job.config
        shape = (config.data, config.dtype, config.batch_size, config.hidden_size, run.epoch)
        groups.setdefault(shape, []).append(run)

    stacks = []
    for group in groups.values():
        config = group[0].job.config
        limit = max(1, STACK_ROWS // config.hidden_size)
        if isinstance(settings.stack, int):
            limit = settings.stack
        rounds = math.ceil(len(group) / (limit * count))
        pieces = min(rounds * count, len(group))
        training = group[0].prepared.training(config)
        # Runs that end together stand together, so that a stack stays whole for long.
        group.sort(key=lambda run: run.job.config.epochs)
        for piece in range(pieces):
            members = group[piece * len(group) // pieces : (piece + 1) * len(group) // pieces]
            stacks.append(Stack(members, training))
    return sorted(stacks, key=lambda stack: -seconds(stack.runs))


def _reached(run: Run, checkpoints: Checkpoints) -> Params:
    """Return a run's parameters at its epoch."""
    if run.epoch == 0:
        return run.initial()
    found = checkpoints.load(run.index)
    if found is None or found.epoch != run.epoch:
        raise ResumeError(f"The checkpoint of {run.job.name} at epoch {run.epoch} is gone.")
    return found.params


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
