"""Images and labels as values: the dataset, its split, the order of its batches, its digest."""

import hashlib
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from nnlab.errors import DataError
from nnlab.network import Array

MAX_CLASSES = 256  # labels are bytes in every format that is read

# The streams that are spawned from ``data.seed``.
SPLIT_STREAM, ORDER_STREAM = 0, 1


@dataclass(frozen=True)
class Dataset:
    """Images with their labels; arrays are read-only.

    Attributes
    ----------
    name : str
    pixels : (images, pixels) uint8
        One image a row, which is how they are stored; the notes' ``X`` has them as columns.
    labels : (images,) int64
        0 to ``classes - 1``.
    image_shape : rows and columns of an image
    test_pixels, test_labels : like ``pixels`` and ``labels``
        Images that are looked at once, after training; None where there are none.
    source : str
        Where it came from, for people.

    Raises
    ------
    DataError
        Where counts, shapes or labels do not fit together.
    """

    name: str
    pixels: NDArray[np.uint8]
    labels: NDArray[np.int64]
    image_shape: tuple[int, int]
    test_pixels: NDArray[np.uint8] | None
    test_labels: NDArray[np.int64] | None
    source: str

    def __post_init__(self) -> None:
        _check(self.source, self.pixels, self.labels, self.image_shape)
        if self.test_pixels is not None and self.test_labels is not None:
            _check(f"the test set of {self.source}", self.test_pixels, self.test_labels)
            if self.test_pixels.shape[1] != self.pixels.shape[1]:
                raise DataError(
                    f"{self.source}: test images have {self.test_pixels.shape[1]} pixels, "
                    f"expected {self.pixels.shape[1]} as in the training images."
                )
            if self.test_labels.max() >= self.classes:
                raise DataError(
                    f"{self.source}: found the test label {self.test_labels.max()}, expected "
                    f"labels up to {self.classes - 1} as in the training set."
                )
        for array in (self.pixels, self.labels, self.test_pixels, self.test_labels):
            if array is not None:
                array.flags.writeable = False

    @property
    def classes(self) -> int:
        """Number of classes: one more than the largest label."""
        return int(self.labels.max()) + 1


def _check(
    source: str,
    pixels: NDArray[np.uint8],
    labels: NDArray[np.int64],
    image_shape: tuple[int, int] | None = None,
) -> None:
    if len(labels) == 0 or pixels.size == 0:
        raise DataError(f"{source}: found no images, expected at least one.")
    if len(pixels) != len(labels):
        raise DataError(
            f"{source}: found {len(pixels)} images but {len(labels)} labels, expected one each."
        )
    if labels.min() < 0 or labels.max() >= MAX_CLASSES:
        outlier = labels.min() if labels.min() < 0 else labels.max()
        raise DataError(f"{source}: found the label {outlier}, expected 0 to {MAX_CLASSES - 1}.")
    assert pixels.dtype == np.uint8
    assert image_shape is None or image_shape[0] * image_shape[1] == pixels.shape[1]


@dataclass(frozen=True)
class Split:
    """Which images train and which validate: indices into the dataset's own order.

    Attributes
    ----------
    train, val : (images,) int64
    """

    train: NDArray[np.int64]
    val: NDArray[np.int64]


def split_dataset(dataset: Dataset, val_size: int, seed: int) -> Split:
    """Shuffle, hold out the first ``val_size`` images for validation, and train on the rest.

    As in the notes. The seed alone decides it, ``data.seed``.

    Raises
    ------
    DataError
        Where nothing would be left to train on.
    """
    images = len(dataset.labels)
    if not 1 <= val_size < images:
        raise DataError(
            f"data.val_size={val_size} is not allowed: {dataset.name} has {images} images, so "
            f"data.val_size must be from 1 to {images - 1}."
        )
    order = _generator(seed, SPLIT_STREAM).permutation(images)
    return Split(train=order[val_size:], val=order[:val_size])


def batch_order(seed: int, epoch: int, samples: int) -> NDArray[np.int64]:
    """Return the order in which an epoch's mini-batches take the training samples.

    Derived from the seed and the epoch alone, so that training resumes anywhere with the same
    batches, and all runs of a sweep see them in the same order.
    """
    return _generator(seed, ORDER_STREAM, epoch).permutation(samples)


def _generator(seed: int, *stream: int) -> np.random.Generator:
    sequence = np.random.SeedSequence(seed, spawn_key=stream)
    return np.random.Generator(np.random.PCG64(sequence))


def data_digest(dataset: Dataset, split: Split) -> str:
    """Return the SHA-256, in hex, over all pixels and labels, the test set and the split.

    Neither the name nor the source enters: the same images from another file have the same
    digest. Each array is framed by its name, dtype and shape.
    """
    digest = hashlib.sha256(f"image {dataset.image_shape}\n".encode())
    arrays: dict[str, Array | None] = {
        "pixels": dataset.pixels,
        "labels": dataset.labels,
        "test pixels": dataset.test_pixels,
        "test labels": dataset.test_labels,
        "train": split.train,
        "val": split.val,
    }
    for name, array in arrays.items():
        if array is None:
            continue
        canonical = np.ascontiguousarray(array, array.dtype.newbyteorder("<"))
        digest.update(f"{name} {canonical.dtype.str} {canonical.shape}\n".encode())
        digest.update(canonical.data)
    return digest.hexdigest()
