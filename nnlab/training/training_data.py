"""What training reads: blocks for the full batch, rows for mini-batches."""

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import DTypeLike, NDArray

from nnlab.data.dataset import Dataset, Split, batch_order
from nnlab.training.arithmetic import Arithmetic, arithmetic_of
from nnlab.training.blocks import Block, Panel, make_blocks, make_panels


@dataclass(frozen=True)
class Batches:
    """Mini-batches: the training samples, in another order at every epoch.

    Attributes
    ----------
    pixels : NDArray[np.uint8]
        (samples, pixels).
    labels : NDArray[np.int64]
        Classes, (samples,).
    size : int
        Samples in a batch; the last one may be smaller.
    seed : int
        ``order_seed``, or else ``data.seed``; with the epoch it decides the order.
    arithmetic : Arithmetic
    """

    pixels: NDArray[np.uint8]
    labels: NDArray[np.int64]
    size: int
    seed: int
    arithmetic: Arithmetic

    def of_epoch(self, epoch: int) -> Iterator[tuple[NDArray[np.uint8], NDArray[np.int64]]]:
        """Yield ``(pixels, labels)`` batch by batch, every training sample once."""
        order = batch_order(self.seed, epoch, len(self.labels))
        for start in range(0, len(order), self.size):
            chosen = order[start : start + self.size]
            yield self.pixels[chosen], self.labels[chosen]


@dataclass(frozen=True)
class TrainingData:
    """All that training reads, prepared once per dataset, split and dtype.

    Attributes
    ----------
    train, val : tuple of Block
        The training and the validation samples.
    batches : Batches or None
        The training samples once more, in mini-batches; None for full-batch gradient descent.
    """

    train: tuple[Block, ...]
    val: tuple[Block, ...]
    batches: Batches | None = None

    @property
    def arithmetic(self) -> Arithmetic:
        """The arithmetic of training and of all metrics."""
        return self.train[0].arithmetic

    @cached_property
    def train_panels(self) -> tuple[Panel, ...]:
        """The training blocks, joined to panels."""
        return make_panels(self.train)

    @cached_property
    def val_panels(self) -> tuple[Panel, ...]:
        """The validation blocks, joined to panels."""
        return make_panels(self.val)

    @classmethod
    def prepare(
        cls,
        dataset: Dataset,
        split: Split,
        dtype: DTypeLike,
        batch_size: int | None,
        seed: int | None,
    ) -> "TrainingData":
        """Cut a dataset into blocks, and keep its rows too where there are mini-batches.

        Parameters
        ----------
        dataset : Dataset
        split : Split
        dtype : DTypeLike
            float32, float64 or exact.
        batch_size : int or None
            Samples in a mini-batch; None for the full batch.
        seed : int or None
            Of the mini-batches' order.
        """

        def blocks(members: NDArray[np.int64]) -> tuple[Block, ...]:
            return make_blocks(
                dataset.pixels[members], dataset.labels[members], dataset.image_shape, dtype
            )

        batches = None
        if batch_size is not None and seed is not None:
            labels = dataset.labels[split.train].astype(np.int64)
            batches = Batches(
                dataset.pixels[split.train], labels, batch_size, seed, arithmetic_of(dtype)
            )
        return cls(blocks(split.train), blocks(split.val), batches)
