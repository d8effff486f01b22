"""A process is known by more than its number."""

import os
import socket
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import psutil
import pytest

from nnlab.tracking.process import ProcessId, _ticks


def test_this_process_lives_and_its_description_is_read_back():
    process_id = ProcessId.this_process()
    assert process_id.is_here
    assert process_id.lives
    found = ProcessId.parse(str(process_id))
    assert found.pid == process_id.pid
    assert found.lives


def test_a_host_may_have_colons_in_its_name():
    assert ProcessId.parse("fe80::1:42:17.50") == ProcessId("fe80::1", 42, 17.5)


def test_other_text_is_no_process_id():
    for text in ("", "somebody", "host:pid:when", "host:1"):
        assert ProcessId.parse(text) is None


def test_a_process_that_ended_does_not_live_even_before_it_is_waited_for():
    process = subprocess.Popen(
        [
            sys.executable, "-c",
            "from nnlab.tracking.process import *; print(ProcessId.this_process())",
        ],
        stdout=subprocess.PIPE, text=True,
    )  # fmt: skip
    process_id = ProcessId.parse(process.stdout.read().strip())
    os.waitid(os.P_PID, process.pid, os.WEXITED | os.WNOWAIT)
    assert not process_id.lives  # a zombie
    process.wait()
    process.stdout.close()
    assert not process_id.lives


def test_another_process_under_the_same_number_is_not_the_same_process():
    process_id = ProcessId.this_process()
    before = replace(process_id, started=process_id.started - 3600, boot="", ticks=0)
    assert not before.lives
    if process_id.boot:
        assert not replace(process_id, ticks=process_id.ticks - 1).lives
        assert not replace(process_id, boot="another start of this machine").lives


@pytest.mark.skipif(not Path("/proc/self/stat").exists(), reason="Linux alone has such a clock")
def test_a_clock_that_is_set_while_a_process_runs_does_not_end_it(monkeypatch):
    process_id = ProcessId.this_process()
    start = psutil.boot_time() + 3
    # psutil adds to what Linux says of the machine's start, which moves with the clock.
    monkeypatch.setattr(psutil._pslinux, "boot_time", lambda: start)
    assert not replace(process_id, boot="", ticks=0).lives  # as earlier versions describe it
    assert ProcessId.parse(str(process_id)).lives
    assert str(ProcessId.this_process()) == str(process_id)


def test_what_earlier_versions_wrote_is_read_as_before():
    process_id = ProcessId.this_process()
    text = f"{socket.gethostname()}:{os.getpid()}:{psutil.Process().create_time():.2f}"
    found = ProcessId.parse(text)
    assert (found.host, found.pid, str(found)) == (process_id.host, process_id.pid, text)
    assert found.is_here
    assert found.lives


def test_earlier_versions_take_it_for_a_process_of_which_they_know_nothing():
    host, pid, started = str(ProcessId.this_process()).rsplit(":", 2)  # as they read it
    assert int(pid) == os.getpid()
    assert float(started) > 0
    assert host.startswith(socket.gethostname())


def test_the_name_of_a_program_may_look_like_the_end_of_its_description(tmp_path):
    program = tmp_path / "a) R 1 (b"
    program.symlink_to("/bin/sleep")
    with subprocess.Popen([program, "60"]) as process:
        started = psutil.Process(process.pid).create_time()
        ticks = _ticks(process.pid)
        process.kill()
    if ticks is not None:
        since_start = started - psutil.boot_time()
        assert abs(ticks / os.sysconf("SC_CLK_TCK") - since_start) < 1.5


def test_whether_a_process_of_another_machine_lives_is_not_claimed():
    assert not replace(ProcessId.this_process(), host="elsewhere").is_here
