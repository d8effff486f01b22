"""The curvature of the loss: exact products with its Hessian, and its largest eigenvalue.

The Hessian ``H`` of the mean cross-entropy, with respect to all of ``W1, b1, W2, b2``, is never
formed. What is computed is ``H v``, by Pearlmutter's R-operator (Pearlmutter 1994, "Fast exact
multiplication by the Hessian"): the derivative of the notes' equations in the direction
``v = (V1, c1, V2, c2)``, line by line.
"""

from collections.abc import Callable, Iterable
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from nnlab.arrays import Array
from nnlab.training import network
from nnlab.training.blas import one_thread
from nnlab.training.blocks import Block
from nnlab.training.network import DenseInput, Params

Vector = NDArray[np.float64]  # all parameters of a run, as ``flattened`` lays them out
Mapper = Callable[[Callable[[Any], Any], Iterable[Any]], Iterable[Any]]

PRECISION = 1e-6  # relative, of the largest eigenvalue


class Linearised(NamedTuple):
    """A network at some samples, with all that its derivatives in any direction have in common.

    Attributes
    ----------
    params : Params
    images : DenseInput
        ``X``.
    a1 : Array
        ``A1``, (runs, hidden, samples).
    active : Array
        ``ReLU′(Z1)``, booleans of the same shape.
    a2, dz2 : Array
        ``A2`` and ``dZ2 = A2 − Y``, (runs, classes, samples).
    """

    params: Params
    images: DenseInput
    a1: Array
    active: Array
    a2: Array
    dz2: Array

    @classmethod
    def of(cls, params: Params, x: Array, labels: Array) -> "Linearised":
        """Compute it.

        Parameters
        ----------
        params : Params
        x : Array
            Pixels in [0, 1], (pixels, samples).
        labels : Array
            Integers, (samples,).
        """
        images = DenseInput(x)
        a1, z2 = network.forward(params, images)
        a2 = network.softmax(z2)[0].copy()
        dz2 = network.output_error(a2.copy(), labels, images.work)
        return cls(params, images, a1, a1 > 0, a2, dz2)


def hessian_product(at: Linearised, v: Params) -> Params:
    """Multiply the Hessian of the cross-entropy, summed over some samples, with a direction.

    ==========================================  =======================================
    the notes                                   their derivative in the direction ``v``
    ==========================================  =======================================
    ``Z1 = W1 X + b1``                          ``R{Z1} = V1 X + c1``
    ``A1 = ReLU(Z1)``                           ``R{A1} = ReLU′(Z1) ∗ R{Z1}``
    ``Z2 = W2 A1 + b2``                         ``R{Z2} = W2 R{A1} + V2 A1 + c2``
    ``A2 = softmax(Z2)``, ``dZ2 = A2 − Y``      ``R{dZ2} = A2 ∗ (R{Z2} − Σ A2 ∗ R{Z2})``
    ``dW2 = dZ2 A1ᵀ``, ``db2 = Σ dZ2``          ``R{dW2} = R{dZ2} A1ᵀ + dZ2 R{A1}ᵀ``, ``Σ R{dZ2}``
    ``dZ1 = W2ᵀ dZ2 ∗ ReLU′(Z1)``               ``(V2ᵀ dZ2 + W2ᵀ R{dZ2}) ∗ ReLU′(Z1)``
    ``dW1 = dZ1 Xᵀ``, ``db1 = Σ dZ1``           ``R{dW1} = R{dZ1} Xᵀ``, ``Σ R{dZ1}``
    ==========================================  =======================================

    The sum in ``R{dZ2}`` is over the classes. ReLU's own second derivative is 0 wherever it has
    one; at ``Z1 = 0`` both of its derivatives are taken as 0, as in ``network.backward``.

    Returns
    -------
    Params
        Sums over the samples, not yet divided by ``m``.
    """
    params, a1, a2, dz2 = at.params, at.a1, at.a2, at.dz2
    r_a1 = at.images.forward(v) * at.active
    r_z2 = np.matmul(params.w2, r_a1) + np.matmul(v.w2, a1) + v.b2
    r_dz2 = a2 * (r_z2 - (a2 * r_z2).sum(axis=1, keepdims=True))
    w2_t, v2_t = params.w2.transpose(0, 2, 1), v.w2.transpose(0, 2, 1)
    r_dz1 = (np.matmul(v2_t, dz2) + np.matmul(w2_t, r_dz2)) * at.active
    r_dw2 = np.matmul(r_dz2, a1.transpose(0, 2, 1)) + np.matmul(dz2, r_a1.transpose(0, 2, 1))
    r_db2 = r_dz2.sum(axis=-1, keepdims=True)
    return Params(*at.images.backward(r_dz1), r_dw2, r_db2)


class Hessian:
    """The Hessian of the mean cross-entropy over all samples of some blocks, by its products.

    For each block the network has only the block's pixels: where its images are black, neither
    ``W1`` nor ``V1`` counts, and the product is 0.

    Parameters
    ----------
    params : Params
        Of a single run. Products are made in its dtype, and summed in float64 in the blocks'
        order.
    blocks : iterable of Block
        Of any dtype.
    mapper : callable
        A ``map`` that keeps the order, for threads over blocks.
    """

    def __init__(self, params: Params, blocks: Iterable[Block], mapper: Mapper = map) -> None:
        self._params = params
        self._blocks = tuple(blocks)
        self._mapper = mapper
        self._samples = sum(block.samples for block in self._blocks)
        self._points: list[Linearised] = list(mapper(self._linearised, self._blocks))

    @property
    def size(self) -> int:
        """Number of parameters."""
        return sum(array.size for array in self._params)

    def product(self, v: Vector) -> Vector:
        """Multiply it with a direction."""
        direction = unflattened(v.astype(self._params.w1.dtype), self._params)

        def visit(pair: tuple[Block, Linearised]) -> Params:
            block, point = pair
            w1 = direction.w1[..., block.columns[: block.used]]
            return hessian_product(point, direction._replace(w1=w1))

        return self._mean(visit)

    def gradient(self) -> Vector:
        """Return the gradient of the same loss."""

        def visit(pair: tuple[Block, Linearised]) -> Params:
            _, point = pair
            return network.backward(point.params, point.images, point.a1, point.dz2)

        return self._mean(visit)

    def _linearised(self, block: Block) -> Linearised:
        columns = block.columns[: block.used]
        dtype = self._params.w1.dtype
        x = block.x[: block.samples, : block.used].T.astype(dtype, copy=False)
        if block.arithmetic.exact:
            x = x / block.arithmetic.one
        with np.errstate(over="ignore", invalid="ignore"):
            return Linearised.of(
                self._params._replace(w1=self._params.w1[..., columns]), x, block.labels
            )

    def _mean(self, visit: Callable[[tuple[Block, Linearised]], Params]) -> Vector:
        total = Params(*(np.zeros(array.shape) for array in self._params))
        pairs = list(zip(self._blocks, self._points, strict=True))
        for (block, _), part in zip(pairs, self._mapper(visit, pairs), strict=True):
            total.w1[..., block.columns[: block.used]] += part.w1
            for whole, share in zip(total[1:], part[1:], strict=True):
                np.add(whole, share, out=whole)
        return flattened(total) / self._samples


def sharpness(params: Params, blocks: Iterable[Block]) -> float:
    """Return the largest eigenvalue of the Hessian of the mean cross-entropy.

    Gradient descent on the quadratic model of the loss around ``params`` diverges, along that
    eigenvalue's direction, where the learning rate exceeds 2 over it. ARPACK computes it by the
    implicitly restarted Lanczos method from products in float64 and a fixed start.

    Parameters
    ----------
    params : Params
        Of a single run.
    blocks : iterable of Block
        The training samples.

    Returns
    -------
    float
        In nats over squared weights; exact to about ``PRECISION``. The Hessian of a network has
        negative eigenvalues too; this is the largest one, not the largest in size.
    """
    from scipy.sparse.linalg import LinearOperator, eigsh

    with one_thread():
        hessian = Hessian(Params(*(array.astype(np.float64) for array in params)), blocks)
        size = hessian.size
        operator = LinearOperator((size, size), matvec=hessian.product, dtype=np.float64)
        start = np.random.default_rng(0).standard_normal(size)
        (largest,) = eigsh(
            operator, k=1, which="LA", v0=start, tol=PRECISION, return_eigenvectors=False
        )
    return float(largest)


def flattened(params: Params) -> Array:
    """Lay ``W1, b1, W2, b2`` end to end, as one vector."""
    return np.concatenate([array.ravel() for array in params])


def unflattened(vector: Array, like: Params) -> Params:
    """Cut a vector into parameters of these shapes, the opposite of ``flattened``."""
    ends = np.cumsum([array.size for array in like])
    pieces = np.split(vector.ravel(), ends[:-1])
    return Params(*(piece.reshape(array.shape) for piece, array in zip(pieces, like, strict=True)))
