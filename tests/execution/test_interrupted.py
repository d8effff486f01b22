"""Sweeps that are stopped or must wait: they say how to go on, and the bits are the same."""

import signal
import sqlite3
import threading
import time

import pytest
from support.labs import EPOCHS, SWEEP, WORKERS


@pytest.mark.long
@pytest.mark.parametrize(
    ("number", "code", "times", "workers"),
    [
        (signal.SIGTERM, 143, 1, WORKERS),
        (signal.SIGINT, 130, 2, WORKERS),
    ],
)
def test_an_interrupted_sweep_says_how_to_go_on_and_does(
    lab, undisturbed, number, code, times, workers
):
    process = lab.start(*SWEEP, EPOCHS, *workers)
    lab.under_way(process)
    for _ in range(times):
        process.send_signal(number)
        time.sleep(0.05)
    out, err = process.communicate(timeout=500)
    assert process.returncode == code, err
    assert "Traceback" not in err
    (parent,) = lab.ask("SELECT run_uuid, status FROM runs WHERE name LIKE 'lr=%(10)'")
    assert parent[1] == "KILLED"
    assert f"nnlab resume {parent[0][:8]}" in out
    assert lab.ask("SELECT count(*) FROM runs WHERE status = 'RUNNING'") == [(0,)]
    lab.check()
    lab.complete(parent[0][:8])
    assert lab.weights() == undisturbed


@pytest.mark.long
def test_a_database_locked_for_30_seconds_is_waited_for(lab, undisturbed):
    process = lab.start(*SWEEP, EPOCHS, *WORKERS)
    lab.under_way(process)
    connection = sqlite3.connect(lab.database, isolation_level=None, timeout=30)
    connection.execute("BEGIN IMMEDIATE")
    release = threading.Event()
    release.wait(30)
    connection.execute("COMMIT")
    connection.close()
    _, err = process.communicate(timeout=500)
    assert process.returncode == 0, err
    assert lab.weights() == undisturbed
    lab.check()
