"""Limits, ticks and number formats of axes, by what they measure."""

import math
from collections.abc import Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.ticker import FixedLocator, FuncFormatter, LogLocator, MaxNLocator, NullLocator

from nnlab.arrays import Array
from nnlab.plots.style import number


def padded(low: float, high: float) -> tuple[float, float]:
    """Return limits with a margin on both sides, also around a single value."""
    margin = 0.03 * (high - low) if high > low else 0.5
    return low - margin, high + margin


def set_scale(axes: Axes, finite: Array, *, log: bool | None) -> None:
    """Choose limits and ticks of a panel whose values have no natural range.

    Logarithmic if ``log``, or where it is None and the positive values span more than a decade.
    Zeros then lie below the axis, and a curve that reaches 0 leaves through its floor.
    """
    positive = finite[finite > 0]
    if not positive.size:
        axes.set_ylim(0.0, 1.0)
        return
    # Beyond these, limits with a margin, or ticks a stride outside of them, would overflow.
    low, high = np.clip([positive.min(), positive.max()], 1e-150, 1e150)
    decades = math.log10(high) - math.log10(low)
    if log is None:
        log = decades > 1 or high >= 1e4  # noqa: PLR2004 - room for the digits
    if not log:
        axes.set_ylim(0.0, 1.08 * high)
        return
    margin = 10 ** max(0.06 * decades, 0.15)
    axes.set_yscale("log")
    axes.set_ylim(low / margin, high * margin)
    subs = (1.0, 2.0, 5.0) if decades < 2 else (1.0,)  # noqa: PLR2004 - else too few or too many ticks
    axes.yaxis.set_major_locator(LogLocator(subs=subs, numticks=6))
    axes.yaxis.set_minor_locator(NullLocator())
    axes.yaxis.set_major_formatter(FuncFormatter(lambda y, _: number(y)))


def is_share(metric: str) -> bool:
    """Whether a metric is a part of one: an accuracy, or a fraction of the units."""
    return "accuracy" in metric or "fraction" in metric


def value(metric: str, x: float) -> str:
    """Write a value of a metric: accuracies with three decimals, others briefly.

    >>> value("val/accuracy", 0.9), value("val/loss", 0.12345)
    ('0.900', '0.123')
    """
    return f"{x:.3f}" if is_share(metric) and math.isfinite(x) else number(x)


def name(metric: str) -> str:
    """Return how an axis calls a metric.

    >>> name("val/accuracy"), name("final_val_loss"), name("grad_norm/w1")
    ('validation accuracy', 'final validation loss (nats)', 'grad norm w1')
    """
    words = metric.replace("/", " ").replace("_", " ").split()
    said = " ".join({"val": "validation", "train": "training"}.get(word, word) for word in words)
    return said + " (nats)" if words and words[-1] == "loss" else said


def zoomed(axes: Axes, finite: Array) -> bool:
    """Fit an axis of shares to its data; tell whether 0 is out of sight, which must be said."""
    if not finite.size:
        axes.set_ylim(0, 1)
        return False
    low, high = float(finite.min()), float(finite.max())
    margin = max(0.06 * (high - low), 0.004)
    floor = low - margin if low > 0.3 * high else min(0.0, low) - margin
    axes.set_ylim(floor, high + margin)
    axes.yaxis.set_major_locator(MaxNLocator(7, steps=[1, 2, 2.5, 5, 10]))
    return floor > 0


def log_possible(x: Sequence[float] | Array) -> bool:
    """Whether numbers can stand on a logarithmic axis: all of them are positive."""
    values = np.asarray(x, float)
    return bool(values.size and (values > 0).all())


def set_positions(axes: Axes, x: Array, *, log: bool, room: int = 10) -> None:
    """Scale a horizontal axis of numbers that were chosen: its ticks are they, where they fit.

    Parameters
    ----------
    x : the numbers, any of them several times
    log : logarithmic, where all of them are positive
    room : ticks that have room beside each other
    """
    chosen = np.unique(x)
    log = log and log_possible(chosen)
    place = np.log10(chosen) if log else chosen
    margin = max(0.08 * float(place[-1] - place[0]), 1e-9) or 0.5
    if len(chosen) == 1:
        margin = 0.5 if log else max(0.5 * abs(float(place[0])), 0.5)
    low, high = float(place[0]) - margin, float(place[-1]) + margin
    axes.set_xlim(*((10**low, 10**high) if log else (low, high)))
    if log:
        axes.set_xscale("log")
    closest = np.diff(place).min(initial=np.inf) / (high - low)
    if len(chosen) <= room and closest > 1 / (1.6 * room):
        axes.xaxis.set_major_locator(FixedLocator(chosen.tolist()))
    elif log:
        wide = high - low > 2  # noqa: PLR2004 - decades
        axes.xaxis.set_major_locator(LogLocator(subs=(1.0,) if wide else (1.0, 2.0, 5.0)))
    else:
        axes.xaxis.set_major_locator(MaxNLocator(max(3, room // 2)))
    axes.xaxis.set_minor_locator(NullLocator())
    axes.xaxis.set_major_formatter(FuncFormatter(lambda at, _: number(at)))
