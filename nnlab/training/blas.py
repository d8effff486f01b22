"""The BLAS below NumPy: which it is, and one thread of it."""

import threading
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from functools import cache
from typing import Any

from threadpoolctl import ThreadpoolController

_LOCK = threading.Lock()
_limit = ExitStack()  # holds the limit while a block of ``one_thread`` is entered
_entered = 0  # such blocks, of all threads: the limit is the process's


@cache
def _controller() -> ThreadpoolController:
    return ThreadpoolController()


@contextmanager
def one_thread() -> Iterator[None]:
    """Pin BLAS to one thread: with two, a product's last bits depend on how they divide it.

    Training has threads over panels of samples instead, and adds their results in order.
    """
    global _entered  # noqa: PLW0603
    with _LOCK:
        if not _entered:
            _limit.enter_context(_controller().limit(limits=1, user_api="blas"))
        _entered += 1
    try:
        yield
    finally:
        with _LOCK:
            _entered -= 1
            if not _entered:
                _limit.close()


def name() -> str:
    """Name the BLAS that NumPy uses: vendor, version, kernels."""
    keys = ("internal_api", "version", "architecture")
    return ", ".join(
        " ".join(str(library.get(key, "")) for key in keys).strip() for library in _libraries()
    )


def description() -> list[dict[str, str]]:
    """Describe the BLAS that NumPy uses: vendor, version, kernels, threading layer."""
    keys = ("internal_api", "version", "architecture", "threading_layer")
    return [{key: str(library[key]) for key in keys if key in library} for library in _libraries()]


def _libraries() -> list[dict[str, Any]]:
    """Return NumPy's BLAS, whatever others are loaded: SciPy, for example, brings another."""
    loaded = [library for library in _controller().info() if library["user_api"] == "blas"]
    return [library for library in loaded if "numpy" in library["filepath"]] or loaded
