"""What the figures of a run show, from its files and its data; it is drawn in other processes."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from nnlab.jobs.run import Run
from nnlab.plots.names import RUN_FIGURES, SNAPSHOTS
from nnlab.tracking.artifacts import read_history, read_snapshots, read_weights
from nnlab.training.full_batch import dead_units, predict
from nnlab.training.history import Snapshots
from nnlab.training.snapshots import EDGES, QUANTITIES


def figure_contents(run: Run, artifacts: Path) -> dict[str, Any]:
    """Collect what the figures show of a run and of its network on the validation images."""
    final, curve = read_weights(artifacts), read_history(artifacts)
    training = run.prepared.training(run.job.config)
    dataset, blocks = run.prepared.dataset, training.val
    labels = np.concatenate([block.labels for block in blocks])
    images = run.prepared.split.val[np.concatenate([block.members for block in blocks])]
    probs = predict(final, blocks)
    counts = np.zeros((dataset.classes, dataset.classes), np.int64)
    np.add.at(counts, (labels, probs.argmax(axis=0)), 1)
    return {
        "title": run.job.name,
        "history": {"epoch": curve.epochs, **curve.values},
        "target": run.job.config.target_accuracy,
        "lr": run.job.config.lr,
        "snapshots": _snapshots(read_snapshots(artifacts)),
        "confusion_counts": counts,
        "w1": final.w1[0],
        "image_shape": dataset.image_shape,
        "dead": dead_units(final, training.train)[0],
        "probs": probs,
        "labels": labels,
        "pixels": dataset.pixels[images],
    }


def _snapshots(taken: Snapshots) -> dict[str, Any] | None:
    """Return the fields of ``SnapshotHistograms``; None where there are no snapshots."""
    if not taken:
        return None
    epochs = sorted(taken)
    counts = np.stack([taken[epoch] for epoch in epochs], axis=1)
    by_name = dict(zip(QUANTITIES, counts, strict=True))
    return {"epochs": epochs, "edges": EDGES, "counts": by_name}


def drawable(contents: Mapping[str, Any]) -> list[str]:
    """Return the figures that show something: no mistakes where every image has one answer."""
    probs = contents["probs"]
    empty = {"mistakes": (probs == probs[:, :1]).all(), SNAPSHOTS: contents["snapshots"] is None}
    return [name for name in (*RUN_FIGURES, SNAPSHOTS) if not empty.get(name)]
