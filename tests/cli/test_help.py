"""The help of the command as a whole."""

import inspect
import sys
from types import SimpleNamespace

import pytest
from click.testing import CliRunner
from support.commands import nnlab

from nnlab.cli.main import main


def test_the_list_of_commands_has_whole_sentences():
    done = CliRunner().invoke(main, ["--help"], catch_exceptions=False)
    assert done.exit_code == 0
    assert "..." not in done.output.partition("Commands:")[2]
    assert set(main.commands) <= set(done.output.split())


def test_help_is_the_same_where_python_has_left_docstrings_out(monkeypatch):
    CliRunner().invoke(main, ["--help"])  # imports what it needs, while Python's flags are whole
    helps = {name: inspect.cleandoc(command.help) for name, command in main.commands.items()}
    for command in (main, *main.commands.values()):
        monkeypatch.setattr(command, "help", None)
    monkeypatch.setattr(sys, "flags", SimpleNamespace(optimize=2))
    assert CliRunner().invoke(main, ["--help"], catch_exceptions=False).exit_code == 0
    assert {name: command.help for name, command in main.commands.items()} == helps


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (["compare", "a", "--max-seeds", "1"],
         "nnlab compare: Invalid value for '--max-seeds': 1 is not in the range x>=5; see `nnlab compare --help`."),  # noqa: E501
        (["compare", "--nonsense"],
         "nnlab compare: No such option '--nonsense'; see `nnlab compare --help`."),
        (["nonsense"], "nnlab: No such command 'nonsense'; see `nnlab --help`."),
        (["--nonsense"], "nnlab: No such option '--nonsense'; see `nnlab --help`."),
        (["show"], "nnlab show: Missing argument 'RUN|SWEEP'; see `nnlab show --help`."),
    ],
)  # fmt: skip
def test_what_cannot_be_read_of_a_command_is_told_in_one_sentence(words, sentence):
    done = nnlab(*words)
    assert (done.returncode, done.stdout, done.stderr) == (2, "", sentence + "\n")


def test_no_command_at_all_is_answered_with_the_help():
    assert "Commands:" in CliRunner().invoke(main, []).output


@pytest.mark.parametrize("name", ["", *main.commands])
def test_60_columns_hold_the_help_with_its_commands_and_options_whole(name):
    if name == "run":  # Hydra's, which folds nothing
        return
    done = CliRunner().invoke(main, [*name.split(), "--help"], terminal_width=60)
    lines = done.output.splitlines()
    assert done.exit_code == 0
    assert max(map(len, lines)) <= 60
    assert [line for line in lines if line.count("`") % 2] == []
    for parameter in main.commands[name].params if name else ():
        assert all(word in done.output for word in parameter.opts if word.startswith("-"))


@pytest.mark.parametrize(
    ("shell", "place", "answer"),
    [("bash", "1", "plain,report"), ("zsh", "1", "plain\nreport"), ("fish", "re", "plain,report")],
)
def test_each_shell_of_the_page_on_completion_is_answered_at_its_tab_key(shell, place, answer):
    asked = {"_NNLAB_COMPLETE": f"{shell}_complete", "COMP_WORDS": "nnlab re", "COMP_CWORD": place}
    assert answer in CliRunner().invoke(main, [], prog_name="nnlab", env=asked).output
