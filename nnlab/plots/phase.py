"""A phase diagram: for which values of two hyper-parameters a network learns, and how reliably."""

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

from nnlab.arrays import Array
from nnlab.plots import phase_cells
from nnlab.plots.labels import shorten, text_width
from nnlab.plots.outcome_marks import outcome_legend
from nnlab.plots.scales import field_words
from nnlab.plots.style import (
    GREY,
    HEIGHT,
    INK,
    MARGIN,
    TEXT,
    WIDTH,
    add_axes,
    add_blank_axes,
    format_number,
    in_shared_style,
    new_figure,
    write_message,
)
from nnlab.wording import counted

TICK = 12.0  # points
SLANT = 35  # degrees, of names that are too long to stand beside each other
MAX_ROW_NAME = 2.2  # inches
BAR = 1.75  # inches that the colour bar takes


@dataclass(frozen=True)
class PhaseMap:
    """The results of every configuration of two hyper-parameters.

    Attributes
    ----------
    x_name, y_name : str
        The two hyper-parameters.
    x, y : tuple of float or str
        Their values, in the order in which they are drawn: x from the left; y upwards, or
        downwards where there are words among them.
    accuracy : Array
        (len(y), len(x), seeds), NaN where there is none.
    outcome : Array
        (len(y), len(x), seeds) strings, "" where there is no run.
    """

    x_name: str
    x: tuple[float | str, ...]
    y_name: str
    y: tuple[float | str, ...]
    accuracy: Array
    outcome: Array


@in_shared_style
def phase_diagram(phase_map: PhaseMap, name: str) -> Figure:
    """Draw a plane of configurations: colour is accuracy, marks are outcomes.

    A cell's colour is the mean over its seeds. At its foot each seed has a field, from the worst
    to the best, grey where one is missing. Where all seeds have a run of the same outcome, the
    cell has one mark; else each run has a mark above its field. A run that diverged without an
    accuracy counts as 0. The best cell of each row has a frame, or the best cells if several are
    equal.

    Parameters
    ----------
    phase_map : PhaseMap
        What to draw.
    name : str
        Of the sweep.
    """
    outcome, accuracy = _diverged_as_zero(phase_map)
    rows, columns, _ = accuracy.shape
    present = np.isfinite(accuracy) | (outcome != "")
    fields = " and ".join(map(field_words, (phase_map.y_name, phase_map.x_name)))
    figure, top = new_figure(f"Validation accuracy by {fields}", name, _subtitle(present))
    if not present.any():
        write_message(figure, "No configuration has a result.")
        return figure

    names = _names(phase_map.x), _names(phase_map.y)
    if _has_words(phase_map.y):  # words are read from the top
        outcome, accuracy, present = outcome[::-1], accuracy[::-1], present[::-1]
        names = names[0], names[1][::-1]
    left = 0.85 + min(MAX_ROW_NAME, max(text_width(text, TICK) for text in names[1]))
    width = WIDTH - BAR - left
    slanted = _has_words(phase_map.x) and not _fit(names[0], width / columns)
    bottom = 1.5 if slanted else 0.8
    height = top - bottom - 0.35
    axes = add_axes(figure, left, bottom, width, height)
    _label_axes(axes, phase_map, names, slanted=slanted)

    norm = Normalize(*_colour_limits(accuracy[np.isfinite(accuracy)]))
    mean = phase_cells.mean_over_seeds(accuracy)
    phase_cells.draw_accuracy(axes, accuracy, mean, norm)
    phase_cells.hatch_empty(axes, ~present.any(axis=2))
    best = phase_cells.best_of_rows(mean)
    cell = width / columns, height / rows
    phase_cells.draw_frames(axes, best, cell)
    with_text = cell[1] > 0.6 and cell[0] > 0.65  # noqa: PLR2004 - inches in which a number fits
    phase_cells.draw_outcomes(axes, (accuracy, outcome), mean, norm, cell, with_text=with_text)
    if with_text:
        phase_cells.write_means(axes, mean, norm, TICK)

    bar = add_axes(figure, WIDTH - BAR + 0.35, bottom, 0.25, height)
    figure.colorbar(ScalarMappable(norm, phase_cells.COLORMAP), cax=bar)
    bar.set_ylabel("mean accuracy over seeds")
    bar.grid(visible=False)
    counts = Counter(str(name) for name in outcome[outcome != ""])
    x = outcome_legend(figure, top, counts, "mark")
    framed = field_words(phase_map.x_name) if best.any() else ""
    _cell_legend(figure, top, x, framed, empty=not present.any(axis=2).all())
    return figure


def _diverged_as_zero(phase_map: PhaseMap) -> tuple[Array, Array]:
    """Return outcomes and accuracies; a run that diverged has an accuracy of 0 if none is known."""
    outcome = np.asarray(phase_map.outcome, dtype=object)
    accuracy = np.where(np.isfinite(phase_map.accuracy), phase_map.accuracy, np.nan)
    return outcome, np.where((outcome == "diverged") & np.isnan(accuracy), 0.0, accuracy)


def _subtitle(present: Array) -> str:
    """Say how many configurations and seeds there are, and what a cell shows."""
    rows, columns, seeds = present.shape
    runs = present.sum(axis=2)
    filled = int((runs > 0).sum())
    parts = [counted(filled, "configuration")]
    if filled < rows * columns:
        parts = [f"{filled:,} of {rows * columns:,} configurations"]
    fewest = int(runs[runs > 0].min(initial=seeds))
    if seeds == 1:
        parts[0] += ", 1 seed each: no spread is known"
        return "  ·  ".join([*parts, "colour: accuracy, mark: outcome"])
    parts[0] += f" × {f'{fewest} to ' if fewest < seeds else ''}{counted(seeds, 'seed')}"
    return "  ·  ".join(
        [*parts, "foot of a cell: each seed's accuracy, sorted", "one mark: all agree"]
    )


def _has_words(values: Sequence[float | str]) -> bool:
    return any(isinstance(value, str) for value in values)


def _names(values: Sequence[float | str]) -> list[str]:
    """Write the values of a hyper-parameter so that no two look the same."""
    names = [value if isinstance(value, str) else format_number(float(value)) for value in values]
    if len(set(names)) < len(set(values)):  # three digits don't tell them apart
        names = [value if isinstance(value, str) else f"{value:g}" for value in values]
    return [name or '""' for name in names]


def _fit(names: Sequence[str], inches: float) -> bool:
    return max(text_width(name, TICK) for name in names) < inches - 0.12


def _label_axes(
    axes: Axes, phase_map: PhaseMap, names: tuple[list[str], list[str]], *, slanted: bool
) -> None:
    """Label both axes; where the cells are too small, only every second or third value, and so on.

    Parameters
    ----------
    axes : Axes
        To be labelled.
    phase_map : PhaseMap
        Has the names of the hyper-parameters.
    names : tuple of list of str
        The values on the horizontal and on the vertical axis.
    slanted : bool
        Whether the names on the horizontal axis are slanted.
    """
    box = axes.get_position()
    columns, rows = len(names[0]), len(names[1])
    cell = box.width * WIDTH / columns, box.height * HEIGHT / rows
    widest = (
        0.2 / math.sin(math.radians(SLANT))
        if slanted
        else max(text_width(name, TICK) for name in names[0]) + 0.12
    )
    every = max(1, math.ceil(widest / cell[0])), max(1, math.ceil(0.2 / cell[1]))
    room = 1.15 if slanted else max(cell[0] * every[0] - 0.08, 0.5)
    axes.set(xlim=(0, columns), ylim=(0, rows))
    slant: dict[str, Any] = {"rotation": SLANT, "ha": "right", "rotation_mode": "anchor"}
    axes.set_xticks(
        np.arange(0, columns, every[0]) + 0.5,
        [shorten(name, room, TICK) for name in names[0][:: every[0]]],
        **(slant if slanted else {}),
    )
    axes.set_yticks(
        np.arange(0, rows, every[1]) + 0.5,
        [shorten(name, MAX_ROW_NAME, TICK) for name in names[1][:: every[1]]],
    )
    axes.set_xlabel(shorten(field_words(phase_map.x_name), 8.0))
    figure = axes.get_figure()
    assert figure is not None
    y_name = shorten(field_words(phase_map.y_name), 4.0)
    figure.text(MARGIN / WIDTH, box.y0 + box.height / 2, y_name, rotation=90, va="center")
    axes.tick_params(length=0)
    axes.spines[:].set_visible(False)
    axes.grid(visible=False)


def _colour_limits(finite: Array) -> tuple[float, float]:
    """Return the range of the data, extended to multiples of 0.05."""
    if not finite.size:
        return 0.0, 1.0
    low = math.floor(float(finite.min()) * 20 + 1e-9) / 20
    high = math.ceil(float(finite.max()) * 20 - 1e-9) / 20
    return low, max(high, low + 0.05)


def _cell_legend(figure: Figure, top: float, x: float, framed: str, *, empty: bool) -> None:
    """Continue the legend of the outcomes: what frames and hatching mean.

    Parameters
    ----------
    figure : Figure
        The page.
    top : float
        As in ``outcome_legend``.
    x : float
        Inches from the left, where the legend of the outcomes ends.
    framed : str
        The hyper-parameter whose best value is framed; "" for none.
    empty : bool
        Whether some cells are hatched.
    """
    axes = add_blank_axes(figure, 0, top - 0.12, WIDTH, 0.3)
    hatching = 1.5 if empty else 0.0  # inches
    if framed:
        axes.add_patch(Rectangle((x, 0.06), 0.3, 0.18, fill=False, edgecolor=INK, linewidth=2))
        text = shorten(f"best {framed} of the row", WIDTH - 0.2 - hatching - x - 0.38)
        axes.text(x + 0.38, 0.15, text, va="center")
        x += 0.6 + text_width(text, TEXT)
    if empty:
        axes.add_patch(phase_cells.hatched_rectangle(x, 0.06, 0.3, 0.18))
        axes.text(x + 0.38, 0.15, "no result", va="center", color=GREY)
