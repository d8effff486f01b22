"""Reproduction in real processes and real stores: what stands, what does not, and why."""

import gzip
import json
import platform
import re
import shutil
import sqlite3
import subprocess
import sys
from pathlib import Path

import mlflow
import numpy as np
import pytest
from click.testing import CliRunner
from support.checkouts import Checkout
from support.idx_files import idx_bytes
from support.labs import Lab
from support.servers import mlflow_server
from support.stopped import stopped_sweep

from nnlab.cli.main import main
from nnlab.data.sources import load_mnist_sample
from nnlab.errors import NnlabError, RecordError
from nnlab.reproduction.explanation import explain_runs
from nnlab.reproduction.repeat import reproduce
from nnlab.tracking.store import Store

SMALL = ("data.val_size=4000", "pictures=0")
CHILDREN = "tags.job != '' and tags.`mlflow.parentRunId` != ''"


@pytest.fixture(scope="module")
def lab(tmp_path_factory):
    """A checkout with a single run and a sweep of 16 in one stack."""
    checkout = Checkout(tmp_path_factory.mktemp("reproduce") / "lab")
    checkout.run("lr=0.5", "epochs=8", "seed=3", *SMALL)
    checkout.run("-m", "lr=0.1,0.5", "seed=range(0,8)", "epochs=5", *SMALL)
    return checkout


def client(lab):
    return mlflow.MlflowClient(lab.uri)


def search(lab, condition):
    return client(lab).search_runs(["1"], condition)


@pytest.fixture(scope="module")
def single(lab):
    (run,) = search(lab, "attributes.run_name LIKE 'lr=0.5 epochs=8 seed=3%'")
    return run.info.run_id


@pytest.fixture
def tampered(lab, single):
    """The files and the database of the single run, which are put back afterwards."""
    folder, database = lab.artifacts(single), lab.folder / "mlruns" / "mlflow.db"
    kept = {path: path.read_bytes() for path in folder.iterdir() if path.is_file()}
    yield folder, database
    for path, content in kept.items():
        path.write_bytes(content)


def certificate(lab, *words, code=0, **options):
    done = lab.nnlab("reproduce", *words, "--json", **options)
    assert done.returncode == code, (done.stdout, done.stderr)
    assert "Traceback" not in done.stderr
    return json.loads(done.stdout)


def repeated(lab, which, **options):
    """The same without a process of its own: one certificate, as JSON has it."""
    (found,) = reproduce(which, lab.uri, **options)
    return json.loads(json.dumps(found.as_dict()))


def test_a_run_made_alone_is_bit_identical_and_the_new_run_is_linked_to_it(lab, single):
    found = certificate(lab, single[:8])
    assert found["verdict"] == "bit-identical"
    assert found["causes"] == []
    assert found["expected"] == "the same bits"
    assert found["values"] >= 9 * 9
    new = client(lab).get_run(found["reproduction"])
    assert new.info.status == "FINISHED"
    assert new.data.tags["reproduces"] == single
    assert new.data.tags["certificate"] == "bit-identical"
    assert json.loads((lab.artifacts(found["reproduction"]) / "certificate.json").read_text()) == {
        **found
    }
    ours, theirs = (
        np.load(lab.artifacts(run) / "weights.npz")["W1"] for run in (single, new.info.run_id)
    )
    np.testing.assert_array_equal(ours, theirs)


def test_a_person_reads_the_verdict_and_where_it_is_logged(lab, single):
    address = f"http://127.0.0.1:5000/#/experiments/1/runs/{single}"
    done = CliRunner().invoke(main, ["reproduce", address, "--uri", lab.uri])
    assert done.exit_code == 0, done.stderr
    for part in ("certificate of", "bit-identical", "all equal", "logged as", "nnlab ui "):
        assert part in done.stdout


def test_a_run_from_a_stack_of_16_is_bit_identical_alone(lab):
    run = search(lab, f"{CHILDREN} and params.lr = '0.5' and params.seed = '5'")[0]
    assert repeated(lab, run.info.run_id)["verdict"] == "bit-identical"


def test_a_whole_sweep_is_certified_in_one_stack(lab):
    (parent,) = search(lab, "attributes.run_name LIKE 'lr=0.1,0.5 %'")
    found = reproduce(parent.info.run_id[:8], lab.uri, sweep=True)
    assert [each.verdict for each in found] == ["bit-identical"] * 16
    new = {client(lab).get_run(each.reproduction).data.tags["reproduces"] for each in found}
    assert new == {run.info.run_id for run in search(lab, CHILDREN)} & new
    assert len(new) == 16
    (again,) = search(lab, f"tags.reproduces = '{parent.info.run_id}'")
    assert again.data.tags["kind"] == "sweep"


def test_the_last_run_is_the_last_that_is_no_reproduction(lab, single):
    repeated(lab, single)
    assert "reproduces" in search(lab, "")[0].data.tags
    found = Store(lab.uri).find_run("last")
    others = [
        run for run in search(lab, "")
        if not {"reproduces", "mlflow.parentRunId"} & run.data.tags.keys()
    ]  # fmt: skip
    assert found.run_id == others[0].info.run_id


@pytest.mark.long
def test_a_diverged_and_a_dead_run_stand_too(lab):
    lab.run("-m", "init=randn,randn_minus_half", "lr=1e5,0.1", "epochs=6", *SMALL)
    found = certificate(lab, "--all", "last")
    assert [each["verdict"] for each in found] == ["bit-identical"] * 4
    outcomes = {client(lab).get_run(each["run"]).data.tags["outcome"] for each in found}
    assert "dead" in outcomes


@pytest.mark.long
def test_a_pruned_run_stands_up_to_where_it_was_pruned(lab):
    lab.run(
        "-m", "lr=0.001,0.1,0.5", "epochs=9", "prune=halving", "prune.rungs=[3]", *SMALL
    )  # fmt: skip
    found = certificate(lab, "--all", "last")
    assert [each["verdict"] for each in found] == ["bit-identical"] * 3
    assert not any(each["decisive"] for one in found for each in one["differences"])
    outcomes = [client(lab).get_run(each["run"]).data.tags["outcome"] for each in found]
    assert outcomes.count("pruned") == 2


def test_tampered_weights_are_named(lab, single, tampered):
    folder, _ = tampered
    with np.load(folder / "weights.npz") as file:
        arrays = dict(file)
    arrays["W2"][0, 0] += 1e-7
    np.savez(folder / "weights.npz", **arrays)
    found = repeated(lab, single)
    assert found["verdict"] == "different"
    assert found["causes"] == ["record"]
    assert "weights.npz was changed after the run" in found["differences"][0]["what"]
    assert found["weights_sha256"][0] == found["weights_sha256"][1]  # as noted, so they were right


def test_weights_that_would_run_code_are_never_unpickled(lab, single, tampered, tmp_path):
    folder, _ = tampered
    mark = tmp_path / "executed"

    class Evil:
        def __reduce__(self):
            return (Path.touch, (mark,))

    np.savez(folder / "weights.npz", W1=np.array([Evil()], object), b1=0, W2=0, b2=0)
    found = repeated(lab, single)
    assert found["causes"] == ["record"]
    assert "weights.npz cannot be read" in found["differences"][0]["what"]
    assert not mark.exists()


def test_a_tampered_curve_is_named_with_its_epoch(lab, single, tampered):
    folder, _ = tampered
    lines = (folder / "history.csv").read_text().splitlines()
    cells = lines[5].split(",")
    cells[1] = repr(float(cells[1]) + 1e-12)
    lines[5] = ",".join(cells)
    (folder / "history.csv").write_text("\n".join(lines) + "\n")
    found = repeated(lab, single)
    assert found["causes"] == ["record"]
    what = found["differences"][0]["what"]
    assert "history.csv and the store disagree in 1 value, first in train/loss at epoch 4" in what
    assert (found["first"]["metric"], found["first"]["epoch"]) == ("train/loss", 4)


def test_a_tampered_metric_in_the_store_is_named(lab, single, tampered):
    _, database = tampered
    where = f"run_uuid = '{single}' AND key = 'val/accuracy' AND step = 2"
    with sqlite3.connect(database) as connection:
        ((before,),) = connection.execute(f"SELECT value FROM metrics WHERE {where}").fetchall()
        connection.execute(f"UPDATE metrics SET value = 0.99 WHERE {where}")
    try:
        found = repeated(lab, single)
    finally:
        with sqlite3.connect(database) as connection:
            connection.execute(f"UPDATE metrics SET value = ? WHERE {where}", (before,))
        connection.close()
    assert found["causes"] == ["record"]
    assert "val/accuracy at epoch 2" in found["differences"][0]["what"]


def test_a_tampered_config_is_named(lab, single, tampered):
    folder, _ = tampered
    text = (folder / "config.yaml").read_text()
    (folder / "config.yaml").write_text(text.replace("lr: 0.5", "lr: 0.4"))
    found = repeated(lab, single)
    assert found["causes"][0] == "record"
    assert "config.yaml says lr=0.4, the store says 0.5" in found["differences"][0]["what"]


def test_a_run_whose_files_are_gone_or_broken_is_refused_in_a_sentence(lab, single, tampered):
    folder, _ = tampered
    before = len(search(lab, ""))
    for name in ("config.yaml", "history.csv"):
        kept = (folder / name).read_bytes()
        for break_it in (lambda path: path.write_text("a: [\n"), lambda path: path.unlink()):
            break_it(folder / name)
            with pytest.raises(RecordError, match=f"The files of run {single[:8]} cannot be read"):
                reproduce(single, lab.uri)
            (folder / name).write_bytes(kept)
    assert len(search(lab, "")) == before


def test_what_cannot_be_reproduced_is_refused_in_a_sentence(lab, single):
    (parent,) = search(lab, "attributes.run_name LIKE 'lr=0.1,0.5 %'")
    tracker = client(lab)
    killed = tracker.create_run("1", tags={"job": "0"}).info.run_id
    tracker.set_terminated(killed, "KILLED")
    empty = tracker.create_run("1", tags={"kind": "sweep"}).info.run_id
    for which, options, sentence in (
        (parent.info.run_id, {}, "is a sweep: name one of its runs"),
        (single, {"sweep": True}, "is a single run, and no sweep"),
        ("ffffffff", {}, "no run begins with ffffffff"),
        ("no/such", {}, "is no run: give the first letters and digits"),
        (single, {"overrides": ["lr=0.2"]}, "lr=0.2 cannot be changed: a reproduction keeps its"),
        (killed, {}, f"Run {killed[:8]} is KILLED and has no result"),
        (empty, {"sweep": True}, f"No run of sweep {empty[:8]} is complete: `nnlab resume`"),
    ):
        with pytest.raises(NnlabError, match=sentence) as caught:
            reproduce(which, lab.uri, **options)
        assert caught.value.exit_code == 2
    tracker.delete_run(killed)
    tracker.delete_run(empty)
    done = CliRunner().invoke(main, ["reproduce", "ffffffff", "--uri", lab.uri])
    assert (done.exit_code, done.stdout) == (2, "")
    assert done.stderr.count("\n") == 1


@pytest.mark.long
def test_other_kernels_are_named_and_small_differences_are_within_tolerance(lab):
    if platform.machine() != "x86_64":
        pytest.skip("OPENBLAS_CORETYPE names x86 processors here")
    lab.run("lr=0.05", "epochs=10", "init=he", "data.val_size=4000", "pictures=0")
    found = certificate(lab, "last", env={"OPENBLAS_CORETYPE": "Sandybridge"})
    assert found["verdict"] == "within tolerance"
    assert found["causes"] == ["BLAS or processor"]
    assert found["expected"].startswith("agreement to rounding")
    assert 0 < found["largest"]["size"] <= found["tolerance"]
    assert found["first"]["epoch"] == 0
    named = {each["what"]: each for each in found["differences"]}
    assert named["OPENBLAS_CORETYPE"]["other"] == "Sandybridge"
    assert found["growth"]["amplified_from"] is None


def test_data_with_one_pixel_changed_is_named(lab, tmp_path):
    sample = load_mnist_sample()
    pixels, labels = sample.pixels[:1500].copy(), sample.labels[:1500].astype("uint8")

    def write(folder):
        folder.mkdir()
        for name, array in (
            ("train-images-idx3-ubyte", pixels.reshape(-1, 28, 28)),
            ("train-labels-idx1-ubyte", labels),
        ):
            (folder / f"{name}.gz").write_bytes(gzip.compress(idx_bytes(array), 1))
        return folder

    first = write(tmp_path / "digits")
    lab.run("data=idx", "data.name=digits", f"data.dir={first}", "data.val_size=500", "epochs=4",
            "pictures=0")  # fmt: skip
    moved = tmp_path / "elsewhere"
    first.rename(moved)
    with pytest.raises(NnlabError, match="digits"):
        reproduce("last", lab.uri)
    assert repeated(lab, "last", overrides=[f"data.dir={moved}"])["verdict"] == "bit-identical"
    pixels[700, 400] ^= 255
    other = write(tmp_path / "other")
    found = repeated(lab, "last", overrides=[f"data.dir={other}"], tolerance=0.0)
    assert found["verdict"] == "different"
    assert found["causes"] == ["data"]
    assert found["expected"] == "other values"


@pytest.mark.long
def test_a_changed_init_constant_is_named_and_the_original_code_still_gives_the_bits(tmp_path):
    lab = Checkout(tmp_path / "lab")
    lab.edit("nnlab/training/initializers.py", "0.01, 0.0, bias", "0.02, 0.0, bias")  # a dirty tree
    (lab.folder / "nnlab" / "extra.py").write_text("FACTOR = 1\n")  # which git does not know
    lab.run("lr=0.5", "epochs=6", "init=randn_small", *SMALL)
    (run,) = search(lab, "tags.job = '0'")
    assert run.data.tags["git_dirty"] == "true"
    assert run.data.params["init.scale"] == "0.02"
    lab.git("checkout", "-q", "--", ".")
    (lab.folder / "nnlab" / "extra.py").unlink()
    lab.edit("conf/config.yaml", "lr: 0.1 ", "lr: 0.2 ")
    lab.commit("Another version")
    lab.edit("conf/config.yaml", "lr: 0.2 ", "lr: 0.3 ")  # uncommitted work, not to be lost
    before = lab.state

    found = repeated(lab, "last")
    assert found["verdict"] == "different"
    assert found["causes"] == ["code"]
    what = [each["what"] for each in found["differences"] if each["decisive"]]
    assert what == [
        "init.scale of init=randn_small",
        "nnlab/extra.py",
        "nnlab/training/initializers.py",
    ]
    assert found["first"]["epoch"] == 0
    assert found["expected"] == "other values"

    refused = lab.nnlab("reproduce", "last", "--at-commit")
    assert refused.returncode == 2
    assert "About to run the code of commit" in refused.stderr
    assert "(The first version), with a recorded patch of 2 files on it" in refused.stderr
    assert "add --yes" in refused.stderr

    patch = lab.artifacts(run.info.run_id) / "code.patch"
    kept = patch.read_bytes()
    for changed in (kept.replace(b"0.02", b"0.03"), None):
        patch.unlink() if changed is None else patch.write_bytes(changed)
        done = lab.nnlab("reproduce", "last", "--at-commit", "--yes")
        assert done.returncode == 2
        assert "is not what it recorded. Nothing was run." in done.stderr
    patch.write_bytes(kept)

    found = certificate(lab, "last", "--at-commit", "--yes")
    assert found["verdict"] == "bit-identical"
    new = client(lab).get_run(found["reproduction"])
    assert new.info.status == "FINISHED"
    assert new.data.tags["reproduces"] == run.info.run_id
    assert new.data.tags["git_commit"] == run.data.tags["git_commit"]
    assert {point.step for point in client(lab).get_metric_history(new.info.run_id, "val/loss")}
    assert lab.state == before


@pytest.mark.long
def test_original_code_that_is_killed_leaves_the_tree_as_it_was_and_no_worktree_for_long(tmp_path):
    lab = Checkout(tmp_path / "lab")
    lab.edit("nnlab/training/initializers.py", "0.01, 0.0, bias", "0.02, 0.0, bias")
    lab.run("lr=0.5", "epochs=6", "init=randn_small", *SMALL)
    lab.git("checkout", "-q", "--", ".")
    lab.edit("conf/config.yaml", "lr: 0.1 ", "lr: 0.3 ")
    before = lab.state
    process = subprocess.Popen(
        [sys.executable, "-m", "nnlab", "reproduce", "last", "--at-commit", "--yes"],
        cwd=lab.folder, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
    )  # fmt: skip
    while "training" not in process.stderr.readline():
        assert process.poll() is None
    process.kill()
    process.communicate()
    assert lab.state[:2] == before[:2]
    assert certificate(lab, "last", "--at-commit", "--yes")["verdict"] == "bit-identical"
    assert lab.state == before


@pytest.mark.long
def test_the_original_code_finds_data_that_was_named_from_another_folder(tmp_path, monkeypatch):
    lab = Checkout(tmp_path / "lab")
    rng = np.random.default_rng(0)
    rows = np.column_stack([np.arange(60) % 3, rng.integers(0, 256, (60, 9))])
    head = ",".join(["label", *(f"pixel{place}" for place in range(9))])
    np.savetxt(tmp_path / "train.csv", rows, "%d", ",", header=head, comments="")
    monkeypatch.setattr(lab, "folder", tmp_path)
    words = ("data=file", "data.path=train.csv", "data.val_size=20", "epochs=2", "pictures=0")
    done = lab.python("lab/run.py", *words)
    assert done.returncode == 0, done.stderr
    monkeypatch.undo()
    assert certificate(lab, "last", "--at-commit", "--yes")["verdict"] == "bit-identical"


@pytest.mark.long
def test_a_commit_that_is_not_there_is_refused_in_a_sentence(tmp_path):
    lab = Checkout(tmp_path / "lab")
    lab.run("epochs=1", *SMALL)
    shutil.rmtree(lab.folder / ".git")
    lab.git("init", "-q", "-b", "main")
    done = lab.nnlab("reproduce", "last", "--at-commit", "--yes")
    assert done.returncode == 2
    assert "is not in the repository" in done.stderr


@pytest.mark.long
def test_a_run_starts_from_a_recorded_config_with_changes(lab):
    lab.run("init=normal", "init.scale=0.3", "hidden_size=7", "epochs=4", *SMALL)
    (base,) = search(lab, "params.hidden_size = '7'")
    lab.run("--config-from", base.info.run_id[:8], "lr=0.2", "pictures=0")
    (new,) = search(lab, f"tags.derived_from = '{base.info.run_id}'")
    assert new.info.run_name == "lr=0.2"
    assert {**new.data.params, "lr": "0.1"} == base.data.params


@pytest.mark.long
def test_a_sweep_or_the_very_same_run_may_start_from_a_recorded_config(lab, single):
    lab.run("init=normal", "init.scale=0.4", "hidden_size=6", "epochs=4", *SMALL)
    (base,) = search(lab, "params.hidden_size = '6' and attributes.run_name LIKE '%0.4%'")
    lab.run("-m", f"--config-from={base.info.run_id}", "init=he,randn", "pictures=0")
    made = search(lab, f"tags.derived_from = '{base.info.run_id}' and {CHILDREN}")
    assert {run.data.params["init.name"] for run in made} == {"he", "randn"}
    assert {run.data.params["hidden_size"] for run in made} == {"6"}
    same = lab.run(f"--config-from={single}", "pictures=0")
    assert f"as {single[:8]}" in same.stdout
    weights = {
        run.data.tags["weights_sha256"] for run in search(lab, f"tags.derived_from = '{single}'")
    }
    assert weights == {client(lab).get_run(single).data.tags["weights_sha256"]}
    config = lab.artifacts(base.info.run_id) / "config.yaml"
    config.write_text(config.read_text().replace("lr: 0.1", "lr: 0.7"))
    done = lab.python("run.py", f"--config-from={base.info.run_id}")
    assert done.returncode == 2
    assert "cannot be used: config.yaml says lr=0.7" in done.stderr
    for words in (("--config-from",), ("--config-from=ffffffff",)):
        done = lab.python("run.py", *words)
        assert done.returncode == 2
        assert "needs a run" in done.stderr or "no run begins with" in done.stderr


def test_two_runs_are_explained_by_what_differs_and_where_their_curves_part(lab, single):
    lab.run("lr=0.3", "epochs=8", "seed=3", *SMALL)
    (other,) = search(lab, "params.lr = '0.3'")
    words = ["explain", single[:8], other.info.run_id[:8], "--uri", lab.uri]
    done = CliRunner().invoke(main, words)
    assert done.exit_code == 0, done.stderr
    assert "config: lr: 0.5 | 0.3" in done.stdout
    assert done.stdout.count("config:") == 1
    found = explain_runs(single, other.info.run_id, lab.uri).as_dict()
    pattern = r"in (\S+): (\S+) \| (\S+) \(B - A = ([-+]\S+)\)"
    for line, part in zip(re.findall(pattern, done.stdout), ("first", "largest"), strict=True):
        assert line[0] == found[part]["metric"]
        a, b, difference = map(float, line[1:])
        assert difference == pytest.approx(b - a, rel=0.01)
        assert found[part]["difference"] == found[part]["found"] - found[part]["recorded"]
    # The same weights at the start, so that the first thing to differ is the first step's length.
    assert found["first"]["epoch"] == 0
    assert found["first"]["metric"].startswith("update_ratio")
    np.testing.assert_allclose(found["first"]["found"] / found["first"]["recorded"], 0.6, 1e-4)
    again = repeated(lab, single)["reproduction"]
    found = explain_runs(single, again, lab.uri)
    assert found.first is None
    assert not any(each.decisive for each in found.differences)


@pytest.mark.long
def test_a_run_of_a_stopped_and_resumed_sweep_is_bit_identical(tmp_path):
    stopped_sweep(tmp_path)
    stopped = Lab(tmp_path)
    stopped.complete()
    done = stopped.nnlab("reproduce", "--all", "last", "--json")
    assert done.returncode == 0, done.stderr
    assert [each["verdict"] for each in json.loads(done.stdout)] == ["bit-identical"] * 4


@pytest.mark.long
def test_a_run_on_a_tracking_server_is_reproduced_and_certified_there(lab, tmp_path):
    with mlflow_server(f"sqlite:///{tmp_path}/server.db", tmp_path) as uri:
        lab.run("-m", "lr=0.1,0.5", "epochs=5", *SMALL, f"tracking.uri={uri}")
        found = certificate(lab, "last", "--uri", uri)
        assert found["verdict"] == "bit-identical"
        there = mlflow.MlflowClient(uri)
        assert there.get_run(found["reproduction"]).data.tags["certificate"] == "bit-identical"
        names = {file.path for file in there.list_artifacts(found["reproduction"])}
        assert "certificate.json" in names
        found = certificate(lab, "last", "--at-commit", "--yes", "--uri", uri)
        assert found["verdict"] == "bit-identical"


@pytest.mark.long
def test_another_numpy_is_named(lab, single, tmp_path):
    """In a second environment, which has the first one's packages behind its own NumPy."""
    other = tmp_path / "venv"
    subprocess.run([sys.executable, "-m", "venv", str(other)], check=True)
    python = other / "bin" / "python"
    installed = subprocess.run(
        [python, "-m", "pip", "install", "--quiet", "--no-deps", "numpy==2.2.6"],
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    if installed.returncode:
        pytest.skip(f"another NumPy cannot be installed here: {installed.stderr[-200:]}")
    own = next((other / "lib").glob("python3*/site-packages"))
    theirs = Path(np.__file__).parent.parent
    (own / "theirs.pth").write_text(f"{theirs}\n")
    done = lab.nnlab("reproduce", single, "--json", "--tolerance", "0", python=python)
    found = json.loads(done.stdout)
    named = {each["what"]: each for each in found["differences"]}
    assert (named["numpy"]["kind"], named["numpy"]["other"]) == ("libraries", "2.2.6")
    assert named["numpy"]["decisive"]
    assert "libraries" in found["causes"] or found["verdict"] == "bit-identical"
    assert done.returncode == (found["verdict"] == "different")
