"""The program or notebook that calls: it is left as it was, and hears of errors as nnlab's own."""

import gc
import logging
import os
import random
import signal
import threading
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import wraps
from typing import ParamSpec, TypeVar

from nnlab.interrupts import Terminated, terminable
from nnlab.system.home import ensure_home

P = ParamSpec("P")
T = TypeVar("T")

# Variables that nnlab, MLflow and joblib set for themselves.
VARIABLES = (
    "HOME", "KMP_INIT_AT_FORK", "MLFLOW_DISABLE_TELEMETRY", "MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR",
    "MLFLOW_SUPPRESS_PRINTING_URL_TO_STDOUT", "MPLCONFIGDIR",
    "_MLFLOW_TELEMETRY_SESSION_ID",
)  # fmt: skip


class _State:
    """What libraries change in a process when they are imported or used."""

    def __init__(self) -> None:
        self._variables = {name: os.environ.get(name) for name in VARIABLES}
        self._filters = list(warnings.filters)
        self._random = random.getstate()
        self._frozen = gc.get_freeze_count()
        loggers = [logging.root, *logging.root.manager.loggerDict.values()]
        self._loggers = [
            (logger, logger.level, list(logger.handlers), logger.propagate, logger.disabled)
            for logger in loggers
            if isinstance(logger, logging.Logger)
        ]

    def restore(self) -> None:
        for name, value in self._variables.items():
            if value is None:
                os.environ.pop(name, None)
            else:
                os.environ[name] = value
        if warnings.filters != self._filters:
            with warnings.catch_warnings():  # leaving it tells Python that they have changed
                pass
            warnings.filters[:] = self._filters  # type: ignore[index]
        for logger, level, handlers, propagate, disabled in self._loggers:
            if logger.level != level:
                logger.setLevel(level)
            logger.handlers[:], logger.propagate, logger.disabled = handlers, propagate, disabled
        random.setstate(self._random)
        if not self._frozen:
            gc.unfreeze()  # in a program that goes on, garbage has to be found


_lock = threading.Lock()
_guests = 0  # calls under way, of all threads: what they change belongs to the process
_state: _State


@contextmanager
def guest() -> Iterator[None]:
    """Leave the process as it was, and raise foreseen errors as ``NnlabError``."""
    global _guests, _state  # noqa: PLW0603
    with _lock:
        if not _guests:
            _state = _State()
            ensure_home()
            warnings.filterwarnings("ignore", "IProgress not found")  # of bars that are not shown
        _guests += 1
    try:
        yield
    except Exception as error:
        from nnlab.jobs.hydra_errors import as_nnlab_error

        foreseen = as_nnlab_error(error)
        if foreseen is None or foreseen is error:
            raise
        raise foreseen from error
    finally:
        with _lock:
            _guests -= 1
            if not _guests:
                _state.restore()


def as_guest(function: Callable[P, T]) -> Callable[P, T]:
    """Decorate a function of the API: it runs as a ``guest``."""

    @wraps(function)
    def wrapper(*args: P.args, **kwargs: P.kwargs) -> T:
        with guest():
            return function(*args, **kwargs)

    return wrapper


@contextmanager
def interruptible() -> Iterator[None]:
    """Have SIGTERM end runs in order, as an interrupt does; then the caller gets it."""
    try:
        with terminable():
            yield
    except Terminated as error:
        signal.raise_signal(error.number)  # handled as before the call
        raise
