"""The provenance of a result: version of the code, libraries, machine, command line."""

import os
import platform
import re
import shlex
import sys
from dataclasses import dataclass, field
from importlib.metadata import distributions
from pathlib import Path
from typing import Any

from pydantic import ConfigDict, Field

from nnlab import __version__
from nnlab.jobs.code_version import CHECKOUT, code_version
from nnlab.jobs.validation import StrictModel
from nnlab.safe_text import masked
from nnlab.system.stored_files import read_json

# Environment variables that choose the BLAS kernels and the number of threads.
BLAS_VARIABLES = (
    "OPENBLAS_CORETYPE", "OPENBLAS_NUM_THREADS", "OMP_NUM_THREADS", "MKL_NUM_THREADS",
    "MKL_CBWR", "BLIS_NUM_THREADS", "VECLIB_MAXIMUM_THREADS", "NPY_DISABLE_CPU_FEATURES",
    "NPY_ENABLE_CPU_FEATURES",
)  # fmt: skip

# The program that a command line begins with -> how a user types it.
PROGRAMS = {"run.py": "python run.py", "nnlab": "nnlab"}

# The random streams of a run, as expressions in NumPy's terms.
STREAMS = {
    "generator": "PCG64",
    "W1": "SeedSequence(seed).spawn(4)[0]",
    "W2": "SeedSequence(seed).spawn(4)[1]",
    "b1": "SeedSequence(seed).spawn(4)[2]",
    "b2": "SeedSequence(seed).spawn(4)[3]",
    "split": "SeedSequence(data_seed).spawn(2)[0]",
    "order of epoch e": "SeedSequence(data_seed, spawn_key=(1, e))",
}


def project_root() -> Path:
    """Return the folder that holds ``mlruns/``.

    ``$NNLAB_ROOT``, or the checkout that this package stands in, or else the working directory.
    """
    if "NNLAB_ROOT" in os.environ:
        return Path(os.environ["NNLAB_ROOT"]).absolute()
    return CHECKOUT if (CHECKOUT / "run.py").exists() else Path.cwd()


@dataclass(frozen=True)
class Provenance:
    """Where a run comes from, as its files record it.

    Attributes
    ----------
    environment : dict[str, Any]
        What ``environment`` returns; written as ``environment.json``.
    patch : bytes
        Uncommitted changes of the code; see ``code_version.CodeVersion``.
    """

    environment: dict[str, Any]
    patch: bytes = field(repr=False)


def collect() -> Provenance:
    """Describe the code and the environment of this process."""
    return Provenance(environment(), code_version().patch)


def environment() -> dict[str, Any]:
    """Describe what a result may depend on besides config and data, as plain values for JSON."""
    import numpy as np  # here, so that `nnlab --help` need not load it

    from nnlab.jobs.config import SEMANTICS
    from nnlab.training import blas

    code = code_version()
    return {
        "nnlab": __version__,
        "semantics": SEMANTICS,
        "git_commit": code.commit,
        "git_dirty": code.dirty,
        "patch_left_out": list(code.left_out),
        "modules": code.modules,
        "python": sys.version.split()[0],
        "os": platform.platform(),
        "processor": _processor(),
        "instructions": np.show_config(mode="dicts")["SIMD Extensions"],
        "cores": os.cpu_count(),
        "blas": blas.description(),
        "blas_threads": 1,
        "variables": {name: os.environ[name] for name in BLAS_VARIABLES if name in os.environ},
        "streams": STREAMS,
        "packages": _packages(),
    }


class _Recorded(StrictModel):
    """The parts of ``environment`` that are read again; older records lack some."""

    model_config = ConfigDict(extra="allow")

    nnlab: str = ""
    git_commit: str | None = None
    git_dirty: bool | None = None
    patch_left_out: list[str] = Field([])
    modules: dict[str, str] = Field({})
    python: str = ""
    processor: str = ""
    instructions: dict[str, list[str]] = Field({})
    cores: int | None = None
    blas: list[dict[str, str]] = Field([])
    variables: dict[str, str] = Field({})
    packages: dict[str, str] = Field({})


def read_environment(path: Path) -> dict[str, Any]:
    """Read what ``environment`` has described.

    Raises
    ------
    StoredFileError
        Where the file is missing or damaged.
    """
    return read_json(path, _Recorded).model_dump(exclude_unset=True)


def command() -> str | None:
    """Return the command line as it was typed, without passwords.

    None where the program is not this project's.
    """
    words = sys.orig_argv[1:]  # not sys.argv, to which options for Hydra may have been added
    while words:
        program = Path(words[0]).name
        if program in PROGRAMS:
            return masked(f"{PROGRAMS[program]} {shlex.join(words[1:])}".rstrip())
        words = words[1:]
    return None


def numerics() -> dict[str, Any]:
    """Describe what the bits of a result depend on besides config, data and code."""
    import numpy as np

    from nnlab.training import blas

    return {"numpy": np.__version__, "blas": blas.name(), "processor": _processor()}


def _processor() -> str:
    try:
        info = Path("/proc/cpuinfo").read_text(encoding="utf-8")
    except OSError:
        return platform.processor() or platform.machine()
    model = re.search(r"^model name\s*:\s*(.+)$", info, re.MULTILINE)
    return model.group(1) if model else platform.machine()


def _packages() -> dict[str, str]:
    """Return the version of each installed package.

    Read from the folders' names, because to open the metadata of all packages takes 0.2 s.
    """
    packages: dict[str, str] = {}
    for distribution in distributions():
        folder = Path(str(getattr(distribution, "_path", "")))
        name, dash, version = folder.stem.partition("-")
        if folder.suffix != ".dist-info" or not dash:
            name, version = distribution.name, distribution.version
        # Where a package is on the path twice, Python imports the first.
        packages.setdefault(name.replace("_", "-").lower(), version)
    return dict(sorted(packages.items()))
