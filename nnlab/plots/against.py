"""A metric against a hyper-parameter that is a number: means, intervals, and every seed."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from numpy.typing import NDArray

from nnlab.plots import scales
from nnlab.plots.labels import COLOURS, MARKS, PLATE, Label, cut, name_ends, room_for
from nnlab.plots.style import GREY, WIDTH, axes_at, page, sentence, styled

Array = NDArray[np.float64]
NAMED = 8  # series with colours and names
ROOM = 1.6, 4.2  # inches to the right of the axes, at least and at most
STEP = 0.013  # of the axis' length: what neighbouring series are moved apart


@dataclass(frozen=True)
class Series:
    """What one group of configurations reached at each value of the hyper-parameter.

    Attributes
    ----------
    label : its name
    x : (n,) values of the hyper-parameter, ascending
    mean : (n,) over seeds, NaN where there is none
    low, high : (n,) ends of the 95 % interval, NaN where there is none
    values : n arrays, the seeds' own values
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


@styled
def against(
    series: Sequence[Series],
    title: str,
    x_name: str,
    metric: str,
    *,
    log_x: bool,
    reference: tuple[float, str] | None = None,
) -> Figure:
    """Draw a metric against a numeric hyper-parameter, a line a series.

    Of more than ``NAMED`` series, those whose highest mean is the highest have names, colours,
    intervals and seeds; the others are pale lines.

    Parameters
    ----------
    series : in the order of their colours
    title : str
    x_name : the hyper-parameter
    metric : such as ``val/accuracy``
    log_x : whether x is logarithmic; it is linear where a value is not positive
    reference : a value of the metric and its name, drawn as a dashed line
    """
    drawn = [each for each in series if np.isfinite(each.mean).any()]
    ranked = sorted(range(len(drawn)), key=lambda place: -drawn[place].best())
    named = [drawn[place] for place in sorted(ranked[:NAMED])]
    pale = [drawn[place] for place in sorted(ranked[NAMED:])]
    figure, top = page(title, _subtitle(drawn, named))
    if not drawn:
        sentence(figure, "No configuration has a result.")
        return figure
    names = [each.label for each in named] + ([reference[1]] if reference else [])
    room = min(max(room_for(names), ROOM[0]), ROOM[1])
    axes = axes_at(figure, 1.05, 0.75, WIDTH - 1.05 - room, top - 0.9)
    scales.set_positions(axes, np.concatenate([each.x for each in drawn]), log=log_x)
    axes.set_xlabel(cut(x_name, 6.0))
    _set_heights(axes, drawn, metric, reference)

    for each in pale:
        axes.plot(each.x, each.mean, color="#BBBBBB", linewidth=1.2, gid="pale")
    labels = [_draw(axes, each, rank, len(named)) for rank, each in enumerate(named)]
    if reference is not None:
        axes.axhline(
            reference[0], color=GREY, linewidth=1.2, linestyle=(0, (4, 3)), gid="reference"
        )
        labels.append(Label(axes.get_xlim()[1], *reference))
    name_ends(axes, labels, room)
    return figure


def _subtitle(drawn: Sequence[Series], named: Sequence[Series]) -> str:
    """Say how many configurations and seeds there are, and what lines, bars and dots are."""
    seeds = [np.isfinite(values).sum() for each in drawn for values in each.values]
    counts = [int(count) for count in seeds if count]
    many = f"{len(counts)} configuration{'s' * (len(counts) != 1)}"
    if not counts:
        return many
    fewest, most = min(counts), max(counts)
    if most == 1:
        parts = [f"{many}, one seed each: no spread is known"]
    else:
        parts = [f"{many} × {f'{fewest} to ' * (fewest < most)}{most} seeds"]
        bar = ", bar: 95 % interval" * any(np.isfinite(each.low).any() for each in named)
        parts.append(f"line: mean{bar}, dot: a seed{', side by side' * (len(named) > 1)}")
    if len(named) < len(drawn):
        parts.append(f"the {len(named)} best of {len(drawn)} series named")
    return "  ·  ".join(parts)


def _set_heights(
    axes: Axes, drawn: Sequence[Series], metric: str, reference: tuple[float, str] | None
) -> None:
    """Fit the vertical axis to all that is drawn; say so where it does not begin at 0."""
    values = np.concatenate(
        [part for each in drawn for part in (each.mean, each.low, each.high, *each.values)]
        + ([np.array([reference[0]])] if reference else [])
    )
    finite = values[np.isfinite(values)]
    name = scales.name(metric)
    if scales.is_share(metric):
        name += " (axis not from 0)" if scales.zoomed(axes, finite) else ""
    else:
        scales.set_scale(axes, finite, log=None)
    axes.set_ylabel(name)


def _draw(axes: Axes, each: Series, rank: int, of: int) -> Label:
    """Draw a series, moved sideways by its rank; return its label."""
    colour, mark = COLOURS[rank], MARKS[rank]
    x = moved(axes, each.x, rank, of)
    axes.plot(x, each.mean, color=colour, linewidth=1.4, alpha=0.6, gid="line")
    axes.vlines(x, each.low, each.high, color=colour, linewidth=2.6, gid="interval")
    sizes = [len(values) for values in each.values]
    dots = np.concatenate([np.asarray(values, float) for values in each.values] or [np.empty(0)])
    beside = np.repeat(moved(axes, each.x, rank + 0.5, of), sizes)  # not under bar and mark
    axes.plot(beside, dots, ".", color=colour, ms=6, alpha=0.7, mew=0, gid="seeds")
    axes.plot(
        x, each.mean, linestyle="none", marker=mark, ms=7.5, color=colour, **PLATE, gid="means"
    )
    last = np.flatnonzero(np.isfinite(each.mean))[-1]
    return Label(float(x[last]), float(each.mean[last]), each.label, colour, mark)


def moved(axes: Axes, x: Array, rank: float, of: int) -> Array:
    """Move positions sideways, so that what stands at one place stands beside each other.

    Parameters
    ----------
    axes : with final limits
    x : (n,) in data
    rank, of : which of how many things at each place
    """
    to_axes = axes.transData + axes.transAxes.inverted()
    places = to_axes.transform(np.column_stack([x, np.full(len(x), axes.get_ylim()[1])]))
    closest = np.diff(np.unique(places[:, 0].round(6))).min(initial=1.0)
    places[:, 0] += min(STEP, 0.75 * closest / of) * (rank - (of - 1) / 2)  # not among the next
    return np.asarray(to_axes.inverted().transform(places)[:, 0])
