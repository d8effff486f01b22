"""Pictures: PNG and JPEG files in grey, and folders that hold a folder of them for each class."""

import io
import math
import re
import struct
import warnings
import zlib
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from nnlab.arrays import Array
from nnlab.data.files import readable
from nnlab.data.pixel_values import MAX_VALUE
from nnlab.errors import DataError

SUFFIXES = (".png", ".jpg", ".jpeg")
GREY = ("1", "L", "I", "I;16", "F")  # modes without colours
SHOWN = 12  # classes in a message


def read_picture(path: Path, pixels: int | None = None) -> NDArray[np.uint8]:
    """Read a picture as (rows, columns) grey values.

    Parameters
    ----------
    path : Path
    pixels : int or None
        Of an image that a network takes; None: any.

    Raises
    ------
    DataError
        Where it is no whole picture of that size, or has transparent pixels or more than 8 bits.
    """
    return _read(path, pixels)[0]


def _read(path: Path, pixels: int | None = None) -> tuple[NDArray[np.uint8], bool]:
    """Read a picture as grey values, and tell whether it has colours."""
    from PIL import Image, ImageOps

    with readable(path):
        content = path.read_bytes()
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error", Image.DecompressionBombWarning)
            image = Image.open(io.BytesIO(content), formats=("PNG", "JPEG"))
            if pixels is not None:
                _check_size(image.size, path, pixels)  # before it is decompressed
            upright = ImageOps.exif_transpose(image)
            opaque = not upright.has_transparency_data or (
                upright.convert("RGBA").getchannel("A").getextrema() == (MAX_VALUE, MAX_VALUE)
            )
            grey = np.asarray(upright.convert("L"))
            coloured = upright.mode not in GREY and bool(
                np.ptp(np.asarray(upright.convert("RGB")), axis=2).any()
            )
    except (
        OSError, SyntaxError, ValueError, EOFError, struct.error, zlib.error,
        Image.DecompressionBombError, Image.DecompressionBombWarning,
    ) as error:  # fmt: skip
        cause = re.sub(r" (file )?<[^>]*>", "", str(error)).strip() or "broken"
        raise DataError(f"{path}: found no whole PNG or JPEG picture ({cause}).") from error
    if upright.mode.startswith(("I", "F")):
        raise DataError(f"{path}: found more than 8 bits a pixel, expected 8: convert it.")
    if not opaque:
        raise DataError(
            f"{path}: found transparent pixels, expected none: lay it on its background first."
        )
    return grey, coloured


def _check_size(size: tuple[int, int], path: Path, pixels: int) -> None:
    """Refuse a picture that has not the size of the network's images: it is not scaled here."""
    side = math.isqrt(pixels)
    square = side * side == pixels
    if size[0] * size[1] != pixels or (square and size[0] != size[1]):
        wanted = f"{side} × {side}" if square else f"{pixels} pixels"
        raise DataError(
            f"{path}: found a picture of {size[0]} × {size[1]}, expected {wanted} as the network "
            "sees: cut out what is to be classified and scale it, as the training images are."
        )


def classes_of(folder: Path) -> list[str]:
    """Return the names of the folders that hold pictures; numbers in their order."""
    with readable(folder):
        names = [path.name for path in folder.iterdir() if path.is_dir() and _pictures(path)]
    if all(name.isdecimal() for name in names):
        return sorted(names, key=int)
    return sorted(names)


def read_classes(folder: Path, classes: list[str]) -> tuple[Array, Array, str]:
    """Read the pictures of some folders, one a class.

    Returns
    -------
    images : Array
        (images, rows, columns) uint8.
    labels : Array
        (images,) int64: the folder's name where all are numbers, else its place in the list.
    said : str

    Raises
    ------
    DataError
        Where a picture cannot be read, or has another size than the first one.
    """
    numbers = all(name.isdecimal() for name in classes)
    images: list[NDArray[np.uint8]] = []
    labels, colours = [], False
    for place, name in enumerate(classes):
        for path in _pictures(folder / name):
            grey, coloured = _read(path)
            colours = colours or coloured
            if images and grey.shape != images[0].shape:
                rows, columns = images[0].shape
                raise DataError(
                    f"{path}: found a picture of {grey.shape[1]} × {grey.shape[0]}, expected "
                    f"{columns} × {rows} as the first one: scale all to one size."
                )
            images.append(grey)
            labels.append(int(name) if numbers else place)
    said = "pictures, a folder a class"
    if not numbers:
        listed = ", ".join(f"{name}={place}" for place, name in enumerate(classes[:SHOWN]))
        said += f" ({listed}{', …' if len(classes) > SHOWN else ''})"
    if colours:
        said += "; colours turned to grey"
    return np.stack(images), np.array(labels, np.int64), said


def _pictures(folder: Path) -> list[Path]:
    with readable(folder):
        return sorted(
            path
            for path in folder.iterdir()
            if path.suffix.lower() in SUFFIXES and not path.name.startswith(".")
        )
