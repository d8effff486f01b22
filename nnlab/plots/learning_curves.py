"""A sweep's learning curves: a line for each configuration, and a band over its seeds."""

import math
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from numpy.typing import NDArray

from nnlab.arrays import Array
from nnlab.plots import scales
from nnlab.plots.labels import COLOURS, MARK_EDGE, MARKS, Label, label_curve_ends, room_for_labels
from nnlab.plots.outcome_marks import outcome_legend, outcome_style
from nnlab.plots.style import GREY, WIDTH, add_axes, in_shared_style, new_figure, write_message

MAX_NAMED = 6  # of the best configurations; the worst one has a name too
ROOM = 2.4, 4.9  # inches to the right of the axes, at least and at most


@dataclass(frozen=True)
class LearningCurve:
    """A metric of one configuration over the epochs, for each seed.

    Attributes
    ----------
    label : str
        The configuration's name.
    epochs : NDArray of int
        (epochs,) at which the metric was measured.
    values : Array
        (seeds, epochs), NaN where a seed has no value, before its start or after its end.
    outcome : str
        That of its runs, or of most of them.
    """

    label: str
    epochs: NDArray[np.int64]
    values: Array
    outcome: str

    @cached_property
    def finite(self) -> Array:
        """(seeds, epochs), NaN wherever a value is not finite."""
        values = np.asarray(self.values, float)
        return np.where(np.isfinite(values), values, np.nan)

    @cached_property
    def count(self) -> NDArray[np.int64]:
        """(epochs,), how many seeds have a value."""
        return np.asarray(np.isfinite(self.finite).sum(axis=0))

    @cached_property
    def seeds(self) -> int:
        """How many seeds have a value at any epoch."""
        return int(np.isfinite(self.finite).any(axis=1).sum())

    def over_seeds(self) -> tuple[Array, Array, Array, Array]:
        """Return epochs, lowest, median and highest value, at epochs with a value of any seed."""
        measured = np.flatnonzero(self.count)
        values = self.finite[:, measured]
        return (
            np.asarray(self.epochs, float)[measured],
            np.nanmin(values, axis=0, initial=np.inf),
            np.nanmedian(values, axis=0) if measured.size else np.empty(0),
            np.nanmax(values, axis=0, initial=-np.inf),
        )


@in_shared_style
def learning_curves(
    curves: Sequence[LearningCurve],
    title: str,
    metric: str,
    target: float | None,
    runs: int,
    *,
    log: bool | None = None,
) -> Figure:
    """Draw learning curves: the median over seeds, and a band from the lowest to the highest.

    Parameters
    ----------
    curves : sequence of LearningCurve
        The best first. The best ``MAX_NAMED`` and the worst have names; the others are pale.
    title : str
        The sweep's name.
    metric : str
        Such as ``val/accuracy``.
    target : float or None
        The value that counts as learned.
    runs : int
        How many the sweep has, of which ``curves`` may hold a part.
    log : bool or None
        Whether the vertical axis is logarithmic; None: as suits the metric and its values.
    """
    drawn = [curve for curve in curves if curve.seeds]
    figure, top = new_figure(title, _subtitle(drawn, runs))
    if not drawn:
        write_message(figure, "No run came far enough to have a curve.")
        return figure
    worst = [len(drawn) - 1] if len(drawn) > MAX_NAMED else []
    named = [*range(min(MAX_NAMED, len(drawn))), *worst]
    names = [_name(drawn[place], metric, worst=place in worst) for place in named]
    room = room_for_labels(names, *ROOM)
    axes = add_axes(figure, 0.95, 0.75, WIDTH - 0.95 - room, top - 1.15)
    _set_axes(axes, drawn, metric, log)

    alpha = max(0.2, min(0.6, 15 / len(drawn)))
    pale = [curve for place, curve in enumerate(drawn) if place not in named]
    for curve in reversed(pale):
        epochs, _, median, _ = curve.over_seeds()
        look = outcome_style(curve.outcome)
        style: dict[str, Any] = {"color": look.colour, "alpha": alpha, "linewidth": 1.2}
        dot = "." if epochs.size == 1 else None
        axes.plot(epochs, median, linestyle=look.dashes, gid="pale", marker=dot, **style)
    labels = [
        _draw_named(axes, drawn[place], rank, names[rank])
        for rank, place in reversed(list(enumerate(named)))
    ]
    if target is not None:
        axes.axhline(target, color=GREY, linewidth=1.2, linestyle=(0, (4, 3)), gid="target")
        labels.append(Label(axes.get_xlim()[1], target, f"target {target:g}"))
    label_curve_ends(axes, labels, room)
    if pale:
        others = Counter(curve.outcome for curve in pale)
        outcome_legend(figure, top, others, "line", "Others, pale:")
    else:
        outcome_legend(figure, top, Counter(curve.outcome for curve in drawn), "")
    return figure


def _subtitle(drawn: Sequence[LearningCurve], runs: int) -> str:
    """Say how many configurations, runs and seeds are drawn, and what the bands mean."""
    shown = sum(curve.seeds for curve in drawn)
    of_runs = f"{shown:,} of {runs:,} runs" if shown < runs else f"{runs:,} run{'s' * (runs != 1)}"
    parts = [f"{len(drawn):,} configuration{'s' * (len(drawn) != 1)}, {of_runs}"]
    seeds = {curve.seeds for curve in drawn}
    if seeds == {1}:
        parts.append("one seed each: no spread is known")
    elif seeds:
        fewest, most = min(seeds), max(seeds)
        parts.append(
            f"line: median of {f'{fewest} to ' if fewest < most else ''}{most} seeds, "
            "band: lowest to highest"
        )
    if any((curve.count < curve.seeds)[curve.count > 0].any() for curve in drawn):
        parts.append("dotted: fewer seeds")
    return "  ·  ".join(parts)


def _set_axes(axes: Axes, drawn: Sequence[LearningCurve], metric: str, log: bool | None) -> None:
    epochs = np.concatenate([curve.over_seeds()[0] for curve in drawn])
    scales.set_epoch_axis(axes, float(epochs.min()), float(epochs.max()), 6)
    axes.set_ylabel(scales.metric_label(metric))
    # A loss that explodes leaves through the top; on its scale all others would be one line.
    calm = [curve for curve in drawn if curve.outcome != "diverged"] or drawn
    values = np.concatenate([curve.finite.ravel() for curve in calm])
    if scales.is_fraction(metric) and not log:
        axes.set_ylim(-0.02, 1.02)
    else:
        scales.set_scale(axes, values[np.isfinite(values)], log=log)


def _draw_named(axes: Axes, curve: LearningCurve, rank: int, name: str) -> Label:
    """Draw a configuration with its band; return its label."""
    epochs, low, median, high = curve.over_seeds()
    colour, mark = COLOURS[rank], MARKS[rank]
    if curve.seeds > 1:
        axes.fill_between(epochs, low, high, color=colour, alpha=0.18, linewidth=0)
    fewer_seeds = curve.count[curve.count > 0] < curve.seeds
    style: dict[str, Any] = {"color": colour, "linewidth": 2.2}
    dashes = (0, (1, 1.2)) if fewer_seeds.any() else "-"
    axes.plot(epochs, median, **style, linestyle=dashes, gid="median")
    if fewer_seeds.any():
        axes.plot(epochs, np.where(fewer_seeds, np.nan, median), **style, gid="whole")
    every = max(1, math.ceil(epochs.size / 8))
    at = [*range(rank * every // 8, epochs.size, every)] or [0]
    marks: dict[str, Any] = {"linestyle": "none", "color": colour, "marker": mark, "ms": 7}
    axes.plot(epochs[at], median[at], **marks, **MARK_EDGE, gid="marks")
    return Label(float(epochs[-1]), float(median[-1]), name, colour, mark)


def _name(curve: LearningCurve, metric: str, *, worst: bool) -> str:
    """Return a curve's label: its last value, its name, and its outcome unless it learned."""
    last = scales.format_metric(metric, float(curve.over_seeds()[2][-1]))
    facts = [
        word for word in ("worst" if worst else "", curve.outcome) if word not in ("", "learned")
    ]
    return f"{last} {', '.join(facts)}{': ' if facts else ''}{curve.label}"
