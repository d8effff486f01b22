"""Experiment tracking for small neural networks, written out in NumPy.

``nnlab.run(lr=0.5)`` trains a run, ``nnlab.sweep(lr=[0.1, 0.5], seed=range(5))`` a sweep,
``nnlab.get("last")`` returns what is recorded. The names are imported when they are first used.
"""

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from nnlab.api.handles import Run as Run
    from nnlab.api.handles import Sweep as Sweep
    from nnlab.api.reading import compare as compare
    from nnlab.api.reading import explain as explain
    from nnlab.api.reading import get as get
    from nnlab.api.reading import runs as runs
    from nnlab.api.training import reproduce as reproduce
    from nnlab.api.training import resume as resume
    from nnlab.api.training import run as run
    from nnlab.api.training import sweep as sweep
    from nnlab.errors import NnlabError as NnlabError

__version__ = "0.1.0"

_MODULES = {
    "NnlabError": "errors",
    "Run": "api.handles",
    "Sweep": "api.handles",
    "compare": "api.reading",
    "explain": "api.reading",
    "get": "api.reading",
    "reproduce": "api.training",
    "resume": "api.training",
    "run": "api.training",
    "runs": "api.reading",
    "sweep": "api.training",
}
__all__ = [*_MODULES]  # noqa: PLE0604

if not TYPE_CHECKING:  # a type checker refuses unknown names

    def __getattr__(name: str) -> object:
        if name not in _MODULES:
            raise AttributeError(f"module 'nnlab' has no attribute {name!r}")
        from importlib import import_module

        if name != "NnlabError":
            from nnlab.system.processor import check_kernels

            check_kernels()  # before NumPy is imported
        value = getattr(import_module(f"nnlab.{_MODULES[name]}"), name)
        globals()[name] = value
        return value


def __dir__() -> list[str]:
    return sorted({*globals(), *_MODULES})
