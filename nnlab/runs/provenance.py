"""Where a result comes from: the code's version, the libraries, the machine."""

import os
import platform as system
import re
import shlex
import sys
from dataclasses import dataclass, field
from importlib.metadata import distributions
from pathlib import Path
from typing import Any

from nnlab import __version__
from nnlab.runs.code_version import CHECKOUT, code_version

# Variables of the environment that decide which kernels run and on how many threads.
DECISIVE = (
    "OPENBLAS_CORETYPE", "OPENBLAS_NUM_THREADS", "OMP_NUM_THREADS", "MKL_NUM_THREADS",
    "MKL_CBWR", "BLIS_NUM_THREADS", "VECLIB_MAXIMUM_THREADS", "NPY_DISABLE_CPU_FEATURES",
    "NPY_ENABLE_CPU_FEATURES",
)  # fmt: skip

# Files that a command line may begin with -> how it is typed.
PROGRAMS = {"run.py": "python run.py", "nnlab": "nnlab"}

# Where every random number of a run comes from: all are drawn by PCG64 from these streams.
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
    """What a run's files say of where it comes from.

    Attributes
    ----------
    environment : see ``environment``
    patch : see ``code_version.CodeVersion``
    """

    environment: dict[str, Any]
    patch: bytes = field(repr=False)


def collect() -> Provenance:
    """Describe the code and the environment of this process."""
    return Provenance(environment(), code_version().patch)


def environment() -> dict[str, Any]:
    """Describe what a result may depend on besides config, data and code."""
    import numpy as np  # which the command line does without

    from nnlab.runs.config import SEMANTICS
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
        "os": system.platform(),
        "processor": _processor(),
        "instructions": np.show_config(mode="dicts")["SIMD Extensions"],
        "cores": os.cpu_count(),
        "blas": blas.description(),
        "blas_threads": 1,
        "variables": {name: os.environ[name] for name in DECISIVE if name in os.environ},
        "streams": STREAMS,
        "packages": _packages(),
    }


def command() -> str | None:
    """Return the command line as it was typed; None where it is none of this project's."""
    words = sys.orig_argv[1:]  # sys.argv is what Hydra gets to see, which may be more
    while words:
        program = Path(words[0]).name
        if program in PROGRAMS:
            return f"{PROGRAMS[program]} {shlex.join(words[1:])}".rstrip()
        words = words[1:]
    return None


def platform() -> dict[str, Any]:
    """Name what the bits of a result depend on besides config, data and code."""
    import numpy as np

    from nnlab.training import blas

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
    found: dict[str, str] = {}
    for distribution in distributions():
        folder = Path(str(getattr(distribution, "_path", "")))
        name, dash, version = folder.stem.partition("-")
        if folder.suffix != ".dist-info" or not dash:
            name, version = distribution.name, distribution.version
        # Of two on the path, the first is the one that is imported.
        found.setdefault(name.replace("_", "-").lower(), version)
    return dict(sorted(found.items()))
