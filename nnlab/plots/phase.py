"""A plane of two hyper-parameters: where in it a network learns, and how surely."""

import math
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.cm import ScalarMappable
from matplotlib.colors import Normalize
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle
from numpy.typing import NDArray

from nnlab.arrays import Array
from nnlab.plots import cells
from nnlab.plots.labels import cut, width_of
from nnlab.plots.outcome_marks import key
from nnlab.plots.style import (
    GREY,
    HEIGHT,
    INK,
    MARGIN,
    TEXT,
    WIDTH,
    axes_at,
    blank_axes,
    number,
    page,
    sentence,
    styled,
)

TICK = 12.0  # points
SLANT = 35  # degrees, of names that are too long to stand beside each other
LONGEST = 2.2  # inches that a row's name may take
BAR = 1.75  # inches that the colour bar takes


@dataclass(frozen=True)
class PhaseMap:
    """What became of every configuration of a plane.

    Attributes
    ----------
    x_name, y_name : of the two hyper-parameters
    x, y : their values, numbers or words, in the order in which they are drawn: x from the left;
        y upwards, or downwards where there are words among them
    accuracy : (ny, nx, seeds), NaN where there is none
    outcome : (ny, nx, seeds) strings, "" where there is no run
    """

    x_name: str
    x: tuple[float | str, ...]
    y_name: str
    y: tuple[float | str, ...]
    accuracy: NDArray[np.float64]
    outcome: NDArray[Any]


@styled
def phase_diagram(map: PhaseMap, title: str) -> Figure:  # noqa: A002 - the natural name
    """Draw a plane of configurations: colour is accuracy, marks are outcomes.

    A cell's colour is the mean over its seeds; its foot has a field a seed, from the worst to the
    best, grey where one is missing. One mark says that all of the map's seeds ran and agree; else
    each run has its own, above its field. A run that diverged without an accuracy counts as 0.
    A frame is around the best cell of each row (or cells, where they are equal).
    """
    outcome, accuracy = _counted(map)
    rows, columns, _ = accuracy.shape
    present = np.isfinite(accuracy) | (outcome != "")
    figure, top = page(title, _subtitle(present))
    if not present.any():
        sentence(figure, "No configuration has a result.")
        return figure

    names = _names(map.x), _names(map.y)
    if _has_words(map.y):  # words are read from the top
        outcome, accuracy, present = outcome[::-1], accuracy[::-1], present[::-1]
        names = names[0], names[1][::-1]
    left = 0.85 + min(LONGEST, max(width_of(text, TICK) for text in names[1]))
    width = WIDTH - BAR - left
    turned = _has_words(map.x) and not _fit(names[0], width / columns)
    bottom = 1.5 if turned else 0.8
    height = top - bottom - 0.35
    axes = axes_at(figure, left, bottom, width, height)
    _name_axes(axes, map, names, turned=turned)

    norm = Normalize(*_range(accuracy[np.isfinite(accuracy)]))
    mean = cells.mean_over_seeds(accuracy)
    cells.colour(axes, accuracy, mean, norm)
    cells.hatch(axes, ~present.any(axis=2))
    best = cells.best_of_rows(mean)
    cell = width / columns, height / rows
    cells.frame(axes, best, cell)
    written = cell[1] > 0.6 and cell[0] > 0.65  # noqa: PLR2004 - inches in which a number fits
    cells.mark(axes, (accuracy, outcome), mean, norm, cell, written=written)
    if written:
        for row, column in np.argwhere(np.isfinite(mean)):
            ink = cells.ink(norm, mean[row, column])
            at = (column + 0.5, row + 0.8)
            axes.text(
                *at, f"{mean[row, column]:.3f}", color=ink, ha="center", va="center", size=TICK
            )

    bar = axes_at(figure, WIDTH - BAR + 0.35, bottom, 0.25, height)
    figure.colorbar(ScalarMappable(norm, cells.MAP), cax=bar)
    bar.set_ylabel("mean accuracy over seeds")
    bar.grid(visible=False)
    counts = Counter(str(each) for each in outcome[outcome != ""])
    x = key(figure, top, counts, "mark")
    _key_of_cells(figure, top, x, map.x_name if best.any() else "", empty=~present.any(axis=2))
    return figure


def _counted(plane: PhaseMap) -> tuple[Array, Array]:
    outcome = np.asarray(plane.outcome, dtype=object)
    accuracy = np.where(np.isfinite(plane.accuracy), plane.accuracy, np.nan)
    return outcome, np.where((outcome == "diverged") & np.isnan(accuracy), 0.0, accuracy)


def _subtitle(present: Array) -> str:
    """Say how many configurations and seeds there are, and what a cell shows."""
    rows, columns, seeds = present.shape
    ran = present.sum(axis=2)
    found = int((ran > 0).sum())
    parts = [f"{found:,} configuration{'s' if found != 1 else ''}"]
    if found < rows * columns:
        parts = [f"{found:,} of {rows * columns:,} configurations"]
    fewest = int(ran[ran > 0].min(initial=seeds))
    if seeds == 1:
        parts[0] += ", 1 seed each: no spread is known"
        return "  ·  ".join([*parts, "colour: accuracy, mark: outcome"])
    parts[0] += f" × {f'{fewest} to ' if fewest < seeds else ''}{seeds} seeds"
    return "  ·  ".join(
        [*parts, "foot of a cell: each seed's accuracy, sorted", "one mark: all agree"]
    )


def _has_words(values: Sequence[float | str]) -> bool:
    return any(isinstance(value, str) for value in values)


def _names(values: Sequence[float | str]) -> list[str]:
    """Write the values of a hyper-parameter, apart from each other."""
    names = [value if isinstance(value, str) else number(float(value)) for value in values]
    if len(set(names)) < len(set(values)):  # three digits don't tell them apart
        names = [value if isinstance(value, str) else f"{value:g}" for value in values]
    return [name or '""' for name in names]


def _fit(names: Sequence[str], inches: float) -> bool:
    return max(width_of(name, TICK) for name in names) < inches - 0.12


def _name_axes(
    axes: Axes,
    plane: PhaseMap,
    names: tuple[list[str], list[str]],
    *,
    turned: bool,
) -> None:
    box = axes.get_position()
    columns, rows = len(names[0]), len(names[1])
    cell = box.width * WIDTH / columns, box.height * HEIGHT / rows
    widest = (
        0.2 / math.sin(math.radians(SLANT))
        if turned
        else max(width_of(name, TICK) for name in names[0]) + 0.12
    )
    every = max(1, math.ceil(widest / cell[0])), max(1, math.ceil(0.2 / cell[1]))
    room = 1.15 if turned else max(cell[0] * every[0] - 0.08, 0.5)
    axes.set(xlim=(0, columns), ylim=(0, rows))
    slant: dict[str, Any] = {"rotation": SLANT, "ha": "right", "rotation_mode": "anchor"}
    slant = slant if turned else {}
    axes.set_xticks(
        np.arange(0, columns, every[0]) + 0.5,
        [cut(name, room, TICK) for name in names[0][:: every[0]]],
        **slant,
    )
    axes.set_yticks(
        np.arange(0, rows, every[1]) + 0.5,
        [cut(name, LONGEST, TICK) for name in names[1][:: every[1]]],
    )
    axes.set_xlabel(cut(plane.x_name, 8.0))
    figure = axes.get_figure()
    assert figure is not None
    figure.text(
        MARGIN / WIDTH, box.y0 + box.height / 2, cut(plane.y_name, 4.0), rotation=90, va="center"
    )
    axes.tick_params(length=0)
    axes.spines[:].set_visible(False)
    axes.grid(visible=False)


def _range(finite: Array) -> tuple[float, float]:
    """Return the limits of the colours: the data's, to the next 0.05."""
    if not finite.size:
        return 0.0, 1.0
    low = math.floor(float(finite.min()) * 20 + 1e-9) / 20
    high = math.ceil(float(finite.max()) * 20 - 1e-9) / 20
    return low, max(high, low + 0.05)


def _key_of_cells(figure: Figure, top: float, x: float, x_name: str, *, empty: Array) -> None:
    """Go on with the key at ``x``: the frames, where there are any, and the hatching."""
    axes = blank_axes(figure, 0, top - 0.12, WIDTH, 0.3)
    beside = 1.5 if empty.any() else 0.0  # inches that the hatching's key takes
    if x_name:
        axes.add_patch(Rectangle((x, 0.06), 0.3, 0.18, fill=False, edgecolor=INK, linewidth=2))
        text = cut(f"best {x_name} of the row", WIDTH - 0.2 - beside - x - 0.38)
        axes.text(x + 0.38, 0.15, text, va="center")
        x += 0.6 + width_of(text, TEXT)
    if beside:
        axes.add_patch(cells.hatched(x, 0.06, 0.3, 0.18))
        axes.text(x + 0.38, 0.15, "no result", va="center", color=GREY)
