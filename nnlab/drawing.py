"""What a drawing process does; it imports matplotlib, and nothing else of weight."""

from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from nnlab import child

NAMES = ("curves", "confusion", "filters", "mistakes")


def set_up() -> None:
    """Import what drawing needs."""
    child.set_up()
    from nnlab import plots  # noqa: F401 - imported for the time it takes


def draw_sweep(
    folder: Path,
    lines: list[tuple[str, str, NDArray[np.int64], NDArray[np.float64]]],
    title: str,
    target: float,
    runs: int,
) -> None:
    """Draw a sweep's picture into a folder; see :func:`nnlab.plots.sweep_curves`."""
    from nnlab.plots import Line, save, sweep_curves

    save(sweep_curves([Line(*line) for line in lines], title, target, runs), folder / "sweep.png")


def draw(folder: Path, name: str, contents: dict[str, Any]) -> None:
    """Draw one of a run's pictures into a folder; see :class:`nnlab.plots.RunPictures`."""
    from nnlab.plots import Mistakes, RunPictures, run_picture, save

    wrong = Mistakes.select(*(contents.pop(array) for array in ("probs", "labels", "pixels")))
    save(run_picture(name, RunPictures(mistakes=wrong, **contents)), folder / f"{name}.png")
