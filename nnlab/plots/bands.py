"""A sweep's learning curves, a line a configuration, with what its seeds differ by."""

import math
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, MaxNLocator
from numpy.typing import NDArray

from nnlab.plots import scales
from nnlab.plots.labels import COLOURS, MARKS, PLATE, Label, name_ends, room_for
from nnlab.plots.outcome_marks import key, look
from nnlab.plots.style import GREY, WIDTH, axes_at, page, sentence, styled

Array = NDArray[np.float64]
NAMED = 6  # configurations, from the best on, whose curves carry their names; the worst does, too
ROOM = 2.4, 4.9  # inches to the right of the axes, at least and at most


@dataclass(frozen=True)
class Band:
    """One configuration's curves.

    Attributes
    ----------
    label : its name
    epochs : (rows,)
    values : (seeds, rows), NaN where a seed has no value: before it began or after it ended
    outcome : what became of it, or of most of its seeds
    """

    label: str
    epochs: NDArray[np.int64]
    values: Array
    outcome: str

    @cached_property
    def finite(self) -> Array:
        """(seeds, rows), NaN wherever a value is not finite."""
        values = np.asarray(self.values, float)
        return np.where(np.isfinite(values), values, np.nan)

    @cached_property
    def count(self) -> NDArray[np.int64]:
        """(rows,), how many seeds have a value."""
        return np.asarray(np.isfinite(self.finite).sum(axis=0))

    @cached_property
    def seeds(self) -> int:
        """How many seeds have a value anywhere."""
        return int(np.isfinite(self.finite).any(axis=1).sum())

    def over_seeds(self) -> tuple[Array, Array, Array, Array]:
        """Return epochs, lowest, median and highest, where there is a value of any seed."""
        there = np.flatnonzero(self.count)
        values = self.finite[:, there]
        return (
            np.asarray(self.epochs, float)[there],
            np.nanmin(values, axis=0, initial=np.inf),
            np.nanmedian(values, axis=0) if there.size else np.empty(0),
            np.nanmax(values, axis=0, initial=-np.inf),
        )


@styled
def learning_curves(
    bands: Sequence[Band],
    title: str,
    metric: str,
    target: float | None,
    runs: int,
    *,
    log: bool | None = None,
) -> Figure:
    """Draw the learning curves of configurations: the median over seeds, and the band they fill.

    Parameters
    ----------
    bands : the best first; the best ``NAMED`` and the worst have names, the others are pale
    title : the sweep's name
    metric : such as ``val/accuracy``
    target : the value that counts as learned, if any
    runs : how many the sweep has, of which ``bands`` may hold a part
    log : whether the axis is logarithmic; None for whatever suits the metric and its values
    """
    drawn = [band for band in bands if band.seeds]
    figure, top = page(title, _subtitle(drawn, runs))
    if not drawn:
        sentence(figure, "No run came far enough to have a curve.")
        return figure
    named = [*range(min(NAMED, len(drawn))), *([len(drawn) - 1] if len(drawn) > NAMED else [])]
    names = [_name(drawn[place], metric, worst=place >= NAMED) for place in named]
    room = min(max(room_for(names), ROOM[0]), ROOM[1])
    axes = axes_at(figure, 0.95, 0.75, WIDTH - 0.95 - room, top - 1.15)
    _set_axes(axes, drawn, metric, log)

    strength = max(0.2, min(0.6, 15 / len(drawn)))
    pale = [place for place in range(len(drawn)) if place not in named]
    for place in reversed(pale):
        epochs, _, median, _ = drawn[place].over_seeds()
        shape = look(drawn[place].outcome)
        style: dict[str, Any] = {"color": shape.colour, "alpha": strength, "linewidth": 1.2}
        dot = "." if epochs.size == 1 else None
        axes.plot(epochs, median, linestyle=shape.dashes, gid="pale", marker=dot, **style)
    labels = [
        _draw_named(axes, drawn[place], rank, names[rank])
        for rank, place in reversed(list(enumerate(named)))
    ]
    if target is not None:
        axes.axhline(target, color=GREY, linewidth=1.2, linestyle=(0, (4, 3)), gid="target")
        labels.append(Label(axes.get_xlim()[1], target, f"target {target:g}"))
    name_ends(axes, labels, room)
    others = Counter(drawn[place].outcome for place in pale)
    if others:
        key(figure, top, others, "line", "Others, pale:")
    else:
        key(figure, top, Counter(band.outcome for band in drawn), "")
    return figure


def _subtitle(drawn: Sequence[Band], runs: int) -> str:
    """Say what is drawn of how many, over how many seeds, and what the bands are."""
    shown = sum(band.seeds for band in drawn)
    of = f"{shown:,} of {runs:,} runs" if shown < runs else f"{runs:,} run{'s' * (runs != 1)}"
    many = f"{len(drawn):,} configuration{'s' * (len(drawn) != 1)}"
    parts = [f"{many}, {of}"]
    seeds = {band.seeds for band in drawn}
    if seeds == {1}:
        parts.append("one seed each: no spread is known")
    elif seeds:
        fewest, most = min(seeds), max(seeds)
        parts.append(
            f"line: median of {f'{fewest} to ' if fewest < most else ''}{most} seeds, "
            "band: lowest to highest"
        )
    if any((band.count < band.seeds)[band.count > 0].any() for band in drawn):
        parts.append("dotted: fewer seeds")
    return "  ·  ".join(parts)


def _set_axes(axes: Axes, drawn: Sequence[Band], metric: str, log: bool | None) -> None:
    spans = [band.over_seeds()[0] for band in drawn]
    first, last = min(float(each[0]) for each in spans), max(float(each[-1]) for each in spans)
    axes.set_xlim(*scales.padded(first, last))
    axes.set_xlabel("epoch")
    axes.set_ylabel(scales.name(metric))
    axes.xaxis.set_major_locator(MaxNLocator(6, integer=True, min_n_ticks=1))
    axes.xaxis.set_major_formatter(FuncFormatter(lambda x, _: f"{x:,.0f}"))
    # A loss that explodes leaves through the top; on its scale all others would be one line.
    calm = [band for band in drawn if band.outcome != "diverged"] or drawn
    values = np.concatenate([band.finite.ravel() for band in calm])
    finite = values[np.isfinite(values)]
    if scales.is_share(metric) and not log:
        axes.set_ylim(-0.02, 1.02)
    else:
        scales.set_scale(axes, finite, log=log)


def _draw_named(axes: Axes, band: Band, rank: int, name: str) -> Label:
    """Draw a configuration with its band; return its label."""
    epochs, low, median, high = band.over_seeds()
    colour, mark = COLOURS[rank], MARKS[rank]
    if band.seeds > 1:
        axes.fill_between(epochs, low, high, color=colour, alpha=0.18, linewidth=0)
    every = max(1, math.ceil(epochs.size / 8))
    few = band.count[band.count > 0] < band.seeds
    whole = np.where(few, np.nan, median)
    style: dict[str, Any] = {"color": colour, "linewidth": 2.2}
    axes.plot(epochs, median, **style, linestyle=(0, (1, 1.2)) if few.any() else "-", gid="median")
    if few.any():
        axes.plot(epochs, whole, **style, gid="whole")
    offset = rank * every // 8
    at = [*range(offset, epochs.size, every)] or [0]
    axes.plot(
        epochs[at],
        median[at],
        linestyle="none",
        color=colour,
        marker=mark,
        ms=7,
        **PLATE,
        gid="marks",
    )
    return Label(float(epochs[-1]), float(median[-1]), name, colour, mark)


def _name(band: Band, metric: str, *, worst: bool) -> str:
    """Return a curve's label: its last value, its name, its outcome unless it learned."""
    last = scales.value(metric, float(band.over_seeds()[2][-1]))
    facts = [
        word for word in ("worst" if worst else "", band.outcome) if word not in ("", "learned")
    ]
    return f"{last} {', '.join(facts)}{': ' if facts else ''}{band.label}"
