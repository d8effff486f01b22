"""The images that a run's network gets wrong with the highest probability."""

from dataclasses import dataclass

import numpy as np
from matplotlib import colormaps
from matplotlib.figure import Figure
from numpy.typing import NDArray

from nnlab.arrays import Array
from nnlab.plots.digit_images import draw_frames, draw_image, tile_boxes
from nnlab.plots.style import (
    MARGIN,
    SMALL,
    TEXT,
    WIDTH,
    add_blank_axes,
    in_shared_style,
    new_figure,
    write_message,
)

MAX_MISTAKES = 24
TITLE = "Most confident mistakes"
CAPTION = 1.35, 0.28  # inches: width and height of the text above an image
INK_ON_WHITE = colormaps["gray_r"]


@dataclass(frozen=True)
class Mistakes:
    """Misclassified images, those of highest probability first.

    Attributes
    ----------
    pixels : Array
        (n, pixels) uint8.
    truth, predicted : Array
        (n,) integers, the classes.
    probability : Array
        (n,), which the network gave to the predicted class.
    """

    pixels: Array
    truth: Array
    predicted: Array
    probability: Array

    @classmethod
    def select(
        cls, probs: Array, labels: Array, pixels: Array, limit: int = MAX_MISTAKES
    ) -> "Mistakes":
        """Choose the mistakes to show of ``pixels (n, pixels)``; see ``most_confident``."""
        chosen = most_confident(probs, labels, limit)
        return cls(
            pixels[chosen],
            labels[chosen],
            probs[:, chosen].argmax(axis=0),
            probs[:, chosen].max(axis=0, initial=0),
        )


def most_confident(probs: Array, labels: Array, limit: int) -> NDArray[np.intp]:
    """Return the misclassified samples whose predicted class has the highest probability.

    Parameters
    ----------
    probs : Array
        (classes, n) probabilities.
    labels : Array
        (n,) integers, the true classes.
    limit : int
        How many to return at most.

    Returns
    -------
    NDArray of int
        Indices, highest probability first; samples of equal probability stay in their order, and
        NaN comes last.
    """
    wrong = np.flatnonzero(probs.argmax(axis=0) != labels)
    doubt = -probs[:, wrong].max(axis=0, initial=0)
    return wrong[np.argsort(doubt, kind="stable")[:limit]]


@in_shared_style
def mistake_images(mistakes: Mistakes, image_shape: tuple[int, int], name: str) -> Figure:
    """Draw misclassified images, each with its class, the prediction and the probability.

    Parameters
    ----------
    mistakes : Mistakes
        The first ``MAX_MISTAKES`` are drawn, in the order given.
    image_shape : tuple of int
        Rows and columns of pixels.
    name : str
        Of the run.
    """
    n = min(len(mistakes.pixels), MAX_MISTAKES)
    if n == 0:
        figure, _ = new_figure(TITLE, name, "on the validation images")
        write_message(figure, "no mistakes on the validation images")
        return figure
    shown = f"the first {n}" if n > 1 else "the first one"
    figure, top = new_figure(
        TITLE, name, f"{shown} on the validation images: truth → predicted (probability)"
    )
    size = (WIDTH - 2 * MARGIN, top - 0.25)
    axes = add_blank_axes(figure, MARGIN, 0.25, *size)
    boxes = tile_boxes(n, image_shape, size, CAPTION)
    truth, predicted = mistakes.truth[:n], mistakes.predicted[:n]
    two_digits = max(np.max(truth), np.max(predicted)) > 9  # noqa: PLR2004
    for i, box in enumerate(boxes):
        pixels = mistakes.pixels[i].reshape(image_shape)
        draw_image(axes, pixels, box, cmap=INK_ON_WHITE, limits=(0, 255))
        axes.text(
            box[0],
            box[3] + 0.07,
            f"{truth[i]} → {predicted[i]} ({mistakes.probability[i]:.2f})",
            size=SMALL if two_digits else TEXT,
        )
    draw_frames(axes, boxes)
    return figure
