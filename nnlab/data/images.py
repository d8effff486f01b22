"""Reading images to classify: from pictures, CSV tables, NumPy arrays and IDX files."""

import io
import math
import struct
import warnings
import zlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, TypeAlias

import numpy as np
from numpy.typing import NDArray

from nnlab.arrays import Array
from nnlab.data.files import readable
from nnlab.data.idx import read_idx
from nnlab.data.kaggle import MAX_VALUE, read_images
from nnlab.errors import DataError
from nnlab.system.stored_files import NUMPY_ERRORS

Kind: TypeAlias = Literal["table", "array", "idx", "picture"]


@dataclass(frozen=True)
class Images:
    """Images to classify.

    Attributes
    ----------
    pixels : Array
        (images, pixels), whole numbers from 0 to 255 or floats in [0, 1]; may be a memory map.
    labels : NDArray of int64 or None
        (images,), where the file has them.
    names : sequence of str or int
        A picture's file; of images in one file, their numbers, counted from 1.
    """

    pixels: Array
    labels: NDArray[np.int64] | None
    names: Sequence[str | int]

    @property
    def bright(self) -> bool:
        """Whether they are more white than black, as drawings on paper are."""
        return float(self.pixels.mean()) > _white(self.pixels) / 2


def kind_of(path: Path) -> Kind:
    """Tell from a file's name what it holds.

    Raises
    ------
    DataError
        Where the suffix is unknown.
    """
    name = path.name.lower()
    match Path(name).suffix:
        case ".npy":
            return "array"
        case ".png" | ".jpg" | ".jpeg":
            return "picture"
    plain = name.removesuffix(".gz")
    if plain.endswith(".csv"):
        return "table"
    if plain.endswith((".idx", "ubyte")):
        return "idx"
    raise DataError(
        f"{path}: found a name that tells no kind of file, expected .csv, .npy, .png, .jpg, or "
        "for IDX images .idx or …-ubyte (.csv and IDX gzipped or not)."
    )


def kinds_of(paths: Sequence[Path]) -> set[Kind]:
    """Check that the files are pictures, or one file of many images; return their kinds.

    Raises
    ------
    DataError
        Where they are neither.
    """
    kinds = {kind_of(path) for path in paths}
    if len(paths) > 1 and kinds != {"picture"}:
        other = next(path for path in paths if kind_of(path) != "picture")
        raise DataError(
            f"{other}: found {len(paths)} files, expected this one alone: only pictures (.png, "
            ".jpg) are classified several at a time."
        )
    return kinds


def load_images(paths: Sequence[Path], pixels: int) -> Images:
    """Read the images of some files.

    Parameters
    ----------
    paths : sequence of Path
        Pictures, or one file of many images.
    pixels : int
        Number of pixels of an image that the network takes.

    Raises
    ------
    DataError
        Where a file is missing, broken, or holds images of another size.
    """
    (kind,), path = kinds_of(paths), paths[0]
    if kind == "picture":
        grey = [_picture(picture, pixels).reshape(-1) for picture in paths]
        return Images(np.stack(grey), None, [str(picture) for picture in paths])
    labels: NDArray[np.int64] | None = None
    if kind == "table":
        rows, labels = read_images(path)
        _check_width(rows.shape[1], path, pixels, labelled=labels is not None)
    elif kind == "array":
        rows = _array(path, pixels)
    else:
        rows = _rows(read_idx(path, 3), path, pixels)
    return Images(rows, labels, range(1, len(rows) + 1))


def _check_width(columns: int, path: Path, pixels: int, *, labelled: bool) -> None:
    if columns != pixels:
        unnamed = not labelled and columns == pixels + 1
        raise DataError(
            f"{path}: found images of {columns} pixels, expected {pixels} as the network sees"
            + ("; is one of the columns the label, call it `label` in a header." * unnamed or ".")
        )


def _rows(array: Array, path: Path | str, pixels: int) -> Array:
    """Return the images of an array as its rows, (images, pixels)."""
    match array.shape:
        case (0, *_):
            raise DataError(f"{path}: found no images, expected at least one.")
        case (_, width) if width == pixels:
            return array
        case (height, width) if height * width == pixels:
            return array.reshape(1, pixels)
        case (_, height, width) if height * width == pixels:
            return array.reshape(-1, pixels)
    raise DataError(
        f"{path}: found an array of shape {array.shape}, expected {pixels} pixels an image as the "
        "network sees: (images, pixels), (images, rows, columns), or (rows, columns) of one."
    )


def _array(path: Path, pixels: int) -> Array:
    """Open an array that ``numpy.save`` wrote, as a memory map."""
    with readable(path):
        try:
            array = np.load(path, mmap_mode="r", allow_pickle=False)
        except NUMPY_ERRORS as error:
            reason = (str(error).strip() or type(error).__name__).splitlines()[0]
            raise DataError(
                f"{path}: found no array of numbers as numpy.save writes it ({reason})."
            ) from error
    if not isinstance(array, np.ndarray):
        raise DataError(f"{path}: found an archive of several arrays, expected one as numpy.save.")
    return _checked_rows(array, path, pixels)


def array_images(array: Array, pixels: int) -> Images:
    """Take images from an array in memory, as ``load_images`` does from a file.

    Parameters
    ----------
    array : Array
        (images, pixels), (images, rows, columns), or (rows, columns) of one.
    pixels : int
        Number of pixels of an image that the network takes.

    Raises
    ------
    DataError
        Where it holds images of another size, or no pixels.
    """
    rows = _checked_rows(array, "images", pixels)
    return Images(rows, None, range(1, len(rows) + 1))


def _checked_rows(array: Array, source: Path | str, pixels: int) -> Array:
    """Return the images of an array as its rows; refuse values that are no pixels."""
    rows = _rows(array, source, pixels)
    if rows.dtype.kind not in "uif":
        raise DataError(f"{source}: found values of type {rows.dtype}, expected uint8.")
    lowest, highest = rows.min(), rows.max()  # NaN if any value is
    if not (lowest >= 0 and highest <= _white(rows)):
        raise DataError(
            f"{source}: found {rows.dtype} values from {lowest} to {highest}, expected whole "
            f"numbers from 0 to {MAX_VALUE} (as uint8, say), or floats from 0 to 1: divided by "
            f"{MAX_VALUE} already."
        )
    return rows


def _white(pixels: Array) -> int:
    return 1 if pixels.dtype.kind == "f" else MAX_VALUE


def _picture(path: Path, pixels: int) -> NDArray[np.uint8]:
    """Read a picture as (rows, columns) grey values."""
    from PIL import Image, ImageOps

    with readable(path):
        content = path.read_bytes()
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error", Image.DecompressionBombWarning)
            image = Image.open(io.BytesIO(content), formats=("PNG", "JPEG"))
            _check_size(image.size, path, pixels)  # before it is decompressed
            upright = ImageOps.exif_transpose(image)
            opaque = not upright.has_transparency_data or (
                upright.convert("RGBA").getchannel("A").getextrema() == (MAX_VALUE, MAX_VALUE)
            )
            grey = np.asarray(upright.convert("L"))
    except (
        OSError, SyntaxError, ValueError, EOFError, struct.error, zlib.error,
        Image.DecompressionBombError, Image.DecompressionBombWarning,
    ) as error:  # fmt: skip
        raise DataError(
            f"{path}: found no whole PNG or JPEG picture ({str(error).strip() or 'broken'})."
        ) from error
    if upright.mode.startswith(("I", "F")):
        raise DataError(f"{path}: found more than 8 bits a pixel, expected 8: convert it.")
    if not opaque:
        raise DataError(
            f"{path}: found transparent pixels, expected none: lay it on its background first."
        )
    return grey


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
