"""From finished runs to their pictures, drawn in processes of their own.

matplotlib takes as long to import as MLflow; in another process both are imported at once.
"""

from collections.abc import Iterator, Sequence
from concurrent.futures import Executor, Future
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from joblib.externals.loky import ProcessPoolExecutor

from nnlab import drawing
from nnlab.passes import dead_units, predict
from nnlab.plan import Run


@dataclass
class Studio:
    """Where pictures are drawn: a pool of processes, or this one."""

    pool: Executor | None
    ordered: list[tuple[Run, Path, list[Future[None]]]] = field(default_factory=list)

    def order(self, run: Run, folder: Path) -> None:
        """Have a finished run's pictures drawn into a folder."""
        assert self.pool is not None
        contents = _contents(run)
        futures = [self.pool.submit(drawing.draw, folder, name, contents) for name in drawing.NAMES]
        self.ordered.append((run, folder, futures))

    def drawn(self) -> Iterator[tuple[Run, Path]]:
        """Wait for the pictures, in the order in which they were ordered."""
        for run, folder, futures in self.ordered:
            for future in futures:
                future.result()
            yield run, folder


@contextmanager
def studio(runs: Sequence[Run], processes: int) -> Iterator[Studio]:
    """Open a studio for these runs' pictures; it sets up while the runs train."""
    if not any(run.job.config.pictures for run in runs):
        yield Studio(None)
        return
    pool = ProcessPoolExecutor(processes, initializer=drawing.set_up)
    try:
        pool.submit(int)  # a first call starts the processes
        yield Studio(pool)
    finally:
        pool.shutdown(kill_workers=True)


def _contents(run: Run) -> dict[str, Any]:
    """Collect what the pictures show: what the network does with the validation images."""
    assert run.final is not None
    assert run.curve is not None
    assert run.training is not None
    dataset, blocks = run.prepared.dataset, run.training.val
    labels = np.concatenate([block.labels for block in blocks])
    images = run.prepared.split.val[np.concatenate([block.members for block in blocks])]
    probs = predict(run.final, blocks)[0]
    counts = np.zeros((dataset.classes, dataset.classes), np.int64)
    np.add.at(counts, (labels, probs.argmax(axis=0)), 1)
    return {
        "title": run.job.name,
        "history": {"epoch": run.curve.epochs, **run.curve.values},
        "target": run.job.config.target_accuracy,
        "confusion_counts": counts,
        "w1": run.final.w1[0],
        "image_shape": dataset.image_shape,
        "dead": dead_units(run.final, run.training.train)[0],
        "probs": probs,
        "labels": labels,
        "pixels": dataset.pixels[images],
    }
