"""The sharpness along training: the largest eigenvalue of the Hessian, as a metric.

Progressive sharpening, and the edge of stability at 2 over the learning rate, are facts about it
(Cohen et al. 2021). It is an observation: it changes no weight, and a run's identity leaves it out.
"""

from collections.abc import Callable

import numpy as np

from nnlab.arrays import Array
from nnlab.training.curvature import Hessian, Mapper, Vector
from nnlab.training.history import OBSERVATIONS, Scores
from nnlab.training.network import Params
from nnlab.training.training_data import TrainingData

TOLERANCE = 1e-3  # of the residual |H v − λ v| over λ; the error of λ is about its square
STEPS, RESTARTS = 30, 10  # of the Lanczos iteration, which keeps so many vectors
MIXED_IN = 0.3  # share of a fixed random start in a warm one, so that it sees every direction


def observe(
    params: Params, warm: Array | None, data: TrainingData, mapper: Mapper
) -> tuple[Scores, Array]:
    """Measure sharpness, and alignment of the gradient with its direction, of a stack's runs.

    Each run is measured alone, so that its values do not depend on its stack.

    Parameters
    ----------
    params : Params
        Not changed.
    warm : Array or None
        Where the last measurement found each run's direction, (runs, parameters); None before the
        first one.
    data : TrainingData
    mapper : callable
        See ``Hessian``.

    Returns
    -------
    dict
        ``sharpness``: exact to about ``TOLERANCE`` squared; NaN where the iteration has not come to
        an end, or something is not finite. ``gradient_alignment``: the cosine of the angle between
        the gradient and the direction, without its sign.
    Array
        The directions, for the next measurement.
    """
    runs = len(params.w1)
    record = {name: np.full(runs, np.nan) for name in OBSERVATIONS}
    size = sum(array[0].size for array in params)
    directions = np.zeros((runs, size)) if warm is None else warm.copy()
    for run in range(runs):
        hessian = Hessian(params.select(np.array([run])), data.train, mapper)
        value, vector = largest_eigenvalue(hessian.product, directions[run])
        gradient = hessian.gradient()
        norm = np.linalg.norm(gradient)
        record["sharpness"][run] = value
        if np.isfinite(value) and 0 < norm < np.inf:
            record["gradient_alignment"][run] = abs(gradient @ vector) / norm
        directions[run] = vector
    return record, directions


def largest_eigenvalue(product: Callable[[Vector], Vector], warm: Vector) -> tuple[float, Vector]:
    """Find the largest eigenvalue of a symmetric matrix by the Lanczos iteration.

    The basis is orthogonalised twice at each step. It starts again from its best vector after
    ``STEPS`` steps.

    Parameters
    ----------
    product : callable
        Multiplies the matrix with a vector.
    warm : Vector
        Close to the eigenvector, where that is known; else zeros.

    Returns
    -------
    float
        NaN where it has not converged after ``RESTARTS``, or a product is not finite.
    Vector
        Its eigenvector, of length 1; zeros where there is none.
    """
    start = np.random.default_rng(0).standard_normal(warm.size)
    start /= np.linalg.norm(start)
    start = warm + (MIXED_IN if warm.any() else 1.0) * start
    for _ in range(RESTARTS):
        value, vector, converged = _lanczos(product, start)
        if converged:
            return value, vector
        if not np.isfinite(value):
            break
        start = vector
    return np.nan, np.zeros_like(warm)


def _lanczos(product: Callable[[Vector], Vector], start: Vector) -> tuple[float, Vector, bool]:
    """Return the largest Ritz value, its vector, and whether its residual is small enough."""
    steps = min(STEPS, start.size)
    basis = (start / np.linalg.norm(start))[None]
    tridiagonal = np.zeros((steps, steps))
    while True:
        last = len(basis) - 1
        image = product(basis[last])
        if not np.isfinite(image).all():
            return np.nan, start, False
        tridiagonal[last, last] = basis[last] @ image
        for _ in range(2):
            image = image - basis.T @ (basis @ image)
        rest = float(np.linalg.norm(image))
        values, vectors = np.linalg.eigh(tridiagonal[: last + 1, : last + 1])
        value = float(values[-1])
        converged = rest * abs(vectors[-1, -1]) <= TOLERANCE * abs(value)
        if converged or last + 1 == steps:
            vector = vectors[:, -1] @ basis
            return value, vector / np.linalg.norm(vector), converged
        basis = np.vstack((basis, image / rest))
        tridiagonal[last, last + 1] = tridiagonal[last + 1, last] = rest
