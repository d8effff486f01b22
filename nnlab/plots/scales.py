"""Limits, ticks and labels of an axis, by what it measures."""

import math
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.ticker import FixedLocator, FuncFormatter, LogLocator, MaxNLocator, NullLocator

from nnlab.arrays import Array
from nnlab.plots.style import GREY, SMALL, format_number

FIELDS = {
    "lr": "learning rate",
    "init": "initial weights",
    "init.scale": "scale of the initial weights",
    "init.shift": "shift of the initial weights",
    "hidden_size": "number of hidden units",
}

FLAT = 0.05  # the range of an axis of fractions that are all equal


def padded_limits(low: float, high: float) -> tuple[float, float]:
    """Return limits with a margin on both sides, also around a single value."""
    margin = 0.03 * (high - low) if high > low else 0.5
    return low - margin, high + margin


def set_epoch_axis(axes: Axes, first: float, last: float, ticks: int) -> None:
    """Scale a horizontal axis of epochs, with at most so many intervals between ticks."""
    axes.set_xlim(*padded_limits(first, last))
    axes.set_xlabel("epoch")
    axes.xaxis.set_major_locator(MaxNLocator(ticks, integer=True, min_n_ticks=1))
    axes.xaxis.set_major_formatter(FuncFormatter(lambda x, _: f"{x:,.0f}"))


def set_scale(axes: Axes, finite: Array, *, log: bool | None) -> None:
    """Choose limits and ticks of a vertical axis whose values have no natural range.

    Parameters
    ----------
    axes : Axes
        To be changed.
    finite : Array
        (n,) values that are drawn, all finite.
    log : bool or None
        Whether the axis is logarithmic; None: where the positive values span more than a decade.
        Zeros then lie below the axis, which a note says, and a curve that reaches 0 leaves through
        its lower edge.
    """
    positive = finite[finite > 0]
    if not positive.size:
        axes.set_ylim(0.0, 1.0)
        return
    # Beyond these, limits with a margin, or ticks outside of the limits, would overflow.
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
    if (finite <= 0).any():
        style: dict[str, Any] = {"color": GREY, "size": SMALL, "ha": "right", "va": "bottom"}
        axes.text(0.99, 0.01, "0 is below this axis", transform=axes.transAxes, **style)
    axes.yaxis.set_major_locator(LogLocator(subs=subs, numticks=6))
    axes.yaxis.set_minor_locator(NullLocator())
    axes.yaxis.set_major_formatter(FuncFormatter(lambda y, _: format_number(y)))


def is_fraction(metric: str) -> bool:
    """Whether a metric lies between 0 and 1: an accuracy, or a fraction of the units."""
    return "accuracy" in metric or "fraction" in metric


def format_metric(metric: str, value: float) -> str:
    """Write a value of a metric: accuracies with three decimals, others briefly.

    >>> format_metric("val/accuracy", 0.9), format_metric("val/loss", 0.12345)
    ('0.900', '0.123')
    """
    return f"{value:.3f}" if is_fraction(metric) and math.isfinite(value) else format_number(value)


def field_words(field: str) -> str:
    """Return a config field as it is said.

    >>> field_words("lr"), field_words("batch_size")
    ('learning rate', 'batch size')
    """
    return FIELDS.get(field, field.replace("_", " ").replace(".", " "))


def field_label(field: str, *, log: bool = False) -> str:
    """Return the label of an axis that shows a config field.

    >>> field_label("lr"), field_label("hidden_size", log=True)
    ('learning rate', 'number of hidden units (log scale)')
    """
    return field_words(field) + " (log scale)" * log


def metric_label(metric: str, *, unit: bool = True) -> str:
    """Return the label of an axis that shows a metric, with its unit if it has one.

    >>> metric_label("val/accuracy"), metric_label("final_val_loss"), metric_label("grad_norm/w1")
    ('validation accuracy', 'final validation loss (nats)', 'grad norm w1')
    """
    words = metric.replace("/", " ").replace("_", " ").split()
    label = " ".join({"val": "validation", "train": "training"}.get(word, word) for word in words)
    return label + " (nats)" if unit and words and words[-1] == "loss" else label


def fit_fraction_axis(axes: Axes, finite: Array) -> bool:
    """Fit a vertical axis of fractions to its data, (n,) finite values.

    Returns
    -------
    bool
        Whether the axis begins above 0, which the figure must then say.
    """
    if not finite.size:
        axes.set_ylim(0, 1)
        return False
    low, high = float(finite.min()), float(finite.max())
    if low == high:  # a constant has no range of its own
        low, high = (low - FLAT, high) if low > FLAT else (low, low + FLAT)
    margin = max(0.06 * (high - low), 0.004)
    floor = low - margin if low > 0.3 * high else min(0.0, low) - margin
    axes.set_ylim(floor, high + margin)
    axes.yaxis.set_major_locator(MaxNLocator(7, steps=[1, 2, 2.5, 5, 10]))
    return floor > 0


def set_parameter_axis(axes: Axes, x: Array, *, log: bool, max_ticks: int = 10) -> None:
    """Scale a horizontal axis of a hyper-parameter: its values are the ticks, where they fit.

    Parameters
    ----------
    axes : Axes
        To be changed.
    x : Array
        (n,) values, any of them several times.
    log : bool
        Whether the axis is logarithmic; it is linear where a value is not positive.
    max_ticks : int
        Ticks that have room beside each other.
    """
    values = np.unique(x)
    log = log and bool((values > 0).all())
    place = np.log10(values) if log else values
    margin = max(0.08 * float(place[-1] - place[0]), 1e-9) or 0.5
    if len(values) == 1:
        margin = 0.5 if log else max(0.5 * abs(float(place[0])), 0.5)
    low, high = float(place[0]) - margin, float(place[-1]) + margin
    axes.set_xlim(*((10**low, 10**high) if log else (low, high)))
    if log:
        axes.set_xscale("log")
    closest = np.diff(place).min(initial=np.inf) / (high - low)
    if len(values) <= max_ticks and closest > 1 / (1.6 * max_ticks):
        axes.xaxis.set_major_locator(FixedLocator(values.tolist()))
    elif log:
        wide = high - low > 2  # noqa: PLR2004 - decades
        axes.xaxis.set_major_locator(LogLocator(subs=(1.0,) if wide else (1.0, 2.0, 5.0)))
    else:
        axes.xaxis.set_major_locator(MaxNLocator(max(3, max_ticks // 2)))
    axes.xaxis.set_minor_locator(NullLocator())
    axes.xaxis.set_major_formatter(FuncFormatter(lambda at, _: format_number(at)))
