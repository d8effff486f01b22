"""The cells of a phase diagram: what colours, marks and frames say of each configuration.

Throughout, cells are an array ``(rows, columns)``, with the seeds of a cell on a third axis; the
axes have one unit of data coordinates for each cell.
"""

import math
from typing import Any

import numpy as np
from matplotlib import colormaps
from matplotlib.axes import Axes
from matplotlib.colors import Normalize, to_hex
from matplotlib.patches import Rectangle

from nnlab.arrays import Array
from nnlab.plots.outcome_marks import outcome_marker
from nnlab.plots.style import INK, PALE

COLORMAP = colormaps["viridis"]
FOOT = 0.24  # of a cell's height: shows each seed's accuracy


def mean_over_seeds(accuracy: Array) -> Array:
    """Return the mean over seeds, (rows, columns), NaN where there is none."""
    count = np.isfinite(accuracy).sum(axis=2)
    return np.where(count > 0, np.nansum(accuracy, axis=2) / np.maximum(count, 1), np.nan)


def best_of_rows(mean: Array) -> Array:
    """Return which cells are the best of their row; none where all that have a value are equal."""
    rounded = np.where(np.isfinite(mean), mean.round(9), -np.inf)
    highest = rounded.max(axis=1, keepdims=True)
    differ = np.nanmax(mean, axis=1, initial=-1) > np.nanmin(mean, axis=1, initial=2)
    return np.asarray((rounded == highest) & np.isfinite(mean) & differ[:, None])


def draw_accuracy(axes: Axes, accuracy: Array, mean: Array, norm: Normalize) -> None:
    """Colour each cell by its mean, and its foot by its seeds, from the worst to the best."""
    rows, columns, seeds = accuracy.shape
    fields = np.repeat(mean, 2, axis=0).repeat(seeds, axis=1)
    fields[::2] = np.sort(accuracy, axis=2).reshape(rows, -1)  # NaN last
    x_edges = np.arange(columns * seeds + 1) / seeds
    y_edges = np.append((np.arange(rows)[:, None] + [0, FOOT]).ravel(), rows)
    axes.set_facecolor(PALE)
    axes.pcolormesh(x_edges, y_edges, np.ma.masked_invalid(fields), cmap=COLORMAP, norm=norm)
    width = 1.5 if columns * rows <= 100 else 1.0  # noqa: PLR2004 - as much as small cells can spare
    axes.vlines(range(columns + 1), 0, rows, color="white", linewidth=width)
    axes.hlines(range(rows + 1), 0, columns, color="white", linewidth=width)


def hatch_empty(axes: Axes, empty: Array) -> None:
    """Hatch cells without a result, so that none is mistaken for a low accuracy."""
    for row, column in np.argwhere(empty):
        axes.add_patch(hatched_rectangle(column + 0.04, row + 0.04, 0.92, 0.92))


def hatched_rectangle(x: float, y: float, width: float, height: float) -> Rectangle:
    """Return what marks a cell without a result, in the diagram and in its legend."""
    return Rectangle(
        (x, y), width, height, facecolor="white", edgecolor="#BBBBBB", hatch="///", linewidth=0
    )


def draw_frames(axes: Axes, best: Array, cell: tuple[float, float]) -> None:
    """Frame the best cells; ``cell`` is the (width, height) of each, in inches."""
    x, y = 0.025 / cell[0], 0.025 / cell[1]  # within the cell, so that neighbours stay apart
    for colour, width in (("white", 4.5), (INK, 2.0)):  # visible on dark and on bright cells
        style: dict[str, Any] = {
            "fill": False,
            "edgecolor": colour,
            "linewidth": width,
            "zorder": 3,
        }
        for row, column in np.argwhere(best):
            axes.add_patch(Rectangle((column + x, row + y), 1 - 2 * x, 1 - 2 * y, **style))


def draw_outcomes(
    axes: Axes,
    runs: tuple[Array, Array],
    mean: Array,
    norm: Normalize,
    cell: tuple[float, float],
    *,
    with_text: bool,
) -> None:
    """Draw one mark in a cell whose seeds agree, and else one above each seed's field.

    Parameters
    ----------
    axes : Axes
        One unit a cell.
    runs : tuple of Array
        Accuracies and outcomes, (rows, columns, seeds) each; the outcome "" stands for no run.
    mean : Array
        (rows, columns) accuracies, which colour the cells.
    norm : Normalize
        From accuracies to colours.
    cell : tuple of float
        Width and height of a cell in inches.
    with_text : bool
        Whether the mean is written in the cell, which leaves less room.
    """
    accuracy, outcome = runs
    seeds = accuracy.shape[2]
    foot = FOOT if seeds > 1 else 0.0
    y = foot + (1 - foot) * (0.3 if with_text else 0.5)
    marks: dict[tuple[str, str], list[tuple[float, float]]] = {}  # positions by outcome and colour
    for row, column in np.ndindex(mean.shape):
        order = np.argsort(accuracy[row, column], kind="stable")
        outcomes = [str(name) for name in outcome[row, column, order]]
        colour = text_colour(norm, float(mean[row, column]))
        if outcomes[0] and len(set(outcomes)) == 1:
            marks.setdefault((outcomes[0], colour), []).append((column + 0.5, row + y))
            continue
        for place, name in enumerate(outcomes):
            if name:
                at = (column + 0.04 + 0.92 * (place + 0.5) / seeds, row + y)
                marks.setdefault((name, colour), []).append(at)
    size = min(11.0, 72 * 0.7 * cell[0] / seeds, 72 * cell[1] * (0.25 if with_text else 0.45))
    for (name, colour), places in sorted(marks.items()):
        axes.plot(*np.transpose(places), **outcome_marker(name, size, colour), gid=name, zorder=4)


def write_means(axes: Axes, mean: Array, norm: Normalize, size: float) -> None:
    """Write the mean of each cell in its upper part; ``size`` is in points."""
    for row, column in np.argwhere(np.isfinite(mean)):
        colour = text_colour(norm, mean[row, column])
        text = f"{mean[row, column]:.3f}"
        at = column + 0.5, row + 0.8
        axes.text(*at, text, color=colour, ha="center", va="center", size=size)


def text_colour(norm: Normalize, value: float) -> str:
    """Return the colour of text on a cell: white where the cell is dark."""
    if not math.isfinite(value):
        return INK
    red, green, blue, _ = COLORMAP(norm(value))
    luma = 0.3 * red + 0.59 * green + 0.11 * blue
    return "white" if luma < 0.5 else INK  # noqa: PLR2004


def ordered_colours(count: int) -> list[str]:
    """Return colours in hex for levels that have an order."""
    return [to_hex(COLORMAP(0.9 * place / max(1, count - 1))) for place in range(count)]
