"""Sums and products whose bits do not depend on the order of addition.

A float64 holds a whole number of up to 2^53 exactly, times a power of two. So a sum whose terms
are whole multiples of one power of two, the *grid*, and whose absolute values add up to no more
than 2^53 of it, is exact, and each of its partial sums is: whatever the order, with or without
fused multiply-add, with any vector instructions, in any BLAS, on any number of threads.
Operands are therefore rounded first. ``rounded`` rounds to the nearest multiple of
``u = 2^(e - bits)``, where every value is below ``2^e`` in size: at most ``2^bits`` grid steps, an
error of at most ``u / 2``, that is ``2^-(bits + 1)`` of ``2^e``, which is less than twice the
largest value.

- **Pixels** are whole numbers up to 255 and need no rounding. ``bits_beside_pixels`` leaves room
  for a sum of ``terms`` of them: ``2^bits · 255 · terms <= 2^53``; 35 bits for the 785 columns of
  MNIST, 35 for a block of 1,024 samples. Longer sums are taken in parts of ``PART`` terms, so that
  at least 34 bits are left whatever the shape of the images and the size of a batch.
- **Products of two real operands** (``product``, ``product_over_samples``) take each operand as
  two slices of ``b`` bits, ``a ≈ ah + al``, with ``2 b + log2(terms) <= 53`` (Ozaki et al. 2012,
  "Error-free transformations of matrix multiplication by using fast routines of matrix
  multiplication and its applications"). ``ah bh``, ``ah bl`` and ``al bh`` are exact, and are added
  in that order from the last to the first. ``|al| <= u / 2``, and it is rounded to ``u 2^-(b+1)``.
  So ``al bh`` and ``ah bl`` are multiples of one grid. Where ``2 b + log2(2 terms) <= 53``, their
  sum is exact too, and one product makes it: ``[al ah] [bh; bl]``.
  What is left out is at most ``2^-(2b+2)`` of the largest product for each of the roundings of
  ``al`` and ``bl`` and for ``al bl``: in all ``3 terms 2^-(2b+2)`` times the largest ``|a|`` of the
  row, rounded up to a power of two, times that of the column. With 10 hidden units ``b`` is 24 and
  the error 3e-14; over a panel of 4,096 samples ``b`` is 20, and over ``PARTS`` of 8,192 as well.
- **Other sums** (``ordered_sum``) add elements in a fixed order, halves to each other: the rounding
  error is that of pairwise summation, ``log2(terms) 2^-53`` of the sum of absolute values.

Values below 2^-300 of size are rounded to multiples of a grid that fits 2^-300, so that no product
is subnormal. A row with a number beyond 2^480, or one that is not finite, becomes NaN as a whole,
and so does all that it is multiplied with: a sum of products that overflows is infinite or NaN by
the order of its terms, and BLAS libraries differ in what they make of NaN times zero.
"""

from collections.abc import Iterator
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from nnlab.training.workspace import Workspace

Floats = NDArray[np.float64]

MANTISSA = 53  # bits of a float64
WHITE = 255  # the largest pixel
PART = 2048  # terms of a sum of products with pixels
IN_CACHE = 100_000  # numbers of an operand that is worked on at a time
SMALLEST, LARGEST = 2.0**-300, 2.0**480  # between them, numbers are taken as they are
EXPONENT = 0x7FF0000000000000  # its bits in a float64


def _bits_of(number: int) -> int:
    """Return the binary logarithm of a whole number, rounded up."""
    return (number - 1).bit_length()


def bits_beside_pixels(terms: int) -> int:
    """Return how many bits an operand may have that is multiplied with so many pixels and added."""
    return MANTISSA - _bits_of(WHITE * min(terms, PART))


def _largest(array: Floats, axis: int) -> Floats:
    """Return the largest absolute values along an axis."""
    most = np.maximum.reduce(array, axis, keepdims=True)
    least = np.minimum.reduce(array, axis, keepdims=True)
    np.negative(least, out=least)
    return np.asarray(np.maximum(most, least, out=most))


def _grid(largest: Floats, bits: int) -> tuple[Floats, bool]:
    """Return 1.5 · 2^52 times the grid: adding it, and taking it off again, rounds to the grid.

    The exponent's bits of a float, alone, are the largest power of two that is not above it.

    Returns
    -------
    Floats
        NaN for numbers that cannot be rounded.
    bool
        Whether there are none of these.
    """
    grid = np.bitwise_and(largest.view(np.int64), EXPONENT).view(np.float64)
    np.maximum(grid, SMALLEST, out=grid)
    np.multiply(grid, 1.5 * 2.0 ** (MANTISSA - bits), out=grid)
    good = bool(np.maximum.reduce(largest, None) <= LARGEST)
    if not good:
        grid[~(largest <= LARGEST)] = np.nan
    return grid, good


def rounded(array: Floats, bits: int, out: Floats | None = None) -> Floats:
    """Round to so many bits of the largest value of the last axis.

    Parameters
    ----------
    array : NDArray[np.float64]
        Not changed, unless it is ``out``.
    bits : int
        At most 51.
    out : NDArray[np.float64], optional
        For the result.
    """
    grid, _ = _grid(_largest(array, -1), bits)
    out = np.add(array, grid, out=out)
    return np.asarray(np.subtract(out, grid, out=out))


def _slice(
    array: Floats, axis: int, bits: int, high: Floats, low: Floats
) -> NDArray[np.bool_] | None:
    """Write two slices of so many bits.

    Returns
    -------
    NDArray[np.bool_] or None
        Which runs have a number that cannot be sliced, (runs,); None where no run has.
    """
    grid, good = _grid(_largest(array, axis), bits)
    np.add(array, grid, out=high)
    np.subtract(high, grid, out=high)
    np.subtract(array, high, out=low)
    np.multiply(grid, 2.0 ** -(bits + 1), out=grid)
    np.add(low, grid, out=low)
    np.subtract(low, grid, out=low)
    return None if good else np.asarray(np.isnan(grid).any(axis=(1, 2)))


def _pieces(runs: int, units: int, samples: int) -> Iterator[tuple[slice, slice]]:
    """Yield pieces, of some runs and some samples each, that stay in the cache."""
    step = max(1, IN_CACHE // (units * min(samples, PART)))
    for first in range(0, samples, PART):
        for run in range(0, runs, step):
            yield slice(run, run + step), slice(first, min(first + PART, samples))


def product(a: Floats, b: Floats, out: Floats, work: Workspace) -> Floats:
    """Multiply ``A B``, with a short inner axis.

    Parameters
    ----------
    a : NDArray[np.float64]
        (runs, rows, inner).
    b : NDArray[np.float64]
        (runs, inner, samples); each column is rounded for itself.
    out : NDArray[np.float64]
        For the result, (runs, rows, samples).
    work : Workspace
    """
    runs, rows, inner = a.shape
    bits = (MANTISSA - _bits_of(inner)) // 2
    both_fit = 2 * bits + _bits_of(2 * inner) <= MANTISSA
    left = work.array("left", (runs, rows, 2 * inner), np.float64)  # [al ah]
    bad = _slice(a, -1, bits, left[..., inner:], left[..., :inner])
    for some, part in _pieces(runs, max(rows, inner), b.shape[2]):
        piece, columns = out[some, :, part], b[some, :, part]
        count, _, samples = piece.shape
        right = work.array("right", (count, 2 * inner, samples), np.float64)  # [bh; bl]
        high, low = right[:, :inner], right[:, inner:]
        bad_too = _slice(columns, -2, bits, high, low)
        rest = work.array("rest", (count, rows, samples), np.float64)
        if both_fit:
            np.matmul(left[some], right, out=rest)
        else:
            np.matmul(left[some, :, inner:], low, out=rest)
            np.add(rest, np.matmul(left[some, :, :inner], high, out=piece), out=rest)
        np.matmul(left[some, :, inner:], high, out=piece)
        np.add(piece, rest, out=piece)
        if bad is not None:
            piece[bad[some]] = np.nan
        if bad_too is not None:
            piece[bad_too] = np.nan
    return out


def product_over_samples(a: Floats, b: Floats, work: Workspace) -> Floats:
    """Multiply ``A Bᵀ``, with samples as the inner axis.

    Parameters
    ----------
    a, b : NDArray[np.float64]
        (runs, rows, samples) and (runs, columns, samples).
    work : Workspace
    """
    runs, rows, _ = a.shape
    columns = b.shape[1]
    total = np.zeros((runs, rows, columns))
    for some, part in _pieces(runs, max(rows, columns), a.shape[2]):
        one, other = a[some, :, part], b[some, :, part]
        count, _, samples = one.shape
        bits = (MANTISSA - _bits_of(samples)) // 2
        left = work.array("left", (count, 2 * rows, samples), np.float64)
        right = work.array("right", (count, 2 * columns, samples), np.float64)
        bad = (
            _slice(one, -1, bits, left[:, :rows], left[:, rows:]),
            _slice(other, -1, bits, right[:, :columns], right[:, columns:]),
        )
        both = np.matmul(left, right.transpose(0, 2, 1))
        result = both[:, :rows, :columns] + (both[:, :rows, columns:] + both[:, rows:, :columns])
        for there in bad:
            if there is not None:
                result[there] = np.nan
        total[some] += result
    return total


def ordered_sum(array: Floats, axis: int = -1) -> Floats:
    """Add up along an axis: its second half to its first, until one element is left."""
    axes = [*range(array.ndim)]
    array = array.transpose([axes.pop(axis), *axes])
    left = len(array)
    if left == 1:
        return np.asarray(array[0])
    # Of a small array, halves in one piece of memory are added in half the time.
    order: Literal["C", "K"] = "C" if array.size <= IN_CACHE else "K"
    total = np.empty_like(array[: (left + 1) // 2], order=order)
    while left > 1:
        half = (left + 1) // 2
        rest = left - half
        np.add(array[:rest], array[half:left], out=total[:rest])
        if array is not total and rest < half:
            total[rest] = array[rest]
        array, left = total, half
    return np.asarray(total[0])
