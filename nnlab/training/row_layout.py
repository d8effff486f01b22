"""Where the units of a stack stand among the rows of its wide products.

All runs of a stack share the products ``W1 X`` and ``dZ1 Xᵀ``: one product of many rows, a unit
a row. A BLAS kernel computes several rows at a time and may round some of them in another order
than others: OpenBLAS's float32 kernel for AVX2 takes 12, of which the first six round alike, and
the last six. A run keeps its bits in any stack where each of its units always gets a row of the
same kind. So the units of a run that fill whole groups of rows get whole groups of their own; the
rest is dealt out over the kinds, and shares groups with other runs' rests. With 10 units, 16 runs
take 168 rows in this way, of which 8 are filler; a group and more for each would be 192.
"""

from dataclasses import dataclass
from functools import cache, cached_property
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import DTypeLike, NDArray

from nnlab.training.blas import one_thread

Kinds: TypeAlias = tuple[int, ...]

GROUPS = (1, 2, 4, 6, 8, 12, 16, 24, 32, 48)  # rows that kernels may compute at a time
PROBED_ROWS = 96  # each of the groups fits in at least twice


@dataclass(frozen=True)
class Layout:
    """The rows of a stack's wide products.

    Attributes
    ----------
    rows : how many there are, filler included
    index : (runs, hidden) int64
        The row of each unit.
    """

    rows: int
    index: NDArray[np.int64]

    @cached_property
    def filler(self) -> NDArray[np.int64]:
        """The rows of no unit; they stay zero."""
        return np.setdiff1d(np.arange(self.rows), self.index)

    def pack(self, w1: NDArray[Any], b1: NDArray[Any], columns: int) -> NDArray[Any]:
        """Lay out ``[W1 b1]``, padded with zeros.

        Parameters
        ----------
        w1 : (runs, hidden, pixels)
        b1 : (runs, hidden, 1)
        columns : more than there are pixels

        Returns
        -------
        (rows, columns)
            Column ``pixels`` is the bias.
        """
        packed = np.zeros((self.rows, columns), w1.dtype)
        packed[self.index, : w1.shape[2]] = w1
        packed[self.index, w1.shape[2]] = b1[..., 0]
        return packed

    def unpack(self, packed: NDArray[Any], pixels: int) -> tuple[NDArray[Any], NDArray[Any]]:
        """Return ``W1`` and ``b1``, the opposite of ``pack``."""
        both = packed[self.index]
        return both[..., :pixels], both[..., pixels : pixels + 1]


@cache
def layout(runs: int, hidden: int, dtype: DTypeLike) -> Layout:
    """Return the rows of a stack of ``runs`` networks of ``hidden`` units on this machine."""
    return arrange(runs, hidden, kinds(np.dtype(dtype)))


def arrange(runs: int, hidden: int, kinds: Kinds) -> Layout:
    """Give each unit a row: whole groups first, then what is left over, kind by kind.

    Parameters
    ----------
    kinds : of each row in a group
    """
    group = len(kinds)
    whole = hidden // group * group
    index = np.empty((runs, hidden), np.int64)
    index[:, :whole] = np.arange(runs * whole).reshape(runs, whole)
    rows, unit = runs * whole, whole
    rest = _deal(hidden - whole, kinds)
    for kind, units in rest.items():
        places = np.flatnonzero(np.array(kinds) == kind)
        turn, place = np.divmod(np.arange(runs * units).reshape(runs, units), len(places))
        index[:, unit : unit + units] = runs * whole + turn * group + places[place]
        unit += units
        rows = max(rows, runs * whole + group * -(-runs * units // len(places)))
    return Layout(rows, index)


def _deal(units: int, kinds: Kinds) -> dict[int, int]:
    """Share units out over the kinds, in proportion to their rows in a group."""
    dealt = dict.fromkeys(kinds, 0)
    for _ in range(units):
        dealt[min(dealt, key=lambda kind: dealt[kind] / kinds.count(kind))] += 1
    return dealt


@cache
def kinds(dtype: "np.dtype[Any]") -> Kinds:
    """Find which rows of a product are rounded alike, by products in which all rows are equal.

    Returns
    -------
    tuple of int
        One number for each row of a group, the same for rows that are rounded alike: ``(0,)``
        where all are.
    """
    seen: dict[bytes, int] = {}
    found = [b""] * PROBED_ROWS
    rng = np.random.default_rng(0)
    for samples, columns in ((1008, 368), (512, 304), (64, 800)):
        x = rng.standard_normal((samples, columns)).astype(dtype)
        w1t = np.repeat(rng.standard_normal((columns, 1)).astype(dtype), PROBED_ROWS, axis=1)
        dz1 = np.repeat(rng.standard_normal((1, samples)).astype(dtype), PROBED_ROWS, axis=0)
        with one_thread():
            products = w1t.T @ x.T, dz1 @ x
        for row in range(PROBED_ROWS):
            found[row] += b"".join(product[row].tobytes() for product in products)
    labels = [seen.setdefault(bits, len(seen)) for bits in found]
    for group in GROUPS:
        if labels == labels[:group] * (PROBED_ROWS // group):
            return tuple(labels[:group])
    return tuple(labels)


@cache
def stacks_exactly(
    runs: int, hidden: int, samples: int, columns: int, dtype: "np.dtype[Any]"
) -> bool:
    """Probe whether a stack's wide products give each run the bits that it gets alone.

    A BLAS picks its kernel by the shape of the whole product, so that a run's bits may depend on
    its neighbours whatever its rows: OpenBLAS has another kernel for products below about 10⁶
    multiply-adds on some processors. Both products of the first layer are tried, with random
    numbers, at exactly this shape.

    Parameters
    ----------
    runs, hidden : of the stack
    samples, columns : shape of the block of pixels
    dtype : of all operands
    """
    if runs == 1:
        return True
    rng = np.random.default_rng(0)
    x = rng.standard_normal((samples, columns)).astype(dtype)
    w1 = rng.standard_normal((runs, hidden, columns - 1)).astype(dtype)
    b1 = rng.standard_normal((runs, hidden, 1)).astype(dtype)
    error = rng.standard_normal((runs, hidden, samples)).astype(dtype)

    def products(some: slice) -> tuple[NDArray[Any], NDArray[Any]]:
        its = layout(len(w1[some]), hidden, dtype)
        w1t = np.ascontiguousarray(its.pack(w1[some], b1[some], columns).T)
        dz1 = np.zeros((its.rows, samples), dtype)
        dz1[its.index] = error[some]
        return (w1t.T @ x.T)[its.index], (dz1 @ x)[its.index]

    with one_thread():
        z1, dw1 = products(slice(None))
        for run in range(runs):
            z1_alone, dw1_alone = products(slice(run, run + 1))
            if not (
                np.array_equal(z1[run], z1_alone[0]) and np.array_equal(dw1[run], dw1_alone[0])
            ):
                return False
    return True
