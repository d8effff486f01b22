"""Where a result comes from: the code's version, the libraries, the machine."""

import os
import platform as system
import re
import subprocess
import sys
from dataclasses import dataclass
from functools import cache
from importlib.metadata import distributions
from pathlib import Path
from typing import Any

from nnlab import __version__

CHECKOUT = Path(__file__).resolve().parent.parent  # where run.py and conf/ stand beside nnlab/


@dataclass(frozen=True)
class CodeVersion:
    """The git commit of the working tree, and whether it holds uncommitted changes."""

    commit: str | None
    dirty: bool | None


def project_root() -> Path:
    """Return the folder that holds ``mlruns/``.

    ``$NNLAB_ROOT``, or the checkout that this package stands in, or else the working directory.
    """
    if "NNLAB_ROOT" in os.environ:
        return Path(os.environ["NNLAB_ROOT"]).absolute()
    return CHECKOUT if (CHECKOUT / "run.py").exists() else Path.cwd()


@cache
def code_version() -> CodeVersion:
    """Ask git about the code that is running; without git or a checkout, nothing is known."""
    folder = Path(__file__).resolve().parent

    def git(*arguments: str) -> str:
        command = ["git", "-C", str(folder), *arguments]
        done = subprocess.run(command, capture_output=True, text=True, check=True, timeout=20)  # noqa: S603 - fixed words
        return done.stdout.strip()

    try:
        return CodeVersion(git("rev-parse", "HEAD"), git("status", "--porcelain") != "")
    except (OSError, subprocess.SubprocessError):
        return CodeVersion(None, None)


def environment() -> dict[str, Any]:
    """Describe what a result may depend on besides config, data and code."""
    from nnlab import blas  # NumPy, which the command line does without

    code = code_version()
    return {
        "nnlab": __version__,
        "git_commit": code.commit,
        "git_dirty": code.dirty,
        "python": sys.version.split()[0],
        "os": system.platform(),
        "processor": _processor(),
        "cores": os.cpu_count(),
        "blas": blas.description(),
        "blas_threads": 1,
        "packages": _packages(),
    }


def platform() -> dict[str, Any]:
    """Name what the bits of a result depend on besides config, data and code."""
    import numpy as np

    from nnlab import blas

    return {"numpy": np.__version__, "blas": blas.numpys(), "processor": _processor()}


def _processor() -> str:
    try:
        info = Path("/proc/cpuinfo").read_text(encoding="utf-8")
    except OSError:
        return system.processor() or system.machine()
    model = re.search(r"^model name\s*:\s*(.+)$", info, re.MULTILINE)
    return model.group(1) if model else system.machine()


def _packages() -> dict[str, str]:
    """Return the installed packages, read off their folders' names: opening each costs 0.2 s."""
    found = {}
    for distribution in distributions():
        folder = Path(str(getattr(distribution, "_path", "")))
        name, dash, version = folder.stem.partition("-")
        if folder.suffix != ".dist-info" or not dash:
            name, version = distribution.name, distribution.version
        found[name.replace("_", "-").lower()] = version
    return dict(sorted(found.items()))
