"""Euclidean norms of gradients, steps and weights."""

import numpy as np
from numpy.typing import NDArray

from nnlab.arrays import Array
from nnlab.training.network import Params

SAFE = 1e-24  # of a sum of squares, and its reciprocal: far from float32's limits


def layer_norms(params: Params) -> NDArray[np.float64]:
    """Return each run's norms of ``W1`` and of ``W2``, (runs, 2), over all their entries."""
    with np.errstate(over="ignore", under="ignore", invalid="ignore"):
        return np.array([_norm(params.w1), _norm(params.w2)]).T


def relative_change(before: Params, after: Params) -> NDArray[np.float64]:
    """Return each run's ``|W − W₀| / |W₀|`` of ``W1`` and ``W2``, (runs, 2); NaN where W₀ is 0."""
    with np.errstate(all="ignore"):
        change = Params(*map(np.subtract, after, before))
        return np.asarray(layer_norms(change) / layer_norms(before))


def _norm(array: Array) -> NDArray[np.float64]:
    squares = np.asarray(np.vecdot(array, array), np.float64)
    if not (squares.min() > SAFE and squares.max() < 1 / SAFE):
        # What float32 cannot square, or only roughly, is squared in float64.
        for run in np.flatnonzero(~((squares > SAFE) & (squares < 1 / SAFE)).all(axis=-1)):
            squares[run] = np.square(array[run].astype(np.float64)).sum(axis=-1)
    return np.asarray(np.sqrt(squares.sum(axis=-1)))
