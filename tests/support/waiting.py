"""Waiting for what comes soon, but not at once."""

import time


def wait_until(condition, seconds=60):
    """Wait until a condition is met; the test fails if that takes longer than so many seconds."""
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, condition
        time.sleep(0.05)
