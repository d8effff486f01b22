"""The recorder: writes to the tracking store, and into the state of the runs, what happens."""

from collections.abc import Iterable
from functools import cached_property

from nnlab.errors import ServerLostError
from nnlab.execution.failures import status_and_reason
from nnlab.execution.progress import RunProgress
from nnlab.execution.run_values import RunEnd, distances, points_of, tags_of, test_accuracy
from nnlab.interrupts import deferred, stop_requested
from nnlab.jobs import provenance
from nnlab.jobs.provenance import Provenance
from nnlab.jobs.run import Run
from nnlab.jobs.tags import Tag
from nnlab.tracking import artifacts
from nnlab.tracking.records import RunRecord
from nnlab.tracking.serving import save_model
from nnlab.tracking.tracker import DatasetRecord, Tracker
from nnlab.tracking.writer import Point
from nnlab.training.network import Params
from nnlab.training.outcomes import Curve, Status, summarise


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
        self._late: dict[int, tuple[Run, RunEnd | None]] = {}
        self._lost: ServerLostError | None = None

    @cached_property
    def _provenance(self) -> Provenance:
        return provenance.collect()

    @property
    def lost(self) -> ServerLostError | None:
        """Why the store lacks something of some run, if it does."""
        return self._lost if self._late else None

    def start(self, runs: Iterable[Run]) -> None:
        """Create the runs in the store; reopen those that are there already."""
        for run in runs:
            self._write(run)

    def open(self, run: Run) -> None:
        """Create a run in the store, or reopen it."""
        config, state = run.job.config, run.state
        if not state.run_id:
            dataset = DatasetRecord.of(config.data.name, run.prepared)
            state.run_id = self._tracker.start(
                run.job.name, config.params, tags_of(run), parent=self._parent, dataset=dataset
            )
        elif state.suspended:
            self._tracker.reopen(state.run_id)
            state.suspended = False

    def add_missing(self, run: Run, record: RunRecord) -> None:
        """Write what a recorded run lacks because a process was killed when it created it."""
        config = run.job.config
        dataset = DatasetRecord.of(config.data.name, run.prepared).as_input()
        self._tracker.add_missing(record, params=config.params, tags=tags_of(run), dataset=dataset)

    def extend(self, run: Run, epoch: int, piece: Curve) -> None:
        """Log the measurements up to an epoch."""
        run.state.advance(epoch, piece)
        self._write(run, piece)

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
            metrics.update(test_accuracy(run, final))
            metrics.update(distances(run, final))
        tags = {Tag.OUTCOME: summary.outcome, Tag.WEIGHTS_SHA256: artifacts.weights_sha256(final)}
        if pruned is not None:
            tags[Tag.REASON] = pruned
        state = run.state
        status: Status = "FINISHED" if pruned is None else "KILLED"
        end = RunEnd(status, tags, curve, metrics, final, model=config.model and trained)
        with deferred():
            self._write(run, piece, end)
            state.status, state.metrics, state.outcome = end.status, metrics, summary.outcome
            state.reason, state.curve = pruned, None

    def break_off(self, run: Run, error: BaseException) -> None:
        """End a run that was interrupted or has failed."""
        state = run.state
        state.status, state.reason = status_and_reason(error)
        end = RunEnd(state.status, {Tag.REASON: state.reason}, state.curve)
        state.error, state.curve = error, None
        self._write(run, end=end)
        self.progress.report_failure(run)

    def catch_up(self) -> list[Run]:
        """Write what the store lacks, if its server is back; return the runs that it has now."""
        if not self._late or self._tracker.lost:
            return []
        late, done = len(self._late), []
        for run, end in list(self._late.values()):
            if stop_requested():
                break
            try:
                with deferred():
                    self._find(run)
                    self._send(run, run.state.curve if end is None else end.curve, end)
                    run.state.late = False
            except ServerLostError as error:
                self._lose(error)
                break
            self.progress.server_is_back(late)
            del self._late[run.index]
            done.append(run)
        return done

    def _write(self, run: Run, piece: Curve | None = None, end: RunEnd | None = None) -> None:
        """Write what is new of a run; where the server is lost, ``catch_up`` writes all of it."""
        if not run.state.late:
            try:
                with deferred():
                    self._send(run, piece, end)
            except ServerLostError as error:
                run.state.late = True
                self._lose(error)
        if run.state.late:
            self._late[run.index] = run, end

    def _lose(self, error: ServerLostError) -> None:
        self._lost = error
        self.progress.server_is_lost(str(error))

    def _send(self, run: Run, piece: Curve | None, end: RunEnd | None) -> None:
        state = run.state
        if state.suspended or not state.run_id:
            # Resumed, or late: its checkpoint may hold what a lost server was never told.
            piece = state.curve if end is None else end.curve
        self.open(run)
        if end is None:
            self._log(run, [] if piece is None else points_of(piece, run))
            return
        if end.final is not None:
            self._write_files(run, end)
        points = [] if piece is None else points_of(piece, run, end.last)
        points += [(name, value, end.last) for name, value in end.metrics.items()]
        self._log(run, points, end.tags)
        self._tracker.finish(run.state.run_id, end.status)

    def _write_files(self, run: Run, end: RunEnd) -> None:
        assert end.final is not None
        assert end.curve is not None
        with self._tracker.folder(run.state.run_id) as folder:
            artifacts.write(
                folder,
                config=run.job.config,
                overrides=run.job.overrides,
                initial=run.initial(),
                final=end.final,
                curve=end.curve,
            )
            if run.prepared.digest != self._shared_data:
                artifacts.write_shared(folder, run.prepared.compact_split, self._provenance)
            if end.model:
                save_model(folder, end.final)

    def _find(self, run: Run) -> None:
        """Find out what the store has of a run: a lost server may have done what it was asked."""
        store, state = self._tracker.store, run.state
        records = [store.get(state.run_id)] if state.run_id else []
        if not records and self._parent is not None:
            condition = f"tags.`{Tag.PARENT}` = '{self._parent}' AND tags.{Tag.JOB} = '{run.index}'"
            records = list(store.search(condition))
        for record in records:
            self.add_missing(run, record)
            state.run_id, state.logged = record.run_id, record.steps

    def _log(self, run: Run, points: Iterable[Point], tags: dict[str, str] | None = None) -> None:
        """Log what the store does not have yet: a resumed run repeats some epochs."""
        logged = run.state.logged
        new = [point for point in points if point[2] > logged.get(point[0], -1)]
        self._tracker.log(run.state.run_id, new, tags)
        logged.update((name, epoch) for name, _, epoch in new)
