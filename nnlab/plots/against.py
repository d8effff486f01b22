"""A metric against a numeric hyper-parameter: means, intervals and every seed."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from nnlab.arrays import Array
from nnlab.plots import scales
from nnlab.plots.labels import (
    COLOURS,
    MARK_EDGE,
    MARKS,
    Label,
    label_curve_ends,
    room_for_labels,
    shorten,
)
from nnlab.plots.style import GREY, WIDTH, add_axes, in_shared_style, new_figure, write_message

MAX_NAMED = 8  # curves with colours and names
ROOM = 1.6, 4.2  # inches to the right of the axes, at least and at most
STEP = 0.013  # of the axis' length: the distance between neighbouring curves at one place


@dataclass(frozen=True)
class MetricCurve:
    """A metric at each value of a hyper-parameter, for one group of configurations.

    Attributes
    ----------
    label : str
        The group's name.
    x : Array
        (n,) values of the hyper-parameter, ascending.
    mean : Array
        (n,) means over seeds, NaN where there is none.
    low, high : Array
        (n,) ends of the 95 % interval, NaN where there is none.
    values : list of Array
        For each of the n values of x, the metric of every seed.
    """

    label: str
    x: Array
    mean: Array
    low: Array
    high: Array
    values: list[Array]

    def best(self) -> float:
        """Return the highest mean, −∞ where there is none."""
        return float(np.max(self.mean, initial=-np.inf, where=np.isfinite(self.mean)))


@in_shared_style
def metric_against_parameter(
    curves: Sequence[MetricCurve],
    title: str,
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
    title : str
        Of the page.
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
    figure, top = new_figure(title, _subtitle(drawn, named))
    if not drawn:
        write_message(figure, "No configuration has a result.")
        return figure
    names = [curve.label for curve in named] + ([reference[1]] if reference else [])
    room = room_for_labels(names, *ROOM)
    axes = add_axes(figure, 1.05, 0.75, WIDTH - 1.05 - room, top - 0.9)
    scales.set_parameter_axis(axes, np.concatenate([curve.x for curve in drawn]), log=log_x)
    axes.set_xlabel(shorten(x_name, 6.0))
    _set_vertical_axis(axes, drawn, metric, reference)

    for curve in pale:
        axes.plot(curve.x, curve.mean, color="#BBBBBB", linewidth=1.2, gid="pale")
    labels = [_draw_named(axes, curve, rank, len(named)) for rank, curve in enumerate(named)]
    if reference is not None:
        axes.axhline(
            reference[0], color=GREY, linewidth=1.2, linestyle=(0, (4, 3)), gid="reference"
        )
        labels.append(Label(axes.get_xlim()[1], *reference))
    label_curve_ends(axes, labels, room)
    return figure


def _subtitle(drawn: Sequence[MetricCurve], named: Sequence[MetricCurve]) -> str:
    """Say how many configurations and seeds there are, and what lines, bars and dots mean."""
    seeds = [int(np.isfinite(values).sum()) for curve in drawn for values in curve.values]
    counts = [count for count in seeds if count]
    configurations = f"{len(counts)} configuration{'s' * (len(counts) != 1)}"
    if not counts:
        return configurations
    fewest, most = min(counts), max(counts)
    if most == 1:
        parts = [f"{configurations}, one seed each: no spread is known"]
    else:
        parts = [f"{configurations} × {f'{fewest} to ' * (fewest < most)}{most} seeds"]
        bar = ", bar: 95 % interval" * any(np.isfinite(curve.low).any() for curve in named)
        parts.append(f"line: mean{bar}, dot: a seed{', side by side' * (len(named) > 1)}")
    if len(named) < len(drawn):
        parts.append(f"the {len(named)} best of {len(drawn)} series named")
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


def _draw_named(axes: Axes, curve: MetricCurve, rank: int, count: int) -> Label:
    """Draw one of ``count`` curves, moved sideways by its rank; return its label."""
    colour, mark = COLOURS[rank], MARKS[rank]
    x = offset_positions(axes, curve.x, rank, count)
    axes.plot(x, curve.mean, color=colour, linewidth=1.4, alpha=0.6, gid="line")
    axes.vlines(x, curve.low, curve.high, color=colour, linewidth=2.6, gid="interval")
    sizes = [len(values) for values in curve.values]
    dots = np.concatenate([np.asarray(values, float) for values in curve.values] or [np.empty(0)])
    beside_bar = np.repeat(offset_positions(axes, curve.x, rank + 0.5, count), sizes)
    axes.plot(beside_bar, dots, ".", color=colour, ms=6, alpha=0.7, mew=0, gid="seeds")
    style = {"linestyle": "none", "marker": mark, "ms": 7.5, "color": colour, **MARK_EDGE}
    axes.plot(x, curve.mean, **style, gid="means")
    last = np.flatnonzero(np.isfinite(curve.mean))[-1]
    return Label(float(x[last]), float(curve.mean[last]), curve.label, colour, mark)


def offset_positions(axes: Axes, x: Array, rank: float, count: int) -> Array:
    """Move positions sideways, so that things at one place are drawn beside each other.

    Parameters
    ----------
    axes : Axes
        With final limits.
    x : Array
        (n,) positions in data coordinates.
    rank, count : float, int
        Which of how many things at each position this one is.

    Returns
    -------
    Array
        (n,) positions in data coordinates, ``STEP`` apart or less, so that neighbouring values of
        x do not mix.
    """
    to_axes = axes.transData + axes.transAxes.inverted()
    places = to_axes.transform(np.column_stack([x, np.full(len(x), axes.get_ylim()[1])]))
    closest = np.diff(np.unique(places[:, 0].round(6))).min(initial=1.0)
    places[:, 0] += min(STEP, 0.75 * closest / count) * (rank - (count - 1) / 2)
    return np.asarray(to_axes.inverted().transform(places)[:, 0])
