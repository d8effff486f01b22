"""The curvature of the loss: exact products with its Hessian, and its largest eigenvalue.

The Hessian ``H`` of the mean cross-entropy, with respect to all of ``W1, b1, W2, b2``, is never
formed. What is computed is ``H v``, by Pearlmutter's R-operator (Pearlmutter 1994, "Fast exact
multiplication by the Hessian"): the derivative of the notes' equations in the direction
``v = (V1, c1, V2, c2)``, line by line.
"""

from collections.abc import Iterable
from functools import partial

import numpy as np
from numpy.typing import NDArray

from nnlab.arrays import Array
from nnlab.training import network
from nnlab.training.blas import one_thread
from nnlab.training.blocks import Block
from nnlab.training.network import DenseInput, Params

PRECISION = 1e-6  # relative, of the largest eigenvalue


def hessian_product(params: Params, v: Params, x: Array, labels: Array) -> Params:
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

    Parameters
    ----------
    params, v : Params
    x : Array
        Pixels in [0, 1], (pixels, samples).
    labels : Array
        Integers, (samples,).

    Returns
    -------
    Params
        Sums over the samples, not yet divided by ``m``.
    """
    images = DenseInput(x)
    a1, z2 = network.forward(params, images)
    a2, _ = network.softmax(z2)
    dz2 = network.output_error(a2.copy(), labels, images.work)

    active = a1 > 0
    r_a1 = images.forward(v) * active
    r_z2 = np.matmul(params.w2, r_a1) + np.matmul(v.w2, a1) + v.b2
    r_dz2 = a2 * (r_z2 - (a2 * r_z2).sum(axis=1, keepdims=True))
    w2_t, v2_t = params.w2.transpose(0, 2, 1), v.w2.transpose(0, 2, 1)
    r_dz1 = (np.matmul(v2_t, dz2) + np.matmul(w2_t, r_dz2)) * active
    r_dw2 = np.matmul(r_dz2, a1.transpose(0, 2, 1)) + np.matmul(dz2, r_a1.transpose(0, 2, 1))
    r_db2 = r_dz2.sum(axis=-1, keepdims=True)
    return Params(*images.backward(r_dz1), r_dw2, r_db2)


def mean_hessian_product(params: Params, v: Params, blocks: Iterable[Block]) -> Params:
    """Multiply the Hessian of the mean cross-entropy over all samples of the blocks with ``v``.

    For each block the network has only the block's pixels: where its images are black, neither
    ``W1`` nor ``V1`` counts, and the product is 0.

    Parameters
    ----------
    params, v : Params
        In float64.
    blocks : iterable of Block
        Of any dtype.
    """
    total = Params(*(np.zeros_like(array) for array in params))
    samples = 0
    for block in blocks:
        columns = block.columns[: block.used]
        x = block.x[: block.samples, : block.used].T.astype(np.float64)
        part = hessian_product(
            params._replace(w1=params.w1[..., columns]),
            v._replace(w1=v.w1[..., columns]),
            x,
            block.labels,
        )
        total.w1[..., columns] += part.w1
        for whole, share in zip(total[1:], part[1:], strict=True):
            np.add(whole, share, out=whole)
        samples += block.samples
    return Params(*(array / samples for array in total))


def sharpness(params: Params, blocks: Iterable[Block]) -> float:
    """Return the largest eigenvalue of the Hessian of the mean cross-entropy.

    Gradient descent on the quadratic model of the loss around ``params`` diverges, along that
    eigenvalue's direction, where the learning rate exceeds 2 over it. ARPACK computes it by the
    implicitly restarted Lanczos method from ``mean_hessian_product`` and a fixed start.

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

    params = Params(*(array.astype(np.float64) for array in params))
    blocks = tuple(blocks)
    size = sum(array.size for array in params)
    unflat = partial(unflattened, like=params)
    hessian = LinearOperator(
        (size, size),
        matvec=lambda v: flattened(mean_hessian_product(params, unflat(v), blocks)),
        dtype=np.float64,
    )
    start = np.random.default_rng(0).standard_normal(size)
    with one_thread():
        (largest,) = eigsh(
            hessian, k=1, which="LA", v0=start, tol=PRECISION, return_eigenvectors=False
        )
    return float(largest)


def flattened(params: Params) -> NDArray[np.float64]:
    """Lay ``W1, b1, W2, b2`` end to end, as one vector."""
    return np.concatenate([array.ravel() for array in params])


def unflattened(vector: NDArray[np.float64], like: Params) -> Params:
    """Cut a vector into parameters of these shapes, the opposite of ``flattened``."""
    ends = np.cumsum([array.size for array in like])
    pieces = np.split(vector.ravel(), ends[:-1])
    return Params(*(piece.reshape(array.shape) for piece, array in zip(pieces, like, strict=True)))
