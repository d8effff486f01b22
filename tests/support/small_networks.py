"""Networks of a few units, their losses and gradients, from the equations alone."""

import numpy as np

from nnlab.training.network import (
    Params,
    at_label,
    backward,
    cross_entropy,
    forward,
    one_hot,
    softmax,
)


def random_params(rng, runs=1, hidden=4, pixels=6, classes=3, scale=1.0):
    return Params(
        scale * rng.standard_normal((runs, hidden, pixels)),
        scale * rng.standard_normal((runs, hidden, 1)),
        scale * rng.standard_normal((runs, classes, hidden)),
        scale * rng.standard_normal((runs, classes, 1)),
    )


def losses(params, x, labels):
    """Mean cross-entropy of each run."""
    _, z2 = forward(params, x)
    picked = at_label(z2, labels)
    _, log_partition = softmax(z2)
    return cross_entropy(picked, log_partition).mean(axis=-1)


def gradients(params, x, labels):
    """Mean gradients of each run."""
    a1, z2 = forward(params, x)
    dz2, _ = softmax(z2)
    dz2 -= one_hot(labels, np.empty(dz2.shape[1:]))
    sums = backward(params, x, a1, dz2)
    return Params(*(array / labels.size for array in sums))
