"""Pools of processes end at once, with all that belongs to them."""

import sys
import threading
import time

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
