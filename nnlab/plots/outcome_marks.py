"""How each outcome of a run is shown in all figures: its colour, its mark and its kind of line."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

from matplotlib.figure import Figure

from nnlab.plots.labels import text_width
from nnlab.plots.style import (
    BLUE,
    GREEN,
    GREY,
    INK,
    MARGIN,
    PURPLE,
    VERMILLION,
    WIDTH,
    add_blank_axes,
)


@dataclass(frozen=True)
class OutcomeStyle:
    """How an outcome is shown.

    Attributes
    ----------
    colour : str
        In hex.
    mark : str
        matplotlib's name of the mark.
    dashes : str or tuple
        matplotlib's ``linestyle``.
    """

    colour: str
    mark: str
    dashes: Any


# A mark suggests its outcome: a dot, a flat line, a cross, an arrow upwards, an empty square.
OUTCOME_STYLES = {
    "learned": OutcomeStyle(BLUE, "o", "-"),
    "stalled": OutcomeStyle(PURPLE, "_", (0, (5, 2))),
    "dead": OutcomeStyle(INK, "x", (0, (1, 1.5))),
    "diverged": OutcomeStyle(VERMILLION, "^", (0, (6, 2, 1, 2))),
    "pruned": OutcomeStyle(GREEN, "s", (0, (2, 2))),
}
OTHER = OutcomeStyle(GREY, "d", (0, (3, 1, 1, 1, 1, 1)))


def outcome_style(outcome: str) -> OutcomeStyle:
    """Return the style of an outcome; outcomes that have none share ``OTHER``."""
    return OUTCOME_STYLES.get(outcome, OTHER)


def outcome_legend(
    figure: Figure,
    top: float,
    counts: Mapping[str, int],
    sample: Literal["line", "mark", ""],
    heading: str = "",
) -> float:
    """Write a line that lists outcomes with their counts and their style.

    Parameters
    ----------
    figure : Figure
        The page.
    top : float
        Inches; where the page is free below its header. The legend takes 0.3 inches.
    counts : Mapping of str to int
        How many runs or configurations have each outcome; zeros are left out.
    sample : {"line", "mark", ""}
        What stands before each outcome; "" where the figure does not show outcomes.
    heading : str
        Text at the beginning of the line.

    Returns
    -------
    float
        Where the legend ends, in inches from the left edge of the page.
    """
    axes = add_blank_axes(figure, 0, top - 0.12, WIDTH, 0.3)
    axes.patch.set_visible(False)
    x = MARGIN
    if heading:
        axes.text(x, 0.15, heading, va="center")
        x += text_width(heading) + 0.2
    for outcome in sorted(counts, key=lambda name: (*OUTCOME_STYLES, name).index(name)):
        if not counts[outcome]:
            continue
        if sample == "line":
            style = outcome_style(outcome)
            axes.plot([x, x + 0.42], [0.15, 0.15], color=style.colour, ls=style.dashes, lw=2.2)
            x += 0.5
        elif sample == "mark":
            axes.plot([x + 0.08], [0.15], **outcome_marker(outcome, 9.0, INK))
            x += 0.24
        text = f"{counts[outcome]:,} {outcome}"
        axes.text(x, 0.15, text, va="center", weight="bold")
        x += text_width(text, bold=True) + 0.22
    return x


def outcome_marker(outcome: str, size: float, colour: str) -> dict[str, Any]:
    """Return matplotlib's line properties for an outcome's mark, ``size`` points wide."""
    mark = outcome_style(outcome).mark
    hollow = outcome == "pruned"
    return {
        "linestyle": "none",
        "marker": mark,
        "markersize": size,
        "color": colour,
        "markerfacecolor": "none" if hollow else colour,
        "markeredgewidth": max(0.22 * size, 0.8) if mark in "_x" or hollow else 0,
    }
