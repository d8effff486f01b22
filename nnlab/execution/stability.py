"""The edge of stability of untrained networks: predicted by the curvature, found by training."""

from collections.abc import Sequence
from dataclasses import dataclass
from math import inf

import numpy as np

from nnlab.errors import ConfigError
from nnlab.execution.display import counted
from nnlab.execution.stacks import STACK_ROWS
from nnlab.execution.workers import available_cores
from nnlab.runs.config import RunConfig
from nnlab.runs.run import Run
from nnlab.training.curvature import sharpness
from nnlab.training.engine import State, measure, train_segment
from nnlab.training.initializers import stack
from nnlab.training.stability_search import EDGES, Course, Edges, Train, Trial, search
from nnlab.training.training_data import TrainingData


@dataclass(frozen=True)
class Network:
    """One untrained network, and what was found of it.

    Attributes
    ----------
    run : its config, and its place in the grid; it is never trained as such
    sharpness : largest eigenvalue of the Hessian of its training loss
    trials : at all learning rates that were tried, in their order
    """

    run: Run
    sharpness: float
    trials: list[Trial]

    @property
    def predicted(self) -> float:
        """The largest stable learning rate of the quadratic model: 2 over the sharpness."""
        return 2 / self.sharpness if self.sharpness > 0 else inf

    @property
    def edges(self) -> Edges:
        """Where the phases of its training end."""
        return Edges.of(self.trials)

    @property
    def figures(self) -> dict[str, float]:
        """All that was found, as metrics; what is not known is left out."""
        found = {"sharpness": self.sharpness, "lr_predicted": self.predicted}
        for name in EDGES:
            bracket = getattr(self.edges, name)
            if not bracket.is_open:
                found[f"lr_{name}"] = bracket.middle
                found[f"{name}_over_predicted"] = bracket.middle / self.predicted
        return found


def check(config: RunConfig) -> None:
    """Make sure that the question makes sense for a config.

    Raises
    ------
    ConfigError
        Where it does not.
    """
    if config.batch_size is not None:
        raise ConfigError(
            f"batch_size={config.batch_size} is not allowed here: 2 over the sharpness is a limit "
            "of full-batch gradient descent; leave it out."
        )
    if config.epochs < 1:
        raise ConfigError(f"epochs={config.epochs} is not allowed here: it must be 1 or more.")


def find_edges(runs: Sequence[Run], tolerance: float) -> list[Network]:
    """Find the edges of all networks that some runs start from; progress goes to stderr.

    Parameters
    ----------
    runs : their learning rate is not looked at
    tolerance : relative width of the intervals of learning rates

    Raises
    ------
    ConfigError
        Where a network's loss is not even finite before training.
    """
    curvatures = [_sharpness(run) for run in counted(runs, "sharpness")]
    found = search(len(runs), _trainer(runs), tolerance)
    return [Network(*each) for each in zip(runs, curvatures, found, strict=True)]


def _sharpness(run: Run) -> float:
    training = _training_only(run.prepared.training(run.job.config))
    initial = run.initial()
    loss = measure(State.start(initial, [0]), training).values["train/loss"]
    if not np.isfinite(loss).all():
        raise ConfigError(
            f"{run.job.name}: the loss of the untrained network is not finite, because its weights "
            "are too large: take a smaller init.scale."
        )
    return sharpness(initial, training.train)


def _trainer(runs: Sequence[Run]) -> Train:
    """Return the function that trains networks at learning rates, many of them as one stack."""
    initials = [run.initial() for run in runs]

    def train(wanted: Sequence[tuple[int, float]]) -> list[Course]:
        courses: dict[int, Course] = {}
        places = [network for network, _ in wanted]
        for members in counted(_stacks(runs, places), f"{len(wanted)} trainings"):
            config = runs[places[members[0]]].job.config
            training = _training_only(runs[places[members[0]]].prepared.training(config))
            threads = config.threads or available_cores()
            start = State.start(
                stack([initials[places[member]] for member in members]),
                [wanted[member][1] for member in members],
            )
            end, history = train_segment(start, training, config.epochs, threads=threads)
            history = history.then(measure(end, training, threads=threads))
            dead = history.values["dead_fraction"] == 1
            killed = dead[:, -1] & ~dead[:, 0]
            for place, member in enumerate(members):
                losses = history.values["train/loss"][place]
                courses[member] = Course(losses, bool(killed[place]))
        return [courses[member] for member in range(len(wanted))]

    return train


def _training_only(data: TrainingData) -> TrainingData:
    """Leave the validation images out, which say nothing here; the engine wants a few of some."""
    return TrainingData(data.train, data.train[:1])


def _stacks(runs: Sequence[Run], places: Sequence[int]) -> list[list[int]]:
    """Group trainings that may share their products; return positions in ``places``."""
    groups: dict[object, list[int]] = {}
    for position, place in enumerate(places):
        config = runs[place].job.config
        shape = config.hidden_size, config.data, config.dtype, config.epochs
        groups.setdefault(shape, []).append(position)
    stacks = []
    for group in groups.values():
        limit = max(1, STACK_ROWS // runs[places[group[0]]].job.config.hidden_size)
        stacks += [group[first : first + limit] for first in range(0, len(group), limit)]
    return stacks
