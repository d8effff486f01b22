"""What is measured of a run: the metrics' names, and their values epoch by epoch."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

LAYERS = ("w1", "w2")
SCORES = ("train/loss", "train/accuracy", "val/loss", "val/accuracy", "dead_fraction")
STEPS = tuple(f"{name}/{layer}" for name in ("grad_norm", "update_ratio") for layer in LAYERS)
METRICS = SCORES + STEPS
OBSERVATIONS = ("sharpness", "gradient_alignment")  # at some epochs, where the config asks for them
CURVES = METRICS + OBSERVATIONS  # all that has values by epoch
JUDGED = ("train/loss", "val/loss", "val/accuracy", "dead_fraction")  # what decides the outcome

Scores: TypeAlias = dict[str, NDArray[np.float64]]  # metric -> (runs,)
Snapshots: TypeAlias = dict[int, NDArray[np.int64]]  # epoch -> (…, quantities, bins)


def snapshot_epochs(epochs: int, count: int) -> frozenset[int]:
    """Return the epochs of a run's snapshots: 0, and then log-spaced ones up to the last.

    Parameters
    ----------
    epochs : int
        That the run has.
    count : int
        How many snapshots, at least 2. There are fewer where early epochs coincide.
    """
    spaced = np.geomspace(max(epochs, 1), 1, count - 1).round()
    return frozenset({0, epochs, *(int(epoch) for epoch in spaced if epoch <= epochs)})


@dataclass(frozen=True)
class History:
    """What was measured in a segment.

    Attributes
    ----------
    epochs : NDArray[np.int64]
        (rows,). The row at epoch ``e`` describes the network after ``e`` epochs; gradient norms
        and update ratios describe the step from ``e`` to ``e + 1``.
    values : dict of str to NDArray[np.float64]
        (runs, rows) for each of ``METRICS``, and for ``OBSERVATIONS`` where they were asked for;
        NaN where nothing was measured, as after a run diverged. Losses are in nats, norms are
        Euclidean.
    snapshots : dict of int to NDArray[np.int64]
        (runs, quantities, bins) for each epoch that has one, see ``training.snapshots``; zeros
        for a run that had diverged.
    """

    epochs: NDArray[np.int64]
    values: dict[str, NDArray[np.float64]]
    snapshots: Snapshots = field(default_factory=dict)

    def then(self, later: "History") -> "History":
        """Return this history, continued by a later one."""
        return History(
            np.concatenate((self.epochs, later.epochs)),
            continued(self.values, later.values),
            self.snapshots | later.snapshots,
        )


def continued(
    values: Mapping[str, NDArray[np.float64]], later: Mapping[str, NDArray[np.float64]]
) -> dict[str, NDArray[np.float64]]:
    """Join values along their last axis; a metric that only one side has is NaN on the other."""
    missing = [np.full_like(next(iter(side.values())), np.nan) for side in (values, later)]
    return {
        name: np.concatenate((values.get(name, missing[0]), later.get(name, missing[1])), axis=-1)
        for name in dict.fromkeys((*values, *later))
    }
