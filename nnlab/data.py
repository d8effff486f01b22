"""Images and labels as values: the dataset, its split, its digest."""

import hashlib
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True)
class Dataset:
    name: str
    pixels: NDArray[np.uint8]
    labels: NDArray[np.int64]
    image_shape: tuple[int, int]
    classes: int
    test_pixels: NDArray[np.uint8] | None
    test_labels: NDArray[np.int64] | None
    source: str


@dataclass(frozen=True)
class Split:
    train: NDArray[np.int64]
    val: NDArray[np.int64]


def split_dataset(dataset: Dataset, val_size: int, seed: int) -> Split:
    order = np.random.Generator(
        np.random.PCG64(np.random.SeedSequence(seed).spawn(2)[0])
    ).permutation(len(dataset.labels))
    return Split(order[val_size:], order[:val_size])


def batch_order(seed: int, epoch: int, samples: int) -> NDArray[np.int64]:
    return np.random.Generator(
        np.random.PCG64(np.random.SeedSequence(seed, spawn_key=(1, epoch)))
    ).permutation(samples)


def data_digest(dataset: Dataset, split: Split) -> str:
    digest = hashlib.sha256()
    for a in (dataset.pixels, dataset.labels, split.train, split.val):
        digest.update(np.ascontiguousarray(a).tobytes())
    return digest.hexdigest()
