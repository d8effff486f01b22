"""Stacks: which runs train together, and what each is to do next."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from nnlab.checkpoints import Checkpoints
from nnlab.config import LaunchConfig
from nnlab.engine import State
from nnlab.errors import ResumeError
from nnlab.init import stack
from nnlab.network import Params
from nnlab.plan import Run, seconds
from nnlab.training_data import TrainingData
from nnlab.worker import Segment

SEGMENT_SECONDS = 2.0  # how often a stack reports: live curves and a prompt Ctrl-C, at little cost
STACK_ROWS = 320  # rows of a stacked product beyond which a wider one gains nothing


@dataclass
class Stack:
    """Runs that train together from the same epoch on.

    Attributes
    ----------
    state : what they have reached; None until they are first handed out
    setbacks : workers that died over it since it last came on
    """

    runs: list[Run]
    training: TrainingData
    state: State | None = None
    seconds_an_epoch: float | None = None
    setbacks: int = 0

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
