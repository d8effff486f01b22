"""A run's history as curves over its epochs: loss, accuracy, gradients, dead units."""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import PercentFormatter

from nnlab.arrays import Array
from nnlab.plots.labels import end_labels
from nnlab.plots.scales import fit_fraction_axis, set_epoch_axis, set_scale
from nnlab.plots.style import (
    BLUE,
    GREEN,
    GREY,
    INK,
    PURPLE,
    VERMILLION,
    WIDTH,
    add_axes,
    format_number,
    in_shared_style,
    new_figure,
    write_message,
)
from nnlab.wording import counted

TITLE = "Training, epoch by epoch"


@dataclass(frozen=True)
class Panel:
    """One panel of the figure.

    Attributes
    ----------
    title : str
        Above the panel.
    scale : {"auto", "log", "fraction"}
        Of the vertical axis.
    series : tuple of tuple of str
        ``(metric in the history, label, colour)`` of each curve.
    room : float
        Inches to the right of the axes, for the labels.
    percent : bool
        Whether values are written as percentages.
    with_target : bool
        Whether the target is drawn.
    with_edge : bool
        Whether 2 over the learning rate is drawn.
    sparse : bool
        Whether only some epochs have a value.
    """

    title: str
    scale: Literal["auto", "log", "fraction"]
    series: tuple[tuple[str, str, str], ...]
    room: float
    percent: bool = False
    with_target: bool = False
    with_edge: bool = False
    sparse: bool = False


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
            with_target=True,
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
    (
        Panel(
            "sharpness (largest eigenvalue of the Hessian)",
            "auto",
            (("sharpness", "sharpness", INK),),
            1.95,
            with_edge=True,
            sparse=True,
        ),
        Panel(
            "alignment of the gradient with its direction",
            "fraction",
            (("gradient_alignment", "cosine", INK),),
            1.95,
            sparse=True,
        ),
    ),
)


@in_shared_style
def run_curves(
    history: Mapping[str, Array], name: str, target: float | None, lr: float | None = None
) -> Figure:
    """Draw a run's history over its epochs.

    Parameters
    ----------
    history : Mapping of str to Array
        ``epoch`` and any of the metrics in ``ROWS``, (epochs,) each; values may be NaN or infinite.
    name : str
        Of the run.
    target : float or None
        The validation accuracy that counts as learned.
    lr : float or None
        The learning rate, for the edge of stability in the panel of the sharpness.
    """
    epoch = np.asarray(history.get("epoch", []), float)
    shown = [
        [panel for panel in row if any(key in history for key, _, _ in panel.series)]
        for row in ROWS
    ]
    rows = [row for row in shown if row]
    if not (epoch.size and rows):
        figure, _ = new_figure(TITLE, name, "training history")
        write_message(figure, "no epoch was recorded")
        return figure

    series = {
        key: np.asarray(history[key], float)
        for row in rows
        for panel in row
        for key, _, _ in panel.series
        if key in history
    }
    figure, top = new_figure(TITLE, name, _subtitle(epoch, series, target))
    alive = np.flatnonzero(np.any([np.isfinite(values) for values in series.values()], axis=0))
    end = min(epoch.size, alive[-1] + 2) if alive.size else epoch.size  # a NaN tail needs no room
    bottom, gap, header = 0.7, 0.4, 0.35  # inches; a panel's title stands in its header
    height = (top - bottom - gap * (len(rows) - 1)) / len(rows)
    for r, row in enumerate(rows):
        width = (WIDTH - 0.1) / len(row)
        for c, panel in enumerate(row):
            axes = add_axes(
                figure,
                0.75 + c * width,
                bottom + (len(rows) - 1 - r) * (height + gap),
                width - 0.75 - panel.room,
                height - header,
            )
            set_epoch_axis(axes, epoch[0], epoch[end - 1], max(2, int(width - panel.room)))
            if r < len(rows) - 1:
                axes.set_xlabel("")
            _draw_panel(
                axes, panel, epoch[:end], {k: v[:end] for k, v in series.items()}, target, lr
            )
    return figure


def _subtitle(epoch: Array, series: Mapping[str, Array], target: float | None) -> str:
    """Say when the target was reached, and from when on the loss was not finite."""
    parts = [counted(int(epoch[-1]), "epoch")]
    accuracy = series.get("val/accuracy")
    if target is not None and accuracy is not None:
        reached = epoch[accuracy >= target]
        when = f"reached at epoch {int(reached[0]):,}" if reached.size else "never reached"
        parts.append(f"validation accuracy {target:g} {when}")
    losses = [series[key] for key in ("train/loss", "val/loss") if key in series]
    not_finite = (
        epoch[np.any([~np.isfinite(loss) for loss in losses], axis=0)] if losses else epoch[:0]
    )
    if not_finite.size:
        parts.append(f"loss not finite from epoch {int(not_finite[0]):,}")
    return "  ·  ".join(parts)


def _draw_panel(
    axes: Axes, panel: Panel, epoch: Array, series: Mapping[str, Array], target: float | None,
    lr: float | None,
) -> None:  # fmt: skip
    """Draw the curves of one panel, each with its last value as a label."""
    present = [(series[key], label, colour) for key, label, colour in panel.series if key in series]
    values = np.concatenate([data for data, _, _ in present])
    edge = 2 / lr if panel.with_edge and lr is not None else None
    if edge is not None:
        values = np.append(values, edge)
    if panel.with_target and target is not None:
        values = np.append(values, target)
    finite_values = values[np.isfinite(values)]
    cut = False
    if panel.percent:
        fit_fraction_axis(axes, np.append(finite_values, 0.0))
        axes.yaxis.set_major_formatter(PercentFormatter(1))
    elif panel.scale == "fraction":
        cut = fit_fraction_axis(axes, finite_values)
    else:
        set_scale(axes, finite_values, log=True if panel.scale == "log" else None)
    axes.set_title(panel.title + " (axis not from 0)" * cut)

    labels = []
    for rank, (data, label, colour) in enumerate(present):
        finite = np.flatnonzero(np.isfinite(data))
        covered = rank < len(present) - 1  # drawn wider, so that both of two equal curves are seen
        shown = np.isfinite(data) if panel.sparse else slice(None)
        axes.plot(
            epoch[shown],
            data[shown],
            color=colour,
            linewidth=3.5 if covered else 1.8,
            marker="o",
            markersize=7 if covered else 4.5,
            markevery=None if epoch.size <= 20 or panel.sparse else finite[-1:].tolist(),  # noqa: PLR2004 - dots stay apart
        )
        y = data[finite[-1]] if finite.size else axes.get_ylim()[0]
        last = float(data[-1])
        # No step follows the last epoch; and some epochs have no measurement.
        if (panel.scale == "log" or panel.sparse) and math.isnan(last):
            last = float(y) if finite.size else last
        text = format_number(last)
        if panel.scale == "fraction" and math.isfinite(last):
            text = f"{last:.0%}" if panel.percent else f"{last:.3f}"
        labels.append((float(y), f"{label} {text}", colour))
    if panel.with_target and target is not None:
        axes.axhline(target, color=GREY, linestyle="--", linewidth=1.5)
        labels.append((target, f"target {target:g}", GREY))
    if edge is not None:
        axes.axhline(edge, color=GREY, linestyle="--", linewidth=1.5, gid="edge")
        labels.append((edge, f"2 / lr {format_number(edge)}", GREY))
    end_labels(axes, labels)
