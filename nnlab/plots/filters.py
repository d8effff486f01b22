"""A run's filters: the incoming weights of each hidden unit, as an image."""

from dataclasses import dataclass

import numpy as np
from matplotlib import colormaps
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter
from numpy.typing import NDArray

from nnlab.arrays import Array
from nnlab.plots.digit_images import draw_frames, draw_image, tile_boxes
from nnlab.plots.style import (
    GREY,
    INK,
    MARGIN,
    SMALL,
    WIDTH,
    add_axes,
    add_blank_axes,
    format_number,
    in_shared_style,
    new_figure,
)
from nnlab.wording import counted

MAX_FILTERS = 64
CAPTION = 0.35, 0.22  # inches: width and height of a unit's number above its image
WEIGHT_COLORMAP = colormaps["RdBu_r"].with_extremes(bad="#BBBBBB")


@dataclass(frozen=True)
class ShownUnits:
    """The hidden units that a figure shows, and their colour scale.

    Attributes
    ----------
    numbers : NDArray of int
        (n,) indices of the units, ascending.
    images : Array
        (n, pixels) values to draw: the weights, or each unit's weights over its largest one.
    limit : float
        The colour scale goes from −limit to limit.
    are_weights : bool
        Whether ``images`` are the weights themselves, on a scale that the units share.
    finite : NDArray of bool
        (hidden,): whether all weights of a unit are finite, of all units.
    """

    numbers: NDArray[np.intp]
    images: Array
    limit: float
    are_weights: bool
    finite: NDArray[np.bool_]

    @property
    def scale_label(self) -> str:
        """What the colours mean."""
        return "weight" if self.are_weights else "weight / the unit's largest"


def largest_units(w1: Array, most: int) -> ShownUnits:
    """Choose at most so many units of ``w1 (hidden, pixels)``, those of largest norm."""
    weights = np.asarray(w1, float)
    finite = np.isfinite(weights).all(axis=1)
    largest = np.where(finite, np.abs(weights).max(axis=1, initial=0.0), 0.0)
    scale = float(largest.max(initial=0.0)) or 1.0
    with np.errstate(invalid="ignore"):  # units that are not finite rank last
        norms = np.where(finite, np.linalg.norm(weights / scale, axis=1), -1.0)
    numbers = np.sort(np.argsort(-norms, kind="stable")[:most])
    # One unit may have far larger weights than all others, which would be blank on its scale.
    if scale <= 10 * (np.median(largest[numbers]) or scale):
        return ShownUnits(numbers, weights[numbers], scale, True, finite)
    scales = np.where(largest > 0, largest, 1.0)[numbers, None]
    return ShownUnits(numbers, weights[numbers] / scales, 1.0, False, finite)


def draw_units(
    axes: Axes, units: ShownUnits, size: tuple[float, float], image_shape: tuple[int, int],
    dead: Array | None,
) -> None:  # fmt: skip
    """Draw each unit with its number above; the dead ones are crossed out.

    Parameters
    ----------
    axes : Axes
        Blank axes in inches.
    units : ShownUnits
        What to draw.
    size : tuple of float
        Width and height of the axes, in inches.
    image_shape : tuple of int
        Rows and columns of pixels.
    dead : Array or None
        (hidden,) booleans, of all units.
    """
    boxes = tile_boxes(len(units.numbers), image_shape, size, CAPTION)
    limits = (-units.limit, units.limit)
    for unit, pixels, box in zip(units.numbers, units.images, boxes, strict=True):
        draw_image(axes, pixels.reshape(image_shape), box, cmap=WEIGHT_COLORMAP, limits=limits)
        left, right, bottom, top = box
        axes.text(left, top + 0.04, str(unit), size=SMALL, color=GREY, va="bottom")
        if dead is not None and dead[unit]:
            axes.plot([left, right], [bottom, top], color=INK, linewidth=1.5)
            axes.plot([left, right], [top, bottom], color=INK, linewidth=1.5)
    draw_frames(axes, boxes)


@in_shared_style
def unit_filters(
    w1: Array, image_shape: tuple[int, int], name: str, dead: Array | None = None
) -> Figure:
    """Draw the incoming weights of each hidden unit as an image: what the unit responds to.

    Parameters
    ----------
    w1 : Array
        (hidden, pixels). Of more than ``MAX_FILTERS`` units, those of largest norm are shown.
    image_shape : tuple of int
        Rows and columns of pixels.
    name : str
        Of the run.
    dead : Array or None
        (hidden,) booleans: units that no training image activates, which are crossed out.
    """
    hidden = len(w1)
    units = largest_units(w1, MAX_FILTERS)
    facts = [f"incoming weights of {counted(hidden, 'hidden unit')}"]
    if hidden > MAX_FILTERS:
        facts[0] = f"incoming weights of the {MAX_FILTERS} of {hidden} hidden units of largest norm"
    if dead is not None and dead.any():
        facts.append(f"{int(dead.sum())} of {hidden} dead (crossed out)")
    if not units.finite.all():
        facts.append(f"{int((~units.finite).sum())} not finite (grey)")
    figure, top = new_figure("What each hidden unit responds to", name, "  ·  ".join(facts))

    size = (WIDTH - 2.2, top - 0.3)
    axes = add_blank_axes(figure, MARGIN, 0.3, *size)
    draw_units(axes, units, size, image_shape, dead)
    bar = add_axes(figure, WIDTH - 1.5, 0.3, 0.22, top - 0.52)
    figure.colorbar(axes.images[0], cax=bar, format=FuncFormatter(lambda x, _: format_number(x)))
    bar.set_ylabel(units.scale_label)
    bar.grid(visible=False)
    return figure
