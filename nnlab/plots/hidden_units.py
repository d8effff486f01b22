"""Whether networks can learn at all: their dead units and their gradients, over the epochs."""

from collections.abc import Sequence
from dataclasses import dataclass
from string import ascii_uppercase

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, MaxNLocator, PercentFormatter
from numpy.typing import NDArray

from nnlab.plots import scales
from nnlab.plots.bands import Band
from nnlab.plots.labels import COLOURS, MARKS, PLATE, Label, name_ends, room_for
from nnlab.plots.style import SMALL, WIDTH, axes_at, page, sentence, styled

Array = NDArray[np.float64]
MOST = 8  # groups
LETTER = 0.75  # inches to the right of a panel whose curves are named by letters
ROOM = 1.5, 3.2  # inches to the right of the last panel, at least and at most


@dataclass(frozen=True)
class Health:
    """The state of a group of runs over the epochs.

    Attributes
    ----------
    label : the group's name
    epochs : (rows,)
    dead : (seeds, rows), the share of hidden units that no training image activates
    grad_w1, grad_w2 : (seeds, rows), norms of the loss's gradient; NaN after the last step
    """

    label: str
    epochs: NDArray[np.int64]
    dead: Array
    grad_w1: Array
    grad_w2: Array


@styled
def health(groups: Sequence[Health], title: str) -> Figure:
    """Draw dead units and gradient norms over the epochs, a line and a band a group.

    Each curve carries its group's letter in every panel, and its name beside the last one.

    Parameters
    ----------
    groups : at most ``MOST``, each with any number of seeds
    title : str

    Raises
    ------
    ValueError
        Where there are more groups.
    """
    if len(groups) > MOST:
        raise ValueError(f"{len(groups)} groups don't fit: at most {MOST}")
    panels = {
        "dead hidden units": [_band(each, each.dead) for each in groups],
        "gradient norm of W1": [_band(each, each.grad_w1) for each in groups],
        "gradient norm of W2": [_band(each, each.grad_w2) for each in groups],
    }
    bands = [band for panel in panels.values() for band in panel if band.seeds]
    figure, top = page(title, _subtitle(len(groups), {band.seeds for band in bands}))
    if not bands:
        sentence(figure, "No run came far enough to have a curve.")
        return figure
    names = [
        f"{letter} {each.label}" for letter, each in zip(ascii_uppercase, groups, strict=False)
    ]
    room = min(max(room_for(names, SMALL), ROOM[0]), ROOM[1])
    width = (WIDTH - 0.1 - room - 2 * LETTER) / len(panels)
    for place, (name, panel) in enumerate(panels.items()):
        left = place * (width + LETTER) + 0.85
        axes = axes_at(figure, left, 0.75, width - 0.8, top - 1.2)
        last = place == len(panels) - 1
        _draw(
            axes,
            name,
            panel,
            names if last else [name[0] for name in names],
            room if last else LETTER,
        )
    return figure


def _band(group: Health, values: Array) -> Band:
    return Band(group.label, group.epochs, values, "")


def _subtitle(groups: int, seeds: set[int]) -> str:
    """Say how many groups and seeds there are, and what lines and bands are."""
    many = f"{groups} group{'s' * (groups != 1)}"
    if not seeds or seeds == {1}:
        return f"{many}, one seed each: no spread is known"
    fewest, most = min(seeds), max(seeds)
    of = f"{f'{fewest} to ' * (fewest < most)}{most}"
    return f"{many} of {of} seeds  ·  line: median over seeds, band: lowest to highest"


def _draw(axes: Axes, name: str, bands: Sequence[Band], names: Sequence[str], room: float) -> None:
    axes.set_title(name)
    axes.set_xlabel("epoch")
    values = np.concatenate([band.finite.ravel() for band in bands])
    epochs = np.concatenate([band.epochs for band in bands])
    axes.set_xlim(*scales.padded(float(epochs.min()), float(epochs.max())))
    axes.xaxis.set_major_locator(MaxNLocator(3, integer=True, min_n_ticks=1))
    axes.xaxis.set_major_formatter(FuncFormatter(lambda x, _: f"{x:,.0f}"))
    if name.startswith("dead"):
        axes.set_ylim(-0.03, 1.03)
        axes.yaxis.set_major_formatter(PercentFormatter(1))
    else:
        scales.set_scale(axes, values[np.isfinite(values)], log=True)
    labels = []
    for rank, (band, text) in enumerate(zip(bands, names, strict=True)):
        if not band.seeds:
            continue
        x, low, median, high = band.over_seeds()
        colour, mark = COLOURS[rank], MARKS[rank]
        if band.seeds > 1:
            axes.fill_between(x, low, high, color=colour, alpha=0.18, linewidth=0, gid="band")
        every = max(1, -(-x.size // 4))
        marked = list(range(rank * every // MOST, x.size, every)) or [0]
        axes.plot(
            x,
            median,
            color=colour,
            linewidth=2,
            marker=mark,
            ms=7,
            markevery=marked,
            **PLATE,
            gid="median",
        )
        labels.append(Label(float(x[-1]), float(median[-1]), text, colour, mark))
    name_ends(axes, labels, room, SMALL)
