"""``exp`` and ``log`` with the same bits on every IEEE machine.

NumPy's own call the C library, or code that depends on the processor's vector instructions. These
consist of additions, multiplications, divisions, square roots and exact powers of two alone, each
of them an array operation of its own, so that no compiler can fuse two of them. The constants are
made of whole numbers, by Python's exact integers.
"""

import math
from functools import cache

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]

STEPS = 2048  # parts of an octave in the table of ``exp``, and
BITS = 11  # their binary logarithm
FRACTION = 200  # binary digits behind the point of the whole numbers that stand for constants
CHUNK = 32768  # numbers at a time: with its temporaries, a chunk stays in the cache
ROUND = 1.5 * 2.0**52  # adding it rounds to a whole number, and leaves that in the lowest bits
LOWEST = -700.0  # below, exp is that of this number: 1e-304, which no sum of ours can tell from 0
SQRT_HALF = 0x3FE6A09E667F3BCD  # the bits of √½
EXPONENT_AT, FRACTION_MASK = 52, (1 << 52) - 1  # where a float64 has its exponent, its fraction
CENTRES = 128  # of ``log``: the fractions of two between which it interpolates


def exp(x: Floats) -> Floats:
    """Replace numbers up to 700 by their exponentials, in place.

    ``x = n ln 2 / 2048 + r`` with ``n`` whole and ``|r| <= ln 2 / 4096 = 1.7e-4``. ``ln 2 / 2048``
    has two parts, the first of 32 bits, so that its product with ``n`` is exact. Then
    ``exp(x) = 2^(n / 2048) (1 + r + r²/2 + r³/6)``, where ``r⁴/24 < 2^-54.6`` is left out; the
    powers are read from a table, rounded correctly, and multiplied with powers of two by adding to
    the exponent. The error is at most 1.4 units in the last place: one half each of the
    table and of the last addition, and a third of what is left out.
    Numbers below -700 count as -700.

    Parameters
    ----------
    x : NDArray[np.float64]
        C-contiguous; overwritten.

    Returns
    -------
    NDArray[np.float64]
        ``x`` itself.
    """
    flat = x.reshape(-1)
    size = min(CHUNK, flat.size)
    shifted, product, table = np.empty(size), np.empty(size), np.empty(size, np.int64)
    for start in range(0, flat.size, CHUNK):
        part = flat[start : start + CHUNK]
        _exp(part, shifted[: part.size], product[: part.size], table[: part.size])
    return x


def _exp(x: Floats, n: Floats, product: Floats, bits: NDArray[np.int64]) -> None:
    powers, per_unit, high, low = _exp_constants()
    np.maximum(x, LOWEST, out=x)
    np.multiply(x, per_unit, out=n)
    np.add(n, ROUND, out=n)
    index = n.view(np.int64)
    np.bitwise_and(index, STEPS - 1, out=bits)
    scale = product.view(np.int64)
    np.take(powers, bits, out=scale, mode="clip")
    np.left_shift(index, 52 - BITS, out=bits)
    np.add(bits, scale, out=bits)  # 2^(n / 2048), as the bits of a float
    np.subtract(n, ROUND, out=n)
    np.multiply(n, high, out=product)
    np.subtract(x, product, out=x)
    np.multiply(n, low, out=product)
    np.subtract(x, product, out=x)  # r
    np.multiply(x, 1 / 6, out=n)
    np.add(n, 0.5, out=n)
    np.multiply(n, x, out=n)
    np.add(n, 1.0, out=n)
    np.multiply(n, x, out=n)  # r + r²/2 + r³/6
    power = bits.view(np.float64)
    np.multiply(n, power, out=n)
    np.add(n, power, out=x)


@cache
def _exp_constants() -> tuple[NDArray[np.int64], float, float, float]:
    """Return the bits of 2^(j / 2048) less those that ``n`` adds, 2048 / ln 2, and ln 2 / 2048."""
    one = 1 << FRACTION
    root = 2 * one
    for _ in range(BITS):
        root = math.isqrt(root << FRACTION)
    powers, power = np.empty(STEPS), one
    for step in range(STEPS):
        powers[step] = power / one  # of whole numbers: rounded correctly
        power = power * root >> FRACTION
    bits = powers.view(np.int64) - (np.arange(STEPS, dtype=np.int64) << (52 - BITS))
    unit = _ln(2, 1)
    high = unit >> (FRACTION - 32) << (FRACTION - 32)
    return bits, STEPS * one / unit, high / (STEPS * one), (unit - high) / (STEPS * one)


def log(x: Floats) -> Floats:
    """Return the natural logarithms of positive normal numbers.

    ``x = 2^k m`` with ``1/√2 <= m < √2``; ``f`` is the multiple of 1/128 next to ``m``, and
    ``log m = log f + log((1 + s) / (1 - s))`` with ``s = (m - f) / (m + f)``, ``|s| < 1/350``.
    The series ``2 (s + s³/3 + s⁵/5 + s⁷/7)`` leaves out less than ``s · 2^-70``. The error is at
    most 2 units in the last place.

    Parameters
    ----------
    x : NDArray[np.float64]
        Positive, normal, finite; not changed.
    """
    flat, result = x.reshape(-1), np.empty(x.size)
    for start in range(0, x.size, CHUNK):
        result[start : start + CHUNK] = _log(flat[start : start + CHUNK])
    result[~np.isfinite(flat)] = np.nan
    return result.reshape(x.shape)


def _log(x: Floats) -> Floats:
    highs, lows, ln2_high, ln2_low = _log_constants()
    bits = x.view(np.int64) - SQRT_HALF
    exponent = bits >> EXPONENT_AT
    m = ((bits & FRACTION_MASK) + SQRT_HALF).view(np.float64)
    k = exponent.astype(np.float64)
    centre = m * CENTRES
    np.rint(centre, out=centre)
    index = centre.astype(np.int64)
    f = centre
    f *= 1 / CENTRES
    s = m - f
    m += f
    s /= m
    square = s * s
    series = square * (1 / 7)
    for coefficient in (1 / 5, 1 / 3):
        series += coefficient
        series *= square
    series *= s
    series += s
    series *= 2
    series += k * ln2_low
    series += lows.take(index, mode="clip")
    k *= ln2_high
    k += highs.take(index, mode="clip")
    k += series
    return k


@cache
def _log_constants() -> tuple[Floats, Floats, float, float]:
    """Return log(j / 128) for j up to 256, and log 2, each as a sum of two numbers.

    The first ones are multiples of 2^-42, so that they add up exactly.
    """
    one, step = 1 << FRACTION, FRACTION - 42
    logs = [_ln(j, CENTRES) for j in range(CENTRES // 2, 2 * CENTRES + 1)]
    logs.append(_ln(2, 1))
    high = [value >> step << step for value in logs]
    low = [(value - part) / one for value, part in zip(logs, high, strict=True)]
    highs, lows = np.zeros(2 * CENTRES + 1), np.zeros(2 * CENTRES + 1)
    highs[CENTRES // 2 :] = [part / one for part in high[:-1]]
    lows[CENTRES // 2 :] = low[:-1]
    return highs, lows, high[-1] / one, low[-1]


def _ln(numerator: int, denominator: int) -> int:
    """Return the logarithm of a fraction, times 2^200, by the series of the inverse tanh."""
    y = ((numerator - denominator) << FRACTION) // (numerator + denominator)
    square, power, total, k = y * y >> FRACTION, y, 0, 1
    while power not in (0, -1):
        total += power // k
        power, k = power * square >> FRACTION, k + 2
    return 2 * total
