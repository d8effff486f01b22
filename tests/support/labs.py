"""A store of its own with the commands that work on it, for sweeps that are disturbed."""

import contextlib
import os
import sqlite3
import subprocess
import sys
import time

import mlflow
import psutil

from support import commands
from support.paths import ROOT

SWEEP = ("-m", "lr=0.05,0.1,0.2,0.5", "seed=range(0,10)", "data.val_size=4000", "pictures=0")
EPOCHS = "epochs=100"
WORKERS = ("hydra.launcher.n_jobs=2", "hydra.launcher.stack=5")


class Lab:
    """A store of its own, and the commands that work on it."""

    def __init__(self, root):
        self.root = root
        self.env = {**os.environ, "NNLAB_ROOT": str(root)}
        self.uri = f"sqlite:///{root}/mlruns/mlflow.db"
        self.database = root / "mlruns" / "mlflow.db"

    def start(self, *arguments, script=ROOT / "run.py"):
        return subprocess.Popen(
            [sys.executable, str(script), *arguments],
            env=self.env, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
            start_new_session=True,
        )  # fmt: skip

    def run(self, *arguments):
        """Run ``run.py`` to its end, which must be a good one."""
        return commands.run_py(*arguments, root=self.root, timeout=500, check=True)

    def nnlab(self, *arguments):
        return commands.nnlab(*arguments, root=self.root, timeout=500)

    def ask(self, query):
        if not self.database.exists():
            return []
        connection = sqlite3.connect(self.database, timeout=30)
        try:
            return connection.execute(query).fetchall()
        finally:
            connection.close()

    def wait_for(self, process, query, least, seconds=300):
        """Wait until a count is reached, while the process runs."""
        deadline = time.monotonic() + seconds
        while True:
            with contextlib.suppress(sqlite3.OperationalError):  # not created yet
                rows = self.ask(query)
                if rows and rows[0][0] >= least:
                    return
            assert process.poll() is None, process.communicate()
            assert time.monotonic() < deadline
            time.sleep(0.05)

    def under_way(self, process):
        """Wait until the sweep has finished some runs, and has begun others."""
        self.wait_for(process, "SELECT count(*) FROM runs WHERE status = 'FINISHED'", 5)
        self.wait_for(process, "SELECT count(*) FROM runs WHERE status = 'RUNNING'", 3)

    def children(self):
        client = mlflow.MlflowClient(self.uri)
        experiments = [each.experiment_id for each in client.search_experiments()]
        return client.search_runs(experiments, "tags.job != ''")

    def weights(self):
        """Return identity -> digest of the weights; each identity occurs once."""
        runs = self.children()
        weights = {run.data.tags["run_key"]: run.data.tags.get("weights_sha256") for run in runs}
        assert len(weights) == len(runs)
        return weights

    def check(self):
        """Check that the store is sound, and that no run is RUNNING without its process."""
        done = self.nnlab("doctor")
        assert done.returncode == 0, done.stderr
        assert "the database is sound" in done.stdout
        assert self.ask("PRAGMA integrity_check") == [("ok",)]
        assert self.ask("SELECT count(*) FROM runs WHERE status = 'RUNNING'") == [(0,)]

    def complete(self, *arguments):
        """Resume, and check that every run is there once and complete, and no ledger is left."""
        done = self.nnlab("resume", *arguments)
        assert done.returncode == 0, done.stderr
        assert self.ask("SELECT count(*) FROM runs WHERE status != 'FINISHED'") == [(0,)]
        twice = self.ask(
            "SELECT count(*) FROM (SELECT 1 FROM metrics m JOIN tags t ON t.run_uuid = m.run_uuid "
            "AND t.key = 'job' GROUP BY m.run_uuid, m.key, m.step HAVING count(*) > 1)"
        )
        assert twice == [(0,)]
        assert not list((self.root / "mlruns" / "sweeps").iterdir())
        return done


def workers_of(process):
    children = psutil.Process(process.pid).children(recursive=True)
    return [child for child in children if "LokyProcess" in " ".join(child.cmdline())]
