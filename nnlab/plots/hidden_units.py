"""Dead hidden units and gradient norms over the epochs, for groups of runs."""

from collections.abc import Sequence
from dataclasses import dataclass
from string import ascii_uppercase

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import PercentFormatter
from numpy.typing import NDArray

from nnlab.arrays import Array
from nnlab.plots import scales
from nnlab.plots.labels import (
    MARK_EDGE,
    MARKS,
    Label,
    curve_colours,
    label_curve_ends,
    room_for_labels,
)
from nnlab.plots.learning_curves import LearningCurve
from nnlab.plots.style import SMALL, WIDTH, add_axes, in_shared_style, new_figure, write_message
from nnlab.wording import counted

MAX_GROUPS = 8
LETTER = 0.75  # inches to the right of a panel whose curves are named by letters
ROOM = 1.5, 3.2  # inches to the right of the last panel, at least and at most


@dataclass(frozen=True)
class HiddenUnitCurves:
    """How the hidden layer of a group of runs develops over the epochs.

    Attributes
    ----------
    label : str
        The group's name.
    epochs : NDArray of int
        (epochs,) at which the values were measured.
    dead : Array
        (seeds, epochs) fractions of hidden units that no training image activates.
    grad_w1, grad_w2 : Array
        (seeds, epochs) norms of the loss's gradient; NaN after the last step.
    order : float or None
        What the groups differ in, if that is one number: it orders their colours.
    """

    label: str
    epochs: NDArray[np.int64]
    dead: Array
    grad_w1: Array
    grad_w2: Array
    order: float | None = None

    def panels(self) -> tuple[LearningCurve, LearningCurve, LearningCurve]:
        """Return a curve for each panel; the outcome is not shown."""
        dead, grad_w1, grad_w2 = (
            LearningCurve(self.label, self.epochs, values, "", self.order)
            for values in (self.dead, self.grad_w1, self.grad_w2)
        )
        return dead, grad_w1, grad_w2


@in_shared_style
def hidden_unit_curves(
    groups: Sequence[HiddenUnitCurves], name: str, configurations: int
) -> Figure:
    """Draw dead units and gradient norms over the epochs, a line and a band for each group.

    Each curve carries its group's letter in every panel, and its name beside the last panel.

    Parameters
    ----------
    groups : sequence of HiddenUnitCurves
        At most ``MAX_GROUPS``, each with any number of seeds.
    name : str
        Of the sweep.
    configurations : int
        How many the sweep has, of which ``groups`` may be a part.

    Raises
    ------
    ValueError
        Where there are more groups.
    """
    if len(groups) > MAX_GROUPS:
        raise ValueError(f"{len(groups)} groups don't fit: at most {MAX_GROUPS}")
    curves = [group.panels() for group in groups]
    seeds = {curve.seeds for panels in curves for curve in panels if curve.seeds}
    figure, top = new_figure(
        "Dead hidden units and gradient norms over the epochs",
        name,
        _subtitle(len(groups), configurations, seeds),
    )
    if not seeds:
        write_message(figure, "No run came far enough to have a curve.")
        return figure
    names = [
        f"{letter} {group.label}" for letter, group in zip(ascii_uppercase, groups, strict=False)
    ]
    letters = [name[0] for name in names]
    room = room_for_labels(names, *ROOM, SMALL)
    titles = ("dead hidden units", "gradient norm of W1", "gradient norm of W2")
    width = (WIDTH - 0.1 - room - 2 * LETTER) / len(titles)
    for place, panel_title in enumerate(titles):
        left = place * (width + LETTER) + 0.85
        axes = add_axes(figure, left, 0.75, width - 0.8, top - 1.2)
        last = place == len(titles) - 1
        labels = _draw_panel(
            axes, panel_title, [panels[place] for panels in curves], names if last else letters
        )
        label_curve_ends(axes, labels, room if last else LETTER, SMALL)
    return figure


def _subtitle(groups: int, configurations: int, seeds: set[int]) -> str:
    """Say how many configurations and seeds there are, and what lines and bands mean."""
    part = f"{groups} of " * (groups < configurations)
    drawn = part + counted(configurations, "configuration")
    if not seeds or seeds == {1}:
        return f"{drawn}, one seed each: no spread is known"
    fewest, most = min(seeds), max(seeds)
    per_group = f"{f'{fewest} to ' * (fewest < most)}{most}"
    return f"{drawn} × {per_group} seeds  ·  line: median over seeds, band: lowest to highest"


def _draw_panel(
    axes: Axes, title: str, curves: Sequence[LearningCurve], names: Sequence[str]
) -> list[Label]:
    """Draw one quantity of all groups; return the labels of the curves."""
    axes.set_title(title)
    values = np.concatenate([curve.finite.ravel() for curve in curves])
    epochs = np.concatenate([curve.epochs for curve in curves])
    scales.set_epoch_axis(axes, float(epochs.min()), float(epochs.max()), 3)
    if title.startswith("dead"):
        scales.fit_fraction_axis(axes, np.append(values[np.isfinite(values)], 0.0))
        axes.yaxis.set_major_formatter(PercentFormatter(1))
    else:
        scales.set_scale(axes, values[np.isfinite(values)], log=True)
    colours = curve_colours([curve.order for curve in curves])
    labels = []
    for rank, (curve, name) in enumerate(zip(curves, names, strict=True)):
        if not curve.seeds:
            continue
        x, low, median, high = curve.over_seeds()
        colour, mark = colours[rank], MARKS[rank]
        if curve.seeds > 1:
            axes.fill_between(x, low, high, color=colour, alpha=0.18, linewidth=0, gid="band")
        every = max(1, -(-x.size // 4))
        marked = list(range(rank * every // MAX_GROUPS, x.size, every)) or [0]
        axes.plot(
            x,
            median,
            color=colour,
            linewidth=2,
            marker=mark,
            ms=7,
            markevery=marked,
            **MARK_EDGE,
            gid="median",
        )
        labels.append(Label(float(x[-1]), float(median[-1]), name, colour, mark))
    return labels
