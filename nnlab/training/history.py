"""What is measured of a run: the metrics' names, and their values epoch by epoch."""

from dataclasses import dataclass
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

LAYERS = ("w1", "w2")
SCORES = ("train/loss", "train/accuracy", "val/loss", "val/accuracy", "dead_fraction")
STEPS = tuple(f"{what}/{layer}" for what in ("grad_norm", "update_ratio") for layer in LAYERS)
METRICS = SCORES + STEPS

Scores: TypeAlias = dict[str, NDArray[np.float64]]  # metric -> (runs,)


@dataclass(frozen=True)
class History:
    """What was measured in a segment.

    Attributes
    ----------
    epochs : (rows,) int64
        A row at epoch ``e`` describes the network after ``e`` epochs; gradient norms and update
        ratios describe the step from ``e`` to ``e + 1``.
    values : metric -> (runs, rows) float64
        NaN where nothing was measured, as after a run diverged. Losses in nats, norms Euclidean.
    """

    epochs: NDArray[np.int64]
    values: dict[str, NDArray[np.float64]]

    def then(self, later: "History") -> "History":
        """Return this history with a later one behind it."""
        return History(
            np.concatenate((self.epochs, later.epochs)),
            {name: np.hstack((self.values[name], later.values[name])) for name in METRICS},
        )
