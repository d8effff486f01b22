"""Whose a run is: the process that writes it, and whether that process still lives."""

import os
import socket
from dataclasses import dataclass

import psutil

SLACK = 1.0  # seconds by which two readings of a process's start may differ


@dataclass(frozen=True)
class ProcessId:
    """A process: its number alone may have been given to another since.

    Attributes
    ----------
    host : the machine's name
    pid : the process's number
    started : when it started, in seconds since 1970
    """

    host: str
    pid: int
    started: float

    @classmethod
    def this_process(cls) -> "ProcessId":
        """Describe the process that asks."""
        return cls(socket.gethostname(), os.getpid(), psutil.Process().create_time())

    @classmethod
    def parse(cls, text: str) -> "ProcessId | None":
        """Read what ``__str__`` wrote; None where it is something else."""
        try:
            host, pid, started = text.rsplit(":", 2)
            return cls(host, int(pid), float(started))
        except ValueError:
            return None

    def __str__(self) -> str:
        return f"{self.host}:{self.pid}:{self.started:.2f}"

    @property
    def is_here(self) -> bool:
        """Whether it ran on this machine; of others, nothing can be told."""
        return self.host == socket.gethostname()

    @property
    def lives(self) -> bool:
        """Whether the process is there still, and is the same one."""
        try:
            process = psutil.Process(self.pid)
            same = abs(process.create_time() - self.started) < SLACK
            return bool(same and process.status() != psutil.STATUS_ZOMBIE)
        except psutil.NoSuchProcess:
            return False
