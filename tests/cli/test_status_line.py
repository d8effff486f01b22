"""What commands say while they work: on a terminal, and nowhere else."""

import fcntl
import os
import pty
import re
import socket
import struct
import termios

import pytest
from support.commands import nnlab, run_py
from support.fork_client import ask
from support.forks import _server
from support.paths import ROOT


def on_terminal(*words, root, width=60, expected=0):
    """Run a command whose streams are a terminal; return all that was written to it."""
    parent, child = pty.openpty()
    fcntl.ioctl(child, termios.TIOCSWINSZ, struct.pack("HHHH", 40, width, 0, 0))
    env = {name: value for name, value in os.environ.items() if name != "COLUMNS"}
    env |= {"NNLAB_ROOT": str(root), "TERM": "xterm"}
    with socket.socket(socket.AF_UNIX) as connection:
        connection.settimeout(200)
        _, answers = ask(connection, _server(), list(words), env, str(ROOT), [child] * 3)
        os.close(child)
        written = b""
        while True:
            try:
                written += os.read(parent, 65536)
            except OSError:  # the command, which had the other end, is gone
                break
        code = int(answers.readline())
    os.close(parent)
    assert code == expected, written
    return written.decode()


SWEEP = ("run.py", "-m", "lr=0.1,0.5", "epochs=3", "data.val_size=4600", "pictures=1")


@pytest.fixture(scope="module")
def root(tmp_path_factory):
    return tmp_path_factory.mktemp("terminal")


@pytest.fixture(scope="module")
def sweep(root):
    return on_terminal(*SWEEP, root=root)


def test_a_sweep_says_what_it_does_before_and_after_it_trains(sweep):
    places = [
        sweep.index(text)
        for text in (
            "reading the config", "loading data", "starting workers", "/6 epochs",
            "late val", "nnlab compare", "drawing figures", "writing the results",
        )
    ]  # fmt: skip
    assert places == sorted(places)


def test_the_bar_shows_the_best_so_far(sweep):
    assert "best 0." in sweep.partition("drawing figures")[0]


def test_the_results_stand_alone_in_their_lines(sweep):
    results = sweep[sweep.index("late val") : sweep.index("nnlab ui")]
    assert "\x1b[2K" not in results  # no line is written twice
    assert re.search(r"\r\n  nnlab compare [0-9a-f]{8}\r\n", results)


def test_the_tab_key_writes_nothing_beside_what_is_typed(root, monkeypatch):
    monkeypatch.setenv("COMP_LINE", "python run.py init=rand_")
    assert on_terminal("run.py", "-sc", "query=bash", root=root).split() == ["init=rand_minus_half"]


def test_an_error_is_folded_between_words_and_its_commands_stay_whole(root):
    text = on_terminal("-m", "nnlab", "compare", "--nonsense", root=root, expected=2)
    assert text.splitlines()[-2:] == [
        "nnlab compare: No such option '--nonsense'; see",
        "`nnlab compare --help`.",
    ]


@pytest.mark.usefixtures("sweep")
def test_what_is_piped_has_no_status(root):
    done = nnlab("compare", root=root)
    assert done.returncode == 0, done.stderr
    assert "reading" not in done.stdout + done.stderr
    assert "\x1b" not in done.stdout + done.stderr
    quiet = run_py(*SWEEP[1:], "pictures=0", root=root)
    assert quiet.stderr == ""
    assert "starting workers" not in quiet.stdout
