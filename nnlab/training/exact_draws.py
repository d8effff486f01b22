"""Random numbers with the same bits on every IEEE machine, from raw integers of the bit generator.

NumPy guarantees the integers of ``PCG64`` for a seed, but not what ``Generator`` makes of them: its
normal numbers come from the ziggurat, with ``exp`` and ``log`` of the C library at its edges.
"""

import math

import numpy as np
from numpy.typing import NDArray

from nnlab.training import elementary

Floats = NDArray[np.float64]

# Numerators and denominators of the rational functions of PPND16 (Wichura 1988, "Algorithm AS 241:
# The percentage points of the normal distribution"), highest power first: of the middle, of the
# tails, of the far tails.
MIDDLE = (
    (2.5090809287301226727e3, 3.3430575583588128105e4, 6.7265770927008700853e4,
     4.5921953931549871457e4, 1.3731693765509461125e4, 1.9715909503065514427e3,
     1.3314166789178437745e2, 3.3871328727963666080e0),
    (5.2264952788528545610e3, 2.8729085735721942674e4, 3.9307895800092710610e4,
     2.1213794301586595867e4, 5.3941960214247511077e3, 6.8718700749205790830e2,
     4.2313330701600911252e1, 1.0),
)  # fmt: skip
TAILS = (
    (7.74545014278341407640e-4, 2.27238449892691845833e-2, 2.41780725177450611770e-1,
     1.27045825245236838258e0, 3.64784832476320460504e0, 5.76949722146069140550e0,
     4.63033784615654529590e0, 1.42343711074968357734e0),
    (1.05075007164441684324e-9, 5.47593808499534494600e-4, 1.51986665636164571966e-2,
     1.48103976427480074590e-1, 6.89767334985100004550e-1, 1.67638483018380384940e0,
     2.05319162663775882187e0, 1.0),
)  # fmt: skip
FAR_TAILS = (
    (2.01033439929228813265e-7, 2.71155556874348757815e-5, 1.24266094738807843860e-3,
     2.65321895265761230930e-2, 2.96560571828504891230e-1, 1.78482653991729133580e0,
     5.46378491116411436990e0, 6.65790464350110377720e0),
    (2.04426310338993978564e-15, 1.42151175831644588870e-7, 1.84631831751005468180e-5,
     7.86869131145613259100e-4, 1.48753612908506148525e-2, 1.36929880922735805310e-1,
     5.99832206555887937690e-1, 1.0),
)  # fmt: skip


def uniform(sequence: np.random.SeedSequence, shape: tuple[int, ...]) -> Floats:
    """Draw from U(0, 1): multiples of 2^-53, those of ``Generator.random``."""
    raw = np.random.PCG64(sequence).random_raw(math.prod(shape))
    return (raw >> np.uint64(11)).astype(np.float64).reshape(shape) * 2.0**-53


def normal(sequence: np.random.SeedSequence, shape: tuple[int, ...]) -> Floats:
    """Draw from N(0, 1): the quantiles at odd multiples of 2^-53, of which none is 0 or 1."""
    raw = np.random.PCG64(sequence).random_raw(math.prod(shape))
    steps = (raw >> np.uint64(12)).astype(np.float64).reshape(shape)
    return normal_quantile((2 * steps + 1) * 2.0**-53)


def normal_quantile(p: Floats) -> Floats:
    """Return the numbers below which a standard normal variable lies with probability ``p``.

    Wichura's PPND16, accurate to about 1e-16 relative.

    Parameters
    ----------
    p : NDArray[np.float64]
        Between 0 and 1, both excluded.
    """
    q = p - 0.5
    middle = _rational(0.180625 - q * q, MIDDLE) * q
    r = np.sqrt(-elementary.log(np.minimum(p, 1 - p)))
    tails = np.where(r <= 5.0, _rational(r - 1.6, TAILS), _rational(r - 5.0, FAR_TAILS))  # noqa: PLR2004
    tails = np.where(q < 0, -tails, tails)
    return np.where(np.abs(q) <= 0.425, middle, tails)  # noqa: PLR2004


def _rational(x: Floats, coefficients: tuple[tuple[float, ...], tuple[float, ...]]) -> Floats:
    above, below = (_polynomial(x, row) for row in coefficients)
    return above / below


def _polynomial(x: Floats, coefficients: tuple[float, ...]) -> Floats:
    value = np.full_like(x, coefficients[0])
    for coefficient in coefficients[1:]:
        value *= x
        value += coefficient
    return value
