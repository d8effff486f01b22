"""Many images on one page: where each goes, and how it is drawn. Used by filters and mistakes."""

import math

import numpy as np
from matplotlib.axes import Axes
from matplotlib.collections import PatchCollection
from matplotlib.colors import Colormap
from matplotlib.patches import Rectangle

from nnlab.arrays import Array
from nnlab.plots.style import GREY

Box = tuple[float, float, float, float]  # left, right, bottom, top, in inches
MAX_ASPECT = 8.0  # of an image as it is drawn: longer side over shorter side
GAP = 0.12  # inches between images


def tile_boxes(
    n: int, shape: tuple[int, int], size: tuple[float, float], caption: tuple[float, float]
) -> list[Box]:
    """Place n images of one shape on an area, as large as they fit, row by row from the top.

    Parameters
    ----------
    n : int
        Number of images.
    shape : tuple of int
        Rows and columns of pixels. An image that is longer than ``MAX_ASPECT`` allows is drawn
        stretched.
    size : tuple of float
        Width and height of the area, in inches.
    caption : tuple of float
        Width and height of the text above each image, in inches.

    Returns
    -------
    list of Box
        The n boxes, in inches from the lower left corner of the area.
    """
    aspect = min(max(shape[1] / shape[0], 1 / MAX_ASPECT), MAX_ASPECT)

    def image_height(columns: int) -> float:
        rows = math.ceil(n / columns)
        width = size[0] / columns - GAP
        return min(width / aspect, size[1] / rows - caption[1] - GAP) if width > caption[0] else 0

    columns = max(range(1, n + 1), key=image_height)
    height = image_height(columns)
    width = height * aspect
    step_x, step_y = max(width, caption[0]) + GAP, height + caption[1] + GAP
    boxes = []
    for i in range(n):
        left = (i % columns) * step_x
        top = size[1] - (i // columns) * step_y - caption[1]
        boxes.append((left, left + width, top - height, top))
    return boxes


def draw_image(
    axes: Axes, pixels: Array, box: Box, *, cmap: Colormap, limits: tuple[float, float]
) -> None:
    """Draw an image in its box; values that are not finite have the colormap's "bad" colour."""
    low, high = limits
    axes.imshow(
        np.ma.masked_invalid(pixels), cmap=cmap, vmin=low, vmax=high, extent=box, aspect="auto"
    )


def draw_frames(axes: Axes, boxes: list[Box]) -> None:
    """Draw a frame around each box, since the border of an image is often white."""
    patches = [Rectangle((x0, y0), x1 - x0, y1 - y0) for x0, x1, y0, y1 in boxes]
    axes.add_collection(
        PatchCollection(patches, facecolor="none", edgecolor=GREY, linewidth=1), autolim=False
    )
