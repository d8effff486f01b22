"""Ctrl-C, SIGTERM and a terminal that is closed: the first ends a sweep in order.

None leaves a write incomplete.
"""

import os
import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from types import FrameType

HANGUP = getattr(signal, "SIGHUP", None)  # which Windows does not have
HANDLED = (signal.SIGINT, signal.SIGTERM, *([] if HANGUP is None else [HANGUP]))
STOPPING = b"\nStopping after the epochs under way; a second interrupt stops at once.\n"

# Signals belong to the process, and so does this state.
_pending: list[int] = []  # signals that have arrived and have not taken effect
_deferred = 0  # blocks of ``deferred`` that are entered
_graceful = 0  # blocks of ``graceful`` that are entered


class Terminated(KeyboardInterrupt):
    """SIGTERM or SIGHUP has arrived: the same end as after Ctrl-C, with another exit code.

    Attributes
    ----------
    number : int
        Of the signal.
    """

    def __init__(self, number: int) -> None:
        super().__init__(signal.Signals(number).name)
        self.number = number


@contextmanager
def deferred() -> Iterator[None]:
    """Let an interrupt take effect only after this block; a second one at once.

    An interrupt during a database's commit would leave its lock behind. One between the creation
    of a run and the assignment of its id would leave a run that nobody ends.
    """
    global _deferred  # noqa: PLW0603
    with _handlers() as handled:
        if not handled:
            yield
            return
        _deferred += 1
        try:
            yield
        finally:
            _deferred -= 1
            if not _deferred and len(_pending) > _graceful:
                _interrupt()


@contextmanager
def terminable() -> Iterator[None]:
    """Let SIGTERM raise as Ctrl-C does, outside the other blocks of this module."""
    with _handlers():
        yield


@contextmanager
def graceful() -> Iterator[None]:
    """Let an interrupt only set ``stop_requested``, and take effect after this block.

    A second one takes effect at once.
    """
    global _graceful  # noqa: PLW0603
    with _handlers() as handled:
        _graceful += handled
        try:
            yield
        finally:
            _graceful -= handled
        if handled and _pending and not _graceful:
            _interrupt()


def stop_requested() -> bool:
    """Return whether an interrupt is pending, so that a loop should end."""
    return bool(_pending)


@contextmanager
def _handlers() -> Iterator[bool]:
    """Handle the signals in a block; yield False in other threads, which no signal reaches."""
    if threading.current_thread() is not threading.main_thread():
        yield False
        return
    before = {number: signal.getsignal(number) for number in HANDLED}
    if before.get(HANGUP) is signal.SIG_IGN:  # nohup
        del before[HANGUP]
    for number in before:
        signal.signal(number, _handle)
    try:
        yield True
    finally:
        for number, handler in before.items():
            signal.signal(number, handler or signal.SIG_DFL)


def _handle(number: int, _frame: FrameType | None) -> None:
    if number == HANGUP and _pending:
        return  # the terminal and its shell send one each
    _pending.append(number)
    if _graceful and len(_pending) == 1:
        with suppress(OSError):  # the terminal may be gone
            os.write(2, STOPPING)
    beyond = len(_pending) - _graceful
    if beyond > 1 or (beyond == 1 and not _deferred):
        _interrupt()


def _interrupt() -> None:
    number = _pending[0]
    _pending.clear()
    raise KeyboardInterrupt if number == signal.SIGINT else Terminated(number)
