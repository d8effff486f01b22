"""The cells of a plane of configurations: what colours, marks and frames say of each."""

import math

import numpy as np
from matplotlib import colormaps
from matplotlib.axes import Axes
from matplotlib.colors import Normalize
from matplotlib.patches import Rectangle

from nnlab.arrays import Array
from nnlab.plots.outcome_marks import marker
from nnlab.plots.style import INK, PALE

MAP = colormaps["viridis"]
STRIP = 0.24  # of a cell's height: the seeds' own accuracies


def mean_over_seeds(accuracy: Array) -> Array:
    """Return the mean over seeds, NaN where there is none."""
    count = np.isfinite(accuracy).sum(axis=2)
    return np.where(count > 0, np.nansum(accuracy, axis=2) / np.maximum(count, 1), np.nan)


def best_of_rows(mean: Array) -> Array:
    """Return which cells are the best of their row; none where there is nothing to choose."""
    rounded = np.where(np.isfinite(mean), mean.round(9), -np.inf)
    highest = rounded.max(axis=1, keepdims=True)
    several = np.nanmax(mean, axis=1, initial=-1) > np.nanmin(mean, axis=1, initial=2)
    return np.asarray((rounded == highest) & np.isfinite(mean) & several[:, None])


def colour(axes: Axes, accuracy: Array, mean: Array, norm: Normalize) -> None:
    """Colour each cell by its mean, and its foot by its seeds, from the worst to the best."""
    rows, columns, seeds = accuracy.shape
    fields = np.repeat(mean, 2, axis=0).repeat(seeds, axis=1)
    fields[::2] = np.sort(accuracy, axis=2).reshape(rows, -1)  # NaN last
    across = np.arange(columns * seeds + 1) / seeds
    upwards = np.append((np.arange(rows)[:, None] + [0, STRIP]).ravel(), rows)
    axes.set_facecolor(PALE)
    axes.pcolormesh(across, upwards, np.ma.masked_invalid(fields), cmap=MAP, norm=norm)
    width = 1.5 if columns * rows <= 100 else 1.0  # noqa: PLR2004 - as much as small cells can spare
    axes.vlines(range(columns + 1), 0, rows, color="white", linewidth=width)
    axes.hlines(range(rows + 1), 0, columns, color="white", linewidth=width)


def hatch(axes: Axes, empty: Array) -> None:
    """Hatch cells without a result, so that none is mistaken for a low accuracy."""
    for row, column in np.argwhere(empty):
        axes.add_patch(hatched(column + 0.04, row + 0.04, 0.92, 0.92))


def hatched(x: float, y: float, width: float, height: float) -> Rectangle:
    """Return a hatched field."""
    return Rectangle(
        (x, y), width, height, facecolor="white", edgecolor="#BBBBBB", hatch="///", linewidth=0
    )


def frame(axes: Axes, best: Array, cell: tuple[float, float]) -> None:
    """Frame the best cells; ``cell`` is the (width, height) of each, in inches."""
    x, y = 0.025 / cell[0], 0.025 / cell[1]  # within the cell, so that neighbours stay apart
    for colour, width in (("white", 4.5), (INK, 2.0)):  # seen on dark and on bright cells
        for row, column in np.argwhere(best):
            at = (column + x, row + y)
            axes.add_patch(
                Rectangle(
                    at,
                    1 - 2 * x,
                    1 - 2 * y,
                    fill=False,
                    edgecolor=colour,
                    linewidth=width,
                    zorder=3,
                )
            )


def mark(
    axes: Axes,
    runs: tuple[Array, Array],
    mean: Array,
    norm: Normalize,
    cell: tuple[float, float],
    *,
    written: bool,
) -> None:
    """Put one mark in a cell whose seeds agree, and else one above each run's field."""
    accuracy, outcome = runs
    seeds = accuracy.shape[2]
    foot = STRIP if seeds > 1 else 0.0
    y = foot + (1 - foot) * (0.3 if written else 0.5)
    places: dict[tuple[str, str], list[tuple[float, float]]] = {}
    for row, column in np.ndindex(mean.shape):
        order = np.argsort(accuracy[row, column], kind="stable")
        said = [str(each) for each in outcome[row, column, order]]
        tint = ink(norm, float(mean[row, column]))
        if said[0] and len(set(said)) == 1:
            places.setdefault((said[0], tint), []).append((column + 0.5, row + y))
            continue
        for place, each in enumerate(said):
            if each:
                at = (column + 0.04 + 0.92 * (place + 0.5) / seeds, row + y)
                places.setdefault((each, tint), []).append(at)
    size = min(11.0, 72 * 0.7 * cell[0] / seeds, 72 * cell[1] * (0.25 if written else 0.45))
    for (name, tint), spots in sorted(places.items()):
        axes.plot(*np.transpose(spots), **marker(name, size, tint), gid=name, zorder=4)


def ink(norm: Normalize, value: float) -> str:
    """Return the colour of text on a cell: white where the cell is dark."""
    if not math.isfinite(value):
        return INK
    red, green, blue, _ = MAP(norm(value))
    return "white" if 0.3 * red + 0.59 * green + 0.11 * blue < 0.5 else INK  # noqa: PLR2004
