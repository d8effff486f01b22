"""What a drawing process runs; of the heavy libraries it imports matplotlib alone."""

from pathlib import Path
from typing import TYPE_CHECKING, Any

from nnlab.errors import RecordError
from nnlab.execution import processes
from nnlab.plots.names import EXPLORE

if TYPE_CHECKING:
    from nnlab.analysis.snapshot_files import SnapshotFiles
    from nnlab.plots.style import Figure


def set_up(parent: int) -> None:
    """Prepare a process, and import what drawing needs."""
    processes.set_up(parent)
    import nnlab.plots.run_figures  # noqa: F401 - early, because it takes long


def draw_sweep(
    folder: Path,
    uri: str,
    run_ids: list[str],
    title: str,
    extremes: list[tuple[str, float, Path]],
    image_shape: tuple[int, int],
) -> None:
    """Draw a sweep's figures into a folder; see ``figures.sweep_figures``."""
    from nnlab.analysis.figure_data import read_figure_data
    from nnlab.analysis.figures import sweep_figures
    from nnlab.plots.style import save

    for figure in sweep_figures(read_figure_data(uri, run_ids, title, extremes, image_shape)):
        save(figure.draw(), folder / f"{figure.name}.png")


def draw_page(
    folder: Path,
    uri: str,
    run_ids: list[str],
    title: str,
    experiment_id: str,
    snapshots: "SnapshotFiles",
) -> None:
    """Write a sweep's interactive page into a folder; see ``explore.read_explore_data``."""
    from nnlab.analysis.explore import explore_page, read_explore_data
    from nnlab.tracking.frames import read_runs

    runs = read_runs(uri, [",".join(run_ids)])
    data = read_explore_data(uri, runs, title, experiment_id, snapshots)
    (folder / EXPLORE).write_text(explore_page(data), encoding="utf-8")


def draw(folder: Path, name: str, contents: dict[str, Any]) -> None:
    """Draw one of a run's figures into a folder."""
    from nnlab.plots.style import save

    save(figure_of(name, contents), folder / f"{name}.png")


def figure_of(name: str, contents: dict[str, Any]) -> "Figure":
    """Return one of a run's figures; see ``run_figures.RunFigureData``."""
    from nnlab.plots.mistakes import Mistakes
    from nnlab.plots.run_figures import RunFigureData, run_figure
    from nnlab.plots.snapshots import SnapshotHistograms

    wrong = Mistakes.select(*(contents.pop(array) for array in ("probs", "labels", "pixels")))
    taken = contents.pop("snapshots")
    snapshots = None if taken is None else SnapshotHistograms(**taken)
    return run_figure(name, RunFigureData(mistakes=wrong, snapshots=snapshots, **contents))


def refuse(reason: str) -> None:
    """Stand for a figure whose contents could not be read."""
    raise RecordError(reason)
