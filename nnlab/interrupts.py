"""Ctrl-C and SIGTERM: the first ends a sweep in order, and none tears a write in two."""

import os
import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

HANDLED = (signal.SIGINT, signal.SIGTERM)

# Signals belong to the process, and so does what is known of them.
_arrived: list[int] = []  # and not yet acted on
_writing = 0  # blocks under way that must be whole
_orderly = 0  # loops under way that end by themselves when asked


class Terminated(KeyboardInterrupt):
    """SIGTERM came: the same end as Ctrl-C, under its own exit code."""


@contextmanager
def deferred() -> Iterator[None]:
    """Let an interrupt take effect only behind this block; a further one at once.

    An interrupt in the middle of a database's commit leaves its lock behind, and one between the
    making of a run and the noting of its id leaves a run that nobody ends.
    """
    global _writing  # noqa: PLW0603
    with _handlers() as ours:
        if not ours:
            yield  # signals reach the main thread alone
            return
        _writing += 1
        try:
            yield
        finally:
            _writing -= 1
            if not _writing and len(_arrived) > _orderly:
                _interrupt()


@contextmanager
def terminable() -> Iterator[None]:
    """Let SIGTERM raise, as Ctrl-C does, wherever nothing else was said."""
    with _handlers():
        yield


@contextmanager
def graceful() -> Iterator[None]:
    """Let a first interrupt only be ``stop_requested``; it takes effect behind this block.

    A second one takes effect at once.
    """
    global _orderly  # noqa: PLW0603
    with _handlers() as ours:
        _orderly += ours
        try:
            yield
        finally:
            _orderly -= ours
        if ours and _arrived and not _orderly:
            _interrupt()


def stop_requested() -> bool:
    """Tell whether an interrupt waits for the loop to come to its end."""
    return bool(_arrived)


@contextmanager
def _handlers() -> Iterator[bool]:
    """Take over the signals for a block; False in a thread that no signal reaches."""
    if threading.current_thread() is not threading.main_thread():
        yield False
        return
    before = {number: signal.getsignal(number) for number in HANDLED}
    for number in HANDLED:
        signal.signal(number, _arrive)
    try:
        yield True
    finally:
        for number, handler in before.items():
            signal.signal(number, handler or signal.SIG_DFL)


def _arrive(number: int, _frame: FrameType | None) -> None:
    _arrived.append(number)
    if _orderly and len(_arrived) == 1:
        os.write(2, b"\nStopping when this round is done; once more stops at once.\n")
    beyond = len(_arrived) - _orderly
    if beyond > 1 or (beyond == 1 and not _writing):
        _interrupt()


def _interrupt() -> None:
    number = _arrived[0]
    _arrived.clear()
    raise Terminated("SIGTERM") if number == signal.SIGTERM else KeyboardInterrupt
