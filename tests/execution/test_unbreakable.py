"""Sweeps that are killed, starved and locked out: nothing is lost, and the bits are the same."""

import contextlib
import gzip
import os
import shutil
import signal
import subprocess
import sys

import psutil
import pytest
from support.idx_files import idx_bytes
from support.labs import EPOCHS, SWEEP, WORKERS, Lab, workers_of
from support.paths import ROOT


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
def test_a_killed_parent_leaves_no_orphans_and_a_sweep_that_is_completed_as_it_was_planned(
    lab, undisturbed, tmp_path
):
    copy = tmp_path / "copy"
    copy.mkdir()
    shutil.copy(ROOT / "run.py", copy)
    for folder in ("conf", "hydra_plugins"):
        shutil.copytree(ROOT / folder, copy / folder)
    process = lab.start(*SWEEP, EPOCHS, *WORKERS, script=copy / "run.py")
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
    config = copy / "conf" / "config.yaml"
    config.write_text(config.read_text().replace("hidden_size: 10", "hidden_size: 3"))
    assert "40 runs" in lab.complete().stdout
    assert lab.weights() == undisturbed
    again = lab.nnlab("resume")
    assert again.returncode == 0
    assert "Nothing to resume" in again.stderr


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
    # A network of 6 terabytes.
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
    assert "DoesNotFitError" in out
    assert "DoesNotFitError" in err
    for run in lab.children():
        assert ("DoesNotFitError" in run.data.tags.get("reason", "")) == (
            run.info.status == "FAILED"
        )
    lab.check()


@pytest.mark.long
def test_the_same_command_goes_on_with_its_unfinished_sweep_where_resume_is_asked_for(
    lab, undisturbed
):
    process = lab.start(*SWEEP, EPOCHS, *WORKERS)
    lab.under_way(process)
    process.kill()
    process.communicate()
    lab.run(*SWEEP, EPOCHS, *WORKERS, "hydra.launcher.resume=true")
    assert lab.weights() == undisturbed  # which sees each identity once
    lab.check()


@pytest.mark.long
def test_the_same_sweep_with_reuse_runs_only_what_is_missing(lab, undisturbed):
    lab.run(*SWEEP[:1], "lr=0.05,0.1", *SWEEP[2:], EPOCHS)
    assert "40 runs, 20 reused" in lab.run(*SWEEP, EPOCHS, "reuse=true").stdout
    assert lab.weights() == undisturbed


def write_idx(folder, pixels, labels):
    folder.mkdir(exist_ok=True)
    for name, array in (
        ("train-images-idx3-ubyte", pixels.reshape(-1, 28, 28)), ("train-labels-idx1-ubyte", labels)
    ):  # fmt: skip
        (folder / f"{name}.gz").write_bytes(gzip.compress(idx_bytes(array), 1))


@pytest.mark.long
def test_changed_data_is_refused_with_the_difference_unless_the_runs_may_restart(lab, tmp_path):
    from nnlab.data.sources import load_mnist_sample

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
    assert "--restart" in done.stderr
    assert lab.ask("SELECT run_uuid, status FROM runs ORDER BY 1") == before
    done = lab.nnlab("resume", "--restart")
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
    other.run(*arguments)
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
    other.run(*arguments)
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
