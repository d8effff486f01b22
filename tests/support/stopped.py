"""An unfinished sweep, as SIGTERM leaves it."""

import contextlib
import os
import signal
import sqlite3
import subprocess
import sys
import time

from support.paths import ROOT

SWEEP = (
    "-m", "lr=0.05,0.1", "seed=0,1", "epochs=80", "data.val_size=4000", "pictures=0",
    "hydra.launcher.n_jobs=1", "hydra.launcher.stack=1",
)  # fmt: skip


def environment(root):
    return {**os.environ, "NNLAB_ROOT": str(root)}


def stopped_sweep(root):
    """Start a sweep of four runs in ``root/mlruns``, and stop it when the first is done."""
    process = subprocess.Popen(
        [sys.executable, "run.py", *SWEEP],
        cwd=ROOT, env=environment(root), stdout=subprocess.PIPE, stderr=subprocess.PIPE,
    )  # fmt: skip
    database = root / "mlruns" / "mlflow.db"
    query = "SELECT count(*) FROM runs WHERE status = 'FINISHED'"
    deadline = time.monotonic() + 120
    finished = 0
    while not finished:
        assert process.poll() is None, process.communicate()
        assert time.monotonic() < deadline
        time.sleep(0.05)
        with contextlib.suppress(sqlite3.OperationalError):  # not created yet
            connection = sqlite3.connect(f"{database.as_uri()}?mode=ro", uri=True)
            (finished,) = connection.execute(query).fetchone()
            connection.close()
    process.send_signal(signal.SIGTERM)
    process.communicate(timeout=120)
    assert process.returncode == 143


def resume(root, *words):
    """Resume the sweep in a process of its own."""
    subprocess.run(
        [sys.executable, "-m", "nnlab", "resume", *words],
        cwd=ROOT, env=environment(root), capture_output=True, check=True, timeout=240,
    )  # fmt: skip
