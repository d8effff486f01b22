"""Samples as training reads them: blocks that fit in cache, without the pixels that are all black.

About 80 % of MNIST's pixels are zero, and a product with zero contributes nothing: neither to
``W1 X`` nor to ``dZ1 Xᵀ``. So a block keeps only those pixel columns that any of its samples
uses. The order of the samples does not matter to full-batch gradient descent. It is therefore
chosen such that the samples of a block use the same pixels.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from itertools import pairwise

import numpy as np
from numpy.typing import DTypeLike, NDArray

from nnlab.arrays import Array
from nnlab.training.arithmetic import Arithmetic, arithmetic_of

TILE = 16  # kernels treat samples and columns in groups of up to 16: no remainder, no special case
# Measured on full MNIST: smaller blocks keep fewer columns but cost more calls a sample.
SAMPLES_A_BLOCK = 1024
BLOCKS_A_PANEL = 4  # at one run, a call on fewer samples costs more to make than to carry out
FEWEST_PANELS = 4  # where there are as many blocks


@dataclass(frozen=True)
class Block:
    """Samples, with the pixel columns that any of them uses.

    Attributes
    ----------
    x : Array
        Pixels in [0, 1], one sample a row, (rows, width): the transpose of the notes' ``X``.
        Behind the pixels stands a column of ones, by which the bias is multiplied:
        ``W1 X + b1 = [W1 b1] [X; 1]``. ``rows`` and ``width`` are multiples of 16; rows behind
        the samples and columns behind that of ones are padding, and zero. All is 255 times as
        large where the arithmetic is exact.
    columns : NDArray[np.int64]
        The pixel that each column holds, (width,); for the column of ones and the padding, the
        number of pixels.
    used : int
        Number of columns that hold pixels.
    labels : NDArray[np.int64]
        Classes, (samples,); ``samples <= rows``.
    members : NDArray[np.int64]
        Indices of the samples among those that ``make_blocks`` was given, (samples,).
    pixels : int
        Pixels of an image.
    arithmetic : Arithmetic
        That of products with ``x``.
    """

    x: Array
    columns: NDArray[np.int64]
    used: int
    labels: NDArray[np.int64]
    members: NDArray[np.int64]
    pixels: int
    arithmetic: Arithmetic

    @property
    def samples(self) -> int:
        """Number of samples, without the padding."""
        return int(self.labels.size)

    @cached_property
    def column_of_pixel(self) -> NDArray[np.int64]:
        """The column of each pixel, and then that of ones, (pixels + 1,).

        A pixel without a column has the number of columns, one past the last.
        """
        columns = np.full(self.pixels + 1, len(self.columns))
        columns[self.columns[: self.used + 1]] = np.arange(self.used + 1)
        return columns


@dataclass(frozen=True)
class Panel:
    """Neighbouring blocks that one thread computes together: all but the first layer in one go.

    Attributes
    ----------
    blocks : tuple of Block
        Only the last may have padded samples.
    labels : NDArray[np.int64]
        Classes of all their samples, (samples,).
    """

    blocks: tuple[Block, ...]
    labels: NDArray[np.int64]

    @property
    def arithmetic(self) -> Arithmetic:
        """That of products with its images."""
        return self.blocks[0].arithmetic

    @property
    def samples(self) -> int:
        """Number of samples, without the padding."""
        return int(self.labels.size)

    @property
    def rows(self) -> int:
        """Number of samples and, behind them, padding."""
        return sum(len(block.x) for block in self.blocks)

    @property
    def slices(self) -> Iterator[tuple[slice, Block]]:
        """Each block, behind the slice of the panel's rows that it covers."""
        start = 0
        for block in self.blocks:
            yield slice(start, start + len(block.x)), block
            start += len(block.x)


def make_panels(blocks: tuple[Block, ...]) -> tuple[Panel, ...]:
    """Join neighbouring blocks: few panels make few calls, but all threads need work."""
    count = max(min(len(blocks), FEWEST_PANELS), round(len(blocks) / BLOCKS_A_PANEL))
    ends = [panel * len(blocks) // count for panel in range(count + 1)]
    joined = [blocks[first:last] for first, last in pairwise(ends)]
    return tuple(Panel(part, np.concatenate([block.labels for block in part])) for part in joined)


def up_to_tile(number: int) -> int:
    """Round up to a multiple of the BLAS kernels' tile."""
    return -(-number // TILE) * TILE


def make_blocks(
    pixels: NDArray[np.uint8],
    labels: NDArray[np.integer],
    image_shape: tuple[int, int],
    dtype: DTypeLike,
    *,
    samples_a_block: int = SAMPLES_A_BLOCK,
) -> tuple[Block, ...]:
    """Group samples that use the same pixels into blocks of nearly equal size.

    Parameters
    ----------
    pixels : NDArray[np.uint8]
        (samples, pixels).
    labels : NDArray[np.integer]
        Classes, (samples,).
    image_shape : tuple of int
        Rows and columns of an image, ``rows · columns = pixels``.
    dtype : DTypeLike
        float32, float64 or exact.
    samples_a_block : int
        About how many samples a block should hold.

    Returns
    -------
    tuple of Block
        In a fixed order, which decides the order of summation and so the last bits.
    """
    used = pixels > 0
    count = max(1, round(len(pixels) / samples_a_block))
    groups = _group(used, _extents(used, image_shape), np.arange(len(pixels)), count)
    arithmetic = arithmetic_of(dtype)
    return tuple(_block(pixels, labels, used, group, arithmetic) for group in groups)


def _extents(used: NDArray[np.bool_], image_shape: tuple[int, int]) -> tuple[Array, ...]:
    """Return where the ink of each image begins and ends: left, right, top, bottom."""
    images = used.reshape(-1, *image_shape)
    across, down = np.asarray(images.any(axis=1)), np.asarray(images.any(axis=2))
    return tuple(
        profile.argmax(axis=1) for profile in (across, across[:, ::-1], down, down[:, ::-1])
    )


def _group(
    used: NDArray[np.bool_],
    keys: tuple[Array, ...],
    members: NDArray[np.int64],
    count: int,
) -> list[NDArray[np.int64]]:
    """Halve the samples again and again, each time by the key that leaves the fewest columns.

    On full MNIST, blocks of 1,024 samples keep 369 of the 784 columns; sorted by class and then
    by leading principal component they would keep 495. The keys are integers and the sort is
    stable, so that every machine finds the same order.
    """
    if count == 1:
        return [members]
    halves = count // 2
    cut = min(max(TILE, TILE * round(len(members) * halves / count / TILE)), len(members))

    def split(key: Array) -> tuple[Array, Array]:
        order = members[np.argsort(key[members], kind="stable")]
        return order[:cut], order[cut:]

    def products(pair: tuple[Array, Array]) -> int:
        return sum(int(used[half].any(axis=0).sum()) * len(half) for half in pair)

    first, second = min((split(key) for key in keys), key=products)
    return _group(used, keys, first, halves) + _group(used, keys, second, count - halves)


def _block(
    pixels: NDArray[np.uint8],
    labels: NDArray[np.integer],
    used: NDArray[np.bool_],
    members: NDArray[np.int64],
    arithmetic: Arithmetic,
) -> Block:
    kept = np.flatnonzero(used[members].any(axis=0))
    width = up_to_tile(kept.size + 1)
    columns = np.full(width, pixels.shape[1])
    columns[: kept.size] = kept
    x = np.zeros((up_to_tile(members.size), width), arithmetic.dtype)
    x[: members.size, : kept.size] = arithmetic.images(pixels[np.ix_(members, kept)])
    x[: members.size, kept.size] = arithmetic.one
    x.flags.writeable = False
    classes = labels[members].astype(np.int64)
    return Block(x, columns, kept.size, classes, members, pixels.shape[1], arithmetic)
