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
from nnlab.plots.labels import (
    MARK_EDGE,
    MARKS,
    Label,
    curve_colours,
    label_curve_ends,
    room_for_labels,
)
from nnlab.plots.outcome_marks import outcome_legend, outcome_style
from nnlab.plots.style import GREY, WIDTH, add_axes, in_shared_style, new_figure, write_message
from nnlab.wording import counted

MAX_NAMED = 6  # of the best configurations; the worst one has a name too
MANY = 18  # configurations, of which the best, the median and the worst have names and bands
ROOM = 2.4, 5.4  # inches to the right of the axes, at least and at most


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
    order : float or None
        What the configurations differ in, if that is one number: it orders their colours.
    """

    label: str
    epochs: NDArray[np.int64]
    values: Array
    outcome: str
    order: float | None = None

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
    name: str,
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
        The best first. The best ``MAX_NAMED`` and the worst have names, or of ``MANY`` and more
        the best, the median and the worst; the others are pale.
    name : str
        Of the sweep.
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
    figure, top = new_figure(
        f"{scales.metric_label(metric, unit=False).capitalize()} over the epochs",
        name,
        _subtitle(drawn, runs),
    )
    if not drawn:
        write_message(figure, "No run came far enough to have a curve.")
        return figure
    named = _named_places(len(drawn))
    names = [_name(drawn[place], metric, rank) for place, rank in named.items()]
    colours = curve_colours([drawn[place].order for place in named])
    room = room_for_labels(names, *ROOM)
    axes = add_axes(figure, 0.95, 0.75, WIDTH - 0.95 - room, top - 1.15)
    _set_axes(axes, drawn, metric, target, log=log)

    alpha = max(0.2, min(0.6, 15 / len(drawn)))
    pale = [curve for place, curve in enumerate(drawn) if place not in named]
    for curve in reversed(pale):
        epochs, _, median, _ = curve.over_seeds()
        look = outcome_style(curve.outcome)
        style: dict[str, Any] = {"color": look.colour, "alpha": alpha, "linewidth": 1.2}
        dot = "." if epochs.size == 1 else None
        axes.plot(epochs, median, linestyle=look.dashes, gid="pale", marker=dot, **style)
    labels = [
        _draw_named(axes, drawn[place], rank, names[rank], colours[rank])
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
    of_runs = f"{shown:,} of {runs:,} runs" if shown < runs else counted(runs, "run")
    parts = [f"{counted(len(drawn), 'configuration')}, {of_runs}"]
    seeds = {curve.seeds for curve in drawn}
    if seeds == {1}:
        parts.append("one seed each: no spread is known")
    elif seeds:
        fewest, most = min(seeds), max(seeds)
        parts.append(
            f"line: median of {f'{fewest} to ' if fewest < most else ''}{counted(most, 'seed')}, "
            "band: lowest to highest"
        )
    if any((curve.count < curve.seeds)[curve.count > 0].any() for curve in drawn):
        parts.append("dotted: fewer seeds")
    return "  ·  ".join(parts)


def _set_axes(
    axes: Axes, drawn: Sequence[LearningCurve], metric: str, target: float | None, *,
    log: bool | None,
) -> None:  # fmt: skip
    epochs = np.concatenate([curve.over_seeds()[0] for curve in drawn])
    scales.set_epoch_axis(axes, float(epochs.min()), float(epochs.max()), 6)
    label = scales.metric_label(metric)
    # A loss that explodes leaves through the top; on its scale all others would be one line.
    calm = [curve for curve in drawn if curve.outcome != "diverged"] or drawn
    values = np.concatenate([curve.finite.ravel() for curve in calm])
    finite = values[np.isfinite(values)]
    if scales.is_fraction(metric) and not log:
        shown = finite if target is None else np.append(finite, target)
        label += " (axis not from 0)" if scales.fit_fraction_axis(axes, shown) else ""
    else:
        scales.set_scale(axes, finite, log=log)
    axes.set_ylabel(label)


def _named_places(count: int) -> dict[int, str]:
    """Return which of so many configurations have a name, the best first, and their ranks."""
    worst = count - 1
    if count >= MANY:
        return {0: "best", worst // 2: "median", worst: "worst"}
    best = dict.fromkeys(range(min(MAX_NAMED, count)), "")
    return best | ({worst: "worst"} if count > MAX_NAMED else {})


def _draw_named(axes: Axes, curve: LearningCurve, rank: int, name: str, colour: str) -> Label:
    """Draw a configuration with its band; return its label."""
    epochs, low, median, high = curve.over_seeds()
    mark = MARKS[rank]
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


def _name(curve: LearningCurve, metric: str, rank: str) -> str:
    """Return a curve's label: last value, rank, outcome unless it learned, and its name."""
    last = scales.format_metric(metric, float(curve.over_seeds()[2][-1]))
    facts = [word for word in (rank, curve.outcome) if word not in ("", "learned")]
    return f"{last} {', '.join(facts)}{': ' if facts else ''}{curve.label}"
