"""The recorder: turns what happens to a run into what the tracking store says of it."""

from collections.abc import Iterable, Sequence
from typing import Protocol

import numpy as np

from nnlab.arrays import Array
from nnlab.errors import RunsFailedError
from nnlab.interrupts import deferred
from nnlab.runs.config import SEMANTICS
from nnlab.runs.provenance import Provenance
from nnlab.runs.run import Run
from nnlab.runs.tags import Tag
from nnlab.tracking import artifacts
from nnlab.tracking.serving import save_model
from nnlab.tracking.tracker import DatasetRecord, Tracker
from nnlab.tracking.writer import Point
from nnlab.training.full_batch import predict
from nnlab.training.history import METRICS
from nnlab.training.network import Params
from nnlab.training.outcomes import Curve, summarise


class Watcher(Protocol):
    """Someone who is told how the runs get on."""

    def planned(self, runs: Sequence[Run]) -> None:
        """These are the runs; some may be complete already."""

    def advanced(self, runs: Sequence[Run]) -> None:
        """These runs went on."""

    def ended(self, run: Run) -> None:
        """A run has ended, well or not."""


class Recorder:
    """Writes the runs' records; nothing else does.

    Parameters
    ----------
    tracker : where they are written
    watcher : told of every step
    parent : the id of the run that groups them, in a sweep
    origin : goes to every run's files; None where the sweep keeps it once for all
    """

    def __init__(
        self,
        tracker: Tracker,
        watcher: Watcher,
        *,
        parent: str | None,
        origin: Provenance | None,
    ) -> None:
        self.tracker = tracker
        self.watcher = watcher
        self._parent = parent
        self._origin = origin

    def start(self, runs: Iterable[Run]) -> None:
        """Create the runs in the store, unless they are there already."""
        for run in runs:
            if run.run_id:
                if run.stopped:
                    with deferred():
                        self.tracker.reopen(run.run_id)
                        run.stopped = False
                continue
            dataset = run.prepared.dataset
            record = DatasetRecord(
                run.job.config.data.name,
                run.prepared.digest,
                dataset.source,
                len(dataset.labels),
                dataset.pixels.shape[1],
                dataset.classes,
            )
            tags = {
                Tag.JOB: str(run.index),
                Tag.RUN_KEY: run.key,
                Tag.DATA_DIGEST: run.prepared.digest,
                Tag.SEMANTICS: str(SEMANTICS),
                **run.job.tags,
            }
            if run.job.config.derived_from is not None:
                tags[Tag.DERIVED_FROM] = run.job.config.derived_from
            with deferred():
                run.run_id = self.tracker.start(
                    run.job.name,
                    run.job.config.params,
                    tags,
                    parent=self._parent,
                    dataset=record,
                )

    def extend(self, run: Run, piece: Curve) -> None:
        """Log the epochs that a run has gained."""
        run.curve = piece if run.curve is None else run.curve.then(piece)
        with deferred():
            self._log(run, _points(piece, run))

    def finish(
        self,
        run: Run,
        piece: Curve,
        final: Params,
        *,
        diverged_at: int = -1,
        pruned: str | None = None,
    ) -> None:
        """End a run that trained to its end, diverged or was pruned: metrics, files, status.

        Parameters
        ----------
        piece : the epochs since the last ones that were logged
        final : a stack of one
        pruned : why it was pruned; None if it was not
        """
        with deferred():
            self._finish(run, piece, final, diverged_at, pruned)
        self.watcher.ended(run)

    def _finish(
        self, run: Run, piece: Curve, final: Params, diverged_at: int, pruned: str | None
    ) -> None:
        config = run.job.config
        curve = piece if run.curve is None else run.curve.then(piece)
        summary = summarise(curve, diverged_at, config.target_accuracy, pruned=pruned is not None)
        metrics = dict(summary.metrics)
        trained = diverged_at < 0 and pruned is None
        if trained:
            metrics.update(self._test_accuracy(run, final))
        last = int(curve.epochs[-1]) if curve.epochs.size else 0
        with self.tracker.folder(run.run_id) as folder:
            artifacts.write(
                folder,
                config=config,
                overrides=run.job.overrides,
                initial=run.initial(),
                final=final,
                curve=curve,
            )
            if self._origin is not None:
                artifacts.write_shared(folder, run.prepared.compact_split, self._origin)
            if config.model and trained:
                save_model(folder, final)
        tags = {Tag.OUTCOME: summary.outcome, Tag.WEIGHTS_SHA256: artifacts.weights_sha256(final)}
        if pruned is not None:
            tags[Tag.REASON] = pruned
        points = [
            *_points(piece, run, last),
            *((name, value, last) for name, value in metrics.items()),
        ]
        self._log(run, points, tags)
        run.status = "FINISHED" if pruned is None else "KILLED"
        self.tracker.finish(run.run_id, run.status)
        run.metrics, run.outcome, run.reason, run.curve = metrics, summary.outcome, pruned, None

    def break_off(self, run: Run, error: BaseException) -> None:
        """End a run that did not get to its end: KILLED by an interrupt, else FAILED."""
        stopped = isinstance(error, KeyboardInterrupt | RunsFailedError)
        run.error = error
        run.reason = str(error) or "interrupted" if stopped else f"{type(error).__name__}: {error}"
        run.status = "KILLED" if stopped else "FAILED"
        run.curve = None
        with deferred():
            self.tracker.finish(run.run_id, run.status, tags={Tag.REASON: run.reason})
        self.watcher.ended(run)

    def _log(self, run: Run, points: Iterable[Point], tags: dict[str, str] | None = None) -> None:
        """Log what the store does not have yet: a resumed run goes through some epochs again."""
        new = [point for point in points if point[2] > run.logged.get(point[0], -1)]
        self.tracker.log(run.run_id, new, tags)
        run.logged.update((name, epoch) for name, _, epoch in new)

    def _test_accuracy(self, run: Run, final: Params) -> dict[str, float]:
        """Classify the test images, this once; nothing where the dataset has none."""
        blocks = run.prepared.test(run.job.config.dtype)
        if not blocks:
            return {}
        predicted = predict(final, blocks).argmax(axis=0)
        labels: Array = np.concatenate([block.labels for block in blocks])
        return {"test/accuracy": float((predicted == labels).mean())}


def _points(curve: Curve, run: Run, last: int | None = None) -> list[Point]:
    """List a curve's measurements epoch by epoch: as often as is asked for, and the last."""
    every = run.job.config.tracking.every
    return [
        (name, float(curve.values[name][row]), int(epoch))
        for row, epoch in enumerate(curve.epochs)
        if epoch % every == 0 or epoch == last
        for name in METRICS
    ]
