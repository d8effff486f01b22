"""The BLAS below NumPy: which it is, and one thread of it."""

import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from functools import cache
from typing import Any

from threadpoolctl import ThreadpoolController

_LOCK = threading.Lock()
_entered = 0  # blocks of ``one_thread``, of all threads: the number belongs to the process
_before: list[int] = []  # the number of threads of each library before the first such block


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
            _before[:] = [library.num_threads for library in _blas()]
            _set_threads([1] * len(_before))
        _entered += 1
    try:
        yield
    finally:
        with _LOCK:
            _entered -= 1
            if not _entered:
                _set_threads(_before)


def _blas() -> list[Any]:
    return [library for library in _controller().lib_controllers if library.user_api == "blas"]


def _set_threads(numbers: Sequence[int]) -> None:
    """Set the number of threads of each library, whichever thread has set it last.

    threadpoolctl lets one thread of the process change it, until that thread gives it up. Here the
    first thread to enter and the last one to leave may be two.
    """
    for library, number in zip(_blas(), numbers, strict=True):
        give_up = getattr(library, "clear_controlling_thread", None)  # older versions have none
        if give_up is not None:
            give_up(force=True)
        library.set_num_threads(number)
        if give_up is not None:
            give_up(force=True)


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
