"""Euclidean norms of gradients, steps and weights."""

import numpy as np
from numpy.typing import NDArray

from nnlab.training.arithmetic import NUMPY, Arithmetic
from nnlab.training.network import Params


def layer_norms(params: Params, arithmetic: Arithmetic = NUMPY) -> NDArray[np.float64]:
    """Return each run's norms of ``W1`` and of ``W2``, (runs, 2), over all their entries."""
    with np.errstate(over="ignore", under="ignore", invalid="ignore"):
        return np.array([arithmetic.norms(params.w1), arithmetic.norms(params.w2)]).T


def relative_change(
    before: Params, after: Params, arithmetic: Arithmetic = NUMPY
) -> NDArray[np.float64]:
    """Return each run's ``|W − W₀| / |W₀|`` of ``W1`` and ``W2``, (runs, 2); NaN where W₀ is 0."""
    with np.errstate(all="ignore"):
        change = Params(*map(np.subtract, after, before))
        return np.asarray(layer_norms(change, arithmetic) / layer_norms(before, arithmetic))
