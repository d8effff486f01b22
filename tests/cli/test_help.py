"""The help of the command as a whole."""

from click.testing import CliRunner

from nnlab.cli.main import main


def test_the_list_of_commands_has_whole_sentences():
    done = CliRunner().invoke(main, ["--help"], catch_exceptions=False)
    assert done.exit_code == 0
    assert "..." not in done.output.partition("Commands:")[2]
    assert set(main.commands) <= set(done.output.split())
