"""From a finished run to its pictures: what the network does with the validation images."""

from pathlib import Path

import numpy as np

from nnlab.passes import dead_units, predict
from nnlab.plan import Run
from nnlab.plots import Mistakes, RunPictures, run_pictures


def draw_run(run: Run, folder: Path) -> None:
    """Write ``curves.png``, ``confusion.png``, ``filters.png`` and ``mistakes.png``."""
    assert run.final is not None
    assert run.curve is not None
    assert run.training is not None
    dataset, blocks = run.prepared.dataset, run.training.val
    labels = np.concatenate([block.labels for block in blocks])
    images = run.prepared.split.val[np.concatenate([block.members for block in blocks])]
    probs = predict(run.final, blocks)[0]

    counts = np.zeros((dataset.classes, dataset.classes), np.int64)
    np.add.at(counts, (labels, probs.argmax(axis=0)), 1)
    run_pictures(
        folder,
        RunPictures(
            title=run.job.name,
            history={"epoch": run.curve.epochs, **run.curve.values},
            target=run.job.config.target_accuracy,
            confusion_counts=counts,
            w1=run.final.w1[0],
            image_shape=dataset.image_shape,
            mistakes=Mistakes.select(probs, labels, dataset.pixels[images]),
            dead=dead_units(run.final, run.training.train)[0],
        ),
    )
