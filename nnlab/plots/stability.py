"""How far the sharpness of the loss predicts the largest stable learning rate."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from numpy.typing import NDArray

from nnlab.plots import scales
from nnlab.plots.against import moved
from nnlab.plots.labels import PLATE, Label, cut, name_ends
from nnlab.plots.style import BLUE, GREEN, GREY, VERMILLION, WIDTH, axes_at, page, sentence, styled

Array = NDArray[np.float64]
STEPS = 5  # between the outermost quantities, of the steps by which rates moves series
ROOM = 2.7  # inches to the right of the axes
LOOKS = {
    "predicted": ("2 / λ, predicted", VERMILLION, "s"),
    "stable": ("largest stable, found", BLUE, "o"),
    "largest": ("largest that settles", GREEN, "^"),
}


@dataclass(frozen=True)
class EdgePoint:
    """The edge of stability of one network; NaN where a rate is not known.

    Attributes
    ----------
    x : the hyper-parameter's value, a number or a word
    predicted : 2 over the largest eigenvalue of the loss's Hessian
    stable : the largest learning rate that was found stable
    largest : the largest at which the loss still settles
    seed : of the network
    """

    x: float | str
    predicted: float
    stable: float
    largest: float
    seed: int


@styled
def stability_edge(points: Sequence[EdgePoint], title: str, x_name: str) -> Figure:
    """Draw predicted and found learning rates, and below their ratio.

    Lines and large marks are geometric means over seeds; every seed is a dot.

    Parameters
    ----------
    points : in any order; words stand in the order of their first appearance
    title : str
    x_name : the hyper-parameter
    """
    seeds = {point.seed for point in points}
    values = list(dict.fromkeys(point.x for point in points))
    figure, top = page(title, _subtitle(len(values), len(seeds)))
    rates = {name: np.array([getattr(point, name) for point in points], float) for name in LOOKS}
    known = {name: np.isfinite(rate) & (rate > 0) for name, rate in rates.items()}
    if not any(each.any() for each in known.values()):
        sentence(figure, "No learning rate is known.")
        return figure
    words = any(isinstance(value, str) for value in values)
    x = np.array([values.index(point.x) if words else point.x for point in points], float)
    left, foot = 1.05, 0.75
    height = (top - foot - 0.55) / 3  # of the lower panel; the upper one has twice that
    upper = axes_at(figure, left, foot + height + 0.4, WIDTH - left - ROOM, 2 * height)
    lower = axes_at(figure, left, foot, WIDTH - left - ROOM, height)
    for axes in (upper, lower):
        if words:
            _set_words(axes, values)
        else:
            scales.set_positions(axes, x, log=True)
    upper.tick_params(labelbottom=False)
    upper.set_ylabel("learning rate")
    scales.set_scale(upper, np.concatenate([rates[name][known[name]] for name in LOOKS]), log=True)
    _draw(
        upper,
        x,
        {name: np.where(known[name], rates[name], np.nan) for name in LOOKS},
        joined=not words,
    )

    lower.set_xlabel(cut(x_name, 6.0))
    lower.set_ylabel("found / predicted")
    with np.errstate(divide="ignore", invalid="ignore"):
        ratios = {
            name: np.where(
                known[name] & known["predicted"], rates[name] / rates["predicted"], np.nan
            )
            for name in ("stable", "largest")
        }
    found = np.concatenate([*ratios.values(), [1.0]])
    scales.set_scale(lower, found[np.isfinite(found)], log=None)
    lower.axhline(1, color=GREY, linewidth=1.2, linestyle=(0, (4, 3)), gid="one")
    one = Label(lower.get_xlim()[1], 1.0, "1: as predicted")
    _draw(lower, x, ratios, [one], joined=not words)
    return figure


def _subtitle(values: int, seeds: int) -> str:
    """Say how many values and seeds there are, and what marks are."""
    many = f"{values} configuration{'s' * (values != 1)}"
    if seeds == 1:
        return f"{many}, one seed: no spread is known  ·  λ: largest eigenvalue of the Hessian"
    mark = "large mark: geometric mean, dot: a seed"
    return f"{many} × {seeds} seeds  ·  {mark}  ·  λ: largest eigenvalue of the Hessian"


def _set_words(axes: Axes, values: Sequence[float | str]) -> None:
    """Make an axis of words, evenly spaced, in whatever letters fit."""
    axes.set_xlim(-0.5, len(values) - 0.5)
    room = axes.get_position().width * WIDTH / len(values) - 0.1
    names = [cut(str(value), max(room, 0.3), 12.0) for value in values]
    axes.set_xticks(range(len(values)), names)
    axes.grid(visible=False, axis="x")


def _draw(
    axes: Axes, x: Array, series: Mapping[str, Array], others: Sequence[Label] = (), *, joined: bool
) -> None:
    """Draw quantities beside each other: means, joined where x is a number, and every seed."""
    labels = list(others)
    for name, values in series.items():
        rank = list(LOOKS).index(name)
        text, colour, mark = LOOKS[name]
        there = np.isfinite(values)
        if not there.any():
            continue
        places = np.unique(x[there])
        means = np.array([np.exp(np.log(values[there & (x == place)]).mean()) for place in places])
        at, beside = (
            moved(axes, part, 2 * (rank + more), STEPS)
            for part, more in ((places, 0), (x[there], 0.5))
        )
        axes.plot(
            beside, values[there], ".", color=colour, ms=7, alpha=0.7, mew=0, gid=f"{name} seeds"
        )
        style: dict[str, Any] = {
            "linestyle": "-" if joined else "none",
            "linewidth": 1.6,
            "marker": mark,
            "ms": 8.5,
        }
        axes.plot(at, means, color=colour, **style, **PLATE, gid=name)
        labels.append(Label(float(at[-1]), float(means[-1]), text, colour, mark))
    name_ends(axes, labels, ROOM)
