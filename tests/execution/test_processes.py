"""Pools of processes end at once, with all that belongs to them, and with their parent."""

import os
import signal
import subprocess
import sys
import threading
import time

import psutil
import pytest

from nnlab.execution import processes
from nnlab.execution.processes import close_pool, open_pool


@pytest.fixture
def hasty():
    """Threads that take turns so often that a race between them shows within some rounds."""
    before = sys.getswitchinterval()
    sys.setswitchinterval(1e-5)
    yield
    sys.setswitchinterval(before)


@pytest.mark.usefixtures("hasty")
@pytest.mark.parametrize("jobs", [1, 4])
def test_a_pool_closed_while_it_sets_up_leaves_no_thread_behind(jobs):
    for _ in range(15):
        before = set(threading.enumerate())
        pool = open_pool(2, processes.set_up)
        futures = [pool.submit(time.sleep, 60) for _ in range(jobs)]
        close_pool(pool)
        assert set(threading.enumerate()) == before
        assert all(future.exception() for future in futures)  # ended, not waited for


SLOW_TO_START = """
import sys, time
if "LokyProcess" in " ".join(sys.orig_argv):
    time.sleep(2)
"""
POOL = """
import sys, time
import psutil
from nnlab.execution import {module}
from nnlab.execution.processes import open_pool
if __name__ == "__main__":
    open_pool(2, {module}.set_up).submit(int)
    children = psutil.Process().children()
    print(*(child.pid for child in children), flush=True)
    time.sleep(60)
"""


@pytest.mark.parametrize("module", ["processes", "drawing"])
def test_processes_go_when_their_parent_is_killed_while_they_start(module, tmp_path):
    # The parent has written all that they need, and is gone before they have read it.
    (tmp_path / "sitecustomize.py").write_text(SLOW_TO_START)
    path = os.pathsep.join([str(tmp_path), os.environ.get("PYTHONPATH", "")])
    with subprocess.Popen(
        [sys.executable, "-c", POOL.format(module=module)],
        env={**os.environ, "PYTHONPATH": path}, stdout=subprocess.PIPE, text=True,
    ) as parent:  # fmt: skip
        children = [psutil.Process(int(pid)) for pid in parent.stdout.readline().split()]
        assert len(children) >= 2
        parent.send_signal(signal.SIGKILL)
    _, alive = psutil.wait_procs(children, timeout=30)
    for process in alive:
        process.kill()
    assert not alive
