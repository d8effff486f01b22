"""The process that writes a run, and whether it still lives."""

import os
import socket
from dataclasses import dataclass

import psutil

START_TOLERANCE = 1.0  # seconds by which two readings of a process's start may differ


@dataclass(frozen=True)
class ProcessId:
    """A process of some machine.

    The start is part of it, as the system may give the same number to a later process.

    Attributes
    ----------
    host : str
        The machine's name.
    pid : int
        The process's number.
    started : float
        Seconds since 1970.
    """

    host: str
    pid: int
    started: float

    @classmethod
    def this_process(cls) -> "ProcessId":
        """Return the id of the process that calls this."""
        return cls(socket.gethostname(), os.getpid(), psutil.Process().create_time())

    @classmethod
    def parse(cls, text: str) -> "ProcessId | None":
        """Read what ``__str__`` wrote; None where the text is something else."""
        try:
            host, pid, started = text.rsplit(":", 2)
            return cls(host, int(pid), float(started))
        except ValueError:
            return None

    def __str__(self) -> str:
        return f"{self.host}:{self.pid}:{self.started:.2f}"

    @property
    def is_here(self) -> bool:
        """Whether it ran on this machine; of other machines' processes nothing is known."""
        return self.host == socket.gethostname()

    @property
    def lives(self) -> bool:
        """Whether the process still runs."""
        try:
            process = psutil.Process(self.pid)
            same = abs(process.create_time() - self.started) < START_TOLERANCE
            return bool(same and process.status() != psutil.STATUS_ZOMBIE)
        except psutil.NoSuchProcess:
            return False
