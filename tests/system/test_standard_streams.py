"""What happens to output that nobody can read, or that a terminal cannot show."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
from support.commands import nnlab
from support.paths import ROOT

FULL = Path("/dev/full")
PRINTS = """
import sys
from nnlab.system.standard_streams import StandardStreams
with StandardStreams():
    for _ in range(20_000):
        print("Müller 李明")
        print("Müller 李明", file=sys.stderr)
    sys.stderr.write("done")
    sys.exit({code})
"""


def printing(code=0, env=None, python=("-c",), **options):
    """Run a program that prints more than a pipe holds, and exits with a code."""
    return subprocess.Popen(
        [sys.executable, *python, PRINTS.format(code=code)], cwd=ROOT, text=True,
        env={**os.environ, **(env or {})}, **options,
    )  # fmt: skip


@pytest.mark.parametrize("code", [0, 1, 3])
def test_a_reader_that_has_enough_ends_no_command_and_changes_no_exit_code(code):
    with printing(code, stdout=subprocess.PIPE, stderr=subprocess.STDOUT) as process:
        process.stdout.readline()
        process.stdout.close()
        assert process.wait(60) == code


@pytest.mark.skipif(not FULL.exists(), reason="there is no such device here")
@pytest.mark.parametrize(("code", "exits"), [(0, 2), (1, 2), (130, 130)])
def test_output_that_cannot_be_written_is_said_when_all_else_is_done(code, exits):
    with FULL.open("w") as full, printing(code, stdout=full, stderr=subprocess.PIPE) as process:
        _, errors = process.communicate(timeout=60)
    said = "doneStandard output could not be written: No space left on device. All else is done."
    assert process.returncode == exits
    assert (said in errors) == (exits == 2)
    assert "Traceback" not in errors


@pytest.mark.skipif(not FULL.exists(), reason="there is no such device here")
def test_errors_that_nobody_can_read_change_no_exit_code():
    with FULL.open("w") as full, printing(3, stdout=subprocess.PIPE, stderr=full) as process:
        process.communicate(timeout=60)
    assert process.returncode == 3


@pytest.mark.parametrize("python", [("-c",), ("-u", "-c")])
def test_letters_that_a_terminal_lacks_are_written_as_numbers(python):
    env = {"PYTHONIOENCODING": "ascii"}
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
    with printing(env=env, python=python, **pipes) as process:
        for lines in process.communicate(timeout=60):
            assert lines.startswith("M\\xfcller \\u674e\\u660e\n")
            assert lines.count("M") == 20_000


@pytest.mark.long  # python -OO compiles all that it imports
def test_help_is_whole_without_docstrings():
    done = nnlab("compare", "--help")
    bare = subprocess.run(
        [sys.executable, "-OO", "-m", "nnlab", "compare", "--help"], cwd=ROOT, text=True,
        capture_output=True, check=True,
    )  # fmt: skip
    assert bare.stdout.partition("\n")[2] == done.stdout.partition("\n")[2]
    assert "Compare configurations over their seeds" in bare.stdout


def test_closed_streams_are_no_error():
    command = f"{sys.executable} -m nnlab --help <&- >&- 2>&-"
    assert subprocess.run(["/bin/sh", "-c", command], cwd=ROOT, check=False).returncode == 0
