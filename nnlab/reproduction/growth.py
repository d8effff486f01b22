"""How the deviation of two loss curves begins and grows: rounding, amplified, or something else.

Where training is unstable, gradient descent amplifies any deviation, rounding errors included: at
the edge of stability and beyond it, they grow by a factor with every step until the curves part.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

import numpy as np

from nnlab.tracking.record_checks import Points

LOSSES = ("train/loss", "val/loss")  # an accuracy jumps when a single image changes its class
ROUNDING = 1e-5  # a loss in float32 is rounded by 1e-7; 500 stable epochs ended 2e-6 apart
PARTED = 1e-3  # a hundred times that; as a beginning, it is no rounding


@dataclass(frozen=True)
class Growth:
    """Where the losses of two runs begin to deviate, and how far apart they get.

    Attributes
    ----------
    epoch, size : int and float
        Of the first deviation, in relation to the loss where that is above 1.
    largest_epoch, largest : int and float
        Of the largest one.
    amplified_from : int or None
        The first epoch with a deviation above ``ROUNDING``, if the first one was below it and the
        largest one is above ``PARTED``; else None.
    rises : int
        Number of epochs, up to that of the largest deviation, in which the recorded training loss
        rose: above 0, training is unstable, or its batches are noisy.
    """

    epoch: int
    size: float
    largest_epoch: int
    largest: float
    amplified_from: int | None
    rises: int

    @property
    def begins_large(self) -> bool:
        """Whether the first deviation is larger than rounding errors are."""
        return not self.size <= PARTED

    def __str__(self) -> str:
        begins = f"by {self.size:.1e} at epoch {self.epoch}"
        if self.begins_large:
            return f"{begins} already: more than rounding; other data, another config or program"
        if self.amplified_from is None:
            return ""
        unstable = f"; the training loss rose in {self.rises} of these epochs: it was unstable"
        return (
            f"{begins}, as rounding does; amplified above {ROUNDING:g} from epoch "
            f"{self.amplified_from} on, to {self.largest:.1e} at epoch {self.largest_epoch}"
            + (unstable if self.rises else "")
        )


def growth(recorded: Points, deviations: Iterable[tuple[str, int, float]]) -> Growth | None:
    """Tell how the losses of two runs part.

    Parameters
    ----------
    recorded : Points
        Of one of them.
    deviations : iterable of tuple
        Metric, epoch and size of each value that differs.

    Returns
    -------
    Growth or None
        None where no loss differs.
    """
    sizes: dict[int, float] = {}
    for metric, epoch, size in deviations:
        if metric in LOSSES:
            sizes[epoch] = max(size, sizes.get(epoch, 0.0))
    if not sizes:
        return None
    first, largest = min(sizes), max(sizes, key=lambda epoch: (sizes[epoch], -epoch))
    above = [epoch for epoch, size in sizes.items() if size > ROUNDING]
    amplified = sizes[first] <= ROUNDING and sizes[largest] > PARTED
    return Growth(
        first, sizes[first], largest, sizes[largest], min(above) if amplified else None,
        _rises(recorded, largest),
    )  # fmt: skip


def _rises(points: Mapping[tuple[str, int], float], last: int) -> int:
    losses = [
        value for (name, epoch), value in sorted(points.items(), key=lambda point: point[0][1])
        if name == "train/loss" and epoch <= last
    ]  # fmt: skip
    return int((np.diff(losses) > 0).sum())
