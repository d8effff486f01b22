"""The session of a sweep: many runs under one parent run."""

from collections.abc import Mapping, Sequence
from typing import ClassVar

from nnlab.errors import RunsFailedError
from nnlab.execution.ledger import PLAN, Plan, PlannedJob
from nnlab.execution.pictures import draw, draw_page
from nnlab.execution.recorder import Recorder
from nnlab.execution.results import report_sweep
from nnlab.execution.session import Session
from nnlab.execution.sweep_summary import write_end
from nnlab.jobs import provenance
from nnlab.jobs.config import RunConfig
from nnlab.jobs.launch_config import LaunchConfig
from nnlab.jobs.run import Run
from nnlab.jobs.study import Study, parent_tags, write_study
from nnlab.jobs.tags import Tag
from nnlab.tracking import artifacts
from nnlab.tracking.lookup import Kind
from nnlab.tracking.records import RunRecord


class SweepSession(Session):
    """A sweep under way; an optimising sweeper adds runs to it by further calls of ``begin``.

    Parameters
    ----------
    tags : Mapping[str, str] or None
        Further tags of the parent run.
    study : Study or None
        The study that the sweep carries out.
    """

    kind: ClassVar[Kind] = "sweep"

    def __init__(
        self,
        name: str,
        config: RunConfig,
        settings: LaunchConfig,
        *,
        tags: Mapping[str, str] | None = None,
        study: Study | None = None,
        show: bool = True,
    ) -> None:
        super().__init__(name, config, settings, show=show)
        self._tags = {**parent_tags(study), **(tags or {})}
        self._study = study

    def _close(self, error: BaseException | None) -> None:
        super()._close(error)
        if error is None or isinstance(error, RunsFailedError):  # the results do not wait for it
            draw_page(self.runs, self._drawing, self.tracker, (self.head, self._name))

    def _freeze(self, runs: Sequence[Run]) -> None:
        if self.head:
            ledger = self._ledger(self.head)
            plan = ledger.read().with_jobs([PlannedJob.of(run) for run in runs], self.varying)
        else:
            tags = {Tag.KIND: self.kind, **self._tags}
            self.head = self.tracker.start(self._name, _common_params(runs), tags)
            ledger, plan = self._lock(self.head), self._plan()
            with self.tracker.folder(self.head) as folder:
                artifacts.write_shared(folder, runs[0].prepared.compact_split, provenance.collect())
                write_study(folder, self._study)
        ledger.write(plan)
        self._retried(lambda: self._keep(plan))

    def _keep(self, plan: Plan) -> None:
        """Put the plan among the artifacts of the sweep's run, where it outlives the ledger."""
        with self.tracker.folder(self.head) as folder:
            (folder / PLAN).write_text(plan.to_json(), encoding="utf-8")

    def _records(self, head: str) -> Sequence[RunRecord]:
        return self.tracker.store.children(head)

    def _reopen(self, plan: Plan) -> None:
        self.tracker.reopen(self.head)
        self._keep(plan)  # a kill may have parted it from the ledger's

    def _recorder(self) -> Recorder:
        digests = {run.prepared.digest for run in self.runs}
        shared = digests.pop() if len(digests) == 1 else None
        return Recorder(self.tracker, self._progress, parent=self.head, shared_data=shared)

    def _draw(self) -> None:
        draw(self.runs, self._drawing, self.tracker, (self.head, self._name))

    def _record_end(self, error: BaseException | None) -> None:
        write_end(self.tracker, self.head, self.runs, self.varying, error, self._study)

    def _report(self) -> None:
        report_sweep(self.runs, self.varying, self.head)


def _common_params(runs: Sequence[Run]) -> dict[str, str]:
    """Return the parameters in which all runs agree: the parent's own columns."""
    params = [run.job.config.params for run in runs]
    return {
        name: value
        for name, value in params[0].items()
        if all(other[name] == value for other in params)
    }
