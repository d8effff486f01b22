"""The two-layer network of the notes, for a stack of runs at once.

Every array of parameters carries a leading *runs* axis; samples are columns, as in the notes.
With one run the shapes are the notes' own, behind an axis of length 1.

=================================  ==========================================
the notes                          here
=================================  ==========================================
``Z1 = W1 X + b1``                 :func:`forward`
``A1 = ReLU(Z1)``                  :func:`forward`
``Z2 = W2 A1 + b2``                :func:`forward`
``A2 = softmax(Z2)``               :func:`softmax`
``dZ2 = A2 − Y``                   :func:`subtract_one_hot`
``dW2 = dZ2 A1ᵀ / m``, ``db2``     :func:`backward` (sums), the engine divides
``dZ1 = W2ᵀ dZ2 ∗ ReLU′(Z1)``      :func:`backward`
``dW1 = dZ1 Xᵀ / m``, ``db1``      :func:`backward` (sums), the engine divides
``W := W − lr · dW``               :func:`descend`
=================================  ==========================================

The notebook behind the notes sums ``db`` over all entries into one scalar; the notes' "average
of the error" is one value a row, and so is ours.
"""

import math
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import DTypeLike, NDArray

Array = NDArray[Any]


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


class Workspace:
    """Buffers that one thread reuses from block to block.

    A fresh array of a megabyte costs more in page faults than the arithmetic done on it. An array
    that :meth:`array` returned is overwritten by the next call under the same name.
    """

    def __init__(self) -> None:
        self._flat: dict[str, Array] = {}

    def array(self, name: str, shape: tuple[int, ...], dtype: DTypeLike) -> Array:
        """Return a C-contiguous array of this shape, with arbitrary contents."""
        size = math.prod(shape)
        flat = self._flat.get(name)
        if flat is None or flat.size < size or flat.dtype != dtype:
            flat = self._flat[name] = np.zeros(size, dtype)
        return flat[:size].reshape(shape)


def forward(params: Params, x: Array, work: Workspace, *, wide: bool = True) -> tuple[Array, Array]:
    """Compute ``A1 = ReLU(W1 X + b1)`` and the logits ``Z2 = W2 A1 + b2``.

    Parameters
    ----------
    params : Params
    x : (pixels, samples)
        Pixels in [0, 1]; the transpose of a C-contiguous array.
    work : Workspace
        Owns the two arrays that are returned.
    wide : bool
        Multiply all runs by ``x`` in one product of ``runs · hidden`` rows, or run by run. The
        bits agree only where the BLAS treats both alike; the engine probes that.

    Returns
    -------
    a1 : (runs, hidden, samples)
    z2 : (runs, classes, samples)
    """
    w1, _, w2, _ = params
    runs, hidden, pixels = w1.shape
    samples = x.shape[1]
    a1 = work.array("a1", (runs, hidden, samples), w1.dtype)
    z2 = work.array("z2", (runs, w2.shape[1], samples), w1.dtype)

    if wide:
        rows = runs * hidden
        np.matmul(w1.reshape(rows, pixels), x, out=a1.reshape(rows, samples))
    else:
        np.matmul(w1, x, out=a1)
    return a1, output_layer(params, a1, z2)


def output_layer(params: Params, z1: Array, z2: Array) -> Array:
    """Compute ``A1 = ReLU(Z1 + b1)`` in place, and from it the logits ``Z2 = W2 A1 + b2``.

    Parameters
    ----------
    params : Params
        ``w1`` is not looked at: ``z1`` holds its product with the pixels.
    z1 : (runs, hidden, samples)
        ``W1 X``; overwritten with ``A1``.
    z2 : (runs, classes, samples)
        Written to, and returned.
    """
    _, b1, w2, b2 = params
    z1 += b1  # Z1 = W1 X + b1
    a1 = np.maximum(z1, 0, out=z1)  # A1 = ReLU(Z1); a NaN stays a NaN, so divergence shows
    np.matmul(w2, a1, out=z2)
    z2 += b2  # Z2 = W2 A1 + b2
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


def subtract_one_hot(a2: Array, labels: Array) -> None:
    """Turn ``A2`` into ``dZ2 = A2 − Y`` in place, and silence the columns that are padding.

    Parameters
    ----------
    a2 : (runs, classes, samples)
    labels : (real samples,) integers
        Fewer than ``samples`` where there is padding.
    """
    a2[:, labels, np.arange(labels.size)] -= 1
    a2[..., labels.size :] = 0


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


def backward(
    params: Params,
    x: Array,
    a1: Array,
    dz2: Array,
    work: Workspace,
    *,
    wide: bool = True,
) -> tuple[Params, Array]:
    """Sum the gradients of the cross-entropy over a block of samples.

    Parameters
    ----------
    params : Params
    x : (pixels, samples)
        Pixels in [0, 1]; the transpose of a C-contiguous array.
    a1 : (runs, hidden, samples)
        From :func:`forward`.
    dz2 : (runs, classes, samples)
        ``dZ2 = A2 − Y``, zero where a sample is padding.
    work : Workspace
    wide : bool
        As in :func:`forward`.

    Returns
    -------
    gradients : Params
        Sums over the samples (not yet divided by ``m``), freshly allocated.
    active : (runs, hidden, samples) bool
        ``ReLU′(Z1)``: where a unit let the sample through.
    """
    runs, hidden, pixels = params.w1.shape
    samples = x.shape[1]
    dz1 = work.array("dz1", a1.shape, a1.dtype)
    active = work.array("active", a1.shape, bool)
    db1, dw2, db2 = hidden_gradients(params, a1, dz2, dz1, active)
    if wide:
        rows = runs * hidden
        dw1 = np.matmul(dz1.reshape(rows, samples), x.T).reshape(runs, hidden, pixels)
    else:
        dw1 = np.matmul(dz1, x.T)  # dW1 = dZ1 Xᵀ
    return Params(dw1, db1, dw2, db2), active


def hidden_gradients(
    params: Params, a1: Array, dz2: Array, dz1: Array, active: Array
) -> tuple[Array, Array, Array]:
    """Carry the error back to the hidden layer, and sum all gradients but that of ``W1``.

    Parameters
    ----------
    params : Params
        Only ``w2`` is looked at.
    a1 : (runs, hidden, samples)
    dz2 : (runs, classes, samples)
        ``dZ2 = A2 − Y``, zero where a sample is padding.
    dz1 : (runs, hidden, samples)
        Written to: ``dZ1 = W2ᵀ dZ2 ∗ ReLU′(Z1)``.
    active : (runs, hidden, samples) bool
        Written to: ``ReLU′(Z1)``, where a unit let the sample through.

    Returns
    -------
    db1, dw2, db2 : sums over the samples
    """
    dw2 = np.matmul(dz2, a1.transpose(0, 2, 1))  # dW2 = dZ2 A1ᵀ
    db2 = dz2.sum(axis=-1, keepdims=True)
    np.matmul(params.w2.transpose(0, 2, 1), dz2, out=dz1)
    np.greater(a1, 0, out=active)
    dz1 *= active  # dZ1 = W2ᵀ dZ2 ∗ ReLU′(Z1)
    return dz1.sum(axis=-1, keepdims=True), dw2, db2


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
