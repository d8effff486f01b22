"""Pictures made of images: what the hidden units look for, and what the network gets wrong."""

import math
from dataclasses import dataclass

import numpy as np
from matplotlib import colormaps
from matplotlib.axes import Axes
from matplotlib.collections import PatchCollection
from matplotlib.colors import Colormap
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle
from matplotlib.ticker import FuncFormatter
from numpy.typing import NDArray

from nnlab.arrays import Array
from nnlab.plots.style import (
    GREY,
    INK,
    MARGIN,
    SMALL,
    TEXT,
    WIDTH,
    axes_at,
    blank_axes,
    number,
    page,
    sentence,
    styled,
)

Box = tuple[float, float, float, float]  # left, right, bottom, top
MAX_FILTERS = 64
MAX_MISTAKES = 24
LONGEST_STRIP = 8.0  # times its width
WEIGHTS = colormaps["RdBu_r"].with_extremes(bad="#BBBBBB")
INK_ON_WHITE = colormaps["gray_r"]


def tiles(
    n: int, shape: tuple[int, int], size: tuple[float, float], caption: tuple[float, float]
) -> list[Box]:
    """Place n images of one shape on an area, as large as they fit, row by row from the top.

    Parameters
    ----------
    n : int
    shape : (rows, columns) of pixels
        A strip longer than ``LONGEST_STRIP`` is drawn stretched to that.
    size : (width, height) of the area
    caption : (width, height) that each tile leaves above the image

    Returns
    -------
    n boxes (left, right, bottom, top), in the area's unit.
    """
    gap = 0.12
    ratio = min(max(shape[1] / shape[0], 1 / LONGEST_STRIP), LONGEST_STRIP)

    def height(columns: int) -> float:
        rows = math.ceil(n / columns)
        cell = size[0] / columns - gap
        return min(cell / ratio, size[1] / rows - caption[1] - gap) if cell > caption[0] else 0

    columns = max(range(1, n + 1), key=height)
    h = height(columns)
    w = h * ratio
    across = max(w, caption[0]) + gap
    boxes = []
    for i in range(n):
        left = (i % columns) * across
        top = size[1] - (i // columns) * (h + caption[1] + gap) - caption[1]
        boxes.append((left, left + w, top - h, top))
    return boxes


def image(
    axes: Axes, pixels: Array, box: Box, *, cmap: Colormap, limits: tuple[float, float]
) -> None:
    """Draw an image in its box; what is not finite is grey."""
    low, high = limits
    axes.imshow(
        np.ma.masked_invalid(pixels), cmap=cmap, vmin=low, vmax=high, extent=box, aspect="auto"
    )


def frames(axes: Axes, boxes: list[Box]) -> None:
    """Frame all boxes: an image's own border is often white."""
    patches = [Rectangle((x0, y0), x1 - x0, y1 - y0) for x0, x1, y0, y1 in boxes]
    axes.add_collection(
        PatchCollection(patches, facecolor="none", edgecolor=GREY, linewidth=1), autolim=False
    )


@dataclass(frozen=True)
class Units:
    """Hidden units to be shown, and the colour scale that they are shown on.

    Attributes
    ----------
    numbers : (n,) of the units, ascending
    pictures : (n, pixels), what is drawn
    limit : the colours go from −limit to limit
    shared : whether ``pictures`` are the weights, or each unit's in parts of its largest
    finite : (hidden,) whether all of a unit's weights are
    """

    numbers: NDArray[np.intp]
    pictures: Array
    limit: float
    shared: bool
    finite: NDArray[np.bool_]


def largest_units(w1: Array, most: int) -> Units:
    """Choose the units of largest norm of ``w1 (hidden, pixels)``, and their scale."""
    weights = np.asarray(w1, float)
    finite = np.isfinite(weights).all(axis=1)
    largest = np.where(finite, np.abs(weights).max(axis=1, initial=0.0), 0.0)
    scale = float(largest.max(initial=0.0)) or 1.0
    with np.errstate(invalid="ignore"):  # units that are not finite rank last
        norms = np.where(finite, np.linalg.norm(weights / scale, axis=1), -1.0)
    numbers = np.sort(np.argsort(-norms, kind="stable")[:most])
    # One unit may dwarf all others; on its scale they would be blank.
    if scale <= 10 * (np.median(largest[numbers]) or scale):
        return Units(numbers, weights[numbers], scale, True, finite)
    own = np.where(largest > 0, largest, 1.0)[numbers, None]
    return Units(numbers, weights[numbers] / own, 1.0, False, finite)


def draw_units(
    axes: Axes, units: Units, boxes: list[Box], image_shape: tuple[int, int], dead: Array | None
) -> None:
    """Draw each unit in its box, with its number above; the dead ones are crossed out."""
    for unit, picture, box in zip(units.numbers, units.pictures, boxes, strict=True):
        limits = (-units.limit, units.limit)
        image(axes, picture.reshape(image_shape), box, cmap=WEIGHTS, limits=limits)
        left, right, low, high = box
        axes.text(left, high + 0.04, str(unit), size=SMALL, color=GREY, va="bottom")
        if dead is not None and dead[unit]:
            axes.plot([left, right], [low, high], color=INK, linewidth=1.5)
            axes.plot([left, right], [high, low], color=INK, linewidth=1.5)
    frames(axes, boxes)


@styled
def filters(
    w1: Array, image_shape: tuple[int, int], title: str, dead: Array | None = None
) -> Figure:
    """Draw what each hidden unit looks for: its incoming weights as an image.

    Parameters
    ----------
    w1 : (hidden, pixels)
    image_shape : (rows, columns) of pixels
    title : str
    dead : (hidden,) bool, optional
        Units that no training sample activates; crossed out.
    """
    hidden = len(w1)
    units = largest_units(w1, MAX_FILTERS)
    facts = [f"incoming weights of {hidden} hidden unit{'s' if hidden != 1 else ''}"]
    if hidden > MAX_FILTERS:
        facts[0] = f"incoming weights of the {MAX_FILTERS} of {hidden} hidden units of largest norm"
    if dead is not None and dead.any():
        facts.append(f"{int(dead.sum())} of {hidden} dead (crossed out)")
    if not units.finite.all():
        facts.append(f"{int((~units.finite).sum())} not finite (grey)")
    figure, top = page(title, "  ·  ".join(facts))

    size = (WIDTH - 2.2, top - 0.3)
    axes = blank_axes(figure, MARGIN, 0.3, *size)
    boxes = tiles(len(units.numbers), image_shape, size, (0.35, 0.22))
    draw_units(axes, units, boxes, image_shape, dead)
    bar = axes_at(figure, WIDTH - 1.5, 0.3, 0.22, top - 0.52)
    figure.colorbar(axes.images[0], cax=bar, format=FuncFormatter(lambda x, _: number(x)))
    bar.set_ylabel("weight" if units.shared else "weight / the unit's largest")
    bar.grid(visible=False)
    return figure


def most_confident_mistakes(probs: Array, labels: Array, limit: int) -> NDArray[np.intp]:
    """Return the samples that the network is surest about and wrong, the surest first.

    Parameters
    ----------
    probs : (classes, n)
    labels : (n,) integers
    limit : int

    Returns
    -------
    At most ``limit`` indices; equal probabilities stay in the samples' order, NaN comes last.
    """
    wrong = np.flatnonzero(probs.argmax(axis=0) != labels)
    doubt = -probs[:, wrong].max(axis=0, initial=0)
    return wrong[np.argsort(doubt, kind="stable")[:limit]]


@styled
def mistakes(
    pixels: Array,
    truth: Array,
    predicted: Array,
    probability: Array,
    *,
    image_shape: tuple[int, int],
    title: str,
) -> Figure:
    """Show images that the network got wrong, up to ``MAX_MISTAKES``, in the order given.

    Parameters
    ----------
    pixels : (n, pixels) uint8
    truth, predicted : (n,) integers
    probability : (n,)
        What the network gave its prediction.
    image_shape : (rows, columns) of pixels
    title : str
    """
    n = min(len(pixels), MAX_MISTAKES)
    if n == 0:
        figure, _ = page(title, "most confident mistakes on the validation images")
        sentence(figure, "no mistakes on the validation images")
        return figure
    what = f"the {n} most confident mistakes" if n > 1 else "the most confident mistake"
    figure, top = page(title, f"{what} on the validation images: truth → predicted (probability)")
    size = (WIDTH - 2 * MARGIN, top - 0.25)
    axes = blank_axes(figure, MARGIN, 0.25, *size)
    boxes = tiles(n, image_shape, size, (1.35, 0.28))
    two_digits = max(np.max(truth[:n]), np.max(predicted[:n])) > 9  # noqa: PLR2004
    for i, box in enumerate(boxes):
        image(axes, pixels[i].reshape(image_shape), box, cmap=INK_ON_WHITE, limits=(0, 255))
        axes.text(
            box[0],
            box[3] + 0.07,
            f"{truth[i]} → {predicted[i]} ({probability[i]:.2f})",
            size=SMALL if two_digits else TEXT,
        )
    frames(axes, boxes)
    return figure
