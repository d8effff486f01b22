"""What is typed wrong, or stored wrong, ends in one sentence and exit code 2, not a traceback."""

import re
import shutil
import sqlite3
import subprocess
import sys
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
        (["--lr", "0.1"], "--lr is no option: a field is set without dashes, as lr=VALUE"),
        (["seed=1..5"], r"seed=1\.\.5 is no range: add -m, and give 'seed=range\(1,6\)'"),
        (["-m", "lr=linspace(0.1,1,3)"], "calls linspace, which is unknown: list the values"),
        (["LR=0.1"], "LR is not a field of the config: did you mean `lr`"),
        (["resume=true"], r"did you mean `hydra\.launcher\.resume`"),
        (["data=MNIST"], "Did you mean data=mnist"),
        (["init=xavier"], "Did you mean init=glorot"),
        (["data=cifar10"], "Images of your own: data=file data.path="),
        (["data=sub/train.csv"], "a file or folder is data=file data.path=sub/train.csv"),
        (["data=file", "data.path=https://host/train.csv"], "https://host/train.csv is an address"),
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


UNFINISHED = "c6e256499f9549648f8a2c704a1fa16f"


@pytest.mark.parametrize(
    ("old", "new", "sentence"),
    [
        (b'"format": 1', b'"format": 2', r"has format 2, this version of nnlab reads 1"),
        (b'"format": 1,', b"", "is not a sweep's plan: it does not say its format"),
        (b'"jobs": [', b'"jobs": {}, "x": [', "is not a sweep's plan: .*jobs"),
        (b'"lr": 0.', b'"lr": -0.', r"jobs\.0 of plan\.json of c6e25649 cannot be used: lr=-0"),
        (b'"lr": 0.', b'"lr": NaN, "x": 0.', "is not a sweep's plan: .*NaN is no number"),
        (b'"jobs": [', b'"jobs": ' + b"[" * 20_000, "is not a sweep's plan: .*"),
        (b'"name"', b'"\xff"', "plan.json cannot be read .*utf-8"),
    ],
)
def test_a_damaged_plan_is_named(stored, tmp_path, monkeypatch, old, new, sentence):
    plan = (
        _copied(stored / "unfinished", tmp_path, monkeypatch) / "sweeps" / UNFINISHED / "plan.json"
    )
    content = plan.read_bytes()
    assert old in content
    plan.write_bytes(content.replace(old, new, 1))
    assert re.search(sentence, refusal("resume", UNFINISHED[:8]))
    for words in (["resume"], ["doctor"]):
        done = CliRunner().invoke(main, words)
        assert done.exception is None or isinstance(done.exception, SystemExit), done


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("environment.json", b"[]"), ("environment.json", b'{"packages": 1}'),
        ("environment.json", b'{"python": NaN}'), ("runs.csv", b"a,b\n1,2\n"),
        ("runs.csv", b"\xff\xfe"), ("runs.csv", b"run_id\n" + b"x" * 200_000),
    ],
)  # fmt: skip
def test_a_damaged_file_of_a_sweep_is_named_by_its_report(finished, tmp_path, name, content):
    (path,) = finished.glob(f"artifacts/{SWEEP}*/artifacts/{name}")
    path.write_bytes(content)
    assert f"{name} " in refusal("report", SWEEP, "--out", tmp_path / "report")


def run_sql(store, *statements):
    with sqlite3.connect(store / "mlflow.db") as database:
        for statement in statements:
            assert database.execute(statement).rowcount > 0


def test_a_report_of_runs_without_parameters_names_them(finished, tmp_path):
    run_sql(finished, "DELETE FROM params")
    sentence = refusal("report", SWEEP, "--out", tmp_path / "report")
    assert "have lost their parameters" in sentence
    assert "nnlab doctor" in sentence


@pytest.mark.parametrize("value", ["1e999", "9" * 5000, "nan"])
def test_a_parameter_that_is_no_finite_number_is_a_text(finished, value):
    one = "(SELECT min(run_uuid) FROM params)"
    run_sql(finished, f"UPDATE params SET value = '{value}' WHERE key = 'lr' AND run_uuid = {one}")
    done = CliRunner().invoke(main, ["compare", SWEEP], env={"COLUMNS": "500"})
    assert done.exit_code == 0, done
    assert value[:3] in done.output


def test_seeds_that_are_no_numbers_pair_nothing(finished):
    run_sql(finished, "UPDATE params SET value = 'x' || value WHERE key = 'seed'")
    with sqlite3.connect(finished / "mlflow.db") as database:
        ids = [row[0] for row in database.execute("SELECT DISTINCT run_uuid FROM params LIMIT 2")]
    assert "seeds that are no numbers" in refusal("compare", *ids)


def test_times_that_no_clock_can_have_said_stop_no_table(finished):
    run_sql(finished, f"UPDATE runs SET start_time = {2**62}")
    assert CliRunner().invoke(main, ["compare", SWEEP]).exit_code == 0


def test_a_sweep_below_itself_is_exported_once(finished, tmp_path):
    (folder,) = finished.glob(f"artifacts/{SWEEP}*")
    statement = "INSERT INTO tags VALUES ('mlflow.parentRunId', '{0}', '{0}')"
    run_sql(finished, statement.format(folder.name))
    done = CliRunner().invoke(main, ["export", SWEEP, str(tmp_path / "sweep.zip")])
    assert done.exit_code in (0, 2), done
    assert done.exception is None or isinstance(done.exception, SystemExit)


def test_a_run_whose_number_in_its_sweep_is_none_is_named(finished):
    run_sql(finished, "UPDATE tags SET value = 'x' WHERE key = 'job'")
    assert "The tag `job` of run" in refusal("reproduce", SWEEP, "--all")


def test_a_working_directory_that_is_gone_is_said(tmp_path):
    (tmp_path / "gone").mkdir()
    leave = f"cd gone && rmdir ../gone && exec {sys.executable} {ROOT}/run.py epochs=1"
    done = subprocess.run(
        ["sh", "-c", leave], cwd=tmp_path, capture_output=True, text=True, check=False
    )
    assert done.returncode == 2
    assert done.stderr == "The working directory is gone: change into a folder that exists.\n"
