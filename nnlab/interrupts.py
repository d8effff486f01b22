"""Ctrl-C and SIGTERM, held back while something is written that must be whole."""

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

HELD_BACK = (signal.SIGINT, signal.SIGTERM)


@contextmanager
def held_back() -> Iterator[None]:
    """Let a first Ctrl-C or SIGTERM take effect only behind this block; a second one at once.

    An interrupt in the middle of a database's commit leaves its lock behind, and one between the
    making of a run and the noting of its id leaves a run that nobody ends.
    """
    if threading.current_thread() is not threading.main_thread():
        yield  # signals reach the main thread alone
        return
    arrived: list[int] = []

    def hold_back(number: int, frame: FrameType | None) -> None:
        before = handlers[signal.Signals(number)]
        if arrived and callable(before):
            before(number, frame)
        arrived.append(number)

    handlers = {number: signal.getsignal(number) for number in HELD_BACK}
    for number in HELD_BACK:
        signal.signal(number, hold_back)
    try:
        yield
    finally:
        for number, handler in handlers.items():
            signal.signal(number, handler or signal.SIG_DFL)
        if arrived:
            signal.raise_signal(arrived[0])
