"""Predicted and found stable learning rates: how well the sharpness of the loss predicts them."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from nnlab.arrays import Array
from nnlab.plots import scales
from nnlab.plots.labels import MARK_EDGE, Label, label_curve_ends, shorten
from nnlab.plots.style import (
    BLUE,
    GREEN,
    GREY,
    INK,
    PURPLE,
    VERMILLION,
    WIDTH,
    add_axes,
    in_shared_style,
    new_figure,
    write_message,
)
from nnlab.wording import counted

ROOM = 2.7  # inches to the right of the axes
# Of each rate: its label, colour and mark.
RATE_STYLES = {
    "predicted": ("2 / λ, predicted", VERMILLION, "s"),
    "monotone_10": ("10 epochs monotone", PURPLE, "v"),
    "monotone_100": ("100 epochs monotone", INK, "D"),
    "stable": ("never above its start", BLUE, "o"),
    "largest": ("settles in the end", GREEN, "^"),
}
LARGEST_MARK = 12.0  # points; each further rate's is smaller, so that equal ones are all seen


@dataclass(frozen=True)
class StabilityPoint:
    """The learning rates of one network; NaN where one is not known.

    Attributes
    ----------
    x : float or str
        The hyper-parameter's value.
    predicted : float
        2 over the largest eigenvalue of the loss's Hessian.
    monotone_10, monotone_100 : float
        The largest learning rate at which no step of so many epochs raises the loss.
    stable : float
        The largest learning rate at which the loss is never above its initial value.
    largest : float
        The largest learning rate at which the loss still settles.
    seed : int
        Of the network.
    """

    x: float | str
    predicted: float
    monotone_10: float
    monotone_100: float
    stable: float
    largest: float
    seed: int


@in_shared_style
def stable_learning_rates(points: Sequence[StabilityPoint], name: str, x_name: str) -> Figure:
    """Draw predicted and found learning rates, and below them found over predicted.

    Lines and large marks are geometric means over seeds; every seed is a dot.

    Parameters
    ----------
    points : sequence of StabilityPoint
        In any order; words are placed in the order of their first appearance.
    name : str
        Of the sweep.
    x_name : str
        The hyper-parameter.
    """
    seeds = {point.seed for point in points}
    values = list(dict.fromkeys(point.x for point in points))
    figure, top = new_figure(
        f"Predicted and found stable learning rates, by {scales.field_words(x_name)}",
        name,
        _subtitle(len(values), len(seeds)),
    )
    rates = {}
    for rate_name in RATE_STYLES:
        rate = np.array([getattr(point, rate_name) for point in points], float)
        rates[rate_name] = np.where(np.isfinite(rate) & (rate > 0), rate, np.nan)
    if not any(np.isfinite(rate).any() for rate in rates.values()):
        write_message(figure, "No learning rate is known.")
        return figure
    has_words = any(isinstance(value, str) for value in values)
    x = np.array([values.index(point.x) if has_words else point.x for point in points], float)
    left, bottom = 1.05, 0.75
    height = (top - bottom - 0.55) / 3  # of the lower panel; the upper one has twice that
    upper = add_axes(figure, left, bottom + height + 0.4, WIDTH - left - ROOM, 2 * height)
    lower = add_axes(figure, left, bottom, WIDTH - left - ROOM, height)
    for axes in (upper, lower):
        if has_words:
            _set_word_axis(axes, values)
        else:
            scales.set_parameter_axis(axes, x, log=True)
    upper.tick_params(labelbottom=False)
    upper.set_ylabel("learning rate")
    all_rates = np.concatenate(list(rates.values()))
    scales.set_scale(upper, all_rates[np.isfinite(all_rates)], log=True)
    _draw_rates(upper, x, rates, joined=not has_words)

    lower.set_xlabel(shorten(scales.field_label(x_name), 6.0))
    lower.set_ylabel("found / predicted")
    ratios = {key: rate / rates["predicted"] for key, rate in rates.items() if key != "predicted"}
    all_ratios = np.concatenate([*ratios.values(), [1.0]])
    scales.set_scale(lower, all_ratios[np.isfinite(all_ratios)], log=None)
    lower.axhline(1, color=GREY, linewidth=1.2, linestyle=(0, (4, 3)), gid="one")
    one = Label(lower.get_xlim()[1], 1.0, "1: as predicted")
    _draw_rates(lower, x, ratios, [one], joined=not has_words)
    return figure


def _subtitle(values: int, seeds: int) -> str:
    """Say how many configurations and seeds there are, and what the marks mean."""
    configurations = counted(values, "configuration")
    eigenvalue = "λ: largest eigenvalue of the Hessian"
    if seeds == 1:
        return f"{configurations}, one seed: no spread is known  ·  {eigenvalue}"
    marks = "large mark: geometric mean, dot: a seed"
    return f"{configurations} × {counted(seeds, 'seed')}  ·  {marks}  ·  {eigenvalue}"


def _set_word_axis(axes: Axes, values: Sequence[float | str]) -> None:
    """Scale a horizontal axis of words, evenly spaced and shortened where they do not fit."""
    axes.set_xlim(-0.5, len(values) - 0.5)
    room = axes.get_position().width * WIDTH / len(values) - 0.1
    names = [shorten(str(value), max(room, 0.3), 12.0) for value in values]
    axes.set_xticks(range(len(values)), names)
    axes.grid(visible=False, axis="x")


def _draw_rates(
    axes: Axes, x: Array, rates: Mapping[str, Array], others: Sequence[Label] = (), *, joined: bool
) -> None:
    """Draw rates, or their ratios: means over seeds, and every seed.

    Parameters
    ----------
    axes : Axes
        With final limits.
    x : Array
        (points,) positions.
    rates : Mapping of str to Array
        (points,) values each, NaN where not known, by name in ``RATE_STYLES``.
    others : sequence of Label
        Labels to write besides.
    joined : bool
        Whether lines join the means.
    """
    labels = list(others)
    for name, values in rates.items():
        rank = list(RATE_STYLES).index(name)
        text, colour, mark = RATE_STYLES[name]
        known = np.isfinite(values)
        if not known.any():
            continue
        places = np.unique(x[known])
        means = np.array([np.exp(np.log(values[known & (x == place)]).mean()) for place in places])
        axes.plot(
            x[known], values[known], ".", color=colour, ms=6, alpha=0.6, mew=0, gid=f"{name} seeds"
        )
        style: dict[str, Any] = {
            "linestyle": "-" if joined else "none",
            "linewidth": 1.6,
            "marker": mark,
            "ms": LARGEST_MARK - 1.5 * rank,
        }
        axes.plot(places, means, color=colour, **style, **MARK_EDGE, gid=name)
        labels.append(Label(float(places[-1]), float(means[-1]), text, colour, mark))
    label_curve_ends(axes, labels, ROOM)
