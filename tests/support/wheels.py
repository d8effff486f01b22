"""The project's wheel."""

import subprocess
import sys

from support.paths import ROOT


def build_wheel(folder):
    """Build the wheel into an empty folder; return its path."""
    subprocess.run(
        [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", str(folder)],
        cwd=ROOT, check=True, capture_output=True,
    )  # fmt: skip
    (wheel,) = folder.glob("*.whl")
    return wheel
