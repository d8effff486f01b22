"""The filters of a sweep's best and worst run, side by side."""

from dataclasses import dataclass

from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter

from nnlab.arrays import Array
from nnlab.plots.filters import draw_units, largest_units
from nnlab.plots.labels import shorten
from nnlab.plots.style import (
    GREY,
    HEIGHT,
    MARGIN,
    SMALL,
    TEXT,
    WIDTH,
    add_axes,
    add_blank_axes,
    format_number,
    in_shared_style,
    new_figure,
)

MAX_UNITS = 20  # of each run
GAP = 0.6  # inches between the two runs


@dataclass(frozen=True)
class RunFilters:
    """The first layer of one run.

    Attributes
    ----------
    label : str
        The run's name.
    accuracy : float
        On the validation images.
    w1 : Array
        (hidden, pixels) weights.
    dead : Array or None
        (hidden,) booleans: the units that no training image activates; None where unknown.
    """

    label: str
    accuracy: float
    w1: Array
    dead: Array | None


@in_shared_style
def best_and_worst_filters(
    best: RunFilters, worst: RunFilters, image_shape: tuple[int, int], name: str
) -> Figure:
    """Draw the incoming weights of two runs, each on its own symmetric colour scale.

    Parameters
    ----------
    best, worst : RunFilters
        At most ``MAX_UNITS`` units of each are shown, those of largest norm.
    image_shape : tuple of int
        Rows and columns of pixels.
    name : str
        Of the sweep.
    """
    figure, top = new_figure(
        "What the hidden units respond to: the best and the worst run",
        name,
        "weights from the pixels to each hidden unit; every run has its own colours",
    )
    width = (WIDTH - 2 * MARGIN - GAP) / 2
    for place, (rank, run) in enumerate((("best", best), ("worst", worst))):
        _draw_run(figure, MARGIN + place * (width + GAP), width, top, (rank, run), image_shape)
    return figure


def _draw_run(
    figure: Figure,
    left: float,
    width: float,
    top: float,
    ranked_run: tuple[str, RunFilters],
    image_shape: tuple[int, int],
) -> None:
    """Draw one of the two runs; lengths are in inches."""
    rank, run = ranked_run
    units = largest_units(run.w1, MAX_UNITS)
    heading = shorten(f"{rank}: {run.accuracy:.3f} {run.label}", width - 0.1, TEXT, bold=True)
    figure.text(left / WIDTH, (top - 0.05) / HEIGHT, heading, weight="bold", va="top")
    figure.text(
        left / WIDTH,
        (top - 0.36) / HEIGHT,
        shorten(_facts(run, int((~units.finite).sum())), width - 0.1, SMALL),
        size=SMALL,
        color=GREY,
        va="top",
    )
    size = (width, top - 1.75)
    axes = add_blank_axes(figure, left, 1.05, *size)
    draw_units(axes, units, size, image_shape, run.dead)
    bar = add_axes(figure, left + 0.3, 0.75, width - 0.7, 0.18)
    colorbar = figure.colorbar(axes.images[0], cax=bar, orientation="horizontal")
    limit = units.limit
    colorbar.set_ticks([-limit, -limit / 2, 0, limit / 2, limit])
    colorbar.ax.xaxis.set_major_formatter(FuncFormatter(lambda x, _: format_number(x)))
    bar.set_xlabel(f"{units.scale_label}, from {format_number(-limit)} to {format_number(limit)}")
    bar.grid(visible=False)


def _facts(run: RunFilters, not_finite: int) -> str:
    hidden = len(run.w1)
    parts = [f"all {hidden} units" if hidden > 1 else "its one unit"]
    if hidden > MAX_UNITS:
        parts = [f"the {MAX_UNITS} of {hidden} units of largest norm"]
    if run.dead is not None:
        dead = int(run.dead.sum())
        parts.append(f"{dead} of {hidden} dead{' (crossed out)' if dead else ''}")
    if not_finite:
        parts.append(f"{not_finite} not finite (grey)")
    return "  ·  ".join(parts)
