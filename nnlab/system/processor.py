"""Whether this processor has the instructions of the BLAS kernels that were asked for."""

import os
import re
from pathlib import Path

from nnlab.errors import ConfigError

VARIABLE = "OPENBLAS_CORETYPE"  # OpenBLAS takes these kernels without looking at the processor
INFO = Path("/proc/cpuinfo")
AVX2 = ("avx", "avx2", "fma")
AVX512 = (*AVX2, "avx512f", "avx512cd", "avx512bw", "avx512dq", "avx512vl")
NEEDED = {
    "sandybridge": ("avx",),
    **dict.fromkeys(("haswell", "zen"), AVX2),
    **dict.fromkeys(("skylakex", "cooperlake", "sapphirerapids"), AVX512),
}  # kernel -> flags of Linux on x86


def check_kernels() -> None:
    """Refuse kernels that would end this process with SIGILL when NumPy is imported.

    Where there is no such file, or it names no flags, nothing is refused.

    Raises
    ------
    ConfigError
        Where the processor lacks an instruction.
    """
    kernels = os.environ.get(VARIABLE, "")
    needed = NEEDED.get(kernels.lower())
    if needed is None:
        return
    try:
        flags = re.search(r"^flags\s*:(.*)$", INFO.read_text(encoding="utf-8"), re.MULTILINE)
    except OSError:
        return
    missing = [] if flags is None else [flag for flag in needed if flag not in flags[1].split()]
    if missing:
        raise ConfigError(
            f"{VARIABLE}={kernels} asks for instructions that this processor lacks "
            f"({', '.join(missing)}): OpenBLAS would end without a word. Leave it out, or name "
            "older kernels, such as Nehalem."
        )
