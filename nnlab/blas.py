"""What the bits depend on below NumPy: one BLAS thread, and products blind to their neighbours."""

from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache

import numpy as np
from numpy.typing import DTypeLike
from threadpoolctl import ThreadpoolController

TILE = 16  # kernels treat rows and columns in groups of up to 16: no remainder, no special case


@cache
def _controller() -> ThreadpoolController:
    return ThreadpoolController()


@contextmanager
def one_thread() -> Iterator[None]:
    """Pin BLAS to one thread: with two, a product's last bits depend on how it was shared out.

    The engine runs threads over blocks of samples instead, and adds their results in order.
    """
    with _controller().limit(limits=1, user_api="blas"):
        yield


def description() -> list[dict[str, str]]:
    """Tell which BLAS libraries are loaded: vendor, version, kernels, threading layer."""
    keys = ("internal_api", "version", "architecture", "threading_layer")
    return [
        {key: str(library[key]) for key in keys if key in library}
        for library in _controller().info()
        if library["user_api"] == "blas"
    ]


@cache
def stacks_exactly(runs: int, hidden: int, samples: int, columns: int, dtype: DTypeLike) -> bool:
    """Probe whether one product for all runs gives each run the bits that it gets alone.

    A BLAS picks its kernel by the shape of the whole product, so that a run's bits may depend on
    its neighbours: OpenBLAS has another kernel for products below about 10⁶ multiply-adds, for
    example. Both products of the first layer are tried, ``W1 X`` and ``dZ1 Xᵀ``, with random
    numbers, at exactly this shape.

    Parameters
    ----------
    runs, hidden : rows of the stacked product are ``runs · hidden``
    samples, columns : shape of the block of pixels
    dtype : of all operands
    """
    if runs == 1:
        return True
    rng = np.random.default_rng(0)
    x = rng.standard_normal((samples, columns)).astype(dtype)
    w1 = rng.standard_normal((runs, hidden, columns)).astype(dtype)
    dz1 = rng.standard_normal((runs, hidden, samples)).astype(dtype)
    rows = runs * hidden
    with one_thread():
        z1 = (w1.reshape(rows, columns) @ x.T).reshape(runs, hidden, samples)
        dw1 = (dz1.reshape(rows, samples) @ x).reshape(runs, hidden, columns)
        return all(
            np.array_equal(z1[run], w1[run] @ x.T) and np.array_equal(dw1[run], dz1[run] @ x)
            for run in range(runs)
        )
