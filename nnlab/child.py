"""What each process that we start does first: leave interrupts to its parent, and go with it."""

import os
import signal
import threading
import time

LOOK_SECONDS = 0.5  # between two looks at whether the parent is still there


def set_up() -> None:
    """Ignore Ctrl-C, which the parent answers for all; end when the parent is gone.

    A killed parent cannot end its workers, and joblib's would wait for orders for minutes, or
    finish one that nobody is there to receive.
    """
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    threading.Thread(target=_go_with, args=(os.getppid(),), daemon=True).start()


def _go_with(parent: int) -> None:
    while os.getppid() == parent:
        time.sleep(LOOK_SECONDS)
    os._exit(1)
