"""A command ends with the process that started it, and so do the processes of the command."""

import os
import subprocess
import sys
import time

import psutil
import pytest
from support.modules import MODULES, name_of
from support.waiting import wait_until

from nnlab.system.supervisor import supervised

PARENT = """
import sys, time
from nnlab.system.supervisor import supervised
with supervised([sys.executable, "-c", sys.argv[1]]) as process:
    print(process.pid, flush=True)
    time.sleep(60)
"""
# A command with a process of its own, both of which do not hear of SIGTERM.
STUBBORN = """
import os, signal, sys, time
signal.signal(signal.SIGTERM, signal.SIG_IGN)
os.fork()
time.sleep(60)
"""
SLEEPER = "import subprocess, sys; subprocess.run(['sleep', '60'])"


def group(number):
    """The living processes of a process group."""
    members = []
    for process in psutil.process_iter():
        try:
            if os.getpgid(process.pid) == number and process.status() != psutil.STATUS_ZOMBIE:
                members.append(process)
        except (ProcessLookupError, psutil.NoSuchProcess):
            pass
    return members


@pytest.mark.parametrize("seconds", [0, 0.01, 0.03, 0.1, 1])
def test_a_command_goes_when_its_parent_is_killed_however_early(seconds):
    with subprocess.Popen(
        [sys.executable, "-c", PARENT, SLEEPER], stdout=subprocess.PIPE, text=True
    ) as parent:
        number = int(parent.stdout.readline())
        time.sleep(seconds)
        parent.kill()
    wait_until(lambda: not group(number))


def test_a_command_that_does_not_end_by_itself_is_killed_with_its_processes(monkeypatch):
    monkeypatch.setattr("nnlab.system.supervisor.END_SECONDS", 0.5)
    with supervised([sys.executable, "-c", STUBBORN]) as process:
        wait_until(lambda: len(group(process.pid)) == 3)
    wait_until(lambda: not group(process.pid))


@pytest.mark.parametrize(
    ("code", "expected"),
    [("raise SystemExit(7)", 7), ("pass", 0), ("import os; os.kill(os.getpid(), 9)", 128 + 9)],
)
def test_the_exit_code_and_the_output_are_the_commands(code, expected):
    words = [sys.executable, "-c", f"print('said', flush=True); {code}"]
    with supervised(words, stdout=subprocess.PIPE) as process:
        out, _ = process.communicate()
    assert (process.returncode, out) == (expected, b"said\n")


def test_a_process_that_a_command_leaves_behind_is_ended():
    code = "import subprocess; subprocess.Popen(['sleep', '60'])"
    with supervised([sys.executable, "-c", code]) as process:
        process.wait()
    wait_until(lambda: not group(process.pid))


def test_a_command_that_does_not_exist_is_named():
    with supervised(["/no/such/command"], stderr=subprocess.PIPE) as process:
        _, errors = process.communicate()
    assert process.returncode == 127
    assert b"/no/such/command: No such file" in errors


def test_no_module_starts_a_long_command_without_it():
    starts = {name_of(path) for path in MODULES if "subprocess.Popen(" in path.read_text()}
    assert starts == {"nnlab.system.supervisor"}
