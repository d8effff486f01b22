"""What is typed wrong, or stored wrong, ends in one sentence and exit code 2, not a traceback."""

import re
import shutil
import zipfile

import numpy as np
import pytest
from click.testing import CliRunner
from support.commands import run_py
from support.paths import ROOT

from nnlab.cli.main import main

SWEEP = "48a218e2"
UNDER_A_FILE = ROOT / "run.py" / "folder"  # even the administrator cannot make it


@pytest.fixture(scope="module")
def stored(tmp_path_factory):
    """A store with a finished sweep and one with an unfinished one, as they are in the archives."""
    folder = tmp_path_factory.mktemp("stored")
    for name in ("finished", "unfinished"):
        with zipfile.ZipFile(ROOT / "tests" / "stored" / f"{name}-store.zip") as file:
            file.extractall(folder / name)
    return folder


@pytest.fixture
def finished(stored, tmp_path, monkeypatch):
    """A copy of the finished store that a test may damage."""
    return _copied(stored / "finished", tmp_path, monkeypatch)


def _copied(folder, tmp_path, monkeypatch):
    shutil.copytree(folder, tmp_path, dirs_exist_ok=True)
    monkeypatch.setenv("NNLAB_ROOT", str(tmp_path))
    done = CliRunner().invoke(main, ["doctor"])  # the store has moved
    assert done.exit_code == 0, done.output
    return tmp_path / "mlruns"


def refusal(*words):
    """Run a command that is to be refused; return its one sentence."""
    done = CliRunner().invoke(main, [*map(str, words)])
    assert isinstance(done.exception, SystemExit), done.exception
    assert done.exit_code == 2, done.output
    (sentence,) = done.stderr.splitlines()
    return sentence


@pytest.mark.parametrize(
    ("overrides", "sentence"),
    [
        (["init=null"], "init=null is not allowed: init takes the name of an option"),
        (["-m", "data=1,mnist_sample"], "data=1 is not allowed: data takes the name of an option"),
        ([f"hidden_size={10**24}"], "hidden_size=10{24} is not allowed: .* at most 1000000000"),
        ([f"tracking.every={10**24}"], "tracking.every=10{24} is not allowed"),
        ([f"hydra.run.dir={UNDER_A_FILE}"], r"run\.py/folder cannot be used: Not a directory"),
        (["-m", f"hydra.sweep.dir={UNDER_A_FILE}"], r"run\.py/folder cannot be used: Not a dir"),
    ],
)
def test_a_wrong_value_on_the_command_line_is_named(overrides, sentence, tmp_path):
    done = run_py(*overrides, "epochs=1", root=tmp_path)
    assert done.returncode == 2, done.stderr
    assert re.search(sentence, done.stderr)
    assert len(done.stderr.splitlines()) == 1


@pytest.mark.usefixtures("finished")
def test_a_comparison_by_no_field_and_a_report_without_a_folder_are_refused():
    for by in ("", ","):
        assert "names no field" in refusal("compare", SWEEP, "--by", by)
    assert "cannot be written" in refusal("report", SWEEP, "--out", UNDER_A_FILE)


@pytest.mark.usefixtures("finished")
def test_images_with_a_broken_header_are_refused(tmp_path):
    images = tmp_path / "broken.npy"
    np.save(images, np.zeros((2, 784)))
    content = images.read_bytes()
    images.write_bytes(content.replace(b"{'descr'", b"{'''''''"))
    assert "found no array of numbers" in refusal("predict", "313e0fa9", images)


@pytest.mark.parametrize("text", [b"FINISHED", b"run_key", b"val/loss", b"file:///"])
def test_a_database_with_flipped_bits_is_named(finished, tmp_path, text):
    database = finished / "mlflow.db"
    content = database.read_bytes()
    assert text in content
    database.write_bytes(content.replace(text, text[:1] + bytes([text[1] ^ 0x80]) + text[2:]))
    images = tmp_path / "images.npy"
    np.save(images, np.zeros((1, 784)))
    said = 0
    for words in (
        ["doctor"], ["compare", SWEEP], ["report", SWEEP, "--out", tmp_path / "report"],
        ["explain", "313e0fa9", "last"], ["export", SWEEP, tmp_path / "sweep.zip"],
        ["predict", "313e0fa9", images, "--out", tmp_path / "out.csv"],
    ):  # fmt: skip
        done = CliRunner().invoke(main, [*map(str, words)])
        assert done.exception is None or isinstance(done.exception, SystemExit), (words, done)
        assert done.exit_code in (0, 1, 2)
        said += "cannot be read" in done.output or "is damaged" in done.output
    assert said
