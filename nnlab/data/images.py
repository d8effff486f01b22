"""Reading images to classify: from pictures, CSV tables, NumPy arrays and IDX files."""

import io
from collections.abc import Sequence
from dataclasses import dataclass
from math import isqrt
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from nnlab.arrays import Array
from nnlab.data.arff import split_arff
from nnlab.data.content import NPY_MAGIC, UNPACK, ZIP_MAGIC, Kind, kind_of, read_content
from nnlab.data.csv_table import read_table
from nnlab.data.files import readable
from nnlab.data.idx import read_idx
from nnlab.data.named_arrays import by_part, read_array, read_arrays
from nnlab.data.pictures import read_picture
from nnlab.data.pixel_values import OPTION, white_of
from nnlab.errors import DataError

HEAD = 4096  # bytes that tell what a file is


@dataclass(frozen=True)
class Images:
    """Images to classify.

    Attributes
    ----------
    pixels : Array
        (images, pixels), from 0 to ``white``; may be a memory map.
    white : float
        The value that is white.
    labels : NDArray of int64 or None
        (images,), where the file has them.
    names : sequence of str or int
        A picture's file; of images in one file, their numbers, counted from 1.
    said : str
        How a table or an archive was read.
    """

    pixels: Array
    white: float
    labels: NDArray[np.int64] | None
    names: Sequence[str | int]
    said: str = ""

    @property
    def bright(self) -> bool:
        """Whether they are more white than black, as drawings on paper are."""
        return float(self.pixels.mean()) > self.white / 2


def kinds_of(paths: Sequence[Path]) -> set[Kind]:
    """Check that the files are pictures, or one file of many images; return their kinds.

    Raises
    ------
    DataError
        Where they are neither.
    """
    kinds = {path: _kind(path) for path in paths}
    if len(paths) > 1 and set(kinds.values()) != {"picture"}:
        other = next(path for path in paths if kinds[path] != "picture")
        raise DataError(
            f"{other}: found {len(paths)} files, expected this one alone: only pictures (.png, "
            ".jpg) are classified several at a time."
        )
    return set(kinds.values())


def _kind(path: Path) -> Kind:
    """Tell what a file is; only a packed one is read whole."""
    with readable(path), path.open("rb") as file:
        head = file.read(HEAD)
    packed = head.startswith((ZIP_MAGIC, *UNPACK))
    return read_content(path).kind if packed else kind_of(head, path)


def load_images(
    paths: Sequence[Path], pixels: int, *,
    pixel_max: float | None = None, trained_with: float | None = None, transpose: bool = False,
) -> Images:  # fmt: skip
    """Read the images of some files.

    Parameters
    ----------
    paths : sequence of Path
        Pictures, or one file of many images.
    pixels : int
        Number of pixels of an image that the network takes.
    pixel_max : float or None
        The value that is white; None to tell it by the values.
    trained_with : float or None
        The value that was given as white when the network was trained: it counts where the values
        do not tell.
    transpose : bool
        Whether the rows and columns of images in a file of many change places, as when the network
        was trained. Pictures are upright.

    Raises
    ------
    DataError
        Where a file is missing, broken, or holds images of another size.
    """
    (kind,), path = kinds_of(paths), paths[0]
    labels: Array | None = None
    said = ""
    names: Sequence[str | int] | None = None
    numbers = pixel_max is not None or trained_with is not None
    if kind == "picture":
        rows = np.stack([read_picture(picture, pixels).reshape(-1) for picture in paths])
        names = [str(picture) for picture in paths]
    elif kind in ("table", "arff"):
        content, columns = read_content(path).data, None
        if kind == "arff":
            columns, content = split_arff(content, path)
        rows, labels, said = read_table(
            content, path, pixels=pixels, numbers=numbers, names=columns
        )
        said = said.partition("; ")[2]  # what was decided by rule
        _check_width(rows.shape[1], path, pixels, labelled=labels is not None)
    elif kind == "npz":
        arrays = read_arrays(read_content(path).data, path)
        rows, labels, said = _from_archive(arrays, path, pixels)
    elif kind == "npy":
        rows = _rows(_array(path), path, pixels)
    else:
        rows = _rows(read_idx(path, 3), path, pixels)
    try:
        white = white_of(rows, path, pixel_max, option=OPTION)
    except DataError:
        if trained_with is None or pixel_max is not None:
            raise
        white = white_of(rows, path, trained_with)
        said = f"{said}; " * bool(said) + f"white is {white:g}, as the run has it"
    side = isqrt(pixels)
    if transpose and kind != "picture" and side * side == pixels:
        rows = rows.reshape(-1, side, side).swapaxes(1, 2).reshape(-1, pixels)
        said = f"{said}; " * bool(said) + "images transposed, as those that the run trained on"
    return Images(rows, white, labels, names or range(1, len(rows) + 1), said)


def _array(path: Path) -> Array:
    """Open an array: as a memory map, unless its file is packed."""
    with readable(path), path.open("rb") as file:
        mapped = file.read(len(NPY_MAGIC)) == NPY_MAGIC
    return read_array(path if mapped else io.BytesIO(read_content(path).data), path)


def _from_archive(
    arrays: dict[str, Array], path: Path, pixels: int
) -> tuple[Array, Array | None, str]:
    """Return the test images of an archive; where it has none, its only or its training images."""
    keys = by_part(arrays, path, needed=False)
    part = "test" if ("test", "images") in keys else "train"
    name = keys.get((part, "images")) or (next(iter(arrays)) if len(arrays) == 1 else None)
    if name is None:
        raise DataError(
            f"{path}: found the arrays {', '.join(list(arrays)[:6])}, expected x_test or x_train."
        )
    labels = keys.get((part, "labels"))
    return (
        _rows(arrays[name], path, pixels),
        None if labels is None else arrays[labels].reshape(-1).astype(np.int64),
        f"array {name}",
    )


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
    rows = _rows(array, "images", pixels)
    return Images(rows, white_of(rows, "images"), None, range(1, len(rows) + 1))
