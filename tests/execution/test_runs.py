"""Whole runs and sweeps: real processes, a real store on disk."""

import csv
import json
import signal
import sqlite3
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
import yaml
from support.commands import git, python, run_py, running

from nnlab.jobs.config import DataConfig
from nnlab.jobs.prepared_data import prepare
from nnlab.tracking.artifacts import weights_sha256
from nnlab.training.engine import State, measure, train_segment
from nnlab.training.history import METRICS, SCORES, STEPS
from nnlab.training.initializers import draw_params, named
from nnlab.training.network import Params
from nnlab.training.training_data import TrainingData

SMALL = ("epochs=6", "data.val_size=4000", "pictures=0")


@pytest.fixture
def client(store):
    def open_it():
        import mlflow

        return mlflow.MlflowClient(store)

    return open_it


def all_runs(client, experiment="nnlab"):
    return client.search_runs([client.get_experiment_by_name(experiment).experiment_id])


def folder_of(run):
    return Path(run.info.artifact_uri.removeprefix("file://"))


@pytest.fixture(scope="module")
def one_run(tmp_path_factory):
    """One run with all its pictures, looked at by several tests."""
    import mlflow

    store = f"sqlite:///{tmp_path_factory.mktemp('one')}/mlflow.db"
    done = run_py("lr=0.5", "epochs=20", "seed=3", f"tracking.uri={store}", check=True)
    client = mlflow.MlflowClient(store)
    (run,) = all_runs(client)
    return done, client, run


def test_a_run_tells_what_it_came_to_and_how_to_look_at_it(one_run):
    done, _, run = one_run
    for part in ("lr=0.5 epochs=20 seed=3", "outcome", "val accuracy", run.info.run_id):
        assert part in done.stdout
    assert f"nnlab ui {run.info.run_id[:8]}" in done.stdout
    assert str(folder_of(run)) in done.stdout


def test_a_run_is_finished_and_carries_its_parameters_and_tags(one_run):
    _, _, run = one_run
    assert run.info.status == "FINISHED"
    assert run.info.run_name == "lr=0.5 epochs=20 seed=3"
    expected = {
        "lr": "0.5",
        "hidden_size": "10",
        "init.name": "randn_small",
        "data.name": "mnist_sample",
        "seed": "3",
        "batch_size": "full",
    }
    assert expected.items() <= run.data.params.items()
    tags = run.data.tags
    assert tags["outcome"] in {"learned", "stalled"}
    assert len(tags["run_key"]) == len(tags["data_digest"]) == len(tags["weights_sha256"]) == 64
    commit = git("rev-parse", "HEAD")
    assert tags["git_commit"] == tags["mlflow.source.git.commit"] == commit
    assert tags["git_dirty"] in {"true", "false"}


def test_a_run_logs_every_metric_at_every_epoch_and_the_summaries(one_run):
    _, client, run = one_run
    for name in METRICS:
        steps = [point.step for point in client.get_metric_history(run.info.run_id, name)]
        assert sorted(steps) == list(range(20 if name in STEPS else 21)), name
    metrics = run.data.metrics
    curve = client.get_metric_history(run.info.run_id, "val/accuracy")
    final = next(point.value for point in curve if point.step == 20)
    assert metrics["final_val_accuracy"] == final
    assert metrics["best_val_accuracy"] == max(point.value for point in curve)
    assert {"final_train_loss", "final_val_loss", "best_epoch"} <= set(metrics)
    assert "test/accuracy" not in metrics  # the sample has no test set


def test_the_artifacts_hold_the_weights_that_the_engine_computes(one_run):
    _, _, run = one_run
    folder = folder_of(run)
    prepared = prepare(DataConfig(source="mnist_sample", name="mnist_sample"))
    data = TrainingData.prepare(prepared.dataset, prepared.split, np.dtype("float32"), None, 0)
    initial = draw_params(
        named("randn_small"), 3, pixels=784, hidden=10, classes=10, dtype=np.float32
    )
    state, history = train_segment(State.start(initial, [0.5]), data, 20)
    with np.load(folder / "weights.npz", allow_pickle=False) as weights:
        assert {name: weights[name].shape for name in weights} == {
            "W1": (10, 784), "b1": (10, 1), "W2": (10, 10), "b2": (10, 1),
        }  # fmt: skip
        for ours, name in zip(state.params, ("W1", "b1", "W2", "b2"), strict=True):
            np.testing.assert_array_equal(ours[0], weights[name])
        loaded = Params(*(weights[name][None] for name in ("W1", "b1", "W2", "b2")))
    assert weights_sha256(loaded) == run.data.tags["weights_sha256"]
    with np.load(folder / "weights_initial.npz", allow_pickle=False) as weights:
        np.testing.assert_array_equal(weights["W1"], initial.w1[0])
    with np.load(folder / "split.npz", allow_pickle=False) as split:
        np.testing.assert_array_equal(split["val"], prepared.split.val)
        np.testing.assert_array_equal(split["train"], prepared.split.train)

    with (folder / "history.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    final = measure(state, data)
    assert len(rows) == 21
    for name in SCORES:
        expected = [*history.values[name][0], final.values[name][0, 0]]
        assert [float(row[name]) for row in rows] == expected, name
    assert rows[-1]["grad_norm/w1"] == ""


def test_the_artifacts_tell_config_overrides_and_environment(one_run):
    _, _, run = one_run
    folder = folder_of(run)
    config = yaml.safe_load((folder / "config.yaml").read_text())
    assert (config["lr"], config["seed"], config["init"]["name"]) == (0.5, 3, "randn_small")
    overrides = yaml.safe_load((folder / "overrides.yaml").read_text())
    assert overrides[:3] == ["lr=0.5", "epochs=20", "seed=3"]
    environment = json.loads((folder / "environment.json").read_text())
    assert environment["python"] == sys.version.split()[0]
    assert environment["packages"]["numpy"] == np.__version__
    assert environment["blas"]
    assert environment["blas_threads"] == 1


def test_a_run_comes_with_its_four_pictures(one_run):
    from PIL import Image

    _, _, run = one_run
    for name in ("curves", "confusion", "filters", "mistakes"):
        with Image.open(folder_of(run) / f"{name}.png") as picture:
            assert picture.width >= 1000
            assert len(picture.convert("L").getcolors(256)) > 10  # not a blank page


def test_the_dataset_is_an_input_of_the_run_by_name_and_digest(one_run):
    _, _, run = one_run
    (entry,) = run.inputs.dataset_inputs
    assert entry.dataset.name == "mnist_sample"
    assert run.data.tags["data_digest"].startswith(entry.dataset.digest)


def test_zero_epochs_measure_the_untrained_network(store, client):
    done = run_py("epochs=0", "pictures=0", f"tracking.uri={store}")
    assert done.returncode == 0, done.stderr
    (run,) = all_runs(client())
    assert run.data.metrics["final_train_loss"] == pytest.approx(np.log(10), abs=0.01)
    with (
        np.load(folder_of(run) / "weights.npz") as final,
        np.load(folder_of(run) / "weights_initial.npz") as initial,
    ):
        np.testing.assert_array_equal(final["W1"], initial["W1"])


def test_a_sweep_groups_its_runs_under_a_parent_and_ranks_them(store, client):
    done = run_py("-m", "lr=0.001,0.5", "seed=0,1", *SMALL, f"tracking.uri={store}")
    assert done.returncode == 0, done.stderr
    runs = all_runs(client())
    (parent,) = [run for run in runs if "mlflow.parentRunId" not in run.data.tags]
    children = [run for run in runs if run is not parent]
    assert parent.info.run_name == "lr=0.001,0.5 seed=0,1"
    assert parent.info.status == "FINISHED"
    assert {run.info.run_name for run in children} == {
        f"lr={lr} seed={seed}" for lr in (0.001, 0.5) for seed in (0, 1)
    }
    for run in children:
        assert run.data.tags["mlflow.parentRunId"] == parent.info.run_id
        assert run.info.status == "FINISHED"
    assert len({run.data.tags["run_key"] for run in children}) == 4

    best = max(children, key=lambda run: run.data.metrics["final_val_accuracy"])
    assert parent.data.tags["best_run"] == best.info.run_id
    assert parent.data.metrics["runs/planned"] == 4
    lines = done.stdout.splitlines()
    accuracies = [float(line.split()[3]) for line in lines if line[:1].isdigit()]
    assert len(accuracies) == 2  # one row a learning rate, over its seeds
    assert accuracies == sorted(accuracies, reverse=True)
    with (folder_of(parent) / "runs.csv").open(newline="") as file:
        table = list(csv.DictReader(file))
    assert table[0]["run_id"] == best.info.run_id


def test_a_run_has_the_same_weights_in_a_sweep_with_workers_as_alone(store, client):
    where = f"tracking.uri={store}"
    assert run_py("lr=0.5", *SMALL, where).returncode == 0
    (alone,) = all_runs(client())
    # Two workers, each with a stack that ends run by run.
    workers = ("hydra.launcher.n_jobs=2", "hydra.launcher.stack=2")
    done = run_py("-m", "lr=0.1,0.5", "epochs=6,40", *SMALL[1:], *workers, where)
    assert done.returncode == 0, done.stderr
    key = alone.data.tags["run_key"]
    same = [run for run in all_runs(client()) if run.data.tags.get("run_key") == key]
    assert len(same) == 2
    assert len({run.data.tags["weights_sha256"] for run in same}) == 1


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["learning_rate=0.1"], "learning_rate is not a field of the config: did you mean `lr`?"),
        (["hiden_size=3"], "did you mean `hidden_size`?"),
        (["data.valsize=3"], "did you mean `data.val_size`?"),
        (["lr=fast"], "lr=fast is not allowed: lr must be a number above 0."),
        (["init=xavier"], "init=xavier is not allowed: init is one of glorot, he,"),
        (["init=randn_smal"], "Did you mean init=randn_small?"),
        (["init=randn-0.5"], "Did you mean init=randn_minus_half?"),
        (["init=rand-0.5"], "Did you mean init=rand_minus_half?"),
        (["init=randn*0.01"], "Did you mean init=randn_small?"),
        (["init.scale=2"], "init.scale does not apply to init=randn_small: it belongs to"),
        (["data.path=train.csv"], "data.path does not apply to data=mnist_sample: it belongs to"),
        (["data=kaggle"], "data.path is needed here: give it as data.path="),
        (["data=kaggle", "data.path=/nowhere.csv"], "/nowhere.csv: there is no such file"),
        (["data=mnist", "data.dir=/nowhere"], "/nowhere: there is no such file"),
        (["data.val_size=5000"], "data.val_size=5000 is not allowed: mnist_sample has 5000 images"),
        (["-m", "lr=0.1,fast"], "lr=fast is not allowed"),
        (["-m", "lr=1,2", "hydra.launcher.n_jobs=0"], "hydra.launcher.n_jobs=0 is not allowed"),
        (["-m", "lr=1,2", "tracking.experiment=a,b"], "must be the same for all"),
        (["tracking.uri=http://127.0.0.1:9"], "http://127.0.0.1:9 does not answer"),
        (["lr=[1"], "'lr=[1' could not be read: give field=value, without spaces"),
        (["lr=0.1,0.5"], "lr=0.1,0.5 has several values: add -m to sweep over them."),
        (["-m", "lr=interval(0.1,1)"], "add hydra/sweeper=nnlab_optuna"),
        (["-m", "prune.rungs=[3]", "lr=1,2"], "prune.rungs=[3] needs prune=halving"),
    ],
)  # fmt: skip
def test_a_users_mistake_ends_in_one_sentence_and_exit_code_2(tmp_path, arguments, sentence):
    done = run_py(*arguments, env={"NNLAB_ROOT": str(tmp_path)})
    assert done.returncode == 2, done.stderr
    assert sentence in done.stderr
    assert "Traceback" not in done.stderr
    assert len(done.stderr.strip().splitlines()) == 1
    assert done.stdout == ""
    assert not list(tmp_path.rglob("*.db"))  # nothing was begun


def test_help_documents_the_fields_wherever_the_runs_are_kept(tmp_path):
    done = run_py("--help", env={"NNLAB_ROOT": str(tmp_path)})
    assert done.returncode == 0
    for part in ("lr: 0.1", "learning rate", "epochs: 500", "randn_minus_half", "-m lr="):
        assert part in done.stdout


@pytest.mark.parametrize(
    ("number", "code", "word", "sweep"),
    [
        (signal.SIGINT, 130, "Interrupted.", True),
        pytest.param(signal.SIGTERM, 143, "Terminated.", False, marks=pytest.mark.long),
    ],
)
def test_an_interrupted_run_is_killed_in_the_store_with_the_curve_so_far(
    store, client, number, code, word, sweep
):
    arguments = ["-m", "lr=0.1,0.2"] if sweep else ["lr=0.1"]
    database = store.removeprefix("sqlite:///")
    with running("run.py", *arguments, "epochs=1000000", f"tracking.uri={store}") as process:
        _wait_for(lambda: _rows(database, "metrics") > 50, process)
        process.send_signal(number)
        _, errors = process.communicate(timeout=60)
    assert process.returncode == code, errors
    assert word in errors
    assert "Traceback" not in errors
    runs = all_runs(client())
    assert len(runs) == (3 if sweep else 1)
    for run in runs:
        assert run.info.status == "KILLED"
        assert "outcome" not in run.data.tags
        assert "final_val_accuracy" not in run.data.metrics


def _rows(database, table):
    if not Path(database).exists():
        return 0
    connection = sqlite3.connect(f"file:{database}?mode=ro", uri=True)
    try:
        return connection.execute(f"SELECT count(*) FROM {table}").fetchone()[0]
    finally:
        connection.close()


def _wait_for(condition, process, seconds=300):
    deadline = time.monotonic() + seconds
    while not condition():
        assert process.poll() is None, process.communicate()
        assert time.monotonic() < deadline
        time.sleep(0.1)


def test_a_diverged_run_is_finished_with_its_outcome_and_nothing_infinite_in_the_store(
    store, client
):
    done = run_py("lr=1e30", *SMALL, f"tracking.uri={store}")
    assert done.returncode == 0, done.stderr
    assert "diverged" in done.stdout
    (run,) = all_runs(client())
    assert run.data.tags["outcome"] == "diverged"
    assert "final_val_accuracy" not in run.data.metrics
    assert all(abs(value) < 1e38 for value in run.data.metrics.values())


@pytest.mark.long
def test_several_sweeps_may_start_at_once_on_a_store_that_does_not_exist_yet(store, client):
    with ThreadPoolExecutor(4) as pool:
        done = list(
            pool.map(lambda seed: run_py(f"seed={seed}", *SMALL, f"tracking.uri={store}"), range(4))
        )
    assert [each.returncode for each in done] == [0] * 4, [each.stderr for each in done]
    assert len(all_runs(client())) == 4


@pytest.mark.long
def test_a_run_from_a_subfolder_logs_to_the_projects_own_store(tmp_path):
    root, elsewhere = tmp_path / "root", tmp_path / "elsewhere"
    elsewhere.mkdir()
    done = run_py(*SMALL, cwd=elsewhere, env={"NNLAB_ROOT": str(root)})
    assert done.returncode == 0, done.stderr
    assert (root / "mlruns" / "mlflow.db").exists()
    assert not list(elsewhere.iterdir())


def test_the_environment_names_the_store_where_the_config_does_not(store, client):
    done = run_py(*SMALL, env={"MLFLOW_TRACKING_URI": store})
    assert done.returncode == 0, done.stderr
    assert len(all_runs(client())) == 1


def test_the_test_set_of_full_mnist_is_looked_at_once_at_the_end(store, client, mnist_dir):
    done = run_py(
        "data=mnist", f"data.dir={mnist_dir}", "epochs=2", "pictures=0", f"tracking.uri={store}"
    )
    assert done.returncode == 0, done.stderr
    assert "test accuracy" in done.stdout
    connection = client()
    (run,) = all_runs(connection)
    (point,) = connection.get_metric_history(run.info.run_id, "test/accuracy")
    assert point.step == 2
    assert 0 < point.value < 1


def test_nothing_heavy_is_imported_for_help():
    code = (
        "import sys; sys.argv = ['run.py', '--help']\n"
        "import runpy, contextlib\n"
        "with contextlib.suppress(SystemExit): runpy.run_path('run.py', run_name='__main__')\n"
        "heavy = {'mlflow', 'matplotlib', 'numpy', 'pandas', 'joblib', 'scipy'}\n"
        "assert not heavy & set(sys.modules), heavy & set(sys.modules)"
    )
    python("-c", code, check=True)
