"""The scale of pixel values, which files do not state: told by the values, or given."""

from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from nnlab.arrays import Array
from nnlab.errors import DataError

MAX_VALUE = 255  # of a byte
BYTES_FROM = 128  # the lowest maximum from which whole numbers are taken for bytes
IMAGES_AT_A_TIME = 4096  # to be held as floats
FIELD = "data.pixel_max="  # by which a config says it
OPTION = "--pixel-max "  # by which `nnlab predict` is told it
ROUNDING = 0.01  # of a grey value; float32 fractions of 255 are exacter than that


def white_of(
    values: Array, where: Path | str, pixel_max: float | None = None, *, option: str = FIELD
) -> float:
    """Return the value that is white: 255 of bytes, 1 of fractions.

    Whole numbers whose maximum is above 127 are bytes. Numbers that are all 0 or 1, and fractions
    from 0 to 1, have their white at 1.

    Parameters
    ----------
    values : Array
        Pixels of all images together.
    where : Path or str
        The file, for messages.
    pixel_max : float or None
        The value that is white, where it is known.
    option : str
        How the user can give it.

    Raises
    ------
    DataError
        Where a value is no pixel's, or the values do not tell.
    """
    if values.dtype.kind not in "buif":
        raise DataError(
            f"{where}: found values of type {values.dtype}, expected uint8 or other real numbers."
        )
    lowest, highest = values.min(), values.max()  # NaN if any value is
    if not (lowest >= 0 and np.isfinite(highest)):
        raise DataError(
            f"{where}: found {values.dtype} values from {lowest} to {highest}, expected whole "
            f"numbers from 0 to {MAX_VALUE}, or fractions from 0 to 1; undo what was subtracted."
        )
    if pixel_max is not None:
        if highest > pixel_max:
            raise DataError(
                f"{where}: found the pixel value {highest:g}, expected at most "
                f"{pixel_max:g}, which {option}{pixel_max:g} says is white."
            )
        if pixel_max > 1 and not are_whole(values):
            raise DataError(
                f"{where}: found fractions among the pixel values from {lowest:g} to {highest:g}, "
                f"expected whole numbers with {option}{pixel_max:g}: round them, or divide them by "
                f"{pixel_max:g}."
            )
        return pixel_max
    if highest == 0:
        return MAX_VALUE
    whole = are_whole(values)
    if highest <= 1:
        return 1
    if whole and BYTES_FROM <= highest <= MAX_VALUE:
        return MAX_VALUE
    raise DataError(
        f"{where}: found {values.dtype} values from {lowest} to {highest}, expected whole numbers "
        f"from 0 to {MAX_VALUE} with some above {BYTES_FROM - 1}, or fractions from 0 to 1: these "
        f"do not tell which value is white. Give it: {option}{_next_white(float(highest))}."
    )


def to_bytes(values: Array, white: float) -> tuple[NDArray[np.uint8], bool]:
    """Scale pixels such that white is 255.

    Returns
    -------
    pixels : NDArray of uint8
    exact : bool
        Whether no value had to be rounded.
    """
    if white == MAX_VALUE and values.dtype == np.uint8:
        return values, True
    pixels = np.empty(values.shape, np.uint8)
    exact = True
    for first in range(0, len(values), IMAGES_AT_A_TIME):
        part = slice(first, first + IMAGES_AT_A_TIME)
        scaled = values[part].astype(np.float64) * (MAX_VALUE / white)
        rounded = np.rint(scaled)
        exact = exact and bool(np.abs(scaled - rounded).max(initial=0) <= ROUNDING)
        pixels[part] = rounded
    return pixels, exact


def scale_said(white: float, *, exact: bool = True) -> str:
    """Say how pixels were scaled: ``pixels from 0 to 1``."""
    rounded = "" if exact else f", rounded to {MAX_VALUE + 1} grey values"
    return f"pixels from 0 to {white:g}{rounded}"


def are_whole(values: Array) -> bool:
    """Tell whether numbers are whole; a part at a time, since images are many."""
    if values.dtype.kind != "f":
        return True
    parts = (
        values[first : first + IMAGES_AT_A_TIME]
        for first in range(0, len(values), IMAGES_AT_A_TIME)
    )
    return all(bool((part == np.floor(part)).all()) for part in parts)


def _next_white(highest: float) -> str:
    """Return the likely white of values up to ``highest``: 255 and 65535 are much used."""
    common = (MAX_VALUE, 2**16 - 1)
    if highest <= BYTES_FROM - 1:
        return f"{highest:g}"
    return str(next((white for white in common if highest <= white), f"{highest:g}"))
