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
