"""A process is known by more than its number."""

import os
import subprocess
import sys
from dataclasses import replace

from nnlab.tracking.process import ProcessId


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
    assert not replace(process_id, started=process_id.started - 3600).lives


def test_whether_a_process_of_another_machine_lives_is_not_claimed():
    assert not replace(ProcessId.this_process(), host="elsewhere").is_here
