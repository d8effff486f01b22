"""Many machines, in small: a dask cluster of processes, and a real tracking server."""

import contextlib
import os
import subprocess
import sys
import time

import mlflow
import pytest
from support.commands import nnlab, run_py
from support.paths import ROOT
from support.servers import dask_scheduler, dask_worker, mlflow_server, postgres

pytestmark = pytest.mark.long

SWEEP = ("-m", "lr=0.1,0.5", "seed=range(0,8)", "epochs=150", "data.val_size=4000", "pictures=2")


@pytest.fixture
def server(tmp_path):
    with postgres() as backend, mlflow_server(backend, tmp_path) as address:
        yield address


@pytest.fixture
def cluster(tmp_path):
    """A scheduler and three workers."""
    with contextlib.ExitStack() as stack:
        address, scheduler = stack.enter_context(dask_scheduler(tmp_path))
        workers = [
            stack.enter_context(dask_worker(address, tmp_path, number)) for number in range(3)
        ]
        from distributed import Client

        with Client(address) as client:
            client.wait_for_workers(3, timeout=60)
        yield address, scheduler, workers


def start(*arguments, root):
    return subprocess.Popen(
        [sys.executable, "run.py", *arguments], cwd=ROOT, text=True,
        env={**os.environ, "NNLAB_ROOT": str(root)},
        stdout=subprocess.PIPE, stderr=subprocess.PIPE,
    )  # fmt: skip


def weights(uri):
    client = mlflow.MlflowClient(uri)
    (experiment,) = (client.get_experiment_by_name("nnlab").experiment_id,)
    runs = client.search_runs([experiment], "tags.job != ''")
    assert {run.info.status for run in runs} == {"FINISHED"}
    return {run.data.tags["run_key"]: run.data.tags["weights_sha256"] for run in runs}


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory):
    root = tmp_path_factory.mktemp("undisturbed")
    run_py(*SWEEP, root=root, check=True)
    return weights(f"sqlite:///{root}/mlruns/mlflow.db")


def wait_for_finished(uri, least, process):
    client = mlflow.MlflowClient(uri)
    while True:
        assert process.poll() is None, process.communicate()
        experiment = client.get_experiment_by_name("nnlab")
        if experiment is not None:
            found = client.search_runs(
                [experiment.experiment_id], "attributes.status = 'FINISHED'", max_results=50
            )
            if len(found) >= least:
                return
        time.sleep(0.1)


def test_a_sweep_on_a_cluster_that_loses_a_worker_is_whole_on_the_server(
    server, cluster, undisturbed, tmp_path
):
    address, _, workers = cluster
    process = start(
        *SWEEP, "hydra.launcher.backend=dask", f"hydra.launcher.address={address}",
        "hydra.launcher.stack=2", f"tracking.uri={server}", root=tmp_path / "root",
    )  # fmt: skip
    wait_for_finished(server, 2, process)
    workers[1].kill()
    out, err = process.communicate(timeout=500)
    assert process.returncode == 0, err
    assert "16 runs" in out
    assert weights(server) == undisturbed

    # Whoever trained: it never met the tracker, Hydra or matplotlib.
    from distributed import Client

    heavy = {"mlflow", "hydra", "omegaconf", "matplotlib", "pandas", "pydantic"}
    with Client(address) as client:
        loaded = client.run(lambda: {name.split(".")[0] for name in sys.modules})
    assert len(loaded) == 2
    for modules in loaded.values():
        assert "nnlab" in modules
        assert not modules & heavy

    # The files went through the server.
    client = mlflow.MlflowClient(server)
    best = mlflow.MlflowClient(server).search_runs(["1"], "tags.kind = 'sweep'")[0]
    names = {file.path for file in client.list_artifacts(best.data.tags["best_run"])}
    assert {"weights.npz", "history.csv", "config.yaml", "curves.png"} <= names
    assert {file.path for file in client.list_artifacts(best.info.run_id)} >= {
        "plan.json", "runs.csv", "split.npz", "environment.json",
    }  # fmt: skip


def test_a_cluster_that_is_lost_leaves_a_sweep_that_goes_on_elsewhere(
    cluster, undisturbed, tmp_path
):
    address, scheduler, _ = cluster
    root = tmp_path / "root"
    uri = f"sqlite:///{root}/mlruns/mlflow.db"
    process = start(
        *SWEEP, "hydra.launcher.backend=dask", f"hydra.launcher.address={address}",
        "hydra.launcher.stack=2", root=root,
    )  # fmt: skip
    while not (root / "mlruns" / "mlflow.db").exists():
        assert process.poll() is None, process.communicate()
    wait_for_finished(uri, 2, process)
    scheduler.kill()
    out, err = process.communicate(timeout=500)
    assert process.returncode == 1, err
    assert "Traceback" not in err
    assert "The dask scheduler is gone" in err
    assert "nnlab resume" in out
    nnlab("resume", "--backend", "loky", root=root, check=True)
    assert weights(uri) == undisturbed
