"""Any file or folder of labelled images, whatever its format: told by its content, and said."""

import io
from dataclasses import dataclass, field
from math import isqrt, prod
from pathlib import Path
from typing import NamedTuple

import numpy as np

from nnlab.arrays import Array
from nnlab.data import arff, idx, named_arrays, pictures
from nnlab.data.columns import Choice
from nnlab.data.content import read_content
from nnlab.data.csv_table import read_table
from nnlab.data.dataset import Dataset
from nnlab.data.files import readable
from nnlab.data.pixel_values import are_whole, scale_said, to_bytes, white_of
from nnlab.errors import DataError
from nnlab.wording import counted

LISTED = 5  # entries of a folder in a message
IMAGE_DIMENSIONS = 3
TABLES = (".csv", ".csv.gz", ".csv.zip", ".tsv", ".txt")


@dataclass(frozen=True)
class Reading:
    """What the config says of how files are read.

    Attributes
    ----------
    pixel_max : float or None
        The value that is white; None to tell it by the values.
    choice : Choice
        The columns of tables.
    transpose : bool
        Whether rows and columns of the images change places.
    """

    pixel_max: float | None = None
    choice: Choice = field(default_factory=Choice)
    transpose: bool = False


class Part(NamedTuple):
    """Images with labels as a file has them: of the training or of the test set.

    Attributes
    ----------
    images : Array
        (images, rows, columns) or (images, pixels), of any numbers.
    labels : Array
        (images,)
    path : Path
        For messages.
    said : str
        What the file is.
    """

    images: Array
    labels: Array
    path: Path
    said: str


def load_file(
    name: str, path: Path, reading: Reading | None = None, test_path: Path | None = None
) -> Dataset:
    """Load a file or a folder of labelled images.

    Parameters
    ----------
    name : str
        What the dataset is called.
    path : Path
    reading : Reading or None
        None: all is told by the content.
    test_path : Path or None
        The test set, where it is a file or folder of its own.

    Raises
    ------
    DataError
        Where it cannot be read, or cannot be told what its columns or values mean.
    """
    reading = reading or Reading()
    train, test = _parts(path, reading)
    if test_path is not None:
        test, _ = _parts(test_path, reading)
    train = _checked(train)
    white = white_of(train.images, train.path, reading.pixel_max)
    pixels, exact = to_bytes(_oriented(train.images, reading), white)
    test_pixels = None
    if test is not None:
        test = _checked(test)
        test_pixels = _test_bytes(test, train, white, reading)
    shape = pixels.shape[1:] if pixels.ndim == IMAGE_DIMENSIONS else _shape(pixels.shape[1])
    said = [train.said, scale_said(white, exact=exact)]
    if np.ptp(train.labels) == 0:
        said.append("all images are of one class")
    if train.labels.min() > 0:
        said.append(f"labels from {train.labels.min()}, so class 0 has no images")
    if path.name.lower().startswith("emnist") or train.path.name.lower().startswith("emnist"):
        said.append(
            "images transposed" if reading.transpose
            else "EMNIST's images come transposed: data.transpose=true turns them upright"
        )  # fmt: skip
    return Dataset(
        name=name,
        pixels=pixels.reshape(len(pixels), -1),
        labels=train.labels,
        image_shape=(int(shape[0]), int(shape[1])),
        test_pixels=test_pixels,
        test_labels=None if test is None else test.labels,
        source=str(path),
        read_as="; ".join(said),
    )


def _parts(path: Path, reading: Reading) -> tuple[Part, Part | None]:
    if path.is_dir():
        return _folder_parts(path, reading)
    content = read_content(path)
    match content.kind:
        case "idx":
            named = idx.NAME.fullmatch(path.name)
            folder = path.parent
            if idx.NAME.fullmatch(folder.name):
                folder = folder.parent  # Kaggle's: a folder named like the file in it
            return _idx_parts(folder, None if named is None else named["prefix"], path)
        case "npz":
            return _array_parts(named_arrays.read_arrays(content.data, path), path, path)
        case "npy":
            array = named_arrays.read_array(io.BytesIO(content.data), path)
            raise DataError(
                f"{path}: found one array of shape {array.shape}, and no labels: save both with "
                "numpy.savez('mnist.npz', x_train=…, y_train=…), or give a folder that holds "
                "x_train.npy and y_train.npy."
            )
        case "picture":
            raise DataError(
                f"{path}: found one picture, expected a folder that holds a folder for each class."
            )
        case "arff":
            names, body = arff.split_arff(content.data, path)
            return _table_part(body, path, reading, names), None
        case "table":
            return _table_part(content.data, path, reading), None


def _table_part(
    content: bytes, path: Path, reading: Reading, names: list[str] | None = None
) -> Part:
    numbers = reading.pixel_max is not None
    table = read_table(content, path, reading.choice, numbers=numbers, names=names)
    assert table.labels is not None, "a table to train on has labels, or is refused"
    return Part(table.pixels, table.labels, path, table.said)


def _folder_parts(folder: Path, reading: Reading) -> tuple[Part, Part | None]:
    """Read a folder: of IDX files, of arrays, of pictures, or of one table beside its test set."""
    with readable(folder):
        entries = sorted(path for path in folder.iterdir() if not path.name.startswith("."))
    if any(idx.NAME.fullmatch(path.name) for path in entries):
        return _idx_parts(folder, None, folder)
    for train, test in ((folder / "train", folder / "test"), (folder, folder / "none")):
        classes = pictures.classes_of(train) if train.is_dir() else []
        if classes:
            tested = test.is_dir() and pictures.classes_of(test)
            return _picture_part(train, classes), _picture_part(test, classes) if tested else None
    arrays = {path.stem: path for path in entries if path.suffix == ".npy"}
    if arrays:
        read = {name: named_arrays.read_array(path, path) for name, path in arrays.items()}
        return _array_parts(read, folder, folder)
    files = [path for path in entries if path.is_file()]
    tables = [path for path in files if path.name.lower().endswith(TABLES)]
    trains = [path for path in tables if "train" in path.name.lower()]
    if len(trains) == 1:
        return _parts(trains[0], reading)
    if len(files) == 1:
        return _parts(files[0], reading)
    listed = ", ".join(path.name for path in entries[:LISTED]) or "nothing"
    raise DataError(
        f"{folder}: found no training images, expected train-images-idx3-ubyte (or with .gz), "
        f"x_train.npy, or a folder of pictures for each class. It holds {listed}"
        f"{', …' if len(entries) > LISTED else ''}: give one of its files."
    )


def _picture_part(folder: Path, classes: list[str]) -> Part:
    images, labels, said = pictures.read_classes(folder, classes)
    return Part(images, labels, folder, said)


def _idx_parts(folder: Path, prefix: str | None, asked: Path) -> tuple[Part, Part | None]:
    files = idx.find_files(folder, prefix)
    parts = []
    for part in ("train", "test"):
        if (part, "images") not in files:
            continue
        images_path, labels_path = files[part, "images"], files[part, "labels"]
        images, labels = idx.read_idx(images_path, 3), idx.read_idx(labels_path, 1)
        if len(images) != len(labels):
            raise DataError(
                f"{images_path}: found {counted(len(images), 'image')} but {len(labels):,} "
                f"labels in {labels_path.name}, expected one each."
            )
        parts.append(Part(images, labels, images_path, "IDX files"))
    if asked != folder and asked not in files.values():
        raise DataError(f"{asked}: its name tells no part of a dataset: give {folder}.")
    train, *tests = parts
    return train, tests[0] if tests else None


def _array_parts(arrays: dict[str, Array], path: Path, asked: Path) -> tuple[Part, Part | None]:
    keys = named_arrays.by_part(arrays, path)
    parts = []
    for part in ("train", "test"):
        if (part, "images") in keys and (part, "labels") in keys:
            images, labels = (arrays[keys[part, kind]] for kind in ("images", "labels"))
            said = f"NumPy arrays {keys[part, 'images']} and {keys[part, 'labels']}"
            parts.append(Part(images, labels, asked, said))
    train, *tests = parts
    return train, tests[0] if tests else None


def _checked(part: Part) -> Part:
    """Return a part whose arrays have the shapes of images and labels; labels as int64."""
    images, labels, path = part.images, part.labels, part.path
    if images.ndim == IMAGE_DIMENSIONS + 1 and 1 in (images.shape[1], images.shape[3]):
        images = images[:, 0] if images.shape[1] == 1 else images[..., 0]
    if images.ndim not in (IMAGE_DIMENSIONS - 1, IMAGE_DIMENSIONS) or not images.size:
        raise DataError(
            f"{path}: found images of shape {images.shape}, expected (images, rows, columns) in "
            "grey, or (images, pixels)."
        )
    if labels.ndim == 2 and labels.shape[1] == 1:  # noqa: PLR2004 - a column
        labels = labels[:, 0]
    if labels.ndim == 2 and _is_one_hot(labels):  # noqa: PLR2004 - images and classes
        labels = labels.argmax(axis=1)
        part = part._replace(said=f"{part.said}; one-hot labels")
    if labels.ndim != 1 or labels.dtype.kind not in "uif" or not are_whole(labels):
        raise DataError(
            f"{path}: found labels of shape {labels.shape} and type {labels.dtype}, expected a "
            "whole number an image."
        )
    return part._replace(images=images, labels=labels.astype(np.int64))


def _is_one_hot(labels: Array) -> bool:
    return labels.dtype.kind in "buif" and bool(
        ((labels == 0) | (labels == 1)).all() and (labels.sum(axis=1) == 1).all()
    )


def _test_bytes(test: Part, train: Part, white: float, reading: Reading) -> Array:
    """Scale the test images as the training images are; refuse those of another scale."""
    sizes, expected = test.images.shape[1:], train.images.shape[1:]
    if prod(sizes) != prod(expected) or (len(sizes) == len(expected) and sizes != expected):
        raise DataError(
            f"{test.path}: test images are {_said_shape(test)}, expected {_said_shape(train)} as "
            "the training images are."
        )
    highest = test.images.max()
    if reading.pixel_max is None and highest > 0:
        own = white if 1 < highest <= white else white_of(test.images, test.path)
        if own != white:
            raise DataError(
                f"{test.path}: found test pixels from 0 to {highest:g}, where training pixels go "
                f"to {white:g}: both must have one scale. If they have: data.pixel_max={white:g}."
            )
    else:
        white = white_of(test.images, test.path, white)
    return to_bytes(_oriented(test.images, reading), white)[0].reshape(len(test.images), -1)


def _said_shape(part: Part) -> str:
    sizes = part.images.shape[1:]
    return " × ".join(map(str, sizes)) if len(sizes) > 1 else f"of {sizes[0]} pixels"


def _shape(pixels: int) -> tuple[int, int]:
    """Return rows and columns: a square where the number of pixels is one, else a single row."""
    side = isqrt(pixels)
    return (side, side) if side * side == pixels else (1, pixels)


def _oriented(images: Array, reading: Reading) -> Array:
    """Return the images as they are, or with rows and columns exchanged."""
    if not reading.transpose:
        return images
    if images.ndim == IMAGE_DIMENSIONS - 1:
        images = images.reshape(-1, *_shape(images.shape[1]))
    return np.ascontiguousarray(images.swapaxes(1, 2))
