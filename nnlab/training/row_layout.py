"""Which row of a stack's products belongs to which hidden unit, so that every run keeps its bits.

All runs of a stack share the products ``W1 X`` and ``dZ1 Xᵀ``: one product with a row for each
hidden unit of each run. A BLAS kernel computes several rows at a time, a *group*, and may round
some of them in another order than others: OpenBLAS's float32 kernel for AVX2 takes 12, of which
the first six are rounded alike, and the last six. A run keeps its bits in any stack where each of
its units always gets a row that is rounded in the same way. So the units of a run that fill whole
groups get whole groups; the remaining units share groups with those of other runs. With 10 units,
16 runs take 168 rows in this way, of which 8 are unused; whole groups alone would take 192.
"""

from dataclasses import dataclass
from functools import cache, cached_property
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import DTypeLike, NDArray

from nnlab.arrays import Array
from nnlab.training.blas import one_thread
from nnlab.training.workspace import Workspace

Pattern: TypeAlias = tuple[int, ...]  # a number for each row of a group: alike, rounded alike

GROUP_SIZES = (1, 2, 4, 6, 8, 12, 16, 24, 32, 48)  # rows that kernels may compute at a time
PROBED_ROWS = 96  # each of the groups fits in at least twice


@dataclass(frozen=True)
class RowLayout:
    """The rows of a stack's products.

    Attributes
    ----------
    rows : int
        How many there are, unused ones included.
    index : NDArray[np.int64]
        The row of each unit, (runs, hidden).
    """

    rows: int
    index: NDArray[np.int64]

    @cached_property
    def unused(self) -> NDArray[np.int64]:
        """The rows of no unit; they stay zero."""
        return np.setdiff1d(np.arange(self.rows), self.index)

    @cached_property
    def in_order(self) -> bool:
        """Whether the rows are those of the units, run after run: then nothing is ever copied."""
        return bool(np.array_equal(self.index.ravel(), np.arange(self.rows)))

    def from_rows(self, array: Array, work: Workspace | None = None) -> Array:
        """Turn (rows, columns) into (runs, hidden, columns): a view, or a copy in ``work``."""
        shape = (*self.index.shape, array.shape[1])
        if self.in_order:
            return array.reshape(shape)
        out = None if work is None else work.array("from rows", shape, array.dtype)
        return array.take(self.index, axis=0, out=out, mode="clip")

    def to_rows(self, array: Array, work: Workspace) -> Array:
        """Turn (runs, hidden, columns) into (rows, columns): a view, or a copy in ``work``."""
        shape = (self.rows, array.shape[2])
        if self.in_order:
            return array.reshape(shape)
        out = work.array("to rows", shape, array.dtype)
        out[self.unused] = 0
        out[self.index] = array
        return out

    def pack(self, w1: Array, b1: Array, columns: int) -> Array:
        """Lay out ``[W1 b1]``, padded with zeros.

        Parameters
        ----------
        w1 : Array
            (runs, hidden, pixels).
        b1 : Array
            (runs, hidden, 1).
        columns : int
            More than there are pixels.

        Returns
        -------
        Array
            (rows, columns); column ``pixels`` is the bias.
        """
        packed = np.zeros((self.rows, columns), w1.dtype)
        packed[self.index, : w1.shape[2]] = w1
        packed[self.index, w1.shape[2]] = b1[..., 0]
        return packed

    def unpack(self, packed: Array, pixels: int) -> tuple[Array, Array]:
        """Return ``W1`` and ``b1``, the opposite of ``pack``; they may be views."""
        both = self.from_rows(packed)
        return both[..., :pixels], both[..., pixels : pixels + 1]


@cache
def row_layout(runs: int, hidden: int, dtype: DTypeLike) -> RowLayout:
    """Return the rows of a stack of ``runs`` networks of ``hidden`` units on this machine."""
    return arrange(runs, hidden, rounding_pattern(np.dtype(dtype)))


def arrange(runs: int, hidden: int, pattern: Pattern) -> RowLayout:
    """Give each unit a row: whole groups first, then what is left over.

    Parameters
    ----------
    runs, hidden : int
    pattern : tuple of int
        Of ``rounding_pattern``.
    """
    group = len(pattern)
    whole = hidden // group * group
    index = np.empty((runs, hidden), np.int64)
    index[:, :whole] = np.arange(runs * whole).reshape(runs, whole)
    rows, unit = runs * whole, whole
    for kind, units in _shares(hidden - whole, pattern).items():
        places = np.flatnonzero(np.array(pattern) == kind)
        turn, place = np.divmod(np.arange(runs * units).reshape(runs, units), len(places))
        index[:, unit : unit + units] = runs * whole + turn * group + places[place]
        unit += units
        rows = max(rows, runs * whole + group * -(-runs * units // len(places)))
    return RowLayout(rows, index)


def _shares(units: int, pattern: Pattern) -> dict[int, int]:
    """Divide units among the kinds of rows, in proportion to their number in a group."""
    shares = dict.fromkeys(pattern, 0)
    for _ in range(units):
        shares[min(shares, key=lambda kind: shares[kind] / pattern.count(kind))] += 1
    return shares


@cache
def rounding_pattern(dtype: "np.dtype[Any]") -> Pattern:
    """Find which rows of a product are rounded alike, by products in which all rows are equal.

    Returns
    -------
    tuple of int
        One number for each row of a group, the same for rows that are rounded alike: ``(0,)``
        where all are.
    """
    results = [b""] * PROBED_ROWS
    rng = np.random.default_rng(0)
    for samples, columns in ((1008, 368), (512, 304), (64, 800)):
        x = rng.standard_normal((samples, columns)).astype(dtype)
        w1t = np.repeat(rng.standard_normal((columns, 1)).astype(dtype), PROBED_ROWS, axis=1)
        dz1 = np.repeat(rng.standard_normal((1, samples)).astype(dtype), PROBED_ROWS, axis=0)
        with one_thread():
            products = w1t.T @ x.T, dz1 @ x
        for row in range(PROBED_ROWS):
            results[row] += b"".join(product[row].tobytes() for product in products)
    numbers: dict[bytes, int] = {}
    pattern = tuple(numbers.setdefault(result, len(numbers)) for result in results)
    for size in GROUP_SIZES:
        if pattern == pattern[:size] * (PROBED_ROWS // size):
            return pattern[:size]
    return pattern


@cache
def stacks_exactly(
    runs: int, hidden: int, samples: int, columns: int, dtype: "np.dtype[Any]"
) -> bool:
    """Probe whether a stack's products give each run the bits that it gets alone.

    A BLAS picks its kernel by the shape of the whole product, so that a run's bits may depend on
    the other runs whatever its rows: OpenBLAS has another kernel for products below about 10⁶
    multiply-adds on some processors. Both products of the first layer are tried, with random
    numbers, at exactly this shape.

    Parameters
    ----------
    runs, hidden : int
        Of the stack.
    samples, columns : int
        Shape of the images.
    dtype : np.dtype
        Of all operands.
    """
    if runs == 1:
        return True
    rng = np.random.default_rng(0)
    x = rng.standard_normal((samples, columns)).astype(dtype)
    w1 = rng.standard_normal((runs, hidden, columns - 1)).astype(dtype)
    b1 = rng.standard_normal((runs, hidden, 1)).astype(dtype)
    error = rng.standard_normal((runs, hidden, samples)).astype(dtype)

    def products(chosen: slice) -> tuple[Array, Array]:
        layout = row_layout(len(w1[chosen]), hidden, dtype)
        w1t = np.ascontiguousarray(layout.pack(w1[chosen], b1[chosen], columns).T)
        dz1 = layout.to_rows(error[chosen], Workspace())
        return layout.from_rows(w1t.T @ x.T), layout.from_rows(dz1 @ x)

    with one_thread():
        together = products(slice(None))
        for run in range(runs):
            alone = products(slice(run, run + 1))
            if not all(
                np.array_equal(stacked[run], single[0])
                for stacked, single in zip(together, alone, strict=True)
            ):
                return False
    return True
