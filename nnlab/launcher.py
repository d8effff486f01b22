"""The Hydra launcher: turns a sweep's jobs into one plan, and runs it under one parent run."""

from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager, suppress
from typing import TYPE_CHECKING, Any

from hydra.core.utils import JobReturn, JobStatus
from hydra.plugins.launcher import Launcher
from hydra.types import HydraContext, TaskFunction
from omegaconf import DictConfig, OmegaConf

from nnlab.errors import ConfigError, RunsFailedError

if TYPE_CHECKING:
    from nnlab.execution.session import Session
    from nnlab.runs.run import Run

_open = ExitStack()  # the sessions that wait for the sweeper to ask for more
_runs: list["Run"] = []  # that it has asked for so far


@contextmanager
def sessions() -> Iterator[None]:
    """Keep the sweeps of a block open: an optimising sweeper launches one batch after another.

    Raises
    ------
    RunsFailedError
        Where all went to the end, but some runs failed.
    """
    with suppress(RunFailedError), _open:  # the verdict on all of them is below
        yield
    failed = sum(run.error is not None for run in _runs)
    if failed:
        raise RunsFailedError(f"{failed} of {len(_runs)} runs failed; the reasons are above.")


class StackLauncher(Launcher):
    """Trains a sweep's runs in stacks, on workers, with one writer to the tracking store."""

    def __init__(self, **fields: Any) -> None:  # noqa: ANN401 - Hydra instantiates it from conf/
        self._fields = fields
        self._session: Session | None = None

    def setup(
        self,
        *,
        hydra_context: HydraContext,
        task_function: TaskFunction,  # noqa: ARG002 - Hydra passes it by name
        config: DictConfig,
    ) -> None:
        """Keep what Hydra hands over."""
        self._context = hydra_context
        self._config = config

    def launch(
        self,
        job_overrides: Sequence[Sequence[str]],
        initial_job_idx: int,  # noqa: ARG002 - the session counts its runs itself
    ) -> Sequence[JobReturn]:
        """Check every job's config, and only then start; return the objectives in job order."""
        from nnlab.execution.dask_workers import check_address
        from nnlab.execution.resume import resume, same_sweep
        from nnlab.execution.session import Session
        from nnlab.runs.compose import Composer, chosen_study
        from nnlab.runs.launch_config import launch_config
        from nnlab.runs.run import plan_runs
        from nnlab.runs.sweep import Sweep

        settings = launch_config(self._fields)
        if settings.address is not None:
            check_address(settings.address)
        composer = Composer(self._context.config_loader, self._config)
        overrides = [tuple(job) for job in job_overrides]
        sweep = Sweep.of([composer.compose(job) for job in overrides], overrides)
        first = sweep.jobs[0].config
        self._check_direction(first.objective)

        if settings.resume and self._session is None:
            head = same_sweep(sweep, first.tracking.uri)
            if head is not None:
                _runs.extend(resume(head, first.tracking.uri))
                return _returns(_runs, overrides)
        runs = plan_runs(sweep.jobs, first=len(self._session.runs) if self._session else 0)
        if self._session is None:
            self._session = _open.enter_context(
                Session("sweep", first, settings, study=chosen_study(self._config))
            )
        _runs.extend(runs)
        self._session.begin(sweep.name, sweep.varying, runs)
        self._session.work()
        return _returns(runs, overrides)

    def _check_direction(self, objective: str) -> None:
        """Refuse to look for the worst: an optimising sweeper does not know what it is told.

        Raises
        ------
        ConfigError
            Where a loss is to be maximised, or an accuracy minimised.
        """
        chosen = OmegaConf.select(self._config, "hydra.sweeper.direction")
        found = getattr(chosen, "name", chosen)  # an enumeration's value, or a word
        wanted = "minimize" if objective.endswith("loss") else "maximize"
        if isinstance(found, str) and found != wanted:
            raise ConfigError(
                f"hydra.sweeper.direction={found} would look for the worst objective={objective}: "
                f"add hydra.sweeper.direction={wanted}."
            )


class RunFailedError(RunsFailedError):
    """One run failed, which an optimising sweeper may take as an answer."""


class FailedJob(JobReturn):
    """The return of a run that failed: its error, said by the launcher already."""

    @property
    def return_value(self) -> Any:  # noqa: ANN401 - as in the base class
        """Raise the error, as the base class does, but print nothing."""
        raise self._return_value

    @return_value.setter
    def return_value(self, value: BaseException) -> None:
        self._return_value = value


def _returns(runs: Sequence["Run"], overrides: Sequence[Sequence[str]]) -> list[JobReturn]:
    returns = []
    for run, job in zip(runs, overrides, strict=True):
        returned = JobReturn() if run.error is None else FailedJob()
        returned.overrides = list(job)
        returned.status = JobStatus.COMPLETED if run.error is None else JobStatus.FAILED
        returned.return_value = (
            run.objective if run.error is None else RunFailedError(str(run.reason))
        )
        returns.append(returned)
    return returns
