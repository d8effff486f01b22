"""Processes of our own on this machine: how a pool starts, what each does first, how it ends."""

import os
import signal
import threading
import time
from collections.abc import Callable, Mapping
from concurrent.futures import Executor
from contextlib import suppress
from queue import Empty

from joblib.externals.loky import ProcessPoolExecutor

FEEDER_SECONDS = 5  # given to a pool's own threads to end
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


def open_pool(
    processes: int, set_up: Callable[[], None], env: Mapping[str, str] | None = None
) -> Executor:
    """Open a pool whose processes each begin with ``set_up``, in an environment with ``env``."""
    return ProcessPoolExecutor(  # type: ignore[no-any-return]
        processes, initializer=set_up, env=dict(env or {})
    )


def close_pool(pool: Executor) -> None:
    """End a pool's processes, and then the thread that feeds them.

    loky does not wait for that thread. Where it outlives this one, the interpreter's exit cuts it
    off while it gives back semaphores, and joblib warns that they leaked. And loky forgets orders
    that no process has had yet, but not their numbers, over which its manager then stumbles and
    dies with the feeder running: so the numbers go first.
    """
    with suppress(Empty):
        while True:
            pool._work_ids.get_nowait()  # type: ignore[attr-defined] # noqa: SLF001
    orders = pool._call_queue  # type: ignore[attr-defined] # noqa: SLF001
    pool.shutdown(wait=True, kill_workers=True)  # type: ignore[call-arg]
    feeder = getattr(orders, "_thread", None)  # there is none before the first order
    if feeder is not None:
        feeder.join(FEEDER_SECONDS)
