"""Direct labels: each curve's name where it ends, with its mark, its colour and a thin leader."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any

from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import RendererAgg
from matplotlib.font_manager import FontProperties

from nnlab.plots.style import (
    BLUE,
    DPI,
    GREEN,
    GREY,
    INK,
    PURPLE,
    TEXT,
    VERMILLION,
    WIDTH,
    heights,
)

# Eight that differ in colour and in mark; Okabe & Ito's yellow is too pale on white.
COLOURS = (BLUE, VERMILLION, GREEN, PURPLE, "#E69F00", "#56B4E9", INK, "#8A6D3B")
MARKS = ("o", "s", "^", "D", "v", "P", "X", "*")
PLATE: dict[str, Any] = {
    "markeredgecolor": "white",
    "markeredgewidth": 0.8,
}  # marks stay apart on each other
LEADER, TEXT_AT = 0.26, 0.38  # inches from the axes to the mark, and to the text
EDGE = 0.2  # inches between the text and what is to its right


@dataclass(frozen=True)
class Label:
    """A name beside the axes.

    Attributes
    ----------
    x, y : where its curve ends, in data and finite; the leader begins there.
    text : cut where it is too long
    colour : of mark and leader; the text itself is dark, to be legible
    mark : matplotlib's name of the mark, or "" for none
    """

    x: float
    y: float
    text: str
    colour: str = GREY
    mark: str = ""


@cache
def _ruler() -> Any:  # noqa: ANN401 - matplotlib's renderers have no types
    renderer: Any = RendererAgg
    return renderer(1, 1, DPI)


def width_of(text: str, size: float = TEXT, *, bold: bool = False) -> float:
    """Return how wide a line of text is drawn, in inches."""
    font = FontProperties(
        family="DejaVu Sans", size=size, weight="bold" if bold else "normal"
    )  # as in the style
    width, _, _ = _ruler().get_text_width_height_descent(text, font, ismath=False)
    return float(width) / DPI


def cut(text: str, inches: float, size: float = TEXT, *, bold: bool = False) -> str:
    """Shorten a line of text to a width, by an ellipsis in its middle.

    Names of configurations differ at their ends as often as at their beginnings.

    >>> cut("init=randn_minus_half,lr=0.5", 2.0)
    'init=randn_…,lr=0.5'
    """
    text = " ".join(text.split())
    if width_of(text, size, bold=bold) <= inches:
        return text
    kept = len(text) - 1
    while kept > 1:
        head = -(-kept * 3 // 5)
        short = f"{text[:head]}…{text[len(text) - (kept - head) :]}"
        if width_of(short, size, bold=bold) <= inches:
            return short
        kept -= 1
    return "…"


def room_for(texts: Sequence[str], size: float = TEXT) -> float:
    """Return the inches that labels take to the right of the axes, uncut."""
    return TEXT_AT + EDGE + 0.02 + max((width_of(text, size) for text in texts), default=0.0)


def name_ends(axes: Axes, labels: Sequence[Label], room: float, size: float = TEXT) -> None:
    """Write labels to the right of the axes, none on another, each tied to its curve's end.

    Parameters
    ----------
    axes : with final limits
    labels : any number that has room below each other
    room : inches between the axes and what is to the right of them
    size : of the text, in points
    """
    if not labels:
        return
    inch = 1 / (axes.get_position().width * WIDTH)
    to_axes = axes.transData + axes.transAxes.inverted()
    for label, y in zip(labels, heights(axes, [each.y for each in labels], size), strict=True):
        end_x, end_y = to_axes.transform((label.x, label.y))
        end_y = min(max(end_y, 0.0), 1.0)
        style: dict[str, Any] = {
            "transform": axes.transAxes,
            "clip_on": False,
            "color": label.colour,
        }
        axes.plot(
            [end_x, 1, 1 + (LEADER - 0.04) * inch],
            [end_y, end_y, y],
            linewidth=1,
            linestyle=(0, (1, 1.5)),
            gid="leader",
            **style,
        )
        if label.mark:
            axes.plot([1 + LEADER * inch], [y], marker=label.mark, ms=8, gid="leader", **style)
        axes.text(
            1 + TEXT_AT * inch,
            y,
            cut(label.text, room - TEXT_AT - EDGE, size),
            transform=axes.transAxes,
            size=size,
            va="center",
        )
