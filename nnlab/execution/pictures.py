"""The figures of finished runs and of their sweep, drawn in processes of their own.

matplotlib takes as long to import as MLflow; with a second process they are imported in parallel.
"""

import tempfile
from collections.abc import Iterator, Sequence
from concurrent.futures import Executor, Future
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np

from nnlab.analysis.ranking import ranked
from nnlab.execution import drawing
from nnlab.execution.processes import close_pool, open_pool
from nnlab.interrupts import deferred
from nnlab.plots.names import RUN_FIGURES
from nnlab.runs.run import Run
from nnlab.tracking.artifacts import read_history, read_weights
from nnlab.tracking.tracker import Tracker
from nnlab.training.full_batch import dead_units, predict


@contextmanager
def drawing_pool(pictures: int, processes: int) -> Iterator[Executor | None]:
    """Open a pool of processes that draw; None where no figures are wanted."""
    if not pictures:
        yield None
        return
    pool = open_pool(processes, drawing.set_up)
    try:
        pool.submit(int)  # the first call starts the processes, which set up while the runs train
        yield pool
    finally:
        close_pool(pool)


def draw(
    runs: Sequence[Run], pool: Executor | None, tracker: Tracker, sweep: tuple[str, str] | None
) -> None:
    """Add figures to the best runs, as many as their config allows, and some to their sweep.

    Parameters
    ----------
    runs : Sequence[Run]
        Reused runs keep the figures that they have.
    pool : Executor or None
        See ``drawing_pool``.
    tracker : Tracker
    sweep : tuple[str, str] or None
        Id and name of the sweep's run; None for a single run.
    """
    if pool is None:
        return
    best = [run for run in ranked(runs) if run.status == "FINISHED"]
    chosen = [run for rank, run in enumerate(best) if rank < run.job.config.pictures]
    drawings: list[tuple[str, Path, list[Future[None]]]] = []
    with tempfile.TemporaryDirectory(prefix="nnlab-") as scratch:
        if sweep is not None and best:
            folder = Path(scratch) / sweep[0]
            folder.mkdir()
            ids = [run.run_id for run in runs if run.run_id]
            shape = best[0].prepared.dataset.image_shape
            future = pool.submit(
                drawing.draw_sweep, folder, tracker.store.uri, ids, sweep[1],
                _extremes(best, tracker), shape,
            )  # fmt: skip
            drawings.append((sweep[0], folder, [future]))
        for run in chosen:
            if run.reused:
                continue
            folder = Path(scratch) / run.run_id
            folder.mkdir()
            contents = _contents(run, tracker.store.download(run.run_id))
            futures = [pool.submit(drawing.draw, folder, name, contents) for name in RUN_FIGURES]
            drawings.append((run.run_id, folder, futures))
        for run_id, folder, futures in drawings:
            for future in futures:
                future.result()
            with deferred(), tracker.folder(run_id) as artifacts:
                for file in folder.iterdir():
                    (artifacts / file.name).write_bytes(file.read_bytes())


def _extremes(best: Sequence[Run], tracker: Tracker) -> list[tuple[str, float, Path]]:
    """Return name, accuracy and weights of the best and the worst run with a final network."""
    final = [run for run in best if "final_val_accuracy" in run.metrics]
    if len(final) < 2:  # noqa: PLR2004 - a best and a worst
        return []
    return [
        (run.job.name, run.metrics["final_val_accuracy"],
         tracker.store.download(run.run_id, "weights.npz"))
        for run in (final[0], final[-1])
    ]  # fmt: skip


def _contents(run: Run, artifacts: Path) -> dict[str, Any]:
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
        "confusion_counts": counts,
        "w1": final.w1[0],
        "image_shape": dataset.image_shape,
        "dead": dead_units(final, training.train)[0],
        "probs": probs,
        "labels": labels,
        "pixels": dataset.pixels[images],
    }
