"""The launcher under Hydra's own sweeper: real processes, a real store."""

import os
import subprocess
import sys

import mlflow
import pytest
from support.commands import run_py
from support.paths import ROOT

SMALL = ("epochs=8", "data.val_size=4000", "pictures=0")


def runs_of(store, condition=""):
    return mlflow.MlflowClient(store).search_runs(["1"], condition)


@pytest.mark.parametrize("sweeper", ["nnlab", pytest.param("basic", marks=pytest.mark.long)])
def test_hydras_own_sweeper_does_the_same(store, sweeper):
    done = run_py(
        "-m", "lr=0.1,0.5", "init=he,randn", *SMALL, f"hydra/sweeper={sweeper}",
        f"tracking.uri={store}",
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    names = {run.info.run_name for run in runs_of(store)}
    assert names == {
        "lr=0.1,0.5 init=he,randn",
        *(f"lr={lr} init={init}" for lr in (0.1, 0.5) for init in ("he", "randn")),
    }


@pytest.mark.long
def test_a_sweep_in_batches_is_one_sweep(store):
    done = run_py(
        "-m", "seed=range(0,5)", "hydra.sweeper.max_batch_size=2", *SMALL, f"tracking.uri={store}"
    )
    assert done.returncode == 0, done.stderr
    parents = [run for run in runs_of(store) if run.data.tags.get("kind") == "sweep"]
    children = [run for run in runs_of(store) if "mlflow.parentRunId" in run.data.tags]
    assert len(parents) == 1
    assert parents[0].info.status == "FINISHED"
    assert {run.data.tags["job"] for run in children} == set("01234")
    assert done.stdout.count("5 runs") == 1


@pytest.mark.parametrize("seeds", ["range(0,0)", "range(5,0)"])
def test_an_empty_sweep_is_said_to_be_empty(store, seeds):
    done = run_py("-m", f"seed={seeds}", f"tracking.uri={store}")
    assert done.returncode == 2
    assert "There is nothing to run: a range or a list of values is empty." in done.stderr


def test_a_sweep_that_failed_does_not_make_a_later_one_of_the_same_process_fail(tmp_path):
    code = (
        "import runpy, sys\n"
        "for sizes in ('5,1000000000', '5,6'):\n"  # no machine has 6 terabytes
        f"    sys.argv = ['run.py', '-m', 'hidden_size=' + sizes, *{SMALL!r}]\n"
        "    try:\n"
        "        runpy.run_path('run.py', run_name='__main__')\n"
        "    except SystemExit as exit:\n"
        "        print('exit code', exit.code)\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, env={**os.environ, "NNLAB_ROOT": str(tmp_path)},
        capture_output=True, text=True, timeout=240, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert done.stdout.count("exit code") == 1
    assert "exit code 1" in done.stdout
    assert done.stderr.count("1 of 2 runs failed; the reasons are above.") == 1
    parents = runs_of(f"sqlite:///{tmp_path}/mlruns/mlflow.db", "tags.kind = 'sweep'")
    assert [run.info.status for run in parents] == ["FINISHED", "FAILED"]  # the newest first
