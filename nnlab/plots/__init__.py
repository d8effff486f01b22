"""The pictures of runs and of sweeps; the only package that imports matplotlib.

Imports ``arrays`` alone: each function takes arrays and returns a matplotlib ``Figure``, and knows
nothing of where they come from. Import it where a figure is drawn, not at a module's top:
matplotlib costs 0.6 s.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from matplotlib.figure import Figure

from nnlab.arrays import Array
from nnlab.plots.against import Series, against
from nnlab.plots.bands import Band, learning_curves
from nnlab.plots.best_and_worst import Filters, extremes
from nnlab.plots.confusion import confusion
from nnlab.plots.digit_images import MAX_MISTAKES, filters, mistakes, most_confident_mistakes
from nnlab.plots.hidden_units import Health, health
from nnlab.plots.phase import PhaseMap, phase_diagram
from nnlab.plots.run_curves import curves
from nnlab.plots.stability import EdgePoint, stability_edge
from nnlab.plots.style import save

__all__ = [
    "NAMES",
    "Band",
    "EdgePoint",
    "Figure",
    "Filters",
    "Health",
    "Mistakes",
    "PhaseMap",
    "RunPictures",
    "Series",
    "against",
    "confusion",
    "curves",
    "extremes",
    "filters",
    "health",
    "learning_curves",
    "mistakes",
    "most_confident_mistakes",
    "phase_diagram",
    "run_picture",
    "run_pictures",
    "save",
    "stability_edge",
]


@dataclass(frozen=True)
class Mistakes:
    """Wrongly classified images, the most confident first.

    Attributes
    ----------
    pixels : (n, pixels) uint8
    truth, predicted : (n,) integers
    probability : (n,)
        What the network gave its prediction.
    """

    pixels: Array
    truth: Array
    predicted: Array
    probability: Array

    @classmethod
    def select(
        cls, probs: Array, labels: Array, pixels: Array, limit: int = MAX_MISTAKES
    ) -> "Mistakes":
        """Pick the mistakes to show from ``probs (classes, n)`` and ``pixels (n, pixels)``."""
        chosen = most_confident_mistakes(probs, labels, limit)
        return cls(
            pixels[chosen],
            labels[chosen],
            probs[:, chosen].argmax(axis=0),
            probs[:, chosen].max(axis=0, initial=0),
        )


@dataclass(frozen=True)
class RunPictures:
    """All that the pictures of one run show.

    Attributes
    ----------
    title : the run's name, on top of each picture.
    history : name -> (rows,); see ``curves``.
    target : the validation accuracy that counts as learned, if any.
    confusion_counts : (classes, classes), rows are the truth, columns the prediction.
    w1 : (hidden, pixels)
    image_shape : (rows, columns) of pixels
    mistakes : Mistakes
    dead : (hidden,) bool, optional
    """

    title: str
    history: Mapping[str, Array]
    target: float | None
    confusion_counts: Array
    w1: Array
    image_shape: tuple[int, int]
    mistakes: Mistakes
    dead: Array | None = None


NAMES = ("curves", "confusion", "filters", "mistakes")


def run_picture(name: str, run: RunPictures) -> Figure:
    """Return one of a run's pictures, by its name among ``NAMES``."""
    match name:
        case "curves":
            return curves(run.history, run.title, run.target)
        case "confusion":
            return confusion(run.confusion_counts, run.title)
        case "filters":
            return filters(run.w1, run.image_shape, run.title, run.dead)
        case "mistakes":
            wrong = run.mistakes
            return mistakes(
                wrong.pixels,
                wrong.truth,
                wrong.predicted,
                wrong.probability,
                image_shape=run.image_shape,
                title=run.title,
            )
    raise ValueError(f"no picture is named {name}: expected one of {', '.join(NAMES)}")


def run_pictures(folder: Path, run: RunPictures) -> list[Path]:
    """Write ``curves.png``, ``confusion.png``, ``filters.png`` and ``mistakes.png``.

    The folder must exist. The same arrays make the same bytes.
    """
    paths = []
    for name in NAMES:
        path = folder / f"{name}.png"
        save(run_picture(name, run), path)
        paths.append(path)
    return paths
