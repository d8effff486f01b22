"""Images and labels as values: the dataset, its split, the order of its batches, its digest."""

import hashlib
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from nnlab.arrays import Array
from nnlab.errors import DataError

MAX_CLASSES = 256  # labels are bytes in every format that is read


@dataclass(frozen=True)
class Dataset:
    """Images with their labels.

    The arrays are read-only views of those that were given, which stay as they were; only an
    array that is not C-contiguous is copied.

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
        _check(self.source, self.pixels, self.labels)
        assert self.image_shape[0] * self.image_shape[1] == self.pixels.shape[1]
        if (self.test_pixels is None) != (self.test_labels is None):
            lonely, missing = (
                ("images", "labels") if self.test_labels is None else ("labels", "images")
            )
            raise DataError(f"{self.source}: found test {lonely} without test {missing}.")
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
        for field in ("pixels", "labels", "test_pixels", "test_labels"):
            array = getattr(self, field)
            if array is not None:
                view = np.ascontiguousarray(array).view()
                view.flags.writeable = False
                object.__setattr__(self, field, view)  # how a frozen dataclass completes itself

    @property
    def classes(self) -> int:
        """Number of classes: one more than the largest label."""
        return int(self.labels.max()) + 1


def _check(source: str, pixels: NDArray[np.uint8], labels: NDArray[np.int64]) -> None:
    assert pixels.dtype == np.uint8
    assert pixels.ndim == 2  # noqa: PLR2004 - images and pixels
    assert labels.dtype == np.int64
    assert labels.ndim == 1
    if len(labels) == 0 or pixels.size == 0:
        raise DataError(f"{source}: found no images, expected at least one.")
    if len(pixels) != len(labels):
        raise DataError(
            f"{source}: found {len(pixels)} images but {len(labels)} labels, expected one each."
        )
    if labels.min() < 0 or labels.max() >= MAX_CLASSES:
        outlier = labels.min() if labels.min() < 0 else labels.max()
        raise DataError(f"{source}: found the label {outlier}, expected 0 to {MAX_CLASSES - 1}.")


@dataclass(frozen=True)
class Split:
    """Which images train and which validate: indices into the dataset's own order.

    Attributes
    ----------
    train, val : (images,) int64
    """

    train: NDArray[np.int64]
    val: NDArray[np.int64]


def split_stream(seed: int) -> np.random.Generator:
    """Return the generator that decides the split: the first child of ``data.seed``."""
    return np.random.Generator(np.random.PCG64(np.random.SeedSequence(seed).spawn(2)[0]))


def order_stream(seed: int) -> np.random.SeedSequence:
    """Return the root of the batch orders: the second child of ``data.seed``.

    A seed sequence and not a generator, because each epoch derives its own order from it.
    """
    return np.random.SeedSequence(seed).spawn(2)[1]


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
    order = split_stream(seed).permutation(images)
    return Split(train=order[val_size:], val=order[:val_size])


def batch_order(seed: int, epoch: int, samples: int) -> NDArray[np.int64]:
    """Return the order in which an epoch's mini-batches take the training samples.

    Derived from the seed and the epoch alone, so that training resumes anywhere with the same
    batches, and all runs of a sweep see them in the same order.
    """
    root = order_stream(seed)
    sequence = np.random.SeedSequence(root.entropy, spawn_key=(*root.spawn_key, epoch))
    return np.random.Generator(np.random.PCG64(sequence)).permutation(samples)


def content_digest(dataset: Dataset) -> str:
    """Return the SHA-256, in hex, over all pixels and labels and the test set.

    Neither the name nor the source enters: the same images from another file have the same
    digest. Each array is framed by its name, dtype and shape.
    """
    return _content(dataset).hexdigest()


def data_digest(dataset: Dataset, split: Split) -> str:
    """Return the digest of the content, as ``content_digest`` has it, and the split."""
    digest = _content(dataset)
    _absorb(digest, "train", split.train)
    _absorb(digest, "val", split.val)
    return digest.hexdigest()


def _content(dataset: Dataset) -> "hashlib._Hash":
    digest = hashlib.sha256(f"image {dataset.image_shape}\n".encode())
    _absorb(digest, "pixels", dataset.pixels)
    _absorb(digest, "labels", dataset.labels)
    if dataset.test_pixels is not None and dataset.test_labels is not None:
        _absorb(digest, "test pixels", dataset.test_pixels)
        _absorb(digest, "test labels", dataset.test_labels)
    return digest


def _absorb(digest: "hashlib._Hash", name: str, array: Array) -> None:
    """Add an array behind a line that tells where it ends, so that no two contents run together."""
    canonical = np.ascontiguousarray(array, array.dtype.newbyteorder("<"))
    digest.update(f"{name} {canonical.dtype.str} {canonical.shape}\n".encode())
    digest.update(canonical.data)
