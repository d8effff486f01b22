"""A sweep at a glance: the validation accuracy of all its runs, the best by name."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator
from numpy.typing import NDArray

from nnlab.plots.style import (
    BLUE,
    GREEN,
    GREY,
    HEIGHT,
    INK,
    MARGIN,
    PURPLE,
    VERMILLION,
    WIDTH,
    axes_at,
    end_labels,
    page,
    sentence,
    styled,
)

NAMED = 6  # runs whose curves carry their names
LABEL_CHARACTERS = 26
COLOURS = {"learned": BLUE, "stalled": PURPLE, "dead": INK, "diverged": VERMILLION, "pruned": GREEN}


@dataclass(frozen=True)
class Line:
    """One run's curve.

    Attributes
    ----------
    epochs : (rows,)
    accuracy : (rows,) on the validation images
    """

    name: str
    outcome: str
    epochs: NDArray[np.int64]
    accuracy: NDArray[np.float64]


@styled
def sweep_curves(lines: Sequence[Line], title: str, target: float | None, runs: int) -> Figure:
    """Draw the curves of a sweep's runs, coloured by outcome; the best first, and by name.

    Parameters
    ----------
    lines : the best first; later ones are drawn paler
    title : the sweep's name
    target : the validation accuracy that counts as learned, if any
    runs : how many the sweep has, of which ``lines`` may be a part
    """
    counts = {name: sum(line.outcome == name for line in lines) for name in COLOURS}
    of = f"{len(lines)} of {runs}" if len(lines) < runs else str(runs)
    figure, top = page(title, f"Validation accuracy of {of} runs, coloured by outcome")
    drawn = [line for line in lines if line.epochs.size]
    if not drawn:
        sentence(figure, "No run came far enough to have a curve.")
        return figure
    axes = axes_at(figure, 0.95, 0.75, WIDTH - 5.0, top - 1.0)
    strength = 0.9 if len(drawn) <= NAMED else max(0.12, min(0.6, 12 / len(drawn)))
    for place, line in reversed(list(enumerate(drawn))):
        best = place < NAMED
        axes.plot(
            line.epochs,
            line.accuracy,
            color=COLOURS.get(line.outcome, GREY),
            alpha=1.0 if best else strength,
            linewidth=2.2 if best else 1.2,
            marker="o" if line.epochs.size == 1 else None,
        )
    last = max(1, *(int(line.epochs[-1]) for line in drawn))
    axes.set(xlim=(0, last), ylim=(0, 1), xlabel="epoch")
    axes.xaxis.set_major_locator(MaxNLocator(6, integer=True))
    if target is not None:
        axes.axhline(target, color=GREY, linewidth=1, linestyle=(0, (4, 3)))
    end_labels(axes, [_label(line) for line in drawn[:NAMED]])
    x = MARGIN
    for name, count in counts.items():
        if count:
            y = (top + 0.05) / HEIGHT
            figure.text(x / WIDTH, y, f"{count} {name}", color=COLOURS[name], weight="bold")
            x += 1.7
    return figure


def _label(line: Line) -> tuple[float, str, str]:
    name = line.name
    if len(name) > LABEL_CHARACTERS:
        name = name[: LABEL_CHARACTERS - 1] + "…"
    finite = line.accuracy[np.isfinite(line.accuracy)]
    value = float(finite[-1]) if finite.size else 0.0
    return value, f"{value:.3f} {name}", COLOURS.get(line.outcome, GREY)
