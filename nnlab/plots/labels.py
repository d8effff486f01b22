"""Labels beside the ends of curves: text that fits its room, and positions without overlaps."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any

import numpy as np
from matplotlib import colormaps
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import RendererAgg
from matplotlib.colors import to_hex
from matplotlib.font_manager import FontProperties
from numpy.typing import NDArray

from nnlab.plots.style import BLUE, DPI, GREEN, GREY, HEIGHT, INK, PURPLE, TEXT, VERMILLION, WIDTH
from nnlab.safe_text import printable

# Eight that differ in colour and in mark; Okabe & Ito's yellow is too pale on white.
COLOURS = (BLUE, VERMILLION, GREEN, PURPLE, "#E69F00", "#56B4E9", INK, "#8A6D3B")
ORDERED, BRIGHTEST = colormaps["viridis"], 0.88  # its last part is too pale on white
MARKS = ("o", "s", "^", "D", "v", "P", "X", "*")
# A white edge, so that marks on top of each other can be told apart.
MARK_EDGE: dict[str, Any] = {"markeredgecolor": "white", "markeredgewidth": 0.8}
MARK_AT, TEXT_AT = 0.26, 0.38  # inches from the axes to a label's mark, and to its text
EDGE = 0.2  # inches between the text and what is to its right


def curve_colours(order: Sequence[float | None]) -> list[str]:
    """Return a colour for each curve: distinct ones, or from dark to bright by a number.

    Parameters
    ----------
    order : sequence of float or None
        The number that the curves differ in; None where they differ in something else.
    """
    values = [value for value in order if value is not None]
    if len(values) < len(order) or len(set(values)) < min(len(values), 2):
        return list(COLOURS[: len(order)])
    ranks = np.argsort(np.argsort(values, kind="stable"))  # equal numbers: colours side by side
    return list(map(to_hex, ORDERED(np.linspace(0, BRIGHTEST, len(values))[ranks])))


@dataclass(frozen=True)
class Label:
    """A name beside the axes, tied to the end of its curve.

    Attributes
    ----------
    x, y : float
        Where the curve ends, in data coordinates; must be finite.
    text : str
        Shortened where it does not fit.
    colour : str
        Of mark and leader line; the text is dark, so that it is legible.
    mark : str
        matplotlib's name of the mark, or "" for none.
    """

    x: float
    y: float
    text: str
    colour: str = GREY
    mark: str = ""


@cache
def _renderer() -> Any:  # noqa: ANN401 - matplotlib's renderers have no types
    renderer: Any = RendererAgg
    return renderer(1, 1, DPI)


def text_width(text: str, size: float = TEXT, *, bold: bool = False) -> float:
    """Return the width in inches of a line of text; ``size`` is in points."""
    weight = "bold" if bold else "normal"
    font = FontProperties(family="DejaVu Sans", size=size, weight=weight)  # as in the style
    width, _, _ = _renderer().get_text_width_height_descent(printable(text), font, ismath=False)
    return float(width) / DPI


def shorten(text: str, inches: float, size: float = TEXT, *, bold: bool = False) -> str:
    """Shorten a line of text to a width, by an ellipsis in its middle.

    In the middle, because names of configurations differ at either end.

    >>> shorten("init=randn_minus_half,lr=0.5", 2.0)
    'init=randn_…,lr=0.5'
    """
    text = " ".join(text.split())
    if text_width(text, size, bold=bold) <= inches:
        return text
    kept = len(text) - 1
    while kept > 1:
        head = -(-kept * 3 // 5)
        shortened = f"{text[:head]}…{text[len(text) - (kept - head) :]}"
        if text_width(shortened, size, bold=bold) <= inches:
            return shortened
        kept -= 1
    return "…"


def room_for_labels(
    texts: Sequence[str], at_least: float, at_most: float, size: float = TEXT
) -> float:
    """Return the inches to the right of the axes in which labels fit, within limits."""
    widest = max((text_width(text, size) for text in texts), default=0.0)
    return min(max(TEXT_AT + EDGE + 0.02 + widest, at_least), at_most)


def spread_apart(wanted: Sequence[float], gap: float) -> NDArray[np.float64]:
    """Move positions until neighbours are ``gap`` from each other, as little as possible.

    Least squares under ``p[i+1] − p[i] ≥ gap`` is an isotonic regression of ``p[i] − i · gap``,
    which pooling adjacent violators solves exactly.

    >>> spread_apart([0.5, 0.5, 0.0], 0.2).tolist()
    [0.4, 0.6, 0.0]
    """
    order = np.argsort(wanted, kind="stable")
    pools: list[list[float]] = []
    for rank, index in enumerate(order):
        pools.append([wanted[index] - rank * gap])
        while len(pools) > 1 and np.mean(pools[-2]) >= np.mean(pools[-1]):
            pools[-2:] = [pools[-2] + pools[-1]]
    placed = np.empty(len(wanted))
    level = [float(np.mean(pool)) for pool in pools for _ in pool]
    placed[order] = np.asarray(level) + gap * np.arange(len(wanted))
    return placed


def label_heights(axes: Axes, wanted: Sequence[float], size: float = TEXT) -> NDArray[np.float64]:
    """Return where labels at these values of y go, so that none overlaps another.

    Parameters
    ----------
    axes : Axes
        With final limits.
    wanted : sequence of float
        Values of y, in data coordinates. One outside of the limits goes to the edge.
    size : float
        Of the text, in points.

    Returns
    -------
    NDArray of float
        As fractions of the height of the axes.
    """
    ends = axes.transData.transform([(axes.get_xlim()[1], y) for y in wanted])
    inside = np.clip(axes.transAxes.inverted().transform(ends)[:, 1], 0, 1)
    gap = 1.35 * size / (axes.get_position().height * HEIGHT * 72)  # 72 points are an inch
    placed = spread_apart(inside.tolist(), gap)
    rank = np.argsort(np.argsort(placed, kind="stable"), kind="stable")
    # Neighbours that are a gap apart stay so if the limit of each depends on its rank.
    placed = np.minimum(placed, 1 - (len(placed) - 1 - rank) * gap)
    return np.asarray(np.maximum(placed, rank * gap))


def end_labels(axes: Axes, labels: Sequence[tuple[float, str, str]]) -> None:
    """Write coloured text to the right of the axes, at the height of each curve's end.

    Parameters
    ----------
    axes : Axes
        With final limits.
    labels : sequence of tuple
        ``(y, text, colour)`` each, y in data coordinates.
    """
    if not labels:
        return
    placed = label_heights(axes, [y for y, _, _ in labels])
    for y, (_, text, colour) in zip(placed, labels, strict=True):
        axes.annotate(
            text,
            (1, y),
            xycoords="axes fraction",
            xytext=(7, 0),
            textcoords="offset points",
            color=colour,
            weight="bold",
            va="center",
        )


def label_curve_ends(axes: Axes, labels: Sequence[Label], room: float, size: float = TEXT) -> None:
    """Write labels to the right of the axes, each tied to its curve's end by a leader line.

    Parameters
    ----------
    axes : Axes
        With final limits.
    labels : sequence of Label
        As many as have room below each other.
    room : float
        Inches between the axes and what is to the right of them.
    size : float
        Of the text, in points.
    """
    if not labels:
        return
    inch = 1 / (axes.get_position().width * WIDTH)
    to_axes = axes.transData + axes.transAxes.inverted()
    heights = label_heights(axes, [label.y for label in labels], size)
    for label, y in zip(labels, heights, strict=True):
        end_x, end_y = to_axes.transform((label.x, label.y))
        end_y = min(max(end_y, 0.0), 1.0)
        style: dict[str, Any] = {
            "transform": axes.transAxes,
            "clip_on": False,
            "color": label.colour,
        }
        axes.plot(
            [end_x, 1, 1 + (MARK_AT - 0.04) * inch],
            [end_y, end_y, y],
            linewidth=1,
            linestyle=(0, (1, 1.5)),
            gid="leader",
            **style,
        )
        if label.mark:
            axes.plot([1 + MARK_AT * inch], [y], marker=label.mark, ms=8, gid="leader", **style)
        axes.text(
            1 + TEXT_AT * inch,
            y,
            shorten(label.text, room - TEXT_AT - EDGE, size),
            transform=axes.transAxes,
            size=size,
            va="center",
        )
