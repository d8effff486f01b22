"""The model that a run leaves: MLflow serves it where there is no nnlab."""

import csv
import io
import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from click.testing import CliRunner
from support.configs import config
from support.paths import ROOT
from support.servers import mlflow_server
from support.sweeps import run_sweep

from nnlab.cli.main import main
from nnlab.execution.single_session import run_one
from nnlab.jobs.config import from_record, to_record
from nnlab.jobs.launch_config import LaunchConfig
from nnlab.jobs.prepared_data import prepare
from nnlab.jobs.sweep import Sweep, job_name
from nnlab.tracking import served_model
from nnlab.tracking.artifacts import read_weights
from nnlab.tracking.served_model import ServedNetwork
from nnlab.tracking.serving import save_model
from nnlab.tracking.store import Store
from nnlab.training.full_batch import predict

# Found by Python at its start, in every process that such a process starts.
ABSENT = """
import sys


class Absent:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] == "nnlab":
            raise ModuleNotFoundError("No module named 'nnlab'", name=name)


sys.meta_path.insert(0, Absent())
"""


def config_in(uri, **changes):
    """The config of a small run with a model."""
    small = {"lr": 0.5, "epochs": 12, "hidden_size": 8, "data__val_size": 500, "model": True}
    return config(**small | {"tracking__uri": uri} | changes)


def sweep(uri, changes):
    overrides = [tuple(f"{key}={value}" for key, value in each.items()) for each in changes]
    made = Sweep.of([config_in(uri, **each) for each in changes], overrides)
    return run_sweep(made, LaunchConfig(n_jobs=1))


def files_of(uri, run):
    return Store(uri).download(run.state.run_id)


@pytest.fixture(scope="module")
def served(tmp_path_factory):
    """A finished run with its model, on a local store."""
    folder = tmp_path_factory.mktemp("served")
    uri = f"sqlite:///{folder}/mlflow.db"
    run = run_one(config_in(uri), ["model=true"])
    return uri, run, files_of(uri, run)


@pytest.fixture(scope="module")
def elsewhere(tmp_path_factory):
    """The environment of a machine on which there is no nnlab."""
    folder = tmp_path_factory.mktemp("elsewhere")
    (folder / "sitecustomize.py").write_text(ABSENT)
    env = {key: value for key, value in os.environ.items() if not key.startswith("NNLAB")}
    env |= {"PYTHONPATH": str(folder), "MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR": "false"}
    failed = subprocess.run(
        [sys.executable, "-c", "import nnlab"],
        capture_output=True, text=True, env=env, cwd=folder, check=False,
    )  # fmt: skip
    assert "No module named 'nnlab'" in failed.stderr
    return folder, env


def models_predict(elsewhere, uri, run, file, kind):
    """``mlflow models predict`` in a process of its own."""
    folder, env = elsewhere
    out = file.with_suffix(".out")
    done = subprocess.run(
        [
            sys.executable, "-m", "mlflow", "models", "predict",
            "-m", f"runs:/{run.state.run_id}/model", "-i", str(file), "-o", str(out), "-t", kind,
            "--env-manager", "local",
        ],
        capture_output=True, text=True, timeout=240, cwd=folder, check=False,
        env={**env, "MLFLOW_TRACKING_URI": uri},
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    return json.loads(out.read_text())["predictions"]


def of_validation(run, files):
    """Validation images, and the labels and probabilities that nnlab's own pass gives them."""
    blocks = run.prepared.training(run.job.config).val
    members = run.prepared.split.val[np.concatenate([block.members for block in blocks])]
    return run.prepared.dataset.pixels[members], predict(read_weights(files), blocks)


def by_hand(files, pixels):
    """The notes' forward pass in float64: the probabilities, (classes, images)."""
    with np.load(files / "weights.npz", allow_pickle=False) as file:
        W1, b1, W2, b2 = (file[name].astype(np.float64) for name in ("W1", "b1", "W2", "b2"))
    Z2 = W2 @ np.maximum(W1 @ (pixels.T / 255) + b1, 0) + b2
    return np.exp(Z2) / np.exp(Z2).sum(axis=0)


@pytest.mark.long
def test_mlflow_predicts_without_nnlab_what_nnlab_predicts(served, elsewhere, tmp_path):
    uri, run, files = served
    pixels, probs = of_validation(run, files)
    file = tmp_path / "images.json"
    file.write_text(json.dumps({"instances": pixels.tolist()}))
    found = models_predict(elsewhere, uri, run, file, "json")
    assert found["label"] == probs.argmax(axis=0).tolist()
    np.testing.assert_allclose(found["probabilities"], probs.T, rtol=1e-4, atol=1e-6)
    expected = by_hand(files, pixels)
    assert found["label"] == expected.argmax(axis=0).tolist()
    np.testing.assert_allclose(found["probabilities"], expected.T, rtol=1e-4, atol=1e-6)


@pytest.mark.long
def test_a_model_behind_a_tracking_server_predicts_from_a_csv(elsewhere, tmp_path):
    with mlflow_server(f"sqlite:///{tmp_path}/server.db", tmp_path) as uri:
        run = run_one(config_in(uri), ["model=true"])
        pixels, probs = of_validation(run, files_of(uri, run))
        file = tmp_path / "images.csv"
        names = [f"pixel{place}" for place in range(784)]
        pd.DataFrame(pixels, columns=names).to_csv(file, index=False)
        found = models_predict(elsewhere, uri, run, file, "csv")
        ours = CliRunner().invoke(main, ["predict", run.state.run_id, str(file), "--uri", uri])
    assert found["label"] == probs.argmax(axis=0).tolist()
    rows = csv.DictReader(io.StringIO(ours.stdout))
    assert [int(row["label"]) for row in rows] == found["label"]


def test_the_model_is_data_and_names_no_path_of_this_machine(served):
    _, _, files = served
    found = {
        path.relative_to(files / "model").as_posix() for path in (files / "model").rglob("*.*")
    }
    assert found == {
        "code/served_model.py", "conda.yaml", "data/weights.npz", "python_env.yaml",
        "requirements.txt",
    }  # fmt: skip
    code = (files / "model/code/served_model.py").read_bytes()
    assert code == Path(served_model.__file__).read_bytes()
    assert (files / "model/data/weights.npz").read_bytes() == (files / "weights.npz").read_bytes()
    for path in (files / "model").rglob("*"):
        if path.is_file() and path.suffix != ".npz":
            text = path.read_text()
            assert str(files) not in text, path
            assert str(ROOT) not in text, path
    requirements = (files / "model/requirements.txt").read_text().split()
    assert [each.partition("==")[0] for each in requirements] == ["mlflow", "numpy"]


def test_a_project_that_happens_to_be_around_leaves_no_trace_in_the_model(
    served, tmp_path, monkeypatch
):
    _, _, files = served
    (tmp_path / "pyproject.toml").write_text("[project]\nname = 'theirs'\n")
    (tmp_path / "uv.lock").write_text("version = 1\n")  # which MLflow would copy
    monkeypatch.chdir(tmp_path)
    (tmp_path / "weights.npz").write_bytes((files / "weights.npz").read_bytes())
    save_model(tmp_path, read_weights(files))
    assert not list((tmp_path / "model").glob("*.toml")) + list((tmp_path / "model").glob("*.lock"))


def test_a_model_that_an_earlier_attempt_left_half_made_is_replaced(served, tmp_path):
    _, _, files = served
    (tmp_path / "model/code").mkdir(parents=True)
    (tmp_path / "model/MLmodel").write_text("flavors: {")
    (tmp_path / "model/old").write_text("")
    (tmp_path / "weights.npz").write_bytes((files / "weights.npz").read_bytes())
    save_model(tmp_path, read_weights(files))
    assert not (tmp_path / "model/old").exists()
    kept = (tmp_path / "model/MLmodel").read_text()
    assert "loader_module: served_model" in kept


def test_only_runs_that_trained_to_their_end_leave_a_model(tmp_path):
    uri = f"sqlite:///{tmp_path}/mlflow.db"
    halving = {"rule": "halving", "rungs": [2], "eta": 3}
    changes = [{"lr": lr, "epochs": 4, "prune": halving} for lr in (0.5, 1e-6, 1e30)]
    good, pruned, diverged = sweep(uri, changes)
    assert [run.state.outcome for run in (pruned, diverged)] == ["pruned", "diverged"]
    assert (files_of(uri, good) / "model/MLmodel").is_file()
    for run in (pruned, diverged):
        assert (files_of(uri, run) / "weights.npz").is_file()
        assert not (files_of(uri, run) / "model").exists()
    plain = run_one(config_in(uri, model=False, epochs=1), [])
    assert not (files_of(uri, plain) / "model").exists()


def test_a_model_is_no_part_of_what_a_run_is_or_is_called(served):
    uri, run, _ = served
    assert config_in(uri, model=False).key("data") == config_in(uri).key("data")
    assert run.job.name == "defaults"
    assert job_name(["lr=0.5", "model=true"]) == "lr=0.5"
    record = to_record(config_in(uri))
    del record["model"]  # as it was recorded before there were models
    assert from_record(record).model is False


@pytest.fixture(scope="module")
def network(served):
    return ServedNetwork(served[2] / "weights.npz")


@pytest.fixture(scope="module")
def digits():
    return prepare(config_in(None).data).dataset.pixels[::500]


@pytest.mark.parametrize(
    "form",
    [
        lambda digits: digits.tolist(),
        lambda digits: digits.astype(np.float64),
        lambda digits: digits.reshape(-1, 28, 28),
        pd.DataFrame,
        lambda digits: pd.DataFrame(digits).rename(columns=str),  # 0, 1, 2, … as pandas writes
        lambda digits: pd.DataFrame(digits).rename(columns="pixel{}".format),
    ],
)
def test_images_are_taken_in_any_form_that_mlflow_makes_of_them(network, digits, form):
    expected, found = network.predict(digits), network.predict(form(digits))
    np.testing.assert_array_equal(found["label"], expected["label"])
    np.testing.assert_array_equal(found["probabilities"], expected["probabilities"])
    assert found["probabilities"].dtype == np.float32


@pytest.mark.parametrize(
    ("form", "sentence"),
    [
        (lambda x: x / 255, "no whole numbers from 0 to 255: .* the model itself divides"),
        (lambda x: x.astype(int) + 1, "no whole numbers from 0 to 255"),
        (lambda x: x.astype(int) - 1, "no whole numbers from 0 to 255"),
        (lambda x: np.where(x, x, np.nan), "no whole numbers from 0 to 255"),
        (lambda x: x.astype(str), "no whole numbers from 0 to 255"),
        (lambda x: x[:, 1:], r"of shape \(10, 783\), expected \(images, 784\): .* without a label"),
        (lambda x: x[0], r"of shape \(784,\), expected \(images, 784\)"),
        (lambda x: x[:0], r"of shape \(0, 784\)"),
        (lambda x: pd.DataFrame(x).set_axis(map(str, x[0]), axis=1), "or the first image is lost"),
    ],
)
def test_input_that_would_give_wrong_predictions_is_refused_with_a_sentence(
    network, digits, form, sentence
):
    with pytest.raises(ValueError, match=sentence):
        network.predict(form(digits))
