"""Images and labels as values: the dataset, its split, the order of its batches, its digest."""

import hashlib
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from nnlab.arrays import Array
from nnlab.data.permutation import permutation
from nnlab.errors import DataError
from nnlab.wording import counted

MAX_CLASSES = 256  # labels are bytes in every format that is read


@dataclass(frozen=True)
class Dataset:
    """Images with their labels.

    The arrays are read-only views of the given ones, which stay writeable; only an array that is
    not C-contiguous is copied.

    Attributes
    ----------
    name : str
        The name that runs record.
    pixels : NDArray of uint8
        (images, pixels), an image in each row as it is stored; the columns of the notes' ``X``.
    labels : NDArray of int64
        (images,), from 0 to ``classes - 1``.
    image_shape : tuple of int
        Rows and columns of an image.
    test_pixels, test_labels : NDArray or None
        Like ``pixels`` and ``labels``: images that are evaluated once, after training.
    source : str
        Where the images come from, for messages.
    read_as : str
        What the files were taken for, where that was told by their content.

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
    read_as: str = ""

    def __post_init__(self) -> None:
        _check(self.source, self.pixels, self.labels)
        assert self.image_shape[0] * self.image_shape[1] == self.pixels.shape[1]
        if (self.test_pixels is None) != (self.test_labels is None):
            present, missing = (
                ("images", "labels") if self.test_labels is None else ("labels", "images")
            )
            raise DataError(f"{self.source}: found test {present} without test {missing}.")
        if self.test_pixels is not None and self.test_labels is not None:
            _check(f"the test set of {self.source}", self.test_pixels, self.test_labels)
            if self.test_pixels.shape[1] != self.pixels.shape[1]:
                raise DataError(
                    f"{self.source}: test images have "
                    f"{counted(self.test_pixels.shape[1], 'pixel')}, expected "
                    f"{self.pixels.shape[1]} as in the training images."
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
    def said(self) -> str:
        """What was read, in a line; empty where only one format is possible."""
        if not self.read_as:
            return ""
        rows, columns = self.image_shape
        test = "" if self.test_labels is None else f" (and {len(self.test_labels):,} to test)"
        return (
            f"{self.source}: {counted(len(self.labels), 'image')}{test} of {rows} × {columns}, "
            f"{counted(len(np.unique(self.labels)), 'class')}; {self.read_as}."
        )

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
            f"{source}: found {counted(len(pixels), 'image')} but {counted(len(labels), 'label')}, "
            "expected one each."
        )
    if labels.min() < 0 or labels.max() >= MAX_CLASSES:
        outlier = labels.min() if labels.min() < 0 else labels.max()
        raise DataError(f"{source}: found the label {outlier}, expected 0 to {MAX_CLASSES - 1}.")


@dataclass(frozen=True)
class Split:
    """Which images train and which validate.

    Attributes
    ----------
    train, val : NDArray of int64
        Indices into the dataset's images.
    """

    train: NDArray[np.int64]
    val: NDArray[np.int64]


def _spawn(seed: int) -> tuple[np.random.SeedSequence, np.random.SeedSequence]:
    """Return the two children of ``data.seed``: for the split, and for the order of batches."""
    split, order = np.random.SeedSequence(seed).spawn(2)
    return split, order


def split_dataset(dataset: Dataset, val_size: int, seed: int) -> Split:
    """Shuffle the images, take the first ``val_size`` for validation and the rest for training.

    This is the split of the notes.

    Parameters
    ----------
    dataset : Dataset
        Whose images are split; its test images are apart.
    val_size : int
        Number of validation images.
    seed : int
        ``data.seed``, on which alone the order depends.

    Raises
    ------
    DataError
        Where nothing would be left to train on, or to validate with.
    """
    images = len(dataset.labels)
    if not 1 <= val_size < images:
        raise DataError(
            f"data.val_size={val_size} is not allowed: {dataset.name} has {images} images, so "
            f"data.val_size must be from 1 to {images - 1}."
        )
    order = permutation(_spawn(seed)[0], images)
    return Split(train=order[val_size:], val=order[:val_size])


def batch_order(seed: int, epoch: int, samples: int) -> NDArray[np.int64]:
    """Return the order in which an epoch's mini-batches take the training samples.

    It depends on ``data.seed`` and the epoch alone, so that training resumes at any epoch with the
    same batches, and all runs of a sweep see them in the same order.

    Parameters
    ----------
    seed : int
        ``data.seed``.
    epoch : int
        From 0.
    samples : int
        Number of training samples.

    Returns
    -------
    NDArray of int64
        (samples,), a permutation.
    """
    root = _spawn(seed)[1]  # has a child for each epoch, which is made without those before it
    sequence = np.random.SeedSequence(root.entropy, spawn_key=(*root.spawn_key, epoch))
    return permutation(sequence, samples)


def data_digest(dataset: Dataset, split: Split) -> str:
    """Return the SHA-256, in hex, of all pixels and labels, the test set and the split.

    It does not depend on the name or the source: the same images from another file have the same
    digest.
    """
    digest = hashlib.sha256(f"image {dataset.image_shape}\n".encode())
    _add_array(digest, "pixels", dataset.pixels)
    _add_array(digest, "labels", dataset.labels)
    if dataset.test_pixels is not None and dataset.test_labels is not None:
        _add_array(digest, "test pixels", dataset.test_pixels)
        _add_array(digest, "test labels", dataset.test_labels)
    _add_array(digest, "train", split.train)
    _add_array(digest, "val", split.val)
    return digest.hexdigest()


def _add_array(digest: "hashlib._Hash", name: str, array: Array) -> None:
    """Add a line with name, dtype and shape, so that no two contents give the same bytes."""
    canonical = np.ascontiguousarray(array, array.dtype.newbyteorder("<"))
    digest.update(f"{name} {canonical.dtype.str} {canonical.shape}\n".encode())
    digest.update(canonical.data)
