"""A session: plan, open the store, train, sum up. One run, a sweep, or one that stopped before."""

from collections.abc import Mapping, Sequence
from contextlib import ExitStack, nullcontext, suppress
from datetime import UTC, datetime
from types import TracebackType
from typing import Self

from nnlab.errors import ResumeError, RunsFailedError, TrackingError
from nnlab.execution import reuse
from nnlab.execution.display import Display, say
from nnlab.execution.ledger import PLAN, Ledger, Plan, PlannedJob
from nnlab.execution.pictures import draw, drawing_pool
from nnlab.execution.pruning import Halving
from nnlab.execution.recorder import Recorder
from nnlab.execution.results import report_run, report_sweep
from nnlab.execution.scheduler import train
from nnlab.execution.stacks import division
from nnlab.execution.summing import write_end
from nnlab.execution.workers import available_cores, open_workers
from nnlab.interrupts import deferred
from nnlab.runs import provenance
from nnlab.runs.code_version import PATCH_LIMIT, code_version
from nnlab.runs.config import SEMANTICS, RunConfig, to_record
from nnlab.runs.launch_config import LaunchConfig
from nnlab.runs.run import Job, Run, plan_runs
from nnlab.runs.study import Study, parent_tags, write_study
from nnlab.runs.sweep import DEFAULTS, Sweep, job_name
from nnlab.runs.tags import Tag
from nnlab.tracking import artifacts
from nnlab.tracking.locations import sweeps_folder, tracking_uri
from nnlab.tracking.store import Kind, Store
from nnlab.tracking.tracker import Tracker


class Session:
    """Runs under way under one ledger: a sweep with its parent run, or a single run.

    Leave it as a context manager: whatever ends it, the store says how.

    Parameters
    ----------
    kind : ``sweep`` or ``run``
    first : any of the configs; they agree on where they are logged
    settings : how to work
    tags : more that the store is to say of a sweep's parent run
    study : that a sweep carries out
    show : whether the results are printed at the end

    Attributes
    ----------
    head : id of the sweep's parent run, or of the single run
    runs : all there are so far
    """

    def __init__(
        self,
        kind: Kind,
        first: RunConfig,
        settings: LaunchConfig,
        *,
        tags: Mapping[str, str] | None = None,
        study: Study | None = None,
        show: bool = True,
    ) -> None:
        self.kind = kind
        self.settings = settings
        self._tags = {**(tags or {}), **parent_tags(study)}
        self._study = study
        self._show = show
        self.runs: list[Run] = []
        self.varying: tuple[str, ...] = ()
        self.head = ""
        self._name = ""
        self._config = first
        self._exit = ExitStack()

    def __enter__(self) -> Self:
        with ExitStack() as opened:
            # Before the tracker: the drawing_pool sets up while MLflow is imported.
            self._studio = opened.enter_context(
                drawing_pool(self._config.pictures, available_cores())
            )
            tracking = self._config.tracking
            store = Store(tracking_uri(tracking.uri))
            self.tracker = Tracker(store, tracking.experiment, code_version())
            self._display = opened.enter_context(Display())
            if code_version().left_out:
                say(
                    f"Note: the record of the code lacks {', '.join(code_version().left_out)}: "
                    f"changed since the commit, and too large for its {PATCH_LIMIT >> 20} MiB. "
                    "Commit it, and the runs can be repeated with it."
                )
            self._exit = opened.pop_all()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        try:
            if self.head:
                self._close(error)
        finally:
            self._exit.close()

    def begin(self, name: str, varying: Sequence[str], runs: Sequence[Run]) -> None:
        """Freeze the plan of some runs: in the ledger, and beside the parent run in the store.

        Called again, as an optimiser asks for more, it adds them to the sweep.
        """
        if self._config.reuse:
            reuse.reuse(self.tracker.store, runs)
        self.runs.extend(runs)
        self.varying = tuple(dict.fromkeys((*self.varying, *varying)))
        with deferred():
            if self.head:
                plan = self._ledger.read().with_jobs([_planned(run) for run in runs], self.varying)
            else:
                self._name = name
                self._start(name)
                plan = self._plan(name)
            self._ledger.write(plan)
            if self.kind == "sweep":
                with self.tracker.folder(self.head) as folder:
                    (folder / PLAN).write_text(plan.to_json(), encoding="utf-8")

    def _start(self, name: str) -> None:
        """Create the run in the store that stands for all of them."""
        if self.kind == "run":
            self._recorder = self._record(parent=None)
            self._recorder.start(self.runs)
            self.head = self.runs[0].run_id
            self._ledger = self._lock(self.head)
            return
        self.head = self.tracker.start(
            name, _common_params(self.runs), {Tag.KIND: "sweep", **self._tags}
        )
        self._ledger = self._lock(self.head)
        self._recorder = self._record(parent=self.head)
        with self.tracker.folder(self.head) as folder:
            split = self.runs[0].prepared.compact_split
            artifacts.write_shared(folder, split, provenance.collect())
            write_study(folder, self._study)

    def take_up(
        self, plan: Plan, head: str, runs: Sequence[Run], changed: Mapping[int, str], *, anew: bool
    ) -> None:
        """Go on with a sweep that stopped: find out what each run has come to.

        Parameters
        ----------
        plan, head : what it was to do, and the id of the run that stands for it
        runs : of the plan, in its order
        changed : why a run's identity is not what it was, for those of which that is so
        anew : start such runs anew

        Raises
        ------
        ResumeError
            Where another process is at it, or such a run is not complete and may not start anew.
        """
        ledger = self._lock(head)
        store = self.tracker.store
        records = store.children(head) if self.kind == "sweep" else [store.get(head)]
        by_job = {record.tags.get(Tag.JOB): record for record in reversed(records)}
        for run in runs:
            record = by_job.get(str(run.index))
            if record is not None and (run.index not in changed or reuse.is_complete(record)):
                reuse.restore(run, record, ledger.checkpoints)
        if self._config.reuse:
            reuse.reuse(self.tracker.store, runs)
        stale = [run for run in runs if not run.complete and run.index in changed]
        if stale and not anew:
            raise ResumeError(
                f"{len(stale)} of the runs of {head[:8]} cannot go on as they began: "
                f"{changed[stale[0].index]}. Restore that, or start those runs anew with "
                f"`nnlab resume {head[:8]} --anew`."
            )
        self.runs.extend(runs)
        self.varying, self._name = plan.varying, plan.name
        self.head, self._ledger = head, ledger
        self._recorder = self._record(parent=head if self.kind == "sweep" else None)
        with deferred():
            if self.kind == "sweep":
                self.tracker.reopen(head)
            self._ledger.write(plan)

    def _lock(self, head: str) -> Ledger:
        ledger = Ledger(sweeps_folder(self.tracker.store.uri) / head)
        self._exit.enter_context(ledger.locked())
        return ledger

    def _record(self, parent: str | None) -> Recorder:
        datasets = {id(run.prepared) for run in self.runs}
        shared = parent is not None and len(datasets) == 1  # kept once, by the parent
        origin = None if shared else provenance.collect()
        return Recorder(self.tracker, self._display, parent=parent, origin=origin)

    def work(self) -> None:
        """Train what is not complete."""
        todo = [run for run in self.runs if not run.complete]
        if not todo:
            return
        count, threads = division(todo, self.settings)
        backend, address = self.settings.backend, self.settings.address
        with open_workers(backend, count, threads, address) as workers:
            checkpoints = self._ledger.checkpoints
            train(self.runs, workers, self._recorder, checkpoints, self.settings, self._halving())

    def _halving(self) -> Halving | None:
        prune = self._config.prune
        if self.kind == "run" or prune.rule == "none" or not prune.rungs:
            return None
        planned = sum(run.job.config.epochs > prune.rungs[0] for run in self.runs)
        return Halving(prune.rungs, prune.eta, planned)

    def _close(self, error: BaseException | None) -> None:
        """End what is open in the store, show the results, keep the ledger of what is left."""
        self._display.close()
        try:
            if error is None or isinstance(error, RunsFailedError):
                sweep = (self.head, self._name) if self.kind == "sweep" else None
                draw(self.runs, self._studio, self.tracker, sweep)
        except BaseException as late:
            error = late
            raise
        finally:
            self._end(error)
            if all(run.complete for run in self.runs):
                self._ledger.close()
            if self._show:
                self._report(error)

    def _end(self, error: BaseException | None) -> None:
        """Say in the store how it ended."""
        with suppress(TrackingError) if error is not None else nullcontext():
            if self.kind == "sweep":
                write_end(self.tracker, self.head, self.runs, self.varying, error, self._study)
            elif error is not None and self.runs[0].status is None:
                self._recorder.break_off(self.runs[0], error)

    def _report(self, error: BaseException | None) -> None:
        if self.kind == "sweep":
            report_sweep(self.runs, self.varying, self.head, failed_by=error)
        elif self.runs[0].complete:
            report_run(self.runs[0], self.tracker.store.artifacts(self.head))
        else:
            say(f"To go on with it: nnlab resume {self.head[:8]}")

    def _plan(self, name: str) -> Plan:
        return Plan(
            kind=self.kind,
            name=name,
            varying=self.varying,
            tracking_uri=self.tracker.store.uri,
            experiment=self.tracker.experiment,
            semantics=SEMANTICS,
            platform=provenance.numerics(),
            settings=self.settings.model_dump(),
            created=datetime.now(UTC).isoformat(timespec="seconds"),
            jobs=tuple(map(_planned, self.runs)),
        )


def run_one(config: RunConfig, overrides: Sequence[str]) -> Run:
    """Make a single run and report it.

    Raises
    ------
    NnlabError
        Where the data or the store cannot be used, or training itself failed.
    """
    name = config.run_name or job_name(overrides)
    if name == DEFAULTS and config.derived_from is not None:
        name = f"as {config.derived_from[:8]}"
    runs = plan_runs([Job(config, tuple(overrides), name)])
    with Session("run", config, LaunchConfig()) as session:
        session.begin(name, (), runs)
        session.work()
    (run,) = runs
    if run.error is not None:
        raise run.error
    return run


def run_sweep(sweep: Sweep, settings: LaunchConfig) -> list[Run]:
    """Make a sweep's runs under one parent run and report them, ranked.

    Returns
    -------
    list of Run
        In the jobs' order; those that failed say why.
    """
    runs = plan_runs(sweep.jobs)
    with Session("sweep", sweep.jobs[0].config, settings) as session:
        session.begin(sweep.name, sweep.varying, runs)
        session.work()
    return runs


def _planned(run: Run) -> PlannedJob:
    job = run.job
    return PlannedJob(
        job.name,
        job.overrides,
        to_record(job.config),
        run.key,
        run.prepared.digest,
        dict(job.tags),
    )


def _common_params(runs: Sequence[Run]) -> dict[str, str]:
    """Return the parameters in which all runs agree: the parent's own columns."""
    params = [run.job.config.params for run in runs]
    return {
        name: value
        for name, value in params[0].items()
        if all(other[name] == value for other in params)
    }
