"""The paths of modules in the records of older versions lead to the present modules."""

import subprocess

import pytest
from support.modules import PACKAGE
from support.paths import ROOT

from nnlab.reproduction.module_names import MOVED, present_name

ONE_FOLDER = "39c4ae1"  # the last commit before the modules were moved into packages


@pytest.mark.parametrize("old", MOVED)
def test_a_recorded_path_leads_to_a_module_that_exists(old):
    assert (PACKAGE / MOVED[old]).is_file()


def test_every_module_that_ever_was_in_the_one_folder_has_a_present_path():
    added = subprocess.run(
        ["git", "log", "--format=", "--name-only", "--no-renames", "--diff-filter=A", ONE_FOLDER,
         "--", "nnlab"],
        cwd=ROOT, capture_output=True, text=True, check=False,
    )  # fmt: skip
    old = {name.removeprefix("nnlab/") for name in added.stdout.split() if name.endswith(".py")}
    if len(old) < 100:
        pytest.skip(f"the history before {ONE_FOLDER} is not in this clone")
    assert [name for name in sorted(old) if not (PACKAGE / present_name(name)).is_file()] == []


def test_a_present_path_stays_as_it_is():
    assert present_name("training/engine.py") == "training/engine.py"
    assert present_name("cli/main.py") == "cli/main.py"


def test_the_package_runs_of_older_records_is_the_present_jobs():
    assert present_name("runs/config.py") == "jobs/config.py"
    assert (PACKAGE / present_name("runs/config.py")).is_file()
