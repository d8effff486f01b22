"""The two-layer network of the notes, for a stack of runs at once.

Every array of parameters carries a leading *runs* axis; samples are columns, as in the notes.
With one run the shapes are the notes' own, behind an axis of length 1.

=================================  ==========================================
the notes                          here
=================================  ==========================================
``Z1 = W1 X + b1``                 ``forward``
``A1 = ReLU(Z1)``                  ``forward``
``Z2 = W2 A1 + b2``                ``forward``
``A2 = softmax(Z2)``               ``softmax``
``dZ2 = A2 − Y``                   with ``Y`` from ``one_hot``
``dW2 = dZ2 A1ᵀ / m``, ``db2``     ``output_gradients`` (sums), the engine divides
``dZ1 = W2ᵀ dZ2 ∗ ReLU′(Z1)``      ``backward``
``dW1 = dZ1 Xᵀ / m``, ``db1``      ``backward`` (sums), the engine divides
``W := W − lr · dW``               ``descend``
=================================  ==========================================

The notebook behind the notes sums ``db`` over all entries into one scalar; the notes' "average
of the error" is one value a row, and so is ours.
"""

from typing import NamedTuple

import numpy as np

from nnlab.arrays import Array


class Params(NamedTuple):
    """The parameters of a stack of runs, or their gradients.

    Attributes
    ----------
    w1 : (runs, hidden, pixels)
    b1 : (runs, hidden, 1)
    w2 : (runs, classes, hidden)
    b2 : (runs, classes, 1)
    """

    w1: Array
    b1: Array
    w2: Array
    b2: Array

    def select(self, runs: Array) -> "Params":
        """Return a copy of the runs that a boolean mask or an index array picks."""
        return Params(*(np.ascontiguousarray(array[runs]) for array in self))


def forward(params: Params, x: Array) -> tuple[Array, Array]:
    """Compute ``A1 = ReLU(W1 X + b1)`` and the logits ``Z2 = W2 A1 + b2``.

    Parameters
    ----------
    params : Params
    x : (pixels, samples)
        Pixels in [0, 1].

    Returns
    -------
    a1 : (runs, hidden, samples)
    z2 : (runs, classes, samples)
    """
    z1 = np.matmul(params.w1, x) + params.b1
    a1 = relu(z1, out=z1)
    z2 = np.empty((len(z1), params.w2.shape[1], x.shape[1]), z1.dtype)
    return a1, output_layer(params, a1, z2)


def relu(z1: Array, out: Array) -> Array:
    """Write ``A1 = ReLU(Z1)`` to an array, which may be ``z1`` itself, and return it.

    A NaN stays a NaN, so that divergence shows.
    """
    # Beside a row of zeros, and not beside the number 0, NumPy is twice as fast.
    return np.maximum(z1, np.zeros(z1.shape[-1], z1.dtype), out=out)


def output_layer(params: Params, a1: Array, z2: Array) -> Array:
    """Compute the logits ``Z2 = W2 A1 + b2``.

    Parameters
    ----------
    params : Params
        Only ``w2`` and ``b2`` are looked at.
    a1 : (runs, hidden, samples)
    z2 : (runs, classes, samples)
        Written to, and returned.
    """
    np.matmul(params.w2, a1, out=z2)
    z2 += params.b2
    return z2


def softmax(z2: Array, largest: Array | None = None) -> tuple[Array, Array]:
    """Turn logits into ``A2 = softmax(Z2)`` in place, and return what the loss needs.

    Shifting by each column's largest logit changes nothing in the quotient and keeps ``exp``
    within range at logits of any size.

    Parameters
    ----------
    z2 : (runs, classes, samples)
        Overwritten with the probabilities, whose columns sum to 1.
    largest : (runs, 1, samples), optional
        The largest logit of each column, where it is known already.

    Returns
    -------
    probs : (runs, classes, samples)
        ``z2`` itself.
    log_partition : (runs, 1, samples)
        ``log Σ exp(Z2)`` over the classes, in nats.
    """
    if largest is None:
        largest = z2.max(axis=1, keepdims=True)
    z2 -= largest
    np.exp(z2, out=z2)
    total = z2.sum(axis=1, keepdims=True)
    z2 /= total
    return z2, np.log(total) + largest


def one_hot(labels: Array, y: Array) -> Array:
    """Write ``Y``, a one in the row of each sample's class, and return it.

    Parameters
    ----------
    labels : (real samples,) integers
    y : (classes, samples), C-contiguous
        Columns past the labels are padding, and get zeros.
    """
    y.fill(0)
    y.reshape(-1)[labels * y.shape[1] + np.arange(labels.size)] = 1
    return y


def at_label(z: Array, labels: Array) -> Array:
    """Pick each sample's own class: ``z[:, labels[j], j]``.

    Parameters
    ----------
    z : (runs, classes, samples), C-contiguous
    labels : (samples,) integers

    Returns
    -------
    (runs, samples)
    """
    runs, classes, samples = z.shape
    flat = labels * samples + np.arange(samples)
    return np.asarray(z.reshape(runs, classes * samples).take(flat, axis=1))


def cross_entropy(logits_at_label: Array, log_partition: Array) -> Array:
    """Cross-entropy ``log Σ exp(Z2) − Z2[label]`` of every sample, in nats.

    The shifted log-softmax, so that it is finite at logits of ±1e4 (where ``−log(A2)`` is not).

    Parameters
    ----------
    logits_at_label : (runs, samples)
    log_partition : (runs, 1, samples)

    Returns
    -------
    (runs, samples)
    """
    return np.asarray(log_partition[:, 0, :] - logits_at_label)


def correct(
    z2: Array, labels: Array, logits_at_label: Array, largest: Array | None = None
) -> Array:
    """Tell which samples the network gets right: ``argmax Z2 == label``.

    Of equal logits the first class wins, as in ``argmax``.

    Parameters
    ----------
    z2 : (runs, classes, samples)
    labels : (samples,) integers
    logits_at_label : (runs, samples)
    largest : (runs, 1, samples), optional
        The largest logit of each column, where it is known already.

    Returns
    -------
    (runs, samples) bool
    """
    if largest is None:
        largest = z2.max(axis=1, keepdims=True)
    right = logits_at_label == largest[:, 0, :]
    on_top = z2 == largest
    if np.count_nonzero(on_top) != right.size:
        # Ties (a dead network has nothing but) or NaN: rare, and argmax costs 20 times as much.
        runs, samples = np.nonzero(on_top.sum(axis=1) != 1)
        right[runs, samples] = z2[runs, :, samples].argmax(axis=1) == labels[samples]
    return np.asarray(right)


def backward(params: Params, x: Array, a1: Array, dz2: Array) -> Params:
    """Sum the gradients of the cross-entropy over some samples.

    Parameters
    ----------
    params : Params
    x : (pixels, samples)
        Pixels in [0, 1].
    a1 : (runs, hidden, samples)
        From ``forward``.
    dz2 : (runs, classes, samples)
        ``dZ2 = A2 − Y``.

    Returns
    -------
    Params
        Sums over the samples, not yet divided by ``m``.
    """
    dz1 = error_before(params, dz2) * (a1 > 0)  # dZ1 = W2ᵀ dZ2 ∗ ReLU′(Z1)
    dw2, db2 = output_gradients(a1, dz2)
    return Params(np.matmul(dz1, x.T), dz1.sum(axis=-1, keepdims=True), dw2, db2)  # dW1 = dZ1 Xᵀ


def output_gradients(a1: Array, dz2: Array) -> tuple[Array, Array]:
    """Return ``dW2 = dZ2 A1ᵀ`` and ``db2``, both as sums over the samples."""
    return np.matmul(dz2, a1.transpose(0, 2, 1)), dz2.sum(axis=-1, keepdims=True)


def error_before(params: Params, dz2: Array, out: Array | None = None) -> Array:
    """Carry the error back through the output layer: ``W2ᵀ dZ2``, (runs, hidden, samples)."""
    return np.asarray(np.matmul(params.w2.transpose(0, 2, 1), dz2, out=out))


def descend(params: Params, gradients: Params, lr: Array) -> Params:
    """Take one step of gradient descent, ``W := W − lr · dW``, and return the new parameters.

    Parameters
    ----------
    params, gradients : Params
    lr : (runs,)
        Each run's learning rate, in the parameters' dtype.
    """
    rate = lr[:, None, None]
    return Params(
        *(value - rate * slope for value, slope in zip(params, gradients, strict=True)),
    )
