"""A metric against a numeric hyper-parameter: means, intervals and every seed."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from nnlab.arrays import Array
from nnlab.plots import scales
from nnlab.plots.labels import (
    MARK_EDGE,
    MARKS,
    Label,
    curve_colours,
    label_curve_ends,
    room_for_labels,
    shorten,
)
from nnlab.plots.style import GREY, WIDTH, add_axes, in_shared_style, new_figure, write_message
from nnlab.wording import counted

MAX_NAMED = 8  # curves with colours and names
ROOM = 1.6, 4.2  # inches to the right of the axes, at least and at most
BARE = 0.5  # inches there, where nothing has a name
BAR = 2.0  # points: the last curve's intervals; those behind are wider, so that all are seen


@dataclass(frozen=True)
class MetricCurve:
    """A metric at each value of a hyper-parameter, for one group of configurations.

    Attributes
    ----------
    label : str
        The group's name; "" for a curve that is alone.
    x : Array
        (n,) values of the hyper-parameter, ascending.
    mean : Array
        (n,) means over seeds, NaN where there is none.
    low, high : Array
        (n,) ends of the 95 % interval, NaN where there is none.
    values : list of Array
        For each of the n values of x, the metric of every seed.
    order : float or None
        What the groups differ in, if that is a number: it orders their colours.
    """

    label: str
    x: Array
    mean: Array
    low: Array
    high: Array
    values: list[Array]
    order: float | None = None

    def best(self) -> float:
        """Return the highest mean, −∞ where there is none."""
        return float(np.max(self.mean, initial=-np.inf, where=np.isfinite(self.mean)))


@in_shared_style
def metric_against_parameter(
    curves: Sequence[MetricCurve],
    name: str,
    x_name: str,
    metric: str,
    *,
    log_x: bool,
    reference: tuple[float, str] | None = None,
) -> Figure:
    """Draw a metric against a numeric hyper-parameter, a line for each group of configurations.

    Of more than ``MAX_NAMED`` curves, those with the highest best mean have names, colours,
    intervals and seeds; the others are pale lines.

    Parameters
    ----------
    curves : sequence of MetricCurve
        In the order of their colours.
    name : str
        Of the sweep.
    x_name : str
        The hyper-parameter.
    metric : str
        Such as ``val/accuracy``.
    log_x : bool
        Whether x is logarithmic; it is linear where a value is not positive.
    reference : tuple of float and str, or None
        A value of the metric and its name, drawn as a dashed line.
    """
    drawn = [curve for curve in curves if np.isfinite(curve.mean).any()]
    ranked = sorted(range(len(drawn)), key=lambda place: -drawn[place].best())
    named = [drawn[place] for place in sorted(ranked[:MAX_NAMED])]
    pale = [drawn[place] for place in sorted(ranked[MAX_NAMED:])]
    figure, top = new_figure(
        f"{scales.metric_label(metric, unit=False).capitalize()} by {scales.field_words(x_name)}",
        name,
        _subtitle(curves, len(drawn), named),
    )
    if not drawn:
        write_message(figure, "No configuration has a result.")
        return figure
    names = [curve.label for curve in named] + ([reference[1]] if reference else [])
    room = room_for_labels(names, *ROOM) if any(names) else BARE
    axes = add_axes(figure, 1.05, 0.75, WIDTH - 1.05 - room, top - 0.9)
    scales.set_parameter_axis(axes, np.concatenate([curve.x for curve in drawn]), log=log_x)
    log = axes.get_xscale() == "log"
    axes.set_xlabel(shorten(scales.field_label(x_name, log=log), 6.0))
    _set_vertical_axis(axes, drawn, metric, reference)

    for curve in pale:
        axes.plot(curve.x, curve.mean, color="#BBBBBB", linewidth=1.2, gid="pale")
    colours = curve_colours([curve.order for curve in named])
    labels = [_draw_named(axes, curve, rank, colours) for rank, curve in enumerate(named)]
    if reference is not None:
        axes.axhline(
            reference[0], color=GREY, linewidth=1.2, linestyle=(0, (4, 3)), gid="reference"
        )
        labels.append(Label(axes.get_xlim()[1], *reference))
    label_curve_ends(axes, [label for label in labels if label.text], room)
    return figure


def _subtitle(curves: Sequence[MetricCurve], drawn: int, named: Sequence[MetricCurve]) -> str:
    """Say how many configurations and seeds there are, and what lines, bars and dots mean."""
    seeds = [int(np.isfinite(values).sum()) for curve in curves for values in curve.values]
    counts = [count for count in seeds if count]
    configurations = counted(len(seeds), "configuration")
    if not counts:
        return configurations
    if len(counts) < len(seeds):
        configurations = f"{len(counts)} of {configurations} with a result"
    fewest, most = min(counts), max(counts)
    if most == 1:
        parts = [f"{configurations}, one seed each: no spread is known"]
    else:
        parts = [f"{configurations} × {f'{fewest} to ' * (fewest < most)}{counted(most, 'seed')}"]
        bar = ", bar: 95 % interval" * any(np.isfinite(curve.low).any() for curve in named)
        parts.append(f"line: mean{bar}, dot: a seed")
    if len(named) < drawn:
        parts.append(f"the {len(named)} best of {drawn} series named")
    return "  ·  ".join(parts)


def _set_vertical_axis(
    axes: Axes, drawn: Sequence[MetricCurve], metric: str, reference: tuple[float, str] | None
) -> None:
    """Fit the vertical axis to all that is drawn; its label says so where it begins above 0."""
    values = np.concatenate(
        [part for curve in drawn for part in (curve.mean, curve.low, curve.high, *curve.values)]
        + ([np.array([reference[0]])] if reference else [])
    )
    finite = values[np.isfinite(values)]
    label = scales.metric_label(metric)
    if scales.is_fraction(metric):
        label += " (axis not from 0)" if scales.fit_fraction_axis(axes, finite) else ""
    else:
        scales.set_scale(axes, finite, log=None)
    axes.set_ylabel(label)


def _draw_named(axes: Axes, curve: MetricCurve, rank: int, colours: Sequence[str]) -> Label:
    """Draw a curve in its colour of those; return its label."""
    colour, mark = colours[rank], MARKS[rank]
    x, behind = curve.x, len(colours) - 1 - rank
    axes.plot(x, curve.mean, color=colour, linewidth=1.4, alpha=0.6, gid="line", zorder=2)
    bar: dict[str, Any] = {"linewidth": BAR + 1.2 * behind, "alpha": 0.45, "zorder": 2 + rank / 100}
    axes.vlines(x, curve.low, curve.high, color=colour, **bar, gid="interval")
    dots = np.concatenate([np.asarray(values, float) for values in curve.values] or [np.empty(0)])
    at = np.repeat(x, [len(values) for values in curve.values])
    axes.plot(at, dots, ".", color=colour, ms=5, alpha=0.6, mew=0, gid="seeds", zorder=3)
    style: dict[str, Any] = {
        "linestyle": "none",
        "marker": mark,
        "ms": 7 + behind / 2,
        "color": colour,
    }
    axes.plot(x, curve.mean, **style, **MARK_EDGE, gid="means", zorder=4 + rank / 100)
    last = np.flatnonzero(np.isfinite(curve.mean))[-1]
    return Label(float(x[last]), float(curve.mean[last]), curve.label, colour, mark)
