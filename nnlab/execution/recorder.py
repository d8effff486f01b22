"""The recorder: writes to the tracking store, and into the state of the runs, what happens."""

from collections.abc import Iterable
from functools import cached_property

import numpy as np

from nnlab.arrays import Array
from nnlab.execution.failures import status_and_reason
from nnlab.execution.progress import RunProgress
from nnlab.interrupts import deferred
from nnlab.jobs import provenance
from nnlab.jobs.config import SEMANTICS
from nnlab.jobs.provenance import Provenance
from nnlab.jobs.run import Run
from nnlab.jobs.tags import Tag
from nnlab.tracking import artifacts
from nnlab.tracking.records import RunRecord
from nnlab.tracking.serving import save_model
from nnlab.tracking.tracker import DatasetRecord, Tracker
from nnlab.tracking.writer import Point
from nnlab.training.arithmetic import arithmetic_of
from nnlab.training.full_batch import predict
from nnlab.training.history import LAYERS, OBSERVATIONS
from nnlab.training.network import Params
from nnlab.training.norms import relative_change
from nnlab.training.outcomes import Curve, summarise


class Recorder:
    """The only writer of runs: of their records in the store, and of their states here.

    Parameters
    ----------
    tracker : Tracker
        Where the runs are logged.
    progress : RunProgress
        Shows every step.
    parent : str or None
        Id of the parent run, in a sweep.
    shared_data : str or None
        Digest of the data whose split the parent run keeps, with the environment. A run on other
        data has these files among its own.
    """

    def __init__(
        self,
        tracker: Tracker,
        progress: RunProgress,
        *,
        parent: str | None = None,
        shared_data: str | None = None,
    ) -> None:
        self.progress = progress
        self._tracker = tracker
        self._parent = parent
        self._shared_data = shared_data

    @cached_property
    def _provenance(self) -> Provenance:
        return provenance.collect()

    def start(self, runs: Iterable[Run]) -> None:
        """Create the runs in the store; reopen those that are there already."""
        for run in runs:
            if not run.state.run_id:
                self._create(run)
            elif run.state.suspended:
                with deferred():
                    self._tracker.reopen(run.state.run_id)
                    run.state.suspended = False

    def _create(self, run: Run) -> None:
        config = run.job.config
        dataset = DatasetRecord.of(config.data.name, run.prepared)
        with deferred():
            run.state.run_id = self._tracker.start(
                run.job.name, config.params, _tags(run), parent=self._parent, dataset=dataset
            )

    def add_missing(self, run: Run, record: RunRecord) -> None:
        """Write what a recorded run lacks because a process was killed when it created it."""
        config = run.job.config
        dataset = DatasetRecord.of(config.data.name, run.prepared).as_input()
        self._tracker.add_missing(record, params=config.params, tags=_tags(run), dataset=dataset)

    def extend(self, run: Run, epoch: int, piece: Curve) -> None:
        """Log the measurements up to an epoch."""
        run.state.advance(epoch, piece)
        with deferred():
            self._log(run, _points(piece, run))

    def finish(
        self,
        run: Run,
        epoch: int,
        piece: Curve,
        final: Params,
        *,
        diverged_at: int = -1,
        pruned: str | None = None,
    ) -> None:
        """End a run that trained to its end, diverged or was pruned: metrics, files, status.

        Parameters
        ----------
        run : Run
        epoch : int
            The epoch reached.
        piece : Curve
            The measurements that are not logged yet.
        final : Params
            A stack of one.
        diverged_at : int
            The first epoch at which something was not finite, or -1.
        pruned : str or None
            Why the run was pruned, if it was.
        """
        curve = run.state.advance(epoch, piece)
        config = run.job.config
        summary = summarise(curve, diverged_at, config.target_accuracy, pruned=pruned is not None)
        metrics = dict(summary.metrics)
        trained = diverged_at < 0 and pruned is None
        if trained:
            metrics.update(_test_accuracy(run, final))
            metrics.update(_distances(run, final))
        last = int(curve.epochs[-1]) if curve.epochs.size else 0
        points = [
            *_points(piece, run, last),
            *((name, value, last) for name, value in metrics.items()),
        ]
        tags = {Tag.OUTCOME: summary.outcome, Tag.WEIGHTS_SHA256: artifacts.weights_sha256(final)}
        if pruned is not None:
            tags[Tag.REASON] = pruned
        state = run.state
        with deferred():
            self._write_files(run, curve, final, model=config.model and trained)
            self._log(run, points, tags)
            state.status = "FINISHED" if pruned is None else "KILLED"
            self._tracker.finish(state.run_id, state.status)
            state.metrics, state.outcome, state.reason = metrics, summary.outcome, pruned
            state.curve = None

    def _write_files(self, run: Run, curve: Curve, final: Params, *, model: bool) -> None:
        with self._tracker.folder(run.state.run_id) as folder:
            artifacts.write(
                folder,
                config=run.job.config,
                overrides=run.job.overrides,
                initial=run.initial(),
                final=final,
                curve=curve,
            )
            if run.prepared.digest != self._shared_data:
                artifacts.write_shared(folder, run.prepared.compact_split, self._provenance)
            if model:
                save_model(folder, final)

    def break_off(self, run: Run, error: BaseException) -> None:
        """End a run that was interrupted or has failed."""
        state = run.state
        state.status, state.reason = status_and_reason(error)
        state.error, state.curve = error, None
        with deferred():
            self._tracker.finish(state.run_id, state.status, tags={Tag.REASON: state.reason})
        self.progress.report_failure(run)

    def _log(self, run: Run, points: Iterable[Point], tags: dict[str, str] | None = None) -> None:
        """Log what the store does not have yet: a resumed run repeats some epochs."""
        logged = run.state.logged
        new = [point for point in points if point[2] > logged.get(point[0], -1)]
        self._tracker.log(run.state.run_id, new, tags)
        logged.update((name, epoch) for name, _, epoch in new)


def _tags(run: Run) -> dict[str, str]:
    """Return the tags that a run has from its creation on."""
    tags = {
        **run.job.tags,
        Tag.JOB: str(run.index),
        Tag.RUN_KEY: run.key,
        Tag.DATA_DIGEST: run.prepared.digest,
        Tag.SEMANTICS: str(SEMANTICS),
    }
    if run.job.config.derived_from is not None:
        tags[Tag.DERIVED_FROM] = run.job.config.derived_from
    return tags


def _test_accuracy(run: Run, final: Params) -> dict[str, float]:
    """Classify the test images, only at a run's end; return nothing where there are none."""
    blocks = run.prepared.test(run.job.config.dtype)
    if not blocks:
        return {}
    predicted = predict(final, blocks).argmax(axis=0)
    labels: Array = np.concatenate([block.labels for block in blocks])
    return {"test/accuracy": float((predicted == labels).mean())}


def _distances(run: Run, final: Params) -> dict[str, float]:
    """Measure how far each layer has moved: little where the features are those of the start."""
    distances = relative_change(run.initial(), final, arithmetic_of(run.job.config.dtype))[0]
    named = {
        f"distance_{layer}": float(value) for layer, value in zip(LAYERS, distances, strict=True)
    }
    return {name: value for name, value in named.items() if np.isfinite(value)}


def _points(curve: Curve, run: Run, last: int | None = None) -> list[Point]:
    """List a curve's measurements: of every n-th epoch, as the config wants it, and the last.

    Observations are made at epochs of their own, and listed wherever there is one.
    """
    every = run.job.config.tracking.every
    return [
        (name, float(values[row]), int(epoch))
        for row, epoch in enumerate(curve.epochs)
        for name, values in curve.values.items()
        if epoch % every == 0 or epoch == last or name in OBSERVATIONS
    ]
