"""The session of a single run, which stands for itself in the store."""

from collections.abc import Sequence
from typing import ClassVar

from nnlab.execution.failures import can_be_resumed
from nnlab.execution.ledger import Plan
from nnlab.execution.pictures import draw
from nnlab.execution.progress import print_note
from nnlab.execution.recorder import Recorder
from nnlab.execution.results import report_run, where_stopped
from nnlab.execution.session import Session
from nnlab.jobs.config import RunConfig
from nnlab.jobs.launch_config import LaunchConfig
from nnlab.jobs.run import Job, Run, plan_runs
from nnlab.jobs.sweep import DEFAULTS, canonical, job_name
from nnlab.tracking.locations import uri_option
from nnlab.tracking.lookup import Kind
from nnlab.tracking.records import RunRecord


class SingleSession(Session):
    """One run under way."""

    kind: ClassVar[Kind] = "run"

    def work(self) -> None:
        """Train the run, if it is not complete; raise what it fails by."""
        super().work()
        (run,) = self.runs
        if run.state.error is not None:
            raise run.state.error

    def _freeze(self, runs: Sequence[Run]) -> None:
        self._recorder().open(runs[0])
        self.head = runs[0].state.run_id
        self._lock(self.head).write(self._plan())

    def _records(self, head: str) -> Sequence[RunRecord]:
        return [self.tracker.store.get(head)]

    def _reopen(self, plan: Plan) -> None:
        """Leave it to the recorder, which reopens the run where it goes on."""

    def _recorder(self) -> Recorder:
        return Recorder(self.tracker, self._progress)

    def _draw(self) -> None:
        draw(self.runs, self._drawing, self.tracker, None)

    def _record_end(self, error: BaseException | None) -> None:
        if error is not None and self.runs[0].state.status is None:
            self._recorder().break_off(self.runs[0], error)

    def _report(self) -> None:
        (run,) = self.runs
        if run.complete:
            report_run(run, self.tracker.store.artifacts(self.head))
        elif can_be_resumed(run):
            stopped = where_stopped(self.runs)
            print_note(
                (f"Stopped with a validation accuracy of {stopped}. " if stopped else "")
                + f"To go on with it: nnlab resume {self.head[:8]}"
                + uri_option(run.job.config.tracking.uri)
            )


def single_job(config: RunConfig, overrides: Sequence[str]) -> Job:
    """Name a single run after the overrides that led to its config."""
    overrides = canonical(overrides, config)
    name = config.run_name or job_name(overrides)
    if name == DEFAULTS and config.derived_from is not None:
        name = f"as {config.derived_from[:8]}"
    return Job(config, overrides, name)


def run_one(config: RunConfig, overrides: Sequence[str]) -> Run:
    """Make a single run and report it.

    Raises
    ------
    NnlabError
        Where the data or the store cannot be used. What training itself raises is raised too.
    """
    job = single_job(config, overrides)
    runs = plan_runs([job])
    with SingleSession(job.name, config, LaunchConfig()) as session:
        session.begin(runs)
        session.work()
    return runs[0]
