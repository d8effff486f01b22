"""The process that writes a run, and whether it still lives."""

import os
import shlex
import socket
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import psutil

START_TOLERANCE = 1.0  # seconds by which two readings of a process's start may differ
PROC = Path("/proc")  # of Linux; other systems have no such folder


@dataclass(frozen=True)
class ProcessId:
    """A process of some machine.

    The start is part of it, as the system may give the same number to a later process. By the wall
    clock it is uncertain, as that clock may be set while the process runs. Linux also tells it by a
    clock that nobody sets, which begins when the machine starts.

    Attributes
    ----------
    host : str
        The machine's name.
    pid : int
        The process's number.
    started : float
        Seconds since 1970.
    boot : str
        Linux's random id of the time since the machine started; empty where there is none, and in
        records of earlier versions.
    ticks : int
        From the machine's start to the process's, in clock ticks; 0 without ``boot``.
    """

    host: str
    pid: int
    started: float
    boot: str = ""
    ticks: int = 0

    @classmethod
    def this_process(cls) -> "ProcessId":
        """Return the id of the process that calls this."""
        return _this_process(os.getpid())

    @classmethod
    def parse(cls, text: str) -> "ProcessId | None":
        """Read what ``__str__`` wrote, in this or an earlier version; None for other text."""
        try:
            machine, pid, started = text.rsplit(":", 2)
            host, _, start = machine.partition("/")
            boot, _, ticks = start.partition("/")
            return cls(host, int(pid), float(started), boot, int(ticks) if boot else 0)
        except ValueError:
            return None

    def __str__(self) -> str:
        # Earlier versions take what precedes the number for the name of another machine, of whose
        # processes they claim nothing.
        machine = f"{self.host}/{self.boot}/{self.ticks}" if self.boot else self.host
        return f"{machine}:{self.pid}:{self.started:.2f}"

    @property
    def is_here(self) -> bool:
        """Whether it ran on this machine; of other machines' processes nothing is known."""
        return self.host == socket.gethostname()

    @property
    def if_gone(self) -> str:
        """What to do where its machine is gone, of whose processes nothing is known."""
        return f"if that machine is gone, use --host {shlex.quote(self.host)}"

    @property
    def lives(self) -> bool:
        """Whether the process still runs."""
        try:
            process = psutil.Process(self.pid)
            if self.boot:
                same = (self.boot, self.ticks) == (_boot(), _ticks(self.pid))
            else:
                same = abs(process.create_time() - self.started) < START_TOLERANCE
            return same and process.status() != psutil.STATUS_ZOMBIE
        except (psutil.NoSuchProcess, OverflowError, ValueError):  # no such number, as well
            return False


@cache  # the same text for good, even if the clock is set
def _this_process(pid: int) -> ProcessId:
    host, started = socket.gethostname(), psutil.Process().create_time()
    boot, ticks = _boot(), _ticks(pid)
    if not boot or ticks is None:
        return ProcessId(host, pid, started)
    return ProcessId(host, pid, started, boot, ticks)


def _boot() -> str:
    try:
        return (PROC / "sys/kernel/random/boot_id").read_text(encoding="ascii").strip()
    except OSError:
        return ""


def _ticks(pid: int) -> int | None:
    """Return when a process started, as ``proc(5)`` says: field 22; the name in field 2 is free."""
    try:
        text = (PROC / str(pid) / "stat").read_bytes()
    except OSError:
        return None
    return int(text.rpartition(b")")[2].split()[19])
