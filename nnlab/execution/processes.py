"""Pools of processes on this machine: how they start and end, what each process does first."""

import os
import signal
import threading
import time
from collections.abc import Callable, Mapping
from concurrent.futures import Executor
from contextlib import suppress
from queue import Empty

from joblib.externals.loky import ProcessPoolExecutor

FEEDER_SECONDS = 5  # that the thread which feeds a pool gets to end
PARENT_SECONDS = 0.5  # between two checks that the parent process is alive


def set_up(parent: int) -> None:
    """Ignore Ctrl-C, which the parent handles for all; exit when the parent is gone.

    A killed parent cannot end its workers. joblib's workers would wait minutes for another call,
    or finish one whose result nobody receives. The parent's id is handed over: if the parent was
    killed while this process started, the system already names another.
    """
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    threading.Thread(target=_exit_after, args=(parent,), daemon=True).start()


def _exit_after(parent: int) -> None:
    while os.getppid() == parent:
        time.sleep(PARENT_SECONDS)
    os._exit(1)


def open_pool(
    processes: int, set_up: Callable[[int], None], env: Mapping[str, str] | None = None
) -> Executor:
    """Open a pool of processes.

    Parameters
    ----------
    processes : int
    set_up : Callable[[int], None]
        What each process does first; its argument is the id of this process.
    env : Mapping[str, str], optional
        What is added to the environment.
    """
    return ProcessPoolExecutor(  # type: ignore[no-any-return]
        processes, initializer=set_up, initargs=(os.getpid(),), env=dict(env or {})
    )


def close_pool(pool: Executor) -> None:
    """End a pool's processes at once, and then the thread that feeds them.

    loky does not wait for that thread. If it is still alive when the interpreter exits, it is
    killed while it releases semaphores, and joblib warns that they leaked. Besides, loky drops the
    calls that no process has taken yet, but not their ids; its manager thread would fail on such
    an id and leave the feeder running. So the ids are removed first.
    """
    with suppress(Empty):
        while True:
            pool._work_ids.get_nowait()  # type: ignore[attr-defined] # noqa: SLF001
    calls = pool._call_queue  # type: ignore[attr-defined] # noqa: SLF001
    pool.shutdown(wait=True, kill_workers=True)  # type: ignore[call-arg]
    feeder = getattr(calls, "_thread", None)  # None before the first call
    if feeder is not None:
        feeder.join(FEEDER_SECONDS)
