"""The network as MLflow serves it. This file is copied into the model, and imports NumPy alone.

Input: one image in each row, its pixels as they are in the data: whole numbers from 0 to 255, as a
table (images, pixels) or as (images, rows, columns). Output: for each image its label and the
probabilities of all classes.
"""

from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

LARGEST_PIXEL = 255


class ServedNetwork:
    """A two-layer network with its recorded weights.

    Parameters
    ----------
    weights : path
        A run's ``weights.npz``: ``W1 (hidden, pixels)``, ``b1 (hidden, 1)``,
        ``W2 (classes, hidden)``, ``b2 (classes, 1)``.
    """

    def __init__(self, weights: str | Path) -> None:
        with np.load(weights, allow_pickle=False) as file:
            self.W1, self.b1, self.W2, self.b2 = (file[name] for name in ("W1", "b1", "W2", "b2"))

    def predict(self, model_input: Any) -> dict[str, NDArray[Any]]:  # noqa: ANN401 - any table
        """Classify some images.

        Parameters
        ----------
        model_input : DataFrame, array or nested lists
            Whole numbers from 0 to 255: (images, pixels) or (images, rows, columns).

        Returns
        -------
        dict of array
            ``label (images,)``, int64, and ``probabilities (images, classes)``, in the weights'
            dtype.

        Raises
        ------
        ValueError
            Where the input has another shape or other values.
        """
        X = self._scaled(model_input).T
        A1 = np.maximum(self.W1 @ X + self.b1, 0)
        Z2 = self.W2 @ A1 + self.b2
        A2 = np.exp(Z2 - Z2.max(axis=0))
        A2 /= A2.sum(axis=0)
        return {"label": Z2.argmax(axis=0), "probabilities": A2.T}

    def _scaled(self, model_input: Any) -> NDArray[Any]:  # noqa: ANN401 - any table
        """Check the pixels, and divide them by 255 as in training: (images, pixels)."""
        if _is_an_image(list(getattr(model_input, "columns", ()))):
            raise ValueError(
                "The first row was taken for the names of the columns, but it holds pixels: put a "
                "header such as pixel0,pixel1,… above it, or the first image is lost."
            )
        pixels = np.asarray(model_input)
        expected = self.W1.shape[1]
        images = len(pixels) if pixels.ndim > 1 else 0
        if not images or pixels.size != images * expected:
            raise ValueError(
                f"Found an input of shape {pixels.shape}, expected (images, {expected}): an image "
                "a row, without a label."
            )
        if (
            pixels.dtype.kind not in "uif"
            or not ((pixels >= 0) & (pixels <= LARGEST_PIXEL) & (pixels == np.floor(pixels))).all()
        ):
            raise ValueError(
                f"Found values that are no whole numbers from 0 to {LARGEST_PIXEL}: give the "
                "pixels as they are in the data; the model itself divides them by 255."
            )
        dtype = self.W1.dtype
        # Always the same order in memory: BLAS rounds differently in column order.
        flat = pixels.reshape(images, expected).astype(dtype, order="C")
        return np.asarray(flat / np.asarray(LARGEST_PIXEL, dtype))


def _is_an_image(names: list[Any]) -> bool:
    """Tell whether the names of columns are an image's pixels, not the numbers of the columns."""
    if not names or not all(isinstance(name, str) for name in names):
        return False  # the columns were never named
    try:
        numbers = [float(name) for name in names]
    except ValueError:
        return False
    return numbers != [numbers[0] + column for column in range(len(numbers))]


def _load_pyfunc(weights: str) -> ServedNetwork:
    """Load the model: MLflow looks for a function of this name."""
    return ServedNetwork(weights)
