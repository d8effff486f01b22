"""A run's history as curves over its epochs."""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, MaxNLocator, PercentFormatter

from nnlab.arrays import Array
from nnlab.plots.scales import padded, set_scale
from nnlab.plots.style import (
    BLUE,
    GREEN,
    GREY,
    INK,
    PURPLE,
    VERMILLION,
    WIDTH,
    axes_at,
    end_labels,
    number,
    page,
    sentence,
    styled,
)


@dataclass(frozen=True)
class Panel:
    """One panel of the curves: its series as (key in the history, label, colour)."""

    title: str
    scale: Literal["auto", "log", "fraction"]
    series: tuple[tuple[str, str, str], ...]
    room: float  # inches to the right of the axes, for the labels
    percent: bool = False
    targeted: bool = False


ROWS = (
    (
        Panel(
            "loss (nats)",
            "auto",
            (("train/loss", "train", BLUE), ("val/loss", "validation", VERMILLION)),
            1.95,
        ),
        Panel(
            "accuracy",
            "fraction",
            (("train/accuracy", "train", BLUE), ("val/accuracy", "validation", VERMILLION)),
            1.95,
            targeted=True,
        ),
    ),
    (
        Panel(
            "gradient norm",
            "log",
            (("grad_norm/w1", "W1", GREEN), ("grad_norm/w2", "W2", PURPLE)),
            1.15,
        ),
        Panel(
            "update / weight norm",
            "log",
            (("update_ratio/w1", "W1", GREEN), ("update_ratio/w2", "W2", PURPLE)),
            1.15,
        ),
        Panel(
            "dead hidden units", "fraction", (("dead_fraction", "dead", INK),), 1.15, percent=True
        ),
    ),
)


@styled
def curves(history: Mapping[str, Array], title: str, target: float | None) -> Figure:
    """Draw a run's history over its epochs.

    Parameters
    ----------
    history : name -> (rows,)
        ``epoch`` and any of the metrics in ``ROWS``; values may be NaN or infinite.
    title : str
    target : float or None
        The validation accuracy that counts as learned.
    """
    epoch = np.asarray(history.get("epoch", []), float)
    shown = [
        [panel for panel in row if any(key in history for key, _, _ in panel.series)]
        for row in ROWS
    ]
    rows = [row for row in shown if row]
    if not (epoch.size and rows):
        figure, _ = page(title, "training history")
        sentence(figure, "no epoch was recorded")
        return figure

    series = {
        key: np.asarray(history[key], float)
        for row in rows
        for panel in row
        for key, _, _ in panel.series
        if key in history
    }
    figure, top = page(title, _story(epoch, series, target))
    alive = np.flatnonzero(np.any([np.isfinite(values) for values in series.values()], axis=0))
    end = min(epoch.size, alive[-1] + 2) if alive.size else epoch.size  # a NaN tail needs no room
    bottom, gap, header = 0.7, 0.4, 0.35  # inches; a panel's title stands in its header
    height = (top - bottom - gap * (len(rows) - 1)) / len(rows)
    for r, row in enumerate(rows):
        width = (WIDTH - 0.1) / len(row)
        for c, panel in enumerate(row):
            axes = axes_at(
                figure,
                0.75 + c * width,
                bottom + (len(rows) - 1 - r) * (height + gap),
                width - 0.75 - panel.room,
                height - header,
            )
            _draw_panel(axes, panel, epoch[:end], {k: v[:end] for k, v in series.items()}, target)
            ticks = max(2, int(width - panel.room))
            axes.xaxis.set_major_locator(MaxNLocator(ticks, integer=True, min_n_ticks=1))
            axes.set_xlabel("epoch" if r == len(rows) - 1 else "")
    return figure


def _story(epoch: Array, series: Mapping[str, Array], target: float | None) -> str:
    """Say in one line what the curves show: when the target was met, what stopped being finite."""
    parts = [f"{int(epoch[-1]):,} epochs" if epoch[-1] != 1 else "1 epoch"]
    accuracy = series.get("val/accuracy")
    if target is not None and accuracy is not None:
        met = np.flatnonzero(accuracy >= target)
        when = f"reached at epoch {int(epoch[met[0]]):,}" if met.size else "never reached"
        parts.append(f"validation accuracy {target:g} {when}")
    lost = [epoch[~np.isfinite(series[key])] for key in ("train/loss", "val/loss") if key in series]
    if any(e.size for e in lost):
        first = min(int(e[0]) for e in lost if e.size)
        parts.append(f"loss not finite from epoch {first:,}")
    return "  ·  ".join(parts)


def _draw_panel(
    axes: Axes, panel: Panel, epoch: Array, series: Mapping[str, Array], target: float | None
) -> None:
    present = [(series[key], label, colour) for key, label, colour in panel.series if key in series]
    values = np.concatenate([data for data, _, _ in present])
    axes.set_title(panel.title)
    axes.set_xlim(*padded(epoch[0], epoch[-1]))
    axes.xaxis.set_major_formatter(FuncFormatter(lambda x, _: f"{x:,.0f}"))
    if panel.scale == "fraction":
        axes.set_ylim(-0.03, 1.03)
        if panel.percent:
            axes.yaxis.set_major_formatter(PercentFormatter(1))
    else:
        set_scale(axes, values[np.isfinite(values)], log=True if panel.scale == "log" else None)

    labels = []
    for rank, (data, label, colour) in enumerate(present):
        finite = np.flatnonzero(np.isfinite(data))
        below = rank < len(present) - 1  # wider: where two curves coincide, both are seen
        axes.plot(
            epoch,
            data,
            color=colour,
            linewidth=3.5 if below else 1.8,
            marker="o",
            markersize=7 if below else 4.5,
            markevery=None if epoch.size <= 20 else finite[-1:].tolist(),  # noqa: PLR2004 - dots stay apart
        )
        y = data[finite[-1]] if finite.size else axes.get_ylim()[0]
        last = float(data[-1])
        if panel.scale == "log" and math.isnan(last):  # no step follows the last epoch
            last = float(y) if finite.size else last
        text = number(last)
        if panel.scale == "fraction" and math.isfinite(last):
            text = f"{last:.0%}" if panel.percent else f"{last:.3f}"
        labels.append((float(y), f"{label} {text}", colour))
    if panel.targeted and target is not None:
        axes.axhline(target, color=GREY, linestyle="--", linewidth=1.5)
        labels.append((target, f"target {target:g}", GREY))
    end_labels(axes, labels)
