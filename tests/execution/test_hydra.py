"""Hydra's callbacks, settings and interpolations in a sweep, and the launcher in other programs."""

import json
import os
import subprocess
import sys

import pytest
from hydra.test_utils.launcher_common_tests import LauncherTestSuite
from support.commands import python, run_py
from support.paths import ROOT

SMALL = ("epochs=3", "data.val_size=4000", "pictures=0", "hydra.launcher.backend=sequential")


def test_callbacks_of_a_sweep_get_each_job_in_order_with_its_config_and_its_result(store, tmp_path):
    log = tmp_path / "log"
    done = run_py(
        "-m", "lr=0.1,0.5", *SMALL, f"tracking.uri={store}",
        f"+hydra.callbacks.log={{_target_: support.hydra_callback.Log, path: {log}}}",
        env={"PYTHONPATH": os.pathsep.join([str(ROOT), str(ROOT / "tests")])},
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    entries = [json.loads(line) for line in log.read_text().splitlines()]
    assert [(entry["event"], entry["lr"]) for entry in entries] == [
        ("start", 0.1), ("start", 0.5), ("end", 0.1), ("end", 0.5),
    ]  # fmt: skip
    assert [entry["number"] for entry in entries[:2]] == [0, 1]
    assert {entry["status"] for entry in entries[2:]} == {"COMPLETED"}
    accuracies = {f"{entry['value']:.4f}" for entry in entries[2:]}
    assert all(accuracy in done.stdout for accuracy in accuracies)


def test_callbacks_get_the_jobs_of_a_sweep_that_is_taken_up_again_too(store, tmp_path):
    log = tmp_path / "log"
    fails = "+hydra.callbacks.fails={_target_: support.hydra_callback.Failing}"
    sizes = ("-m", "hidden_size=5,7", *SMALL, f"tracking.uri={store}", fails)
    assert run_py(*sizes).returncode == 1
    done = run_py(
        *sizes, "hydra.launcher.resume=true",
        f"+hydra.callbacks.log={{_target_: support.hydra_callback.Log, path: {log}}}",
    )  # fmt: skip
    assert done.returncode == 1
    assert "1 of 2 runs left" in done.stderr
    entries = [json.loads(line) for line in log.read_text().splitlines()]
    assert [entry["event"] for entry in entries] == ["start", "start", "end", "end"]
    assert [entry["status"] for entry in entries[2:]] == ["COMPLETED", "FAILED"]


@pytest.mark.long
def test_another_program_may_sweep_with_a_config_of_nnlab(tmp_path):
    (tmp_path / "app.py").write_text(
        "import hydra\n"
        "from nnlab.jobs import resolvers\n"
        "resolvers.register()\n"
        f"@hydra.main(version_base='1.3', config_path={str(ROOT / 'conf')!r}, "
        "config_name='config')\n"
        "def main(config):\n"
        "    print('called')\n"
        "main()\n"
    )
    done = python(tmp_path / "app.py", "-m", "lr=0.1,0.5", *SMALL, root=tmp_path)
    assert done.returncode == 0, done.stderr
    assert "2 runs" in done.stdout
    assert "called" not in done.stdout


def test_a_job_may_use_its_number_and_other_settings_of_hydra(store):
    done = run_py(
        "-m", "seed=0,1", "run_name='job ${hydra:job.num}'", *SMALL, f"tracking.uri={store}"
    )
    assert done.returncode == 0, done.stderr
    import mlflow

    runs = mlflow.MlflowClient(store).search_runs(["1"], "tags.job != ''")
    assert {run.info.run_name for run in runs} == {"job 0", "job 1"}


@pytest.mark.parametrize(
    "setting",
    [
        "hydra.job.chdir=true",
        "+hydra.job.env_set.A=b",
        "hydra.output_subdir=.hydra",
        "hydra.sweep.subdir=${hydra.job.num}",
    ],
)
def test_what_runs_of_one_process_cannot_have_is_refused_by_name(setting, store, tmp_path):
    done = run_py("-m", "lr=0.1,0.5", *SMALL, f"tracking.uri={store}", setting, cwd=tmp_path)
    assert done.returncode == 2, done.stderr
    assert setting.partition("=")[0].strip("+").removesuffix(".A") in done.stderr
    assert "without -m" in done.stderr
    assert "Traceback" not in done.stderr
    assert not (tmp_path / "store").exists()


def test_another_program_finds_the_launcher_and_is_told_what_it_trains(tmp_path):
    (tmp_path / "app.py").write_text(
        "import hydra\n"
        "@hydra.main(version_base='1.3', config_path=None)\n"
        "def main(config):\n"
        "    print('called')\n"
        "main()\n"
    )
    done = subprocess.run(
        [sys.executable, "app.py", "-m", "hydra/launcher=nnlab", "+x=1,2"],
        cwd=tmp_path, env={**os.environ, "PYTHONPATH": str(ROOT)}, capture_output=True, text=True,
        timeout=120, check=False,
    )  # fmt: skip
    assert done.returncode == 1
    assert "trains the runs of nnlab's own config" in done.stderr
    assert "Traceback" not in done.stderr
    assert "called" not in done.stdout


CALLS_THE_TASK = "it has a config and a task function of its own, which this launcher does not call"


@pytest.mark.parametrize(("launcher_name", "overrides"), [("nnlab", [])])
class TestHydrasOwnSuite(LauncherTestSuite):
    """Hydra's suite for launchers; what cannot apply is expected to fail, each for its reason."""

    for name in (
        "test_sweep_1_job",
        "test_sweep_2_jobs",
        "test_sweep_1_job_strict",
        "test_sweep_2_optimizers",
        "test_sweep_and_override",
        "test_sweep_over_unspecified_mandatory_default",
        "test_sweep_with_custom_resolver",
    ):
        locals()[name] = pytest.mark.xfail(reason=CALLS_THE_TASK, strict=True)(
            getattr(LauncherTestSuite, name)
        )
    del name
