"""The recorder: turns what happens to a run into what the tracking store says of it."""

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Protocol

import numpy as np

from nnlab import artifacts
from nnlab.history import METRICS
from nnlab.interrupts import held_back
from nnlab.network import Array, Params
from nnlab.outcomes import Curve, summarise
from nnlab.passes import predict
from nnlab.pictures import Studio
from nnlab.plan import Run, ranked
from nnlab.tracking import DatasetRecord, Point, Tracker


class Watcher(Protocol):
    """Someone who is told how the runs get on."""

    def planned(self, runs: Sequence[Run], epochs: int) -> None:
        """The plan stands: these runs, this many epochs in all."""

    def advanced(self, runs: Sequence[Run], epochs: int) -> None:
        """These runs went on by so many epochs each."""

    def ended(self, run: Run) -> None:
        """A run has ended, well or not."""


class Recorder:
    """Writes the runs' records; nothing else does."""

    def __init__(
        self,
        tracker: Tracker,
        watcher: Watcher,
        environment: dict[str, object],
        scratch: Path,
        parent: str | None,
    ) -> None:
        self.tracker = tracker
        self.watcher = watcher
        self._environment = environment
        self._scratch = scratch
        self._parent = parent

    def start(self, runs: Iterable[Run]) -> None:
        """Create the runs in the store, unless they are there already."""
        for run in runs:
            if run.run_id:
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
            tags = {"run_key": run.key, "data_digest": run.prepared.digest}
            with held_back():
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
        with held_back():
            self.tracker.log(run.run_id, _points(piece))

    def finish(self, run: Run, final: Params, diverged_at: int) -> None:
        """End a run that trained to its end, or diverged: summary, test, files, status."""
        with held_back():
            self._finish(run, final, diverged_at)
        self.watcher.ended(run)

    def _finish(self, run: Run, final: Params, diverged_at: int) -> None:
        assert run.curve is not None
        config = run.job.config
        run.final = final
        run.summary = summarise(run.curve, diverged_at, config.target_accuracy)
        run.metrics = dict(run.summary.metrics)
        if diverged_at < 0:
            run.metrics.update(self._test_accuracy(run, final))
        last = int(run.curve.epochs[-1]) if run.curve.epochs.size else 0
        self.tracker.log(run.run_id, [(name, value, last) for name, value in run.metrics.items()])

        folder = self._scratch / run.run_id
        folder.mkdir()
        artifacts.write(
            folder,
            config=config,
            overrides=run.job.overrides,
            initial=run.initial,
            final=final,
            split=run.prepared.compact_split,
            curve=run.curve,
            environment=self._environment,
        )
        tags = {
            "outcome": run.summary.outcome,
            "weights_sha256": artifacts.weights_sha256(final),
        }
        self.tracker.finish(run.run_id, "FINISHED", tags=tags, folder=folder)
        run.status = "FINISHED"

    def draw(self, runs: Sequence[Run], studio: Studio) -> None:
        """Add the pictures of the best runs, as many as their config allows."""
        finished = [run for run in ranked(runs) if run.final is not None]
        for place, run in enumerate(finished):
            if place < run.job.config.pictures:
                folder = self._scratch / f"{run.run_id}-pictures"
                folder.mkdir()
                studio.order(run, folder)
        for run, folder in studio.drawn():
            with held_back():
                self.tracker.add_files(run.run_id, folder)

    def break_off(self, run: Run, error: BaseException) -> None:
        """End a run that did not get to its end: KILLED by an interrupt, else FAILED."""
        run.error = error
        run.status = "KILLED" if isinstance(error, KeyboardInterrupt) else "FAILED"
        with held_back():
            self.tracker.finish(run.run_id, run.status, tags={"reason": str(run.reason)})
        self.watcher.ended(run)

    def _test_accuracy(self, run: Run, final: Params) -> dict[str, float]:
        """Classify the test images, this once; nothing where the dataset has none."""
        blocks = run.prepared.test(run.job.config.dtype)
        if not blocks:
            return {}
        predicted = predict(final, blocks)[0].argmax(axis=0)
        labels: Array = np.concatenate([block.labels for block in blocks])
        return {"test/accuracy": float((predicted == labels).mean())}


def _points(curve: Curve) -> list[Point]:
    """List a curve's measurements epoch by epoch."""
    return [
        (name, float(curve.values[name][row]), int(epoch))
        for row, epoch in enumerate(curve.epochs)
        for name in METRICS
    ]
