"""The help of the command as a whole."""

import inspect
import sys
from types import SimpleNamespace

from click.testing import CliRunner

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
