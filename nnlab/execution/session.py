"""A session: a sweep or a single run under way, from its plan to its end in the store."""

import time
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager, nullcontext, suppress
from datetime import UTC, datetime
from typing import ClassVar, Self, TypeVar

from nnlab.errors import ResumeError, RunsFailedError, ServerLostError, TrackingError
from nnlab.execution import reuse
from nnlab.execution.failures import can_be_resumed
from nnlab.execution.ledger import Ledger, Plan, PlannedJob
from nnlab.execution.leftovers import remove_ledgers
from nnlab.execution.pictures import drawing_pool
from nnlab.execution.progress import RunProgress, print_note
from nnlab.execution.pruning import Halving
from nnlab.execution.recorder import Recorder
from nnlab.execution.scheduler import RETURN_SECONDS, WAIT_SECONDS, Scheduler
from nnlab.execution.stacks import division
from nnlab.execution.workers import available_cores, open_workers
from nnlab.interrupts import deferred, stop_requested
from nnlab.jobs import provenance
from nnlab.jobs.code_version import PATCH_LIMIT, code_version
from nnlab.jobs.config import SEMANTICS, RunConfig
from nnlab.jobs.launch_config import LaunchConfig
from nnlab.jobs.run import Run
from nnlab.jobs.tags import Tag
from nnlab.system.status_line import status
from nnlab.tracking.locations import ledger_folder, tracking_uri, unread_variables, uri_option
from nnlab.tracking.lookup import Kind
from nnlab.tracking.records import RunRecord
from nnlab.tracking.store import Store
from nnlab.tracking.tracker import Tracker

T = TypeVar("T")


class Session(ABC):
    """Runs under way, with their store, their ledger and the processes that draw.

    Leave it as a context manager: the store then says how it ended.

    Parameters
    ----------
    name : str
        Of the sweep, or of the single run.
    config : RunConfig
        Of any of the runs; their configs agree on where they are logged.
    settings : LaunchConfig
        How to work.
    show : bool
        Whether the results are printed at the end.

    Attributes
    ----------
    head : str
        Id of the run that stands for the session in the store; empty before it has begun.
    runs : list[Run]
        All runs so far.
    varying : tuple[str, ...]
        The fields in which the runs differ.
    """

    kind: ClassVar[Kind]

    def __init__(
        self, name: str, config: RunConfig, settings: LaunchConfig, *, show: bool = True
    ) -> None:
        self.head = ""
        self.runs: list[Run] = []
        self.varying: tuple[str, ...] = ()
        self._name = name
        self._config = config
        self._settings = settings
        self._show = show
        with ExitStack() as opened:
            # Before the tracker: the processes set up while MLflow is imported.
            self._drawing = opened.enter_context(drawing_pool(config.pictures, available_cores()))
            tracking = config.tracking
            with status("opening the store"):
                store = Store(tracking_uri(tracking.uri))
                remove_ledgers(store, complete=False)
                self.tracker = Tracker(store, tracking.experiment, code_version())
            self._progress = RunProgress()
            opened.callback(self._progress.close)
            self._exit = opened.pop_all()

    def __enter__(self) -> Self:
        if said := unread_variables():
            print_note(said)
        if code_version().left_out:
            print_note(
                f"Note: the record of the code lacks {', '.join(code_version().left_out)}: "
                f"changed since the commit, and too large for its {PATCH_LIMIT >> 20} MiB. "
                "Commit it, and the runs can be repeated with it."
            )
        return self

    def __exit__(self, _kind: object, error: BaseException | None, _trace: object) -> None:
        try:
            if self.head:
                self._close(error)
        finally:
            self._exit.close()

    def begin(self, runs: Sequence[Run], varying: Sequence[str] = ()) -> None:
        """Freeze the plan of some runs, and create in the store what stands for them.

        Parameters
        ----------
        runs : Sequence[Run]
        varying : Sequence[str]
            The fields in which they differ.
        """
        for said in dict.fromkeys(run.prepared.dataset.said for run in runs):
            if said and said not in {run.prepared.dataset.said for run in self.runs}:
                print_note(said)
        self._reuse(runs)
        self.runs.extend(runs)
        self.varying = tuple(dict.fromkeys((*self.varying, *varying)))
        with status("writing the plan"), deferred():
            self._freeze(runs)

    def take_up(
        self, head: str, plan: Plan, runs: Sequence[Run], changed: Mapping[int, str], *,
        restart: bool,
    ) -> None:  # fmt: skip
        """Go on with a session that was interrupted: find out what each run has come to.

        Parameters
        ----------
        head : str
            Id of the run that stands for the session.
        plan : Plan
            What the session was to do.
        runs : Sequence[Run]
            Of the plan, in its order.
        changed : Mapping[int, str]
            Index -> why the run's identity is no longer what it was.
        restart : bool
            Train such runs again from their beginning.

        Raises
        ------
        ResumeError
            Where another process works on it, or such a run is not complete and may not restart.
        """
        ledger = self._lock(head)
        by_job = {record.tags.get(Tag.JOB): record for record in reversed(self._records(head))}
        recorded = []
        for run in runs:
            record = by_job.get(str(run.index))
            if run.index not in changed or (record is not None and reuse.is_complete(record)):
                reuse.restore(run, record, self.tracker.store, ledger.checkpoints)
                if record is not None and run.index not in changed:
                    recorded += [(run, record)]
        self._reuse(runs)
        stale = [run for run in runs if not run.complete and run.index in changed]
        if stale and not restart:
            raise ResumeError(
                f"{len(stale)} of the runs of {head[:8]} cannot go on as they began: "
                f"{changed[stale[0].index]}. Restore that, or train those runs again from their "
                f"beginning: nnlab resume {head[:8]} --restart."
            )
        self.head, self.varying = head, plan.varying
        self.runs.extend(runs)
        with deferred():
            self._reopen(plan)
            ledger.write(plan)
            recorder = self._recorder()
            for run, record in recorded:
                recorder.add_missing(run, record)

    def work(self) -> None:
        """Train what is not complete."""
        unfinished = [run for run in self.runs if not run.complete]
        if not unfinished:
            return
        settings = self._settings
        count, threads = division(unfinished, settings)
        with self._resumable(), ExitStack() as opened:
            with status("starting workers"):
                workers = opened.enter_context(
                    open_workers(settings.backend, count, threads, settings.address)
                )
            Scheduler(
                self.runs, workers, self._recorder(), self._ledger(self.head).checkpoints,
                settings, Halving.of(self._config.prune, self.runs),
            ).train()  # fmt: skip

    def _reuse(self, runs: Sequence[Run]) -> None:
        """Take over what the store has finished already, where the config wants that."""
        if wanted := self._config.reuse:
            note = self._retried(lambda: reuse.reuse_finished(self.tracker, runs, wanted))
            if note:
                print_note(f"Note: {note}")

    def _ledger(self, head: str) -> Ledger:
        return Ledger(ledger_folder(self.tracker.store.uri, head))

    def _lock(self, head: str) -> Ledger:
        """Keep other processes off the ledger until the session ends."""
        ledger = self._ledger(head)
        self._exit.enter_context(ledger.locked())
        return ledger

    def _plan(self) -> Plan:
        return Plan(
            kind=self.kind,
            name=self._name,
            varying=self.varying,
            tracking_uri=self.tracker.store.uri,
            experiment=self.tracker.experiment,
            semantics=SEMANTICS,
            platform=provenance.numerics(),
            settings=self._settings.model_dump(),
            created=datetime.now(UTC).isoformat(timespec="seconds"),
            jobs=tuple(map(PlannedJob.of, self.runs)),
        )

    def _close(self, error: BaseException | None) -> None:
        """Show the results, draw, end what is open in the store, keep the rest in the ledger."""
        self._progress.close()
        to_its_end = error is None or isinstance(error, RunsFailedError)
        reported = not self._show
        try:
            if to_its_end:
                if self._show:
                    self._retried(self._report)  # the figures take seconds more
                    reported = True
                self._retried(self._draw)
        except BaseException as late:
            error, to_its_end = late, False
            raise
        finally:
            with (
                status("writing the results"),
                nullcontext() if to_its_end else suppress(TrackingError),
            ):
                self._retried(lambda: self._record_end(error), patient=to_its_end)
            if not any(map(can_be_resumed, self.runs)) and not self.tracker.lost:
                self._ledger(self.head).close()
            if not reported:
                self._report()

    def _retried(self, action: Callable[[], T], *, patient: bool = True) -> T:
        """Do something in the store, again where its server was lost and has come back.

        Raises
        ------
        ServerLostError
            Where it has not.
        """
        deadline = time.monotonic() + (RETURN_SECONDS if patient else 0)
        with self._resumable():
            while True:
                try:
                    result = action()
                except ServerLostError as error:
                    if time.monotonic() > deadline or stop_requested():
                        raise
                    self._progress.server_is_lost(str(error))
                    time.sleep(WAIT_SECONDS)
                    while self.tracker.lost and time.monotonic() < deadline:
                        time.sleep(WAIT_SECONDS)
                else:
                    self._progress.server_is_back()
                    return result

    @contextmanager
    def _resumable(self) -> Iterator[None]:
        """Say how a session goes on that ends because the store's server is lost."""
        try:
            yield
        except ServerLostError as error:
            raise ServerLostError(
                f"{error} What was trained is kept on this machine; when the server is back: "
                f"nnlab resume {self.head[:8]}{uri_option(self._config.tracking.uri)}."
            ) from error

    @abstractmethod
    def _freeze(self, runs: Sequence[Run]) -> None:
        """Write the plan, with some runs that are new; create ``head`` if it is not there."""

    @abstractmethod
    def _records(self, head: str) -> Sequence[RunRecord]:
        """Return what the store has of the runs, the newest first."""

    @abstractmethod
    def _reopen(self, plan: Plan) -> None:
        """Have the store show that the session is at work again, by its plan."""

    @abstractmethod
    def _recorder(self) -> Recorder:
        """Return the recorder of the runs so far."""

    @abstractmethod
    def _draw(self) -> None:
        """Add figures to what the store keeps."""

    @abstractmethod
    def _record_end(self, error: BaseException | None) -> None:
        """Say in the store how the session ended."""

    @abstractmethod
    def _report(self) -> None:
        """Print the results."""
