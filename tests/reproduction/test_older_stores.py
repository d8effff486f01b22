"""Stores that an older version left: the present one reads them, and goes on where they stopped.

``stored/make_stores.py`` made them, with the version that it names, before the modules of nnlab
were moved into packages. What is asked here is asked as anybody would who has such a store: by the
command line, and through MLflow.

Bits are promised on the same type of processor with the same NumPy and BLAS. Elsewhere the same is
asked within a tolerance: rounding differs, and a few images may change sides.
"""

import csv
import io
import json
import re
import subprocess
import sys
import zipfile
from importlib.metadata import version
from pathlib import Path

import mlflow
import numpy as np
import pandas as pd
import pytest
from click.testing import CliRunner
from support import commands
from support.paths import ROOT
from threadpoolctl import threadpool_info

from nnlab.cli.main import main
from nnlab.tracking.frames import read_file, read_runs

STORED = ROOT / "tests" / "stored"
ACCURACY = 0.02  # by which accuracies may differ on another platform: 10 of 500 images

# Asks a model as its users do: by MLflow alone.
SERVE = """
import sys
import warnings

warnings.simplefilter("ignore")
import numpy as np
from mlflow import pyfunc

model, images, answers = sys.argv[1:]
np.savez(answers, **pyfunc.load_model(model).predict(np.load(images)))
"""


def this_platform():
    """What the bits of a result depend on, in the words in which nnlab writes it down."""
    libraries = [each for each in threadpool_info() if "numpy" in each["filepath"]]
    words = ("internal_api", "version", "architecture")
    cpuinfo = Path("/proc/cpuinfo")
    text = cpuinfo.read_text(encoding="utf-8") if cpuinfo.exists() else ""
    model = re.search(r"^model name\s*:\s*(.+)$", text, re.MULTILINE)
    return {
        "numpy": version("numpy"),
        "blas": ", ".join(" ".join(str(each.get(word)) for word in words) for each in libraries),
        "processor": model[1] if model else "unknown",
    }


class OlderStore:
    """A store of another machine, unpacked in a folder, and what is known of it.

    Attributes
    ----------
    expected : what the older version said of it
    same_platform : whether bits are to be expected
    """

    def __init__(self, name, root):
        self.root = root
        with zipfile.ZipFile(STORED / name) as file:
            file.extractall(root)
        self.expected = json.loads((root / "expected.json").read_text(encoding="utf-8"))
        self.same_platform = this_platform() == self.expected["platform"]
        self.uri = f"sqlite:///{root}/mlruns/mlflow.db"

    def python(self, *words):
        done = commands.python(*words, root=self.root)
        assert done.returncode == 0, (done.stdout, done.stderr)
        assert "Traceback" not in done.stderr
        return done

    def nnlab(self, *words):
        """Run a command in this process; those that train have one of their own."""
        if words[0] in ("resume", "reproduce"):
            return self.python("-m", "nnlab", *words)
        environment = {"NNLAB_ROOT": str(self.root)}
        done = CliRunner().invoke(main, list(map(str, words)), env=environment)
        assert done.exit_code == 0, (done.output, done.exception)
        return done

    def json(self, *words):
        return json.loads(self.nnlab(*words).stdout)

    def mend(self):
        return self.nnlab("doctor", "--host", self.expected["host"]).stdout

    @property
    def client(self):
        return mlflow.MlflowClient(self.uri)

    def runs(self, condition):
        found = self.client.search_runs(["1"], condition)
        return {run.info.run_name: run for run in found}


def curve(client, run_id, metric="val/loss"):
    return {each.step: each.value for each in client.get_metric_history(run_id, metric)}


def files_of(client, run_id):
    folder = Path(client.download_artifacts(run_id, ""))  # of a local store, where they are
    found = {path.relative_to(folder): path for path in folder.rglob("*") if path.is_file()}
    assert found
    return {name: path.read_bytes() for name, path in found.items()}


def gone(differences):
    """Modules of which it is said that they are no longer there."""
    return [each for each in differences if each["kind"] == "code" and each["other"] == "absent"]


@pytest.fixture(scope="module")
def finished(tmp_path_factory):
    """A store with a finished sweep, and a finished run that left its model."""
    store = OlderStore("finished-store.zip", tmp_path_factory.mktemp("finished"))
    store.mend()
    return store


@pytest.fixture(scope="module")
def repeated(finished):
    """The certificate of a run that the older version made, and this one has made again."""
    run = finished.expected["served"]
    return run, finished.json("reproduce", run[:8], "--json")


@pytest.mark.long
def test_a_sweep_that_was_killed_under_an_older_version_ends_with_the_bits_it_would_have_had(
    tmp_path,
):
    store = OlderStore("unfinished-store.zip", tmp_path)
    expected, sweep = store.expected["runs"], store.expected["sweep"]
    begun = store.expected["epochs_of_checkpoints"]
    checkpoints = list((tmp_path / "mlruns" / "sweeps" / sweep / "checkpoints").iterdir())
    assert len(checkpoints) == len(begun) > 1

    told = store.mend()
    assert "the database is sound" in told
    assert "the store was moved from " in told
    assert told.count("closed ") == 1 + len(store.expected["running"])
    assert f"nnlab resume {sweep[:8]}" in told
    children = f"tags.`mlflow.parentRunId` = '{sweep}'"
    before = {
        name: run for name, run in store.runs(children).items() if run.info.status == "FINISHED"
    }
    assert sorted(before) == store.expected["finished"]

    done = store.nnlab("resume", sweep[:8])
    left = f"{len(expected) - len(before)} of {len(expected)} runs left, {len(begun)} of them begun"
    assert left in done.stderr
    assert ("the bits may not be those" in done.stderr) is not store.same_platform
    assert {run.info.status for run in store.runs("").values()} == {"FINISHED"}
    runs = store.runs(children)
    assert sorted(runs) == sorted(expected)
    for name, run in runs.items():
        wanted = expected[name]
        steps = [each.step for each in store.client.get_metric_history(run.info.run_id, "val/loss")]
        assert steps == sorted(set(steps))
        assert steps[-1] == 100
        if name in before:  # and not trained again
            assert run.info == before[name].info
        accuracy = run.data.metrics["final_val_accuracy"]
        if store.same_platform or name in before:
            assert run.data.tags["weights_sha256"] == wanted["weights_sha256"]
            assert accuracy == wanted["final_val_accuracy"]
        else:
            assert accuracy == pytest.approx(wanted["final_val_accuracy"], abs=ACCURACY)
    assert not list((tmp_path / "mlruns" / "sweeps").iterdir())


def test_a_model_that_an_older_version_left_is_served_as_before(finished, tmp_path):
    model = finished.client.download_artifacts(finished.expected["served"], "model", str(tmp_path))
    answers = tmp_path / "answers.npz"
    (tmp_path / "serve.py").write_text(SERVE)
    subprocess.run(
        [sys.executable, "serve.py", model, finished.root / "images.npy", answers],
        cwd=tmp_path, check=True, capture_output=True, timeout=240,
    )  # fmt: skip
    with np.load(answers) as found, np.load(finished.root / "answers.npz") as expected:
        np.testing.assert_array_equal(found["label"], expected["label"])
        ours, theirs = found["probabilities"], expected["probabilities"]
    assert ours.dtype == theirs.dtype == np.float32
    if finished.same_platform:
        np.testing.assert_array_equal(ours, theirs)
    else:
        np.testing.assert_allclose(ours, theirs, atol=1e-5)


def test_a_run_of_an_older_version_classifies_images_as_before(finished):
    done = finished.nnlab("predict", finished.expected["served"], finished.root / "images.npy")
    found, expected = (
        list(csv.DictReader(text.splitlines()))
        for text in (done.stdout, finished.expected["predict"])
    )
    assert [row["label"] for row in found] == [row["label"] for row in expected]
    for ours, theirs in zip(found, expected, strict=True):
        assert float(ours["confidence"]) == pytest.approx(float(theirs["confidence"]), abs=1e-5)


def test_a_sweep_of_an_older_version_is_compared_as_before(finished):
    expected = finished.expected["compare"]
    words = ("compare", finished.expected["sweep"][:8], "--metric", expected["metric"])
    found = finished.json(*words, "--format", "json")
    assert found["metric"] == expected["metric"]
    # Configurations of equal results stand in another order now.
    rows = {row["dtype"]: row for row in found["rows"]}
    assert len(rows) == len(expected["rows"])
    for theirs in expected["rows"]:
        ours = rows[theirs["dtype"]]
        assert ours["seeds"] < 5
        few = {"interval": "few seeds", "low": None, "high": None}  # it had an interval then
        for name, value in (theirs | few).items():
            wanted = pytest.approx(value, rel=1e-9) if isinstance(value, float) else value
            assert ours[name] == wanted, name


def test_of_runs_of_an_older_version_the_late_accuracy_is_that_of_their_history(finished):
    found = finished.json("compare", finished.expected["sweep"][:8], "--format", "json")
    assert found["metric"] == "late_val_accuracy"
    runs = read_runs(finished.uri, [finished.expected["sweep"]])
    for _, run in runs.dropna(subset=["final_val_accuracy"]).iterrows():
        text = read_file(finished.uri, run["run_id"], "history.csv")
        curve = pd.read_csv(io.StringIO(text))["val/accuracy"].to_numpy()
        late = curve[-max(1, (len(curve) - 1) // 10) :]
        assert run["late_val_accuracy"] == late.mean()


def test_a_sweep_of_an_older_version_has_its_report(finished, tmp_path):
    folder = tmp_path / "report"
    finished.nnlab("report", finished.expected["sweep"][:8], "--out", folder)
    text = (folder / "README.md").read_text(encoding="utf-8")
    assert finished.expected["commit"][:7] in text
    pictures = re.findall(r"\]\((\S+\.png)\)", text)
    assert pictures
    assert all((folder / name).read_bytes().startswith(b"\x89PNG") for name in pictures)
    assert "<img" in (folder / "report.html").read_text(encoding="utf-8")
    with (folder / "runs.csv").open(encoding="utf-8", newline="") as file:
        listed = {row["run_id"] for row in csv.DictReader(file)}
    assert listed == set(finished.expected["runs"].values())


def test_two_runs_of_an_older_version_are_explained_as_before(finished):
    one, other, *_ = finished.expected["runs"].values()
    found, expected = finished.json("explain", one, other, "--json"), finished.expected["explain"]
    for deviation in (found["first"], found["largest"]):  # they had no sign
        assert deviation.pop("difference") == deviation["found"] - deviation["recorded"]
    assert {name: found[name] for name in expected} == expected


def test_a_run_of_an_older_version_is_reproduced(finished, repeated):
    run, certificate = repeated
    assert certificate["run"] == run
    assert certificate["verdict"] != "different"
    if finished.same_platform:
        assert certificate["verdict"] == "bit-identical"
        then, now = certificate["weights_sha256"]
        assert then == now
    assert not {"record", "config", "data"} & {each["kind"] for each in certificate["differences"]}


def test_no_module_of_an_older_version_is_said_to_be_gone(repeated):
    _, certificate = repeated
    assert not gone(certificate["differences"])


def test_a_whole_sweep_of_an_older_version_is_reproduced(finished):
    found = finished.json("reproduce", finished.expected["sweep"][:8], "--all", "--json")
    assert {each["run"] for each in found} == set(finished.expected["runs"].values())
    verdicts = {each["verdict"] for each in found}
    assert "different" not in verdicts
    if finished.same_platform:
        assert verdicts == {"bit-identical"}
    assert not [each for certificate in found for each in gone(certificate["differences"])]


@pytest.mark.long
def test_a_run_of_an_older_version_is_reproduced_with_the_code_that_made_it(finished):
    commit = finished.expected["commit"]
    known = ["git", "cat-file", "-e", f"{commit}^{{commit}}"]
    if subprocess.run(known, cwd=ROOT, capture_output=True, check=False).returncode:
        pytest.skip(f"this clone is shallow: it lacks the commit {commit[:12]} that made the run")
    run = finished.expected["runs"]["dtype=float64 seed=2"]
    certificate = finished.json("reproduce", run[:8], "--at-commit", "--yes", "--json")
    assert certificate["verdict"] != "different"
    if finished.same_platform:
        assert certificate["verdict"] == "bit-identical"


def test_a_config_of_an_older_version_is_begun_with(finished):
    run = finished.expected["runs"]["dtype=float64 seed=2"]
    changes = ("epochs=10", "tracking.every=5", "pictures=0", "run_name=begun as recorded")
    finished.python("run.py", "--config-from", run[:8], *changes)
    new = finished.runs("attributes.run_name = 'begun as recorded'")["begun as recorded"]
    assert new.info.status == "FINISHED"
    recorded = finished.client.get_run(run).data.params
    assert new.data.params == {**recorded, "epochs": "10"}
    before, after = (curve(finished.client, each) for each in (run, new.info.run_id))
    shared = {step: before[step] for step in after}
    assert sorted(shared) == [0, 5, 10]
    assert after == (shared if finished.same_platform else pytest.approx(shared, rel=1e-3))


def test_a_sweep_of_an_older_version_arrives_whole_in_another_store(finished, tmp_path):
    sweep, archive = finished.expected["sweep"], tmp_path / "sweep.zip"
    ids = {sweep, *finished.expected["runs"].values()}
    finished.nnlab("export", sweep[:8], archive)
    other = f"sqlite:///{tmp_path}/other/mlflow.db"
    finished.nnlab("import", archive, "--uri", other)
    there = mlflow.MlflowClient(other)
    experiments = [each.experiment_id for each in there.search_experiments()]
    arrived = {run.data.tags["imported_from"]: run for run in there.search_runs(experiments)}
    assert set(arrived) == ids
    for run_id, run in arrived.items():
        before = finished.client.get_run(run_id)
        assert run.info.run_name == before.info.run_name
        assert run.info.status == before.info.status
        assert run.data.params == before.data.params
        assert run.data.metrics == before.data.metrics
        for name in ("run_key", "data_digest", "weights_sha256", "git_commit", "outcome"):
            assert run.data.tags.get(name) == before.data.tags.get(name)
        assert curve(there, run.info.run_id) == curve(finished.client, run_id)
        assert files_of(there, run.info.run_id) == files_of(finished.client, run_id)
