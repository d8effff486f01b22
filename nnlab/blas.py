"""What the bits depend on below NumPy: one BLAS thread, and products blind to their neighbours."""

from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from typing import Any

import numpy as np
from threadpoolctl import ThreadpoolController

ROW_GROUPS = (1, 4, 8, 12, 16, 24, 32, 48)  # rows that kernels are known to compute at a time
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


def numpys() -> str:
    """Name the BLAS that NumPy uses, whatever others are loaded: vendor, version, kernels."""
    found = [library for library in _controller().info() if library["user_api"] == "blas"]
    own = [library for library in found if "numpy" in library["filepath"]] or found
    keys = ("internal_api", "version", "architecture")
    return ", ".join(" ".join(str(each.get(key, "")) for key in keys).strip() for each in own)


def description() -> list[dict[str, str]]:
    """Tell which BLAS libraries are loaded: vendor, version, kernels, threading layer."""
    keys = ("internal_api", "version", "architecture", "threading_layer")
    return [
        {key: str(library[key]) for key in keys if key in library}
        for library in _controller().info()
        if library["user_api"] == "blas"
    ]


@cache
def rows_a_run(hidden: int, dtype: "np.dtype[Any]") -> int:
    """Return how many rows of a stacked product a run of ``hidden`` units should take.

    A kernel computes several rows at a time, and may round those of one such group in different
    orders. Then a run keeps its bits only where it begins a group: with its rows filled up to a
    multiple of the group, 12 in OpenBLAS's float32 kernels for AVX2. Where a machine needs none
    of that, the number is ``hidden`` itself.
    """
    return -(-hidden // _group(dtype)) * _group(dtype)


@cache
def _group(dtype: "np.dtype[Any]") -> int:
    """Find the smallest filling at which stacks are exact; 1 where none is."""
    shapes = [(3, 1008, 368), (16, 512, 304)]
    for rows in ROW_GROUPS:
        if all(
            stacks_exactly(runs, -(-units // rows) * rows, samples, columns, dtype)
            for runs, samples, columns in shapes
            for units in (5, 10)
        ):
            return rows
    return 1


@cache
def stacks_exactly(
    runs: int, rows: int, samples: int, columns: int, dtype: "np.dtype[Any]"
) -> bool:
    """Probe whether one product for all runs gives each run the bits that it gets alone.

    A BLAS picks its kernel by the shape of the whole product, so that a run's bits may depend on
    its neighbours: OpenBLAS has another kernel for products below about 10⁶ multiply-adds, for
    example. Both products of the first layer are tried, ``W1 X`` and ``dZ1 Xᵀ``, with random
    numbers, at exactly this shape.

    Parameters
    ----------
    runs, rows : the stacked product has ``runs · rows``
    samples, columns : shape of the block of pixels
    dtype : of all operands
    """
    if runs == 1:
        return True
    rng = np.random.default_rng(0)
    x = rng.standard_normal((samples, columns)).astype(dtype)
    w1t = rng.standard_normal((columns, runs * rows)).astype(dtype)
    dz1 = rng.standard_normal((runs * rows, samples)).astype(dtype)
    with one_thread():
        z1, dw1 = w1t.T @ x.T, dz1 @ x
        return all(
            np.array_equal(z1[run], np.ascontiguousarray(w1t[:, run]).T @ x.T)
            and np.array_equal(dw1[run], dz1[run] @ x)
            for run in (slice(rows * place, rows * (place + 1)) for place in range(runs))
        )
