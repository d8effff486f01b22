"""The edge of stability of untrained networks: predicted by the curvature, found by training."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from math import inf

import numpy as np
from numpy.typing import NDArray

from nnlab.analysis.terminal import track
from nnlab.errors import ConfigError
from nnlab.execution.stacks import stackable
from nnlab.execution.workers import available_cores
from nnlab.jobs.config import RunConfig
from nnlab.jobs.run import Run
from nnlab.training.arithmetic import EXACT
from nnlab.training.curvature import sharpness
from nnlab.training.engine import State, measure, train_segment
from nnlab.training.network import stack
from nnlab.training.stability_edges import EDGES, HORIZONS, Bracket, Course, Edges, Trial
from nnlab.training.stability_search import Train, search
from nnlab.training.training_data import TrainingData


@dataclass(frozen=True)
class Network:
    """One untrained network, and what was found of it.

    Attributes
    ----------
    run : Run
        Holds the network's config and data; it is never trained as such.
    sharpness : float
        Largest eigenvalue of the Hessian of the network's training loss.
    trials : list[Trial]
        Of all learning rates that were tried, in their order.
    sharpness_trained : float or None
        The sharpness after the longest of ``HORIZONS``, trained at the largest rate at which no
        step of these raises the loss; None where there is no such rate.
    """

    run: Run
    sharpness: float
    trials: list[Trial]
    sharpness_trained: float | None = None

    @property
    def predicted(self) -> float:
        """The largest stable learning rate of the quadratic model: 2 over the sharpness."""
        return 2 / self.sharpness if self.sharpness > 0 else inf

    @property
    def edges(self) -> Edges:
        """The learning rates at which the phases of the network's training end."""
        return Edges.of(self.trials)

    @property
    def figures(self) -> dict[str, float]:
        """The results as metrics; what is not known is left out."""
        figures = {"sharpness": self.sharpness, "lr_predicted": self.predicted}
        if self.sharpness_trained is not None:
            figures["sharpness_trained"] = self.sharpness_trained
        for name in EDGES:
            bracket: Bracket | None = getattr(self.edges, name)
            if bracket is not None and not bracket.is_open:
                figures[f"lr_{name}"] = bracket.middle
                figures[f"{name}_over_predicted"] = bracket.middle / self.predicted
        return figures


def check(config: RunConfig) -> None:
    """Refuse a config for which 2 over the sharpness predicts nothing, or has no exact bits.

    Raises
    ------
    ConfigError
        On mini-batches, where nothing is trained, and on exact arithmetic.
    """
    if config.dtype == EXACT:
        raise ConfigError(
            f"dtype={EXACT} is not allowed here: the sharpness comes from LAPACK, whose bits "
            "depend on the machine, and it decides which rates are tried; use dtype=float64."
        )
    if config.batch_size is not None:
        raise ConfigError(
            f"batch_size={config.batch_size} is not allowed here: 2 over the sharpness is a limit "
            "of full-batch gradient descent; leave it out."
        )
    if config.epochs < 1:
        raise ConfigError(f"epochs={config.epochs} is not allowed here: it must be 1 or more.")


def find_edges(runs: Sequence[Run], tolerance: float) -> list[Network]:
    """Find the edges of the networks that some runs start from; progress goes to stderr.

    Parameters
    ----------
    runs : Sequence[Run]
        Their learning rates are not used.
    tolerance : float
        Relative width of the intervals of learning rates.

    Raises
    ------
    ConfigError
        Where a network's loss is not even finite before training.
    """
    curvatures = [_sharpness(run) for run in track(runs, "sharpness")]
    trials = search([run.job.config.epochs for run in runs], _trainer(runs), tolerance)
    networks = [Network(*parts) for parts in zip(runs, curvatures, trials, strict=True)]
    return [
        replace(network, sharpness_trained=_sharpness_trained(network))
        for network in track(networks, "sharpness after training")
    ]


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


def _sharpness_trained(network: Network) -> float | None:
    edge = network.edges.monotone_100
    if edge is None or edge.is_open:
        return None
    config = network.run.job.config
    training = _training_only(network.run.prepared.training(config))
    start = State.start(network.run.initial(), [edge.lower])
    threads = config.threads or available_cores()
    end, _ = train_segment(start, training, HORIZONS[-1], threads=threads)
    return sharpness(end.params, training.train)


def _trainer(runs: Sequence[Run]) -> Train:
    """Return the function that trains networks at learning rates, many of them as one stack."""
    initials = [run.initial() for run in runs]

    def train(wanted: Sequence[tuple[int, float, int]]) -> list[Course]:
        courses: dict[int, Course] = {}
        networks = [runs[network] for network, _, _ in wanted]
        lengths = iter([length for _, _, length in wanted])
        stacks = stackable(networks, lambda _: next(lengths))
        for members in track(stacks, f"{len(wanted)} trainings"):
            run, length = networks[members[0]], wanted[members[0]][2]
            config = run.job.config
            training = _training_only(run.prepared.training(config))
            threads = config.threads or available_cores()
            start = State.start(
                stack([initials[wanted[member][0]] for member in members]),
                [wanted[member][1] for member in members],
            )
            end, history = train_segment(start, training, length, threads=threads)
            history = history.then(measure(end, training, threads=threads))
            dead = history.values["dead_fraction"] == 1
            for position, member in enumerate(members):
                losses = history.values["train/loss"][position]
                courses[member] = Course(losses, _killed_at(dead[position]))
        return [courses[member] for member in range(len(wanted))]

    return train


def _killed_at(dead: NDArray[np.bool_]) -> int | None:
    """Return the epoch from which all units stay dead; None where they are not, or always were."""
    if not dead[-1] or dead[0]:
        return None
    return int(np.flatnonzero(~dead)[-1]) + 1


def _training_only(data: TrainingData) -> TrainingData:
    """Leave out all but one block of validation images: they are not used, but needed."""
    return TrainingData(data.train, data.train[:1])
