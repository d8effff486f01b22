"""How a run's outcome looks wherever it is shown: a colour, a mark and a kind of line each."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

from matplotlib.figure import Figure

from nnlab.plots.labels import width_of
from nnlab.plots.style import (
    BLUE,
    GREEN,
    GREY,
    INK,
    MARGIN,
    PURPLE,
    VERMILLION,
    WIDTH,
    blank_axes,
)


@dataclass(frozen=True)
class Look:
    """The colour, matplotlib's mark and its dashes."""

    colour: str
    mark: str
    dashes: Any


# A mark says what it means: a dot, a flat line, a cross, an arrow upwards, a frame left empty.
LOOKS = {
    "learned": Look(BLUE, "o", "-"),
    "stalled": Look(PURPLE, "_", (0, (5, 2))),
    "dead": Look(INK, "x", (0, (1, 1.5))),
    "diverged": Look(VERMILLION, "^", (0, (6, 2, 1, 2))),
    "pruned": Look(GREEN, "s", (0, (2, 2))),
}
OTHER = Look(GREY, "d", (0, (3, 1, 1, 1, 1, 1)))


def look(outcome: str) -> Look:
    """Return how an outcome looks; all that have no look of their own share one."""
    return LOOKS.get(outcome, OTHER)


def key(
    figure: Figure,
    top: float,
    counts: Mapping[str, int],
    sample: Literal["line", "mark", ""],
    head: str = "",
) -> float:
    """Write a line that explains the outcomes that occur, each with its count.

    Parameters
    ----------
    top : inches, of the picture below the header; the key takes 0.3 of them
    counts : outcome -> how many; zeros are left out
    sample : as what the picture shows outcomes, if it does
    head : what the line begins with

    Returns
    -------
    float
        Where the key ends, in inches from the left of the page.
    """
    axes = blank_axes(figure, 0, top - 0.12, WIDTH, 0.3)
    axes.patch.set_visible(False)
    x = MARGIN
    if head:
        axes.text(x, 0.15, head, va="center")
        x += width_of(head) + 0.2
    for outcome in sorted(counts, key=lambda name: (*LOOKS, name).index(name)):
        if not counts[outcome]:
            continue
        if sample == "line":
            shape = look(outcome)
            axes.plot([x, x + 0.42], [0.15, 0.15], color=shape.colour, ls=shape.dashes, lw=2.2)
            x += 0.5
        elif sample == "mark":
            axes.plot([x + 0.08], [0.15], **marker(outcome, 9.0, INK))
            x += 0.24
        text = f"{counts[outcome]:,} {outcome}"
        axes.text(x, 0.15, text, va="center", weight="bold")
        x += width_of(text, bold=True) + 0.22
    return x


def marker(outcome: str, size: float, colour: str) -> dict[str, Any]:
    """Return matplotlib's properties of an outcome's mark, ``size`` points wide."""
    shape = look(outcome)
    hollow = outcome == "pruned"
    return {
        "linestyle": "none",
        "marker": shape.mark,
        "markersize": size,
        "color": colour,
        "markerfacecolor": "none" if hollow else colour,
        "markeredgewidth": max(0.22 * size, 0.8) if shape.mark in "_x" or hollow else 0,
    }
