"""Permutations of the first whole numbers, the same with every version of NumPy.

NumPy guarantees the integers of ``PCG64`` for a seed, but not what ``Generator`` makes of them,
which a later version may change. ``shuffled`` writes out what it has made so far: the shuffle of
Fisher and Yates from the end, with bounded integers by rejection, from halves of the raw ones.
NumPy takes a thirtieth of the time. It is asked where it has been seen to do the same, for as
many numbers.
"""

from functools import cache

import numpy as np
from numpy.typing import NDArray

HALF = 32  # bits of an integer of which two come out of a raw one, the lower half first
FEWEST = 5000  # numbers of a comparison with NumPy: thousands of draws, of many widths


def permutation(sequence: np.random.SeedSequence, size: int) -> NDArray[np.int64]:
    """Return a random order of the numbers from 0 to ``size - 1``.

    Parameters
    ----------
    sequence : np.random.SeedSequence
        Seeds the stream.
    size : int
        Below 2^32.
    """
    return (
        _of_numpy(sequence, size)
        if _numpy_does_the_same(max(size, FEWEST))
        else shuffled(sequence, size)
    )


@cache
def _numpy_does_the_same(size: int) -> bool:
    """Tell whether this version of NumPy makes of the bits what ``shuffled`` does."""
    sequence = np.random.SeedSequence(0)
    return np.array_equal(_of_numpy(sequence, size), shuffled(sequence, size))


def _of_numpy(sequence: np.random.SeedSequence, size: int) -> NDArray[np.int64]:
    return np.random.Generator(np.random.PCG64(sequence)).permutation(size)


def shuffled(sequence: np.random.SeedSequence, size: int) -> NDArray[np.int64]:
    """Return what ``permutation`` does, from raw integers of the bit generator alone."""
    order = list(range(size))
    places = _places(np.random.PCG64(sequence), size)
    for last, place in zip(range(size - 1, 0, -1), places, strict=True):
        order[last], order[place] = order[place], order[last]
    return np.array(order, np.int64)


def _places(bits: np.random.PCG64, size: int) -> list[int]:
    """Draw a whole number from 0 to ``last`` for each ``last`` from ``size - 1`` down to 1.

    The lowest bits of a half are taken, as many as ``last`` has; a number above it is rejected.
    """
    places: list[int] = []
    halves = np.empty(0, np.uint64)
    while (last := size - 1 - len(places)) > 0:
        width = last.bit_length()
        wanted = last - (1 << (width - 1)) + 1  # draws of as many bits
        if len(halves) < wanted:
            raw = bits.random_raw(wanted)
            low, high = raw & np.uint64((1 << HALF) - 1), raw >> np.uint64(HALF)
            halves = np.concatenate([halves, np.stack([low, high], axis=1).ravel()])
        values = (halves & np.uint64((1 << width) - 1)).astype(np.int64)
        accepted = _accepted(values, last)[:wanted]
        places += values[accepted].tolist()
        halves = halves[accepted[-1] + 1 :] if len(accepted) == wanted else halves[:0]
    return places


def _accepted(values: NDArray[np.int64], last: int) -> NDArray[np.int64]:
    """Return where values are not above a bound that each accepted one makes smaller by 1.

    A guess of all bounds is right up to the first one that is wrong, and the next guess further.
    """
    fits = values <= last
    while True:
        bounds = last - (np.cumsum(fits) - fits)
        again = values <= bounds
        if np.array_equal(again, fits):
            return np.flatnonzero(fits)
        fits = again
