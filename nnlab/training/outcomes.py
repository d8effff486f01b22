"""How a run ended: its whole curve, its outcome, and the numbers that summarise it."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from nnlab.training.history import JUDGED, History, Snapshots, continued

Outcome = Literal["learned", "stalled", "dead", "diverged", "pruned"]
LATE = "late_val_accuracy"
PAIRWISE, LANES = 128, 8  # of NumPy's summation: numbers added without halving, running sums
LATE_PART = 10  # it is the mean over the last one of so many parts of the epochs
Status = Literal["FINISHED", "FAILED", "KILLED"]  # of a run that has ended, as MLflow has it


@dataclass(frozen=True)
class Curve:
    """The history of one run.

    Attributes
    ----------
    epochs : NDArray[np.int64]
        (rows,).
    values : dict of str to NDArray[np.float64]
        (rows,) for each metric of the history; NaN where nothing was measured. The last row of a
        diverged run may hold the values that were not finite. What another version recorded may
        lack metrics of this one, but not those of ``history.JUDGED``.
    snapshots : dict of int to NDArray[np.int64]
        (quantities, bins) for each epoch that has one, see ``training.snapshots``.
    """

    epochs: NDArray[np.int64]
    values: dict[str, NDArray[np.float64]]
    snapshots: Snapshots = field(default_factory=dict)

    @classmethod
    def of(cls, history: History, run: int) -> "Curve":
        """Return one run's rows of a stack's history, up to the last one that was measured."""
        values = {name: metric[run] for name, metric in history.values.items()}
        measured = ~np.all(np.isnan([values[name] for name in JUDGED]), axis=0)
        rows = int(np.max(np.flatnonzero(measured), initial=-1)) + 1
        return cls(
            history.epochs[:rows],
            {name: curve[:rows] for name, curve in values.items()},
            {
                epoch: counts[run]
                for epoch, counts in history.snapshots.items()
                if counts[run].any()
            },
        )

    def then(self, later: "Curve") -> "Curve":
        """Return this curve, continued by a later piece."""
        return Curve(
            np.concatenate((self.epochs, later.epochs)),
            continued(self.values, later.values),
            self.snapshots | later.snapshots,
        )


@dataclass(frozen=True)
class Summary:
    """The result of a run that has ended.

    Attributes
    ----------
    outcome : Outcome
        See ``summarise``.
    metrics : dict of str to float
        ``final_train_loss, final_val_loss, final_val_accuracy, late_val_accuracy`` (not of a
        diverged or pruned run: it has no final network; see ``late_mean``),
        ``best_val_accuracy``, ``best_epoch``; ``epochs_to_target`` if the target was reached,
        ``diverged_at`` if the run diverged, ``pruned_at`` if it was pruned. All are finite.
    """

    outcome: Outcome
    metrics: dict[str, float]


def summarise(
    curve: Curve, diverged_at: int, target_accuracy: float, *, pruned: bool = False
) -> Summary:
    """Judge a run by its curve; the first rule that holds decides.

    0. ``pruned``: it was ended early because other runs did better; how it would have ended is
       not known.
    1. ``diverged``: a loss or a weight was not finite.
    2. ``dead``: at the end every hidden unit is inactive on all training samples, so that only
       the biases of the output count, even if the target was reached before.
    3. ``learned``: the validation accuracy reached the target at some epoch.
    4. ``stalled``: none of these.

    Parameters
    ----------
    curve : Curve
        The whole run, from the untrained network to the last epoch.
    diverged_at : int
        The first epoch at which something was not finite, or -1.
    target_accuracy : float
        Share of the validation samples, 0 to 1.
    pruned : bool
        Whether it was ended early.
    """
    accuracy = curve.values["val/accuracy"]
    metrics: dict[str, float] = {}
    finite = np.isfinite(curve.values["val/loss"])
    reached = np.flatnonzero(finite & (accuracy >= target_accuracy))
    if finite.any():
        best = int(np.argmax(np.where(finite, accuracy, -1)))
        metrics["best_val_accuracy"] = float(accuracy[best])
        metrics["best_epoch"] = float(curve.epochs[best])
    if reached.size:
        metrics["epochs_to_target"] = float(curve.epochs[reached[0]])
    if pruned:
        return Summary("pruned", {**metrics, "pruned_at": float(curve.epochs[-1])})
    if diverged_at >= 0:
        return Summary("diverged", {**metrics, "diverged_at": float(diverged_at)})

    for name in ("train/loss", "val/loss", "val/accuracy"):
        metrics["final_" + name.replace("/", "_")] = float(curve.values[name][-1])
    metrics[LATE] = late_mean(curve.epochs, accuracy)
    if curve.values["dead_fraction"][-1] == 1:
        return Summary("dead", metrics)
    return Summary("learned" if reached.size else "stalled", metrics)


def late_mean(epochs: NDArray[np.int64], values: NDArray[np.float64]) -> float:
    """Return the mean of a metric over the last tenth of the epochs.

    At an unstable learning rate the last value is a phase of an oscillation; this is not. Of 500
    epochs it is the mean of the values after 451, 452, …, 500 epochs; of fewer than 20, the last
    value.

    Parameters
    ----------
    epochs, values : NDArray
        (rows,), in order.
    """
    late = epochs > epochs[-1] - max(1, epochs[-1] // LATE_PART)
    chosen = values[late]
    return float(_sum(chosen) / chosen.size)


def _sum(values: NDArray[np.float64]) -> float:
    """Add up in the order of NumPy's pairwise summation, which NumPy does not promise."""
    if values.size > PAIRWISE:
        half = values.size // 2 // LANES * LANES
        return _sum(values[:half]) + _sum(values[half:])
    numbers = values.tolist()
    if values.size < LANES:
        return _in_order(numbers)
    whole = values.size // LANES * LANES
    a, b, c, d, e, f, g, h = (_in_order(numbers[lane:whole:LANES]) for lane in range(LANES))
    return _in_order([((a + b) + (c + d)) + ((e + f) + (g + h)), *numbers[whole:]])


def _in_order(numbers: Sequence[float]) -> float:
    """Add up one after another (Python's own ``sum`` compensates for rounding from 3.12 on)."""
    total = 0.0
    for number in numbers:
        total += number
    return total
