"""The commands that the README and the pages show run, and print what is shown below them."""

import os
import re

import consoles
import matplotlib as mpl
import numpy as np
import pytest
from PIL import Image
from support import forks
from support.paths import ROOT


def pages_with_commands():
    for page in consoles.pages():
        if any(command.skipped is None for command in consoles.commands(consoles.read(page))):
            marks = [pytest.mark.long] if consoles.is_long(page) else []
            yield pytest.param(page, marks=marks)


def run_all(page, folder):
    """Run a page's commands, each against what is shown; return what the first one has printed."""
    session = consoles.Session(folder)
    forks.write_programs(folder / "bin")
    session.env["PATH"] = f"{folder}/bin{os.pathsep}{session.env['PATH']}"
    exact = consoles.recorded()[page]["platform"] == consoles.numerics()
    for command in consoles.commands(consoles.read(page)):
        if command.skipped is None:
            code, found = session.run(command)
            assert code == command.code, f"$ {command.text}\n{found}"
            session.compare(command.shown, found, exact=exact)
    return session


@pytest.mark.parametrize(
    "page", [each for each in pages_with_commands() if each.values[0] != consoles.README]
)
def test_the_commands_of_a_page_print_what_it_shows(page, tmp_path):
    run_all(page, tmp_path)


@pytest.fixture(scope="module")
def readme(tmp_path_factory):
    return run_all(consoles.README, tmp_path_factory.mktemp("readme"))


@pytest.mark.usefixtures("readme")
def test_the_commands_of_the_readme_print_what_it_shows():
    text = consoles.read(consoles.README)
    first = consoles.commands(text)[0]
    assert first.text == consoles.SWEEP
    assert len(re.findall(r"^\d ", first.shown, re.MULTILINE)) == 3


def test_the_pictures_of_the_readme_are_of_the_sweep_that_it_shows(readme):
    recorded = consoles.recorded()[consoles.README]
    weights, pictures = consoles.sweep_results(readme)
    if weights != recorded["weights"] or mpl.__version__ != recorded["matplotlib"]:
        assert consoles.numerics() != recorded["platform"], (
            "python docs/tools/consoles.py README.md"
        )
        pytest.skip("pictures of other bits, or by another matplotlib, differ in their pixels")
    for name, path in pictures.items():
        assert f"docs/images/{name}" in consoles.read(consoles.README)
        with Image.open(path) as found, Image.open(ROOT / "docs" / "images" / name) as shown:
            assert np.array_equal(np.asarray(found), np.asarray(shown)), name


def test_make_run_runs_the_command_that_the_readme_shows():
    recipe = re.search(r"^run:.*?\n((?:\t.*\n)+)", (ROOT / "Makefile").read_text(), re.MULTILINE)
    assert consoles.SWEEP.removeprefix("python ") in recipe[1]


def test_a_command_that_is_not_run_says_why():
    for page in consoles.pages():
        for command in consoles.commands(consoles.read(page)):
            assert command.skipped is None or len(command.skipped.split()) > 3


@pytest.mark.parametrize(
    ("shown", "found", "agree"),
    [
        ("run deadbeef 0.90", "run 01234567 0.90", True),
        ("run deadbeef 0.90", "run 01234567 0.91", False),
        ("a\n...\nlast 1", "a b c last 1", True),
        ("a\n...\nlast 1", "a b c last 2", False),
        ("a b", "a b c", False),
    ],
)
def test_what_is_printed_is_compared_word_by_word_except_ids(shown, found, agree, tmp_path):
    session = consoles.Session(tmp_path)
    if agree:
        session.compare(shown, found, exact=True)
    else:
        with pytest.raises(AssertionError):
            session.compare(shown, found, exact=True)


def test_ids_that_a_page_shows_stand_for_those_of_its_own_store(tmp_path):
    session = consoles.Session(tmp_path)
    session.compare("run deadbeef", "run 01234567", exact=True)
    assert session.mapped("deadbeef") == "01234567"
    code, found = session.run(consoles.Command("echo deadbeef", ""))
    assert (code, found) == (0, "01234567\n")


def test_figures_may_differ_a_little_on_another_type_of_processor():
    assert consoles.same("0.9040", "0.9030", exact=False)
    assert not consoles.same("0.9040", "0.9030", exact=True)
    assert not consoles.same("0.9040", "0.5030", exact=False)
    assert not consoles.same("learned", "stalled", exact=False)
