"""What the hidden units of a sweep's best and worst run look for, side by side."""

from dataclasses import dataclass

from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter

from nnlab.arrays import Array
from nnlab.plots.digit_images import draw_units, largest_units, tiles
from nnlab.plots.labels import cut
from nnlab.plots.style import (
    GREY,
    HEIGHT,
    MARGIN,
    SMALL,
    TEXT,
    WIDTH,
    axes_at,
    blank_axes,
    number,
    page,
    styled,
)

MOST = 20  # units of each run
GAP = 0.6  # inches between the two


@dataclass(frozen=True)
class Filters:
    """The first layer of one run.

    Attributes
    ----------
    label : the run's name
    accuracy : on the validation images
    w1 : (hidden, pixels)
    dead : (hidden,) bool, the units that no training image activates; None where unknown
    """

    label: str
    accuracy: float
    w1: Array
    dead: Array | None


@styled
def extremes(best: Filters, worst: Filters, image_shape: tuple[int, int], title: str) -> Figure:
    """Draw the incoming weights of two runs, each on its own symmetric colour scale.

    Parameters
    ----------
    best, worst : at most ``MOST`` units of each are shown, those of largest norm
    image_shape : (rows, columns) of pixels
    title : str
    """
    figure, top = page(
        title, "weights from the pixels to each hidden unit; every run has its own colours"
    )
    width = (WIDTH - 2 * MARGIN - GAP) / 2
    for place, (word, run) in enumerate((("best", best), ("worst", worst))):
        _draw(figure, MARGIN + place * (width + GAP), width, top, (word, run), image_shape)
    return figure


def _draw(
    figure: Figure,
    left: float,
    width: float,
    top: float,
    named: tuple[str, Filters],
    image_shape: tuple[int, int],
) -> None:
    word, run = named
    units = largest_units(run.w1, MOST)
    head = cut(f"{word}: {run.accuracy:.3f} {run.label}", width - 0.1, TEXT, bold=True)
    figure.text(left / WIDTH, (top - 0.05) / HEIGHT, head, weight="bold", va="top")
    figure.text(
        left / WIDTH,
        (top - 0.36) / HEIGHT,
        cut(_facts(run, int((~units.finite).sum())), width - 0.1, SMALL),
        size=SMALL,
        color=GREY,
        va="top",
    )
    size = (width, top - 1.75)
    axes = blank_axes(figure, left, 1.05, *size)
    draw_units(
        axes,
        units,
        tiles(len(units.numbers), image_shape, size, (0.35, 0.22)),
        image_shape,
        run.dead,
    )
    bar = axes_at(figure, left + 0.3, 0.75, width - 0.7, 0.18)
    colours = figure.colorbar(axes.images[0], cax=bar, orientation="horizontal")
    colours.set_ticks([-units.limit, -units.limit / 2, 0, units.limit / 2, units.limit])
    colours.ax.xaxis.set_major_formatter(FuncFormatter(lambda x, _: number(x)))
    what = "weight" if units.shared else "weight / the unit's largest"
    bar.set_xlabel(f"{what}, from {number(-units.limit)} to {number(units.limit)}")
    bar.grid(visible=False)


def _facts(run: Filters, broken: int) -> str:
    hidden = len(run.w1)
    parts = [f"all {hidden} units" if hidden > 1 else "its one unit"]
    if hidden > MOST:
        parts = [f"the {MOST} of {hidden} units of largest norm"]
    if run.dead is not None:
        dead = int(run.dead.sum())
        parts.append(f"{dead} of {hidden} dead{' (crossed out)' if dead else ''}")
    if broken:
        parts.append(f"{broken} not finite (grey)")
    return "  ·  ".join(parts)
