"""Temporary folders that are removed also after a kill: by a later process of nnlab.

The name of a folder says which process made it, and the process holds a lock on the folder, which
the system releases when it ends.
"""

import os
import re
import shutil
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import psutil

PREFIX = "nnlab-"
MAKING = ".making-"  # a database
WRITING = ".writing-"  # a file
UNLOCKED_SECONDS = 60  # that a process may take, at most, from a folder's creation to its lock
OLD_SECONDS = 7 * 24 * 3600  # after which a folder is abandoned whose name tells no process

try:
    from fcntl import LOCK_EX, LOCK_NB, flock
except ImportError:  # on Windows
    flock = None  # type: ignore[assignment]


@contextmanager
def temporary_folder(prefix: str = PREFIX, parent: Path | None = None) -> Iterator[Path]:
    """Provide a new folder, which is removed afterwards.

    Parameters
    ----------
    prefix : str
        How its name begins.
    parent : Path or None
        Where it is; None for the system's folder for temporary files.
    """
    place = Path(tempfile.gettempdir()) if parent is None else parent
    for folder in abandoned(place, prefix):
        shutil.rmtree(folder, ignore_errors=True)
    with tempfile.TemporaryDirectory(prefix=f"{prefix}{os.getpid()}-", dir=place) as name:
        lock = _lock(Path(name))
        try:
            yield Path(name)
        finally:
            if lock is not None:
                os.close(lock)


def abandoned(place: Path, prefix: str = PREFIX, *, nameless: bool = False) -> list[Path]:
    """Return the temporary folders whose process is gone.

    Parameters
    ----------
    place : Path
        The folder that holds them.
    prefix : str
        How their names begin; another word may follow it.
    nameless : bool
        Also those of versions that did not name the process, if nothing was changed there for long.
    """
    named = re.compile(rf"{re.escape(prefix)}(?:[a-z]+-)?(\d+)-\w{{8}}")
    unnamed = re.compile(rf"{re.escape(prefix)}(?:[a-z]+-)?\w{{8}}")
    found = []
    for folder in place.glob(f"{prefix}*"):
        with suppress(OSError):
            status, match = folder.lstat(), named.fullmatch(folder.name)
            if folder.is_symlink() or not folder.is_dir() or status.st_uid != _user(status):
                continue
            age = time.time() - status.st_mtime
            if match is None:
                gone = nameless and age > OLD_SECONDS and bool(unnamed.fullmatch(folder.name))
            else:
                gone = not psutil.pid_exists(int(match[1])) or age > UNLOCKED_SECONDS
                gone = gone and _is_unlocked(folder)
            if gone:
                found.append(folder)
    return sorted(found)


def _user(status: os.stat_result) -> int:
    return os.getuid() if hasattr(os, "getuid") else status.st_uid


def _lock(folder: Path) -> int | None:
    """Lock a folder; return what holds the lock until it is closed, or None without locks."""
    if flock is None:
        return None
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        flock(descriptor, LOCK_EX | LOCK_NB)
    except OSError:  # a file system without locks
        os.close(descriptor)
        return None
    return descriptor


def _is_unlocked(folder: Path) -> bool:
    """Tell whether nobody holds a folder's lock; without locks, whether its process is gone."""
    if flock is None:
        return not psutil.pid_exists(int(folder.name.split("-")[-2]))
    descriptor = _lock(folder)
    if descriptor is None:
        return False
    os.close(descriptor)
    return True
