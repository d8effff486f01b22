"""The README is true: its commands run, its figures come out, its links lead somewhere."""

import re
import shlex
from pathlib import Path

import pytest
from support.commands import python
from support.paths import ROOT

README = (ROOT / "README.md").read_text(encoding="utf-8")
BLOCKS = re.findall(r"```console\n(.*?)```", README, re.DOTALL)
COMMANDS = [line[2:] for block in BLOCKS for line in block.splitlines() if line.startswith("$ ")]
SWEEP = "python run.py -m lr=0.05,0.1,0.5"


def run(command, root):
    program, *words = shlex.split(command)
    return python(*([] if program == "python" else ["-m", program]), *words, root=root)


def table(text):
    """The rows of a ranked table, as lists of cells."""
    return [line.split() for line in text.splitlines() if re.match(r"\d+ ", line)]


@pytest.fixture(scope="module")
def first(tmp_path_factory):
    """The first command that is shown, and the folder of its store, for what comes behind it."""
    root = tmp_path_factory.mktemp("readme")
    return run(SWEEP, root), root


def test_the_first_command_gives_the_output_that_is_shown(first):
    assert COMMANDS[0] == SWEEP
    done, _ = first
    assert done.returncode == 0, done.stderr
    shown, found = table(BLOCKS[0]), table(done.stdout)
    assert len(shown) == len(found) == 3
    for theirs, ours in zip(shown, found, strict=True):
        assert theirs[:2] == ours[:2]  # place, learning rate
        assert theirs[6] == ours[6]  # outcome
        # To the bit on one type of processor; elsewhere rounding may shift a few images, and the
        # highest rate's loss by 5 %: its steps jump from side to side, and amplify what they find.
        assert float(theirs[2]) == pytest.approx(float(ours[2]), abs=0.01)
        assert float(theirs[4]) == pytest.approx(float(ours[4]), rel=0.1)
    assert "compare them: nnlab ui " in done.stdout


@pytest.mark.long
@pytest.mark.parametrize("command", [command for command in COMMANDS if command != SWEEP])
def test_a_command_that_is_shown_runs(command, first):
    done = run(command, first[1])
    assert done.returncode == 0, done.stderr
    assert done.stdout.strip()


@pytest.mark.long
def test_the_notes_first_init_dies_as_the_text_says(tmp_path):
    command = next(command for command in COMMANDS if "randn_minus_half" in command)
    assert "dead" in run(command, tmp_path).stdout


def test_make_run_runs_the_command_that_is_shown():
    recipe = re.search(r"^run:.*?\n((?:\t.*\n)+)", (ROOT / "Makefile").read_text(), re.MULTILINE)
    assert SWEEP.removeprefix("python ") in recipe[1]


def test_every_relative_link_leads_to_a_file():
    targets = re.findall(r"\]\((?!https?:)([^)#]+)\)", README)
    assert targets
    for target in targets:
        assert (ROOT / target).exists(), target


def test_the_layout_names_every_module():
    layout = README.split("## Layout")[1].split("##")[0]
    for path in (ROOT / "nnlab").glob("*.py"):
        if not path.name.startswith("__"):
            assert path.name in layout, path.name
    named = set(re.findall(r"\b(\w+\.py)\b", layout)) - {"run.py"}
    assert named <= {path.name for path in (ROOT / "nnlab").glob("*.py")}


def test_every_function_that_the_notes_table_names_is_there():
    import importlib

    section = README.split("## The notes")[1].split("## How")[0]
    for module, name in re.findall(r"`(\w+)\.(\w+)`", section):
        assert hasattr(importlib.import_module(f"nnlab.{module}"), name)


def test_a_plain_mlflow_ui_finds_the_store_through_the_committed_link():
    link = ROOT / "mlflow.db"
    assert link.is_symlink()
    assert link.readlink() == Path("mlruns/mlflow.db")


def test_the_lock_names_no_host_and_pins_every_dependency():
    import tomllib

    lock = (ROOT / "requirements.lock").read_text()
    assert "://" not in lock
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    optional = project["optional-dependencies"]
    extras = [each for name, group in optional.items() if name != "bench" for each in group]
    for requirement in project["dependencies"] + extras:
        name = re.match(r"[\w-]+", requirement)[0].lower()
        assert re.search(rf"^{name}==", lock, re.MULTILINE), name
