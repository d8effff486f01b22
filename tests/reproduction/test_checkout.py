"""Recorded code that is incomplete, unknown, changed or broken is refused in a sentence."""

from types import SimpleNamespace

import pytest
import yaml
from support.checkouts import Checkout
from support.configs import config

from nnlab.errors import RecordError
from nnlab.jobs.compose import compose_run
from nnlab.reproduction.checkout import _overrides, recorded_code, train_in_checkout
from nnlab.reproduction.config_from import config_with

WITH_A_PATCH_THAT_DOES_NOT_FIT = """
from nnlab.reproduction.checkout import RecordedCode, checked_out
with checked_out(RecordedCode("HEAD", "a subject", b"diff --git a/x b/x\\nnonsense\\n")):
    pass
"""


def recorded(tags, **environment):
    """As much of a recorded run as says which code made it."""
    run = SimpleNamespace(tags=tags)
    return SimpleNamespace(short_id="ffffffff", run=run, environment=environment, patch=b"")


@pytest.mark.parametrize(
    ("tags", "environment", "sentence"),
    [
        ({}, {}, "Run ffffffff was not made from a git checkout: .* Leave out --at-commit"),
        (
            {"git_commit": "c" * 40},
            {"patch_left_out": ["nnlab/big.py"]},
            "was not recorded whole: nnlab/big.py had changed and was too large",
        ),
        ({"git_commit": "c" * 40}, {}, "Commit cccccccccccc of run ffffffff is not in the repos"),
    ],
)
def test_code_that_cannot_be_found_is_refused(tags, environment, sentence):
    with pytest.raises(RecordError, match=sentence):
        recorded_code(recorded(tags, **environment))


def test_a_patch_that_does_not_fit_is_refused_and_leaves_no_worktree(tmp_path):
    lab = Checkout(tmp_path / "lab")
    done = lab.python("-c", WITH_A_PATCH_THAT_DOES_NOT_FIT)
    summary = "the code of commit HEAD (a subject), with a recorded patch of 1 file on it"
    assert f"RecordError: {summary} cannot be checked out: " in done.stderr
    assert len(lab.git("worktree", "list").splitlines()) == 1


def test_code_that_fails_is_quoted(tmp_path):
    (tmp_path / "run.py").write_text("raise SystemExit('first line\\nno such field')")
    config = {"init": {"name": "he"}, "data": {"source": "mnist_sample"}}
    run = SimpleNamespace(config_yaml=config)
    with pytest.raises(RecordError, match="ended with exit code 1: no such field"):
        train_in_checkout(tmp_path, run, config, tmp_path)


def test_a_recorded_config_is_written_as_hydra_reads_it(tmp_path, monkeypatch):
    (tmp_path / "ä's.csv").touch()
    monkeypatch.chdir(tmp_path)
    recorded = config(
        data__source="file", data__name="x", data__path="ä's.csv",
        data__drop_columns=["id", "Größe"],
        data__pixel_max=None, data__label_column=None,
    )  # fmt: skip
    monkeypatch.chdir("/")
    plain = recorded.model_dump()
    words = _overrides(plain, plain)
    again, _ = compose_run(words)
    assert again.data.path == str(tmp_path / "ä's.csv")
    assert again.data.drop_columns == ("id", "Größe")
    assert again.identity == recorded.identity


def test_a_path_that_is_given_with_a_recorded_config_starts_from_here(tmp_path, monkeypatch):
    for name in ("train.csv", "test.csv"):
        (tmp_path / name).touch()
    monkeypatch.chdir(tmp_path)
    recorded = config(
        data__source="file", data__name="x", data__path="train.csv", data__test_path="test.csv"
    )
    monkeypatch.chdir("/")
    data = yaml.safe_load(config_with(recorded, "f" * 32, ["data.path"]))["data"]
    assert "cwd" not in data
    assert data["test_path"] == str(tmp_path / "test.csv")
    data = yaml.safe_load(config_with(recorded, "f" * 32, ["lr"]))["data"]
    assert (data["path"], data["cwd"]) == ("train.csv", str(tmp_path))
