"""What is recorded of the code: enough to run it again, and nothing that is nobody's business."""

import hashlib
import json
import subprocess

import numpy as np
import pytest
from support.checkouts import Checkout

from nnlab.data.dataset import batch_order
from nnlab.jobs import code_version, provenance
from nnlab.training.initializers import draw_params, named

ASK = (
    "import json, sys; from nnlab.jobs.code_version import code_version as c; v = c();"
    "sys.stdout.write(json.dumps([v.commit, v.dirty, v.patch.decode(), v.left_out, v.modules]))"
)


@pytest.fixture
def checkout(tmp_path):
    return Checkout(tmp_path / "lab")


def version(checkout):
    done = checkout.python("-c", ASK)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def test_a_clean_tree_has_its_commit_and_no_patch(checkout):
    commit, dirty, patch, left_out, modules = version(checkout)
    assert commit == checkout.git("rev-parse", "HEAD").strip()
    assert (dirty, patch, left_out) == (False, "", [])
    network = (checkout.folder / "nnlab" / "training" / "network.py").read_bytes()
    assert modules["training/network.py"] == hashlib.sha256(network).hexdigest()


def test_the_patch_makes_the_code_that_ran_of_the_commit(checkout, tmp_path):
    checkout.edit("nnlab/training/initializers.py", "0.01, 0.0, bias", "0.02, 0.0, bias")
    (checkout.folder / "nnlab" / "extra.py").write_text("ANSWER = 'ä'\n")
    (checkout.folder / "nnlab" / "tracking" / "ui.py").unlink()
    checkout.edit("conf/config.yaml", "lr: 0.1 ", "lr: 0.2 ")
    checkout.git("add", "conf")  # staged or not makes no difference
    before = checkout.state
    commit, dirty, patch, _, _ = version(checkout)
    assert checkout.state == before
    assert dirty
    other = tmp_path / "other"
    checkout.git("worktree", "add", "-q", "--detach", str(other), commit)
    subprocess.run(["git", "apply"], cwd=other, input=patch, text=True, check=True)
    for folder in ("nnlab", "conf"):
        compared = subprocess.run(
            ["diff", "-r", "-x", "__pycache__", checkout.folder / folder, other / folder],
            capture_output=True, text=True, check=False,
        )  # fmt: skip
        assert compared.stdout == ""


def test_neither_secrets_nor_data_nor_ignored_files_are_recorded(checkout):
    secrets = ("nnlab/.env", "conf/token.txt", "nnlab/debug.log", "secrets.yaml", "nnlab/key.pem")
    for name in secrets:
        (checkout.folder / name).write_text("password: hunter2\n")
    (checkout.folder / "nnlab" / "outside.py").symlink_to("/etc/hostname")
    _, dirty, patch, _, _ = version(checkout)
    assert (dirty, patch) == (False, "")


def test_what_is_too_large_is_left_out_and_said_aloud(checkout):
    (checkout.folder / "nnlab" / "big.py").write_text("X = 1\n" * 300_000)
    checkout.edit("nnlab/training/initializers.py", "0.01, 0.0, bias", "0.02, 0.0, bias")
    _, dirty, patch, left_out, _ = version(checkout)
    assert dirty
    assert left_out == ["nnlab/big.py"]
    assert '+            return Initializer("normal", 0.02' in patch
    assert len(patch) < code_version.PATCH_LIMIT


@pytest.mark.long
def test_a_run_whose_code_was_not_recorded_whole_says_so_and_is_not_run_with_it_again(checkout):
    (checkout.folder / "nnlab" / "big.py").write_text("X = 1\n" * 300_000)
    done = checkout.run("epochs=1", "data.val_size=4000", "pictures=0")
    assert "the record of the code lacks nnlab/big.py" in done.stderr
    done = checkout.nnlab("reproduce", "last", "--at-commit", "--yes")
    assert done.returncode == 2
    assert "was not recorded whole: nnlab/big.py" in done.stderr


def test_without_git_the_modules_are_recorded_all_the_same(checkout):
    done = checkout.python("-c", ASK, env={"PATH": "/nonexistent"})
    commit, dirty, patch, _, modules = json.loads(done.stdout)
    assert (commit, dirty, patch) == (None, None, "")
    assert "training/engine.py" in modules


def test_a_package_that_only_lies_in_somebodys_repository_has_no_commit(checkout):
    checkout.git("rm", "-q", "-r", "--cached", ".")
    (checkout.folder / ".gitignore").write_text("*\n")
    checkout.git("commit", "-q", "--allow-empty", "-m", "something else")
    assert version(checkout)[:3] == [None, None, ""]


def test_the_environment_tells_what_bits_depend_on(monkeypatch):
    monkeypatch.setenv("OPENBLAS_CORETYPE", "Haswell")
    monkeypatch.setenv("HOME_OF_SECRETS", "hunter2")
    found = provenance.environment()
    assert found["packages"]["numpy"] == np.__version__
    assert found["blas"][0]["internal_api"]
    assert found["blas_threads"] == 1
    assert {"python", "os", "processor", "cores", "semantics", "modules"} <= set(found)
    assert {"baseline", "found"} <= set(found["instructions"])
    assert found["variables"]["OPENBLAS_CORETYPE"] == "Haswell"
    assert "hunter2" not in json.dumps(found)


def test_the_recorded_streams_are_those_that_weights_and_batches_are_drawn_from():
    def generator(name, **names):
        text = provenance.STREAMS[name]
        stream = eval(text, {"SeedSequence": np.random.SeedSequence, **names})
        return np.random.Generator(getattr(np.random, provenance.STREAMS["generator"])(stream))

    params = draw_params(
        named("randn", bias="same"), 5, pixels=7, hidden=3, classes=4, dtype=np.float64
    )
    for name, array in zip(("W1", "b1", "W2", "b2"), params, strict=True):
        drawn = generator(name, seed=5).standard_normal(array.shape)
        np.testing.assert_array_equal(array, drawn)
    order = generator("order of epoch e", data_seed=9, e=4).permutation(50)
    np.testing.assert_array_equal(batch_order(9, 4, 50), order)
