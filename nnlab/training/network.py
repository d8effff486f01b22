"""The two-layer network of the notes, for a stack of runs at once.

Every array of parameters carries a leading *runs* axis; samples are columns, as in the notes.
With one run the shapes are the notes' own, behind an axis of length 1. All training, prediction
and curvature run through these functions:

==========================================  =============
the notes                                   here
==========================================  =============
``Z1 = W1 X + b1``, ``A1 = ReLU(Z1)``       ``forward``
``Z2 = W2 A1 + b2``                         ``forward``
``A2 = softmax(Z2)``                        ``softmax``
``dZ2 = A2 − Y``                            ``output_error``
``dW2 = dZ2 A1ᵀ / m``, ``db2 = Σ dZ2 / m``  ``backward``
``dZ1 = W2ᵀ dZ2 ∗ ReLU′(Z1)``               ``backward``
``dW1 = dZ1 Xᵀ / m``, ``db1 = Σ dZ1 / m``   ``backward``
``W := W − lr · dW``                        ``update``
==========================================  =============

``backward`` returns sums over the samples, because a full batch is summed up piece by piece; its
callers divide by ``m``. The notebook behind the notes sums ``db`` over all entries into one
scalar; the notes' "average of the error" is one value a row, and so is ours.

The products with ``X`` are made by an ``Input``: ``DenseInput`` writes them as the notes do;
``first_layer`` has the faster forms that training uses.
"""

from collections.abc import Sequence
from typing import Any, NamedTuple, Protocol, TypeVar, cast

import numpy as np
from numpy.typing import NDArray

from nnlab.arrays import Array
from nnlab.training.arithmetic import NUMPY, Arithmetic
from nnlab.training.workspace import Workspace


class Params(NamedTuple):
    """The parameters of a stack of runs, or their gradients.

    Attributes
    ----------
    w1 : Array
        ``W1``, (runs, hidden, pixels).
    b1 : Array
        ``b1``, (runs, hidden, 1).
    w2 : Array
        ``W2``, (runs, classes, hidden).
    b2 : Array
        ``b2``, (runs, classes, 1).
    """

    w1: Array
    b1: Array
    w2: Array
    b2: Array

    def select(self, runs: Array) -> "Params":
        """Return a copy of the runs that a boolean mask or an index array picks."""
        return Params(*(np.ascontiguousarray(array[runs]) for array in self))


class PackedParams(NamedTuple):
    """``Params`` with ``W1`` and ``b1`` in one array, as ``first_layer`` wants them."""

    w1_b1: Array
    w2: Array
    b2: Array


P = TypeVar("P", Params, PackedParams)
P_contra = TypeVar("P_contra", Params, PackedParams, contravariant=True)
T = TypeVar("T")


class Input(Protocol[P_contra]):
    """The images ``X``, in the form in which the first layer multiplies with them."""

    work: Workspace  # buffers; what is in them is overwritten at the next use of this input
    arithmetic: Arithmetic

    def forward(self, params: P_contra) -> Array:
        """Return ``Z1 = W1 X + b1``, (runs, hidden, samples)."""

    def backward(self, dz1: Array) -> tuple[Array, ...]:
        """Return ``dW1 = dZ1 Xᵀ`` and ``db1 = Σ dZ1``, in the form of the parameters."""


class DenseInput:
    """Images as one plain array: ``X``, (pixels, samples), in [0, 1]."""

    def __init__(self, x: Array) -> None:
        self.x = x
        self.work = Workspace()
        self.arithmetic = NUMPY

    def forward(self, params: Params) -> Array:
        """Return ``Z1 = W1 X + b1``."""
        return np.asarray(np.matmul(params.w1, self.x) + params.b1)

    def backward(self, dz1: Array) -> tuple[Array, Array]:
        """Return ``dW1 = dZ1 Xᵀ`` and ``db1 = Σ dZ1``."""
        return np.matmul(dz1, self.x.T), dz1.sum(axis=-1, keepdims=True)


def forward(params: P, x: Input[P]) -> tuple[Array, Array]:
    """Compute the hidden activations and the logits.

    A NaN in ``Z1`` stays a NaN in ``A1``, so that divergence shows.

    Returns
    -------
    a1 : Array
        ``A1 = ReLU(W1 X + b1)``, (runs, hidden, samples).
    z2 : Array
        ``Z2 = W2 A1 + b2``, (runs, classes, samples).
    """
    z1 = x.forward(params)  # Z1 = W1 X + b1
    # Beside a row of zeros, and not beside the number 0, NumPy is twice as fast.
    a1 = np.maximum(z1, np.zeros(z1.shape[-1], z1.dtype), out=z1)  # A1 = ReLU(Z1)
    shape = len(params.w2), params.w2.shape[1], a1.shape[2]
    z2 = x.work.array("z2", shape, a1.dtype)
    x.arithmetic.matmul(params.w2, a1, z2, x.work)  # Z2 = W2 A1 + b2
    z2 += params.b2
    return a1, z2


def softmax(
    z2: Array, largest: Array | None = None, arithmetic: Arithmetic = NUMPY
) -> tuple[Array, Array]:
    """Turn logits into ``A2 = softmax(Z2)``, in place.

    Shifting by each column's largest logit changes nothing in the quotient and keeps ``exp``
    within range at logits of any size.

    Parameters
    ----------
    z2 : Array
        (runs, classes, samples); overwritten with the probabilities.
    largest : Array, optional
        The largest logit of each column, (runs, 1, samples), where it is known already.
    arithmetic : Arithmetic

    Returns
    -------
    a2 : Array
        ``z2`` itself; its columns now sum to 1.
    partition : Array
        ``Σ exp(Z2 − largest)`` over the classes, (runs, 1, samples).
    """
    if largest is None:
        largest = z2.max(axis=1, keepdims=True)
    z2 -= largest
    arithmetic.exp(z2)
    partition = arithmetic.sum(z2, axis=1)[:, None]
    z2 /= partition
    return z2, partition


def evaluate(
    z2: Array, labels: Array, arithmetic: Arithmetic = NUMPY
) -> tuple[Array, Array, NDArray[np.bool_]]:
    """Turn logits into ``A2 = softmax(Z2)``, in place, and compare them with the labels.

    Parameters
    ----------
    z2 : Array
        (runs, classes, columns), C-contiguous; overwritten with the probabilities.
    labels : Array
        Integers, (samples,). Columns past the labels are padding.
    arithmetic : Arithmetic

    Returns
    -------
    a2 : Array
        ``z2`` itself.
    loss : Array
        Cross-entropy ``log Σ exp(Z2) − Z2[label]``, (runs, samples), in nats: a shifted
        log-softmax, finite at logits of ±1e4 (where ``−log(A2)`` is not).
    correct : Array
        Whether ``argmax Z2 == label``, (runs, samples). Of equal logits the first class wins.
    """
    samples = labels.size
    at_label = z2.reshape(len(z2), -1).take(labels * z2.shape[2] + np.arange(samples), axis=1)
    largest = z2.max(axis=1, keepdims=True)
    correct = at_label == largest[:, 0, :samples]
    on_top = z2[..., :samples] == largest[..., :samples]
    if np.count_nonzero(on_top) != correct.size:
        # Ties (a dead network has nothing but) or NaN: rare, and argmax costs 20 times as much.
        runs, columns = np.nonzero(on_top.sum(axis=1) != 1)
        correct[runs, columns] = z2[runs, :, columns].argmax(axis=1) == labels[columns]
    a2, partition = softmax(z2, largest, arithmetic)
    log_partition = arithmetic.log(partition) + largest  # log Σ exp(Z2)
    return a2, log_partition[:, 0, :samples] - at_label, correct


def output_error(a2: Array, labels: Array, work: Workspace) -> Array:
    """Turn probabilities, (runs, classes, columns), into ``dZ2 = A2 − Y``, in place.

    ``Y`` has a one in the row of each sample's class. Columns past the labels are padding, and
    become zero.
    """
    y = work.array("y", a2.shape[1:], a2.dtype)
    y.fill(0)
    y.reshape(-1)[labels * y.shape[1] + np.arange(labels.size)] = 1
    a2 -= y
    a2[..., labels.size :] = 0
    return a2


def backward(params: P, x: Input[P], a1: Array, dz2: Array) -> P:
    """Sum the gradients of the cross-entropy over the samples; they are not yet divided by ``m``.

    Parameters
    ----------
    params, x
        Those that ``forward`` was given.
    a1, dz2 : Array
        ``A1`` and ``dZ2 = A2 − Y``, with the samples on the last axis.
    """
    arithmetic = x.arithmetic
    dw2 = arithmetic.over_samples(dz2, a1, x.work)  # dW2 = dZ2 A1ᵀ
    db2 = arithmetic.sum(dz2)[..., None]  # db2 = Σ dZ2
    active = np.greater(a1, 0, out=x.work.array("active", a1.shape, bool))  # ReLU′(Z1)
    dz1 = x.work.array("dz1", a1.shape, a1.dtype)
    arithmetic.matmul(params.w2.transpose(0, 2, 1), dz2, dz1, x.work)  # W2ᵀ dZ2
    dz1 *= active  # dZ1 = W2ᵀ dZ2 ∗ ReLU′(Z1)
    dw1_db1: tuple[Array, ...] = x.backward(dz1)  # dW1 = dZ1 Xᵀ, db1 = Σ dZ1
    return type(params)._make((*dw1_db1, dw2, db2))


def update(params: P, gradients: P, lr: Array | P, out: P | None = None) -> P:
    """Take one step of gradient descent, ``W := W − lr · dW``.

    Parameters
    ----------
    params, gradients : Params or PackedParams
    lr : Array
        Each run's learning rate, (runs,), in the parameters' dtype; or one array for each of the
        parameters' arrays, of a shape that broadcasts with it.
    out : Params or PackedParams, optional
        Arrays for the result, such as ``params`` itself. The gradients are then overwritten too.
    """
    rates = lr if isinstance(lr, tuple) else [lr[:, None, None]] * len(params)
    fresh = (None,) * len(params)  # NumPy then allocates the results
    steps = map(np.multiply, rates, gradients, fresh if out is None else gradients)
    return type(params)._make(map(np.subtract, params, steps, out or fresh))


def stack(runs: Sequence[T]) -> T:
    """Join runs along the runs axis: their arrays, or their (nested) named tuples of arrays."""
    first: Any = runs[0]
    if hasattr(first, "_fields"):
        return cast("T", first._make(map(stack, zip(*runs, strict=True))))
    return cast("T", first if first is None else np.concatenate(cast("Any", runs)))
