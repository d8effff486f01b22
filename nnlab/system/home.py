"""A home folder for processes that have none, as in a container whose user nobody has entered."""

import atexit
import getpass
import os
import shutil
import tempfile
from functools import cache
from pathlib import Path

from nnlab.system.temporary import PREFIX


def ensure_home() -> None:
    """Set ``HOME`` and ``MPLCONFIGDIR`` where libraries would fail or warn without them.

    MLflow cannot be imported without a home folder. Like Docker, this takes ``/``, into which no
    other user can put a configuration. matplotlib would have each of its processes make a folder
    of its own, with a warning.
    """
    try:
        home = Path.home()
    except RuntimeError:
        os.environ["HOME"] = "/"
        home = Path("/")
    config = Path(os.environ.get("XDG_CONFIG_HOME") or home / ".config")
    caches = Path(os.environ.get("XDG_CACHE_HOME") or home / ".cache")
    if "MPLCONFIGDIR" not in os.environ and not all(map(_can_be_written, (config, caches))):
        os.environ["MPLCONFIGDIR"] = _matplotlib_folder()


def user_name() -> str:
    """Return the user's name; the number of a user who has none."""
    try:
        return getpass.getuser()
    except (KeyError, ImportError, OSError):
        return str(os.getuid()) if hasattr(os, "getuid") else "unknown"


def _can_be_written(folder: Path) -> bool:
    """Tell whether a folder can be written, or made."""
    try:
        while not folder.exists() and folder != folder.parent:
            folder = folder.parent
    except OSError:
        return False
    return folder.is_dir() and os.access(folder, os.W_OK | os.X_OK)


@cache
def _matplotlib_folder() -> str:
    folder = tempfile.mkdtemp(prefix=f"{PREFIX}matplotlib-{os.getpid()}-")
    atexit.register(_remove, folder, os.getpid())
    return folder


def _remove(folder: str, process: int) -> None:
    if os.getpid() == process:  # forks end without it
        shutil.rmtree(folder, ignore_errors=True)
