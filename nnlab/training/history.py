"""What is measured of a run: the metrics' names, and their values epoch by epoch."""

from dataclasses import dataclass
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

LAYERS = ("w1", "w2")
SCORES = ("train/loss", "train/accuracy", "val/loss", "val/accuracy", "dead_fraction")
STEPS = tuple(f"{name}/{layer}" for name in ("grad_norm", "update_ratio") for layer in LAYERS)
METRICS = SCORES + STEPS

Scores: TypeAlias = dict[str, NDArray[np.float64]]  # metric -> (runs,)


@dataclass(frozen=True)
class History:
    """What was measured in a segment.

    Attributes
    ----------
    epochs : NDArray[np.int64]
        (rows,). The row at epoch ``e`` describes the network after ``e`` epochs; gradient norms
        and update ratios describe the step from ``e`` to ``e + 1``.
    values : dict of str to NDArray[np.float64]
        (runs, rows) for each of ``METRICS``; NaN where nothing was measured, as after a run
        diverged. Losses are in nats, norms are Euclidean.
    """

    epochs: NDArray[np.int64]
    values: dict[str, NDArray[np.float64]]

    def then(self, later: "History") -> "History":
        """Return this history, continued by a later one."""
        return History(
            np.concatenate((self.epochs, later.epochs)),
            {name: np.hstack((self.values[name], later.values[name])) for name in METRICS},
        )
