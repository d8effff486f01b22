"""The figures of one run, by name."""

from collections.abc import Mapping
from dataclasses import dataclass

from matplotlib.figure import Figure

from nnlab.arrays import Array
from nnlab.plots.confusion import confusion_matrix
from nnlab.plots.filters import unit_filters
from nnlab.plots.mistakes import Mistakes, mistake_images
from nnlab.plots.names import RUN_FIGURES
from nnlab.plots.run_curves import run_curves
from nnlab.plots.snapshots import SnapshotHistograms, snapshot_histograms


@dataclass(frozen=True)
class RunFigureData:
    """What the figures of one run show.

    Attributes
    ----------
    title : str
        The run's name.
    history : Mapping of str to Array
        Values over the epochs by metric, (epochs,) each; see ``run_curves``.
    target : float or None
        The validation accuracy that counts as learned.
    confusion_counts : Array
        (classes, classes) integers; rows are the true classes, columns the predictions.
    w1 : Array
        (hidden, pixels) weights of the first layer.
    image_shape : tuple of int
        Rows and columns of an image.
    mistakes : Mistakes
        The misclassified images to show.
    dead : Array or None
        (hidden,) booleans: the units that no training image activates.
    lr : float or None
        The learning rate.
    snapshots : SnapshotHistograms or None
        Where the run has taken some.
    """

    title: str
    history: Mapping[str, Array]
    target: float | None
    confusion_counts: Array
    w1: Array
    image_shape: tuple[int, int]
    mistakes: Mistakes
    dead: Array | None = None
    lr: float | None = None
    snapshots: SnapshotHistograms | None = None


def run_figure(name: str, run: RunFigureData) -> Figure:
    """Draw one of a run's figures.

    Parameters
    ----------
    name : str
        One of ``RUN_FIGURES``, or ``SNAPSHOTS`` where there are some.
    run : RunFigureData
        What the figure shows.

    Returns
    -------
    Figure
        A page, not saved yet.

    Raises
    ------
    ValueError
        Where no figure has that name.
    """
    match name:
        case "curves":
            return run_curves(run.history, run.title, run.target, run.lr)
        case "confusion":
            return confusion_matrix(run.confusion_counts, run.title)
        case "filters":
            return unit_filters(run.w1, run.image_shape, run.title, run.dead)
        case "snapshots" if run.snapshots is not None:
            return snapshot_histograms(run.snapshots, run.title)
        case "mistakes":
            return mistake_images(run.mistakes, run.image_shape, run.title)
    raise ValueError(f"no figure is named {name}: expected one of {', '.join(RUN_FIGURES)}")
