"""Sweeps that are killed, starved and locked out: nothing is lost, and the bits are the same."""

import contextlib
import gzip
import os
import shutil
import signal
import sqlite3
import subprocess
import sys
import threading
import time

import mlflow
import psutil
import pytest
from conftest import ROOT
from idx_files import idx

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

    def nnlab(self, *arguments):
        return subprocess.run(
            [sys.executable, "-m", "nnlab", *arguments],
            env=self.env, cwd=ROOT, capture_output=True, text=True, timeout=500, check=False,
        )  # fmt: skip

    def ask(self, query):
        if not self.database.exists():
            return []
        connection = sqlite3.connect(self.database, timeout=30)
        try:
            return connection.execute(query).fetchall()
        finally:
            connection.close()

    def wait_for(self, process, query, least, seconds=300):
        """Wait until a query counts so much, and the process goes on."""
        deadline = time.monotonic() + seconds
        while True:
            with contextlib.suppress(sqlite3.OperationalError):  # not made yet
                found = self.ask(query)
                if found and found[0][0] >= least:
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
        """Run's identity -> digest of its weights; each identity once."""
        runs = self.children()
        found = {run.data.tags["run_key"]: run.data.tags.get("weights_sha256") for run in runs}
        assert len(found) == len(runs)
        return found

    def check(self):
        """The store is sound, and nobody is RUNNING without a living owner."""
        done = self.nnlab("doctor")
        assert done.returncode == 0, done.stderr
        assert "the database is sound" in done.stdout
        assert self.ask("PRAGMA integrity_check") == [("ok",)]
        assert self.ask("SELECT count(*) FROM runs WHERE status = 'RUNNING'") == [(0,)]

    def complete(self, *arguments):
        """Resume, and check that all is there, once, and as in a sweep that nobody disturbed."""
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


@pytest.fixture
def lab(tmp_path):
    return Lab(tmp_path)


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory):
    """The weights of the sweep when nothing happens to it, trained in this process alone."""
    lab = Lab(tmp_path_factory.mktemp("undisturbed"))
    process = lab.start(*SWEEP, EPOCHS)
    out, err = process.communicate(timeout=500)
    assert process.returncode == 0, err
    assert "40 runs" in out
    found = lab.weights()
    assert len(found) == 40
    return found


@pytest.mark.long
def test_a_sweep_that_was_killed_is_resumed_and_ends_with_the_same_bits(lab, tmp_path):
    arguments = ("-m", "lr=0.1,0.2,0.5", "seed=0,1", "epochs=80", "data.val_size=4000",
                 "pictures=0", "hydra.launcher.stack=2")  # fmt: skip
    process = lab.start(*arguments)
    lab.wait_for(process, "SELECT count(*) FROM runs WHERE status = 'FINISHED'", 1)
    process.kill()
    process.communicate()
    lab.check()
    done = lab.complete()
    assert "6 runs" in done.stdout
    other = Lab(tmp_path / "other")
    alone = other.start(*arguments)
    alone.communicate(timeout=500)
    assert lab.weights() == other.weights()
    again = lab.nnlab("resume")
    assert again.returncode == 0
    assert "Nothing to resume" in again.stderr


@pytest.mark.long
def test_a_killed_worker_costs_nothing_but_time(lab, undisturbed):
    process = lab.start(*SWEEP, EPOCHS, *WORKERS)
    lab.under_way(process)
    workers_of(process)[0].kill()
    lab.wait_for(process, "SELECT count(*) FROM runs WHERE status = 'FINISHED'", 20)
    workers_of(process)[-1].kill()
    out, err = process.communicate(timeout=500)
    assert process.returncode == 0, err
    assert "Traceback" not in err
    assert lab.weights() == undisturbed
    assert "40 runs" in out
    lab.check()


@pytest.mark.long
def test_a_killed_parent_leaves_no_orphans_and_a_sweep_that_can_be_completed(lab, undisturbed):
    process = lab.start(*SWEEP, EPOCHS, *WORKERS)
    lab.under_way(process)
    workers = workers_of(process)
    process.kill()
    process.communicate()
    doctor = lab.nnlab("doctor", "--dry-run")
    assert "would close" in doctor.stdout
    assert lab.ask("SELECT count(*) FROM runs WHERE status = 'RUNNING'")[0][0] > 0
    lab.check()
    gone, alive = psutil.wait_procs(workers, timeout=60)
    assert gone
    assert not alive
    lab.complete()
    assert lab.weights() == undisturbed


@pytest.mark.long
def test_a_sweep_may_be_killed_again_and_again(lab, undisturbed):
    process = lab.start(*SWEEP, EPOCHS, *WORKERS)
    for least in (3, 12, 25):
        lab.wait_for(process, "SELECT count(*) FROM runs WHERE status = 'FINISHED'", least)
        process.kill()
        process.communicate()
        process = subprocess.Popen(
            [sys.executable, "-m", "nnlab", "resume"], env=lab.env, cwd=ROOT,
            stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
        )  # fmt: skip
    _, err = process.communicate(timeout=500)
    assert process.returncode == 0, err
    assert lab.weights() == undisturbed
    lab.check()


@pytest.mark.long
@pytest.mark.parametrize(
    ("number", "code", "times"),
    [(signal.SIGINT, 130, 1), (signal.SIGTERM, 143, 1), (signal.SIGINT, 130, 2)],
)
@pytest.mark.parametrize("workers", [WORKERS, ("hydra.launcher.stack=5",)])
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


@pytest.mark.long
def test_a_full_disk_ends_the_sweep_in_a_sentence_and_it_goes_on_when_there_is_room(
    tmp_path, undisturbed
):
    disk = tmp_path / "disk"
    disk.mkdir()
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=40m", "tmpfs", str(disk)],
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    if mounted.returncode:
        pytest.skip(f"a small disk cannot be mounted here: {mounted.stderr.strip()}")
    try:
        lab = Lab(disk)
        process = lab.start(*SWEEP, EPOCHS, *WORKERS)
        lab.under_way(process)
        ballast = disk / "ballast"
        with contextlib.suppress(OSError), ballast.open("wb", buffering=0) as file:
            while True:
                file.write(bytes(4096))
        _, err = process.communicate(timeout=500)
        assert process.returncode == 2, err
        assert "Traceback" not in err
        assert "free space" in err
        ballast.unlink()
        lab.check()
        lab.complete()
        assert lab.weights() == undisturbed
    finally:
        subprocess.run(["umount", "-l", str(disk)], check=True)


@pytest.mark.long
def test_two_sweeps_may_begin_at_once_on_a_store_that_does_not_exist_yet(lab):
    both = [
        lab.start(*SWEEP, "epochs=20", f"tracking.experiment={name}") for name in ("one", "other")
    ]
    for process in both:
        _, err = process.communicate(timeout=500)
        assert process.returncode == 0, err
    runs = lab.children()
    assert len(runs) == 80
    assert {run.info.status for run in runs} == {"FINISHED"}
    assert len({(r.info.experiment_id, r.data.tags["run_key"]) for r in runs}) == 80
    assert len({run.data.tags["weights_sha256"] for run in runs}) == 40
    lab.check()


@pytest.mark.long
def test_runs_that_raise_do_not_stop_the_others_and_the_exit_code_is_1(lab):
    # A network of 6 terabytes: the machine itself refuses.
    process = lab.start(
        "-m", "hidden_size=10,1000000000", "seed=range(0,20)", "epochs=20", "data.val_size=4000",
        "pictures=0", *WORKERS,
    )  # fmt: skip
    out, err = process.communicate(timeout=500)
    assert process.returncode == 1, err
    assert "20 of 40 runs failed" in err
    assert "Traceback" not in err
    statuses = [run.info.status for run in lab.children()]
    assert (statuses.count("FINISHED"), statuses.count("FAILED")) == (20, 20)
    assert "MemoryError" in out
    assert "MemoryError" in err
    for run in lab.children():
        assert ("MemoryError" in run.data.tags.get("reason", "")) == (run.info.status == "FAILED")
    lab.check()


@pytest.mark.long
def test_the_plan_is_frozen_when_the_sweep_begins(lab, undisturbed, tmp_path):
    copy = tmp_path / "copy"
    copy.mkdir()
    shutil.copy(ROOT / "run.py", copy)
    for folder in ("conf", "hydra_plugins"):
        shutil.copytree(ROOT / folder, copy / folder)
    process = lab.start(*SWEEP, EPOCHS, *WORKERS, script=copy / "run.py")
    lab.under_way(process)
    process.kill()
    process.communicate()
    config = copy / "conf" / "config.yaml"
    config.write_text(config.read_text().replace("hidden_size: 10", "hidden_size: 3"))
    lab.complete()
    assert lab.weights() == undisturbed


@pytest.mark.long
def test_the_same_command_goes_on_with_its_unfinished_sweep_where_resume_is_asked_for(
    lab, undisturbed
):
    process = lab.start(*SWEEP, EPOCHS, *WORKERS)
    lab.under_way(process)
    process.kill()
    process.communicate()
    again = lab.start(*SWEEP, EPOCHS, *WORKERS, "hydra.launcher.resume=true")
    _, err = again.communicate(timeout=500)
    assert again.returncode == 0, err
    assert lab.weights() == undisturbed  # which sees each identity once
    lab.check()


@pytest.mark.long
def test_the_same_sweep_with_reuse_runs_only_what_is_missing(lab, undisturbed):
    first = lab.start(*SWEEP[:1], "lr=0.05,0.1", *SWEEP[2:], EPOCHS)
    first.communicate(timeout=500)
    second = lab.start(*SWEEP, EPOCHS, "reuse=true")
    out, err = second.communicate(timeout=500)
    assert second.returncode == 0, err
    assert "40 runs, 20 reused" in out
    assert lab.weights() == undisturbed


def write_idx(folder, pixels, labels):
    folder.mkdir(exist_ok=True)
    for name, array in (
        ("train-images-idx3-ubyte", pixels.reshape(-1, 28, 28)), ("train-labels-idx1-ubyte", labels)
    ):  # fmt: skip
        (folder / f"{name}.gz").write_bytes(gzip.compress(idx(array), 1))


@pytest.mark.long
def test_changed_data_is_refused_with_the_difference_unless_the_runs_may_start_anew(lab, tmp_path):
    from nnlab.sources import load_mnist_sample

    sample = load_mnist_sample()
    pixels, labels = sample.pixels[:1500].copy(), sample.labels[:1500].astype("uint8")
    folder = tmp_path / "digits"
    write_idx(folder, pixels, labels)
    process = lab.start(
        "-m", "seed=range(0,6)", "data=idx", "data.name=digits", f"data.dir={folder}",
        "data.val_size=500", "epochs=100", "pictures=0", "hydra.launcher.stack=2",
    )  # fmt: skip
    lab.wait_for(process, "SELECT count(*) FROM runs WHERE status = 'FINISHED'", 2)
    process.kill()
    process.communicate()
    lab.check()
    before = lab.ask("SELECT run_uuid, status FROM runs ORDER BY 1")
    pixels[700, 400] ^= 1
    write_idx(folder, pixels, labels)
    done = lab.nnlab("resume")
    assert done.returncode == 2
    assert "cannot go on as they began: the data was " in done.stderr
    assert "--anew" in done.stderr
    assert lab.ask("SELECT run_uuid, status FROM runs ORDER BY 1") == before
    done = lab.nnlab("resume", "--anew")
    assert done.returncode == 0, done.stderr
    finished = [run for run in lab.children() if run.info.status == "FINISHED"]
    assert {run.data.tags["job"] for run in finished} == set(map(str, range(6)))
    assert len({run.data.tags["data_digest"] for run in finished}) == 2
    lab.check()


@pytest.mark.long
def test_a_pruned_sweep_that_was_killed_drops_the_same_runs(lab, tmp_path):
    arguments = (*SWEEP, "prune=halving", "prune.rungs=[30,90]", "epochs=120")
    process = lab.start(*arguments, *WORKERS)
    lab.wait_for(process, "SELECT count(*) FROM tags WHERE value = 'pruned'", 10)
    process.kill()
    process.communicate()
    done = lab.nnlab("resume")
    assert done.returncode == 0, done.stderr
    other = Lab(tmp_path / "other")
    other.start(*arguments).communicate(timeout=500)
    assert lab.weights() == other.weights()
    outcomes = [
        {run.data.tags["run_key"]: run.data.tags["outcome"] for run in each.children()}
        for each in (lab, other)
    ]
    assert outcomes[0] == outcomes[1]
    assert sum(outcome == "pruned" for outcome in outcomes[0].values()) == 35
    assert "35 pruned" in done.stdout


@pytest.mark.long
def test_a_single_run_is_resumed_too(lab, tmp_path):
    arguments = ("lr=0.5", "epochs=900", "pictures=0")
    process = lab.start(*arguments)
    lab.wait_for(process, "SELECT count(*) FROM metrics WHERE key = 'val/loss'", 200)
    process.kill()
    process.communicate()
    done = lab.complete()
    assert "val accuracy" in done.stdout
    other = Lab(tmp_path / "other")
    other.start(*arguments).communicate(timeout=500)
    assert lab.weights() == other.weights()


@pytest.mark.long
def test_a_sweep_that_is_at_work_cannot_be_resumed_by_another(lab):
    process = lab.start(*SWEEP, "epochs=2000", *WORKERS)
    try:
        lab.wait_for(process, "SELECT count(*) FROM runs WHERE status = 'RUNNING'", 3)
        before = lab.ask("SELECT run_uuid, status FROM runs ORDER BY 1")
        done = lab.nnlab("resume")
        assert done.returncode == 2
        assert "is at work in another process" in done.stderr
        assert set(before) <= set(lab.ask("SELECT run_uuid, status FROM runs ORDER BY 1"))
        doctor = lab.nnlab("doctor")
        assert "closed" not in doctor.stdout
    finally:
        os.killpg(process.pid, signal.SIGKILL)
        process.communicate()
