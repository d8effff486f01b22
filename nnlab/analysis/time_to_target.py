"""When runs reach their target, where some were pruned before they could."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class TimeToTarget:
    """When runs reached their target.

    Attributes
    ----------
    reached, n : int
        The number of runs that reached it, and of all runs.
    median : float or None
        Epochs, by Kaplan and Meier; None if it is not known.
    """

    reached: int
    n: int
    median: float | None


def time_to_target(
    epochs: Sequence[float], pruned_at: Sequence[float] | None = None
) -> TimeToTarget:
    """Return how many runs reached their target, and in how many epochs the median run did.

    Kaplan and Meier 1958, "Nonparametric Estimation from Incomplete Observations": the share that
    is still on the way falls at each epoch ``t`` by the factor ``1 − reached(t) / at_risk(t)``.
    The median is the first epoch at which it is 1/2 or less.

    Parameters
    ----------
    epochs : sequence of float
        One for each run; NaN if it did not reach the target.
    pruned_at : sequence of float or None
        The epoch at which each run was pruned; NaN for the others. A pruned run is at risk up to
        there; what it would have done later is not known. Any other run that did not reach the
        target counts as later than all that did, even if it ended early: a run that diverged would
        not have reached it.
    """
    reached = np.asarray(epochs, np.float64)
    ends = np.full(reached.shape, math.nan) if pruned_at is None else np.asarray(pruned_at, float)
    left = np.where(np.isfinite(reached), reached, np.where(np.isfinite(ends), ends, math.inf))
    times = np.unique(reached[np.isfinite(reached)])
    median, waiting = None, 1.0
    for time in times:
        waiting *= 1 - np.sum(reached == time) / np.sum(left >= time)
        if waiting <= 0.5 + 1e-12:  # a half, and rounding
            median = float(time)
            break
    return TimeToTarget(int(np.isfinite(reached).sum()), reached.size, median)
