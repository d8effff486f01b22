"""The Hydra launcher: turns a sweep's jobs into one plan, and runs it under one parent run."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager, suppress
from contextvars import ContextVar
from dataclasses import dataclass, field
from functools import partial
from typing import TYPE_CHECKING, Any

from hydra.core.utils import JobReturn, JobStatus
from hydra.errors import ConfigCompositionException
from hydra.plugins.launcher import Launcher
from hydra.types import HydraContext, TaskFunction
from omegaconf import DictConfig, OmegaConf

from nnlab.errors import ConfigError, RunsFailedError

if TYPE_CHECKING:
    from nnlab.execution.sweep_session import SweepSession
    from nnlab.jobs.launch_config import LaunchConfig
    from nnlab.jobs.run import Run
    from nnlab.jobs.sweep import Sweep


@dataclass
class _Launched:
    """What one command has launched so far; an optimising sweeper launches several batches."""

    runs: list["Run"] = field(default_factory=list)
    session: "SweepSession | None" = None
    closing: ExitStack = field(default_factory=ExitStack)  # ends the session


_launched: ContextVar[_Launched | None] = ContextVar("launched", default=None)


@contextmanager
def sweep_of_command() -> Iterator[_Launched]:
    """Keep the sweep that is launched in this block open until the outermost such block ends.

    Hydra does not tell a launcher which batch is the last one.

    Raises
    ------
    RunsFailedError
        Where all runs were tried, but some failed.
    """
    outer = _launched.get()
    if outer is not None:
        yield outer
        return
    launched = _Launched()
    token = _launched.set(launched)
    try:
        with suppress(RunFailedError), launched.closing:  # the error below counts them all
            yield launched
    finally:
        _launched.reset(token)
    if launched.runs:
        from nnlab.execution.failures import raise_if_failed

        raise_if_failed(launched.runs)


@contextmanager
def reported_sweep(report: Callable[[], None]) -> Iterator[None]:
    """Call a function after the results of the sweep in this block, unless an error ended it."""

    def on_exit(kind: type[BaseException] | None, *_: object) -> None:
        if kind is None:
            report()

    with sweep_of_command() as launched:
        launched.closing.push(on_exit)
        yield


class StackLauncher(Launcher):
    """Trains a sweep's runs in stacks, on workers, with one writer to the tracking store."""

    def __init__(self, **fields: Any) -> None:  # noqa: ANN401 - Hydra instantiates it from conf/
        self._fields = fields

    def setup(
        self, *, hydra_context: HydraContext, task_function: TaskFunction, config: DictConfig
    ) -> None:
        """Keep what Hydra hands over."""
        self._context = hydra_context
        self._task_function = task_function
        self._config = config

    def launch(
        self, job_overrides: Sequence[Sequence[str]], initial_job_idx: int
    ) -> Sequence[JobReturn]:
        """Check every job's config, and only then start; return the objectives in job order.

        Raises
        ------
        ConfigError
            Where a job's config is wrong, or asks of Hydra what a stack of runs cannot have.
        """
        from nnlab.execution.dask_workers import check_address
        from nnlab.execution.progress import print_note
        from nnlab.jobs.compose import Composer, without_hydra
        from nnlab.jobs.grid import distinct, with_names_of_data
        from nnlab.jobs.launch_config import launch_config
        from nnlab.jobs.sweep import Sweep

        settings = launch_config(self._fields)
        if settings.address is not None:
            check_address(settings.address)
        _refuse_other_apps(self._config)
        _refuse_settings_of_single_jobs(self._config)
        composer = Composer(self._context.config_loader, self._config)
        overrides = [tuple(job) for job in job_overrides]
        jobs = [(job, number) for number, job in enumerate(overrides, start=initial_job_idx)]
        configs = with_names_of_data([composer.compose(*job) for job in jobs])
        places, note = distinct(configs, overrides)
        kept = sorted(set(places))
        sweep = Sweep.of([configs[place] for place in kept], [overrides[place] for place in kept])
        if note is not None:
            print_note(note)
        callbacks = self._context.callbacks
        wholes = [composer.whole(*jobs[place]) for place in kept] if callbacks.callbacks else []
        with sweep_of_command() as launched:
            work = self._plan(launched, sweep, settings)
            for config in wholes:
                callbacks.on_job_start(config=config, task_function=self._task_function)
            runs = work()
            launched.runs.extend(runs)
            returns = _returns(runs, [overrides[place] for place in kept])
            if wholes:
                for config, returned in zip(wholes, returns, strict=True):
                    returned.hydra_cfg = OmegaConf.masked_copy(config, "hydra")
                    returned.cfg = without_hydra(config)
                    callbacks.on_job_end(config=config, job_return=returned)
        of_place = dict(zip(kept, returns, strict=True))
        return [of_place[place] for place in places]

    def _plan(
        self, launched: _Launched, sweep: "Sweep", settings: "LaunchConfig"
    ) -> Callable[[], list["Run"]]:
        """Plan the runs of a batch, or find them; return what trains them."""
        from nnlab.execution.resume import resume, same_sweep
        from nnlab.execution.sweep_session import SweepSession
        from nnlab.jobs.compose import chosen_study
        from nnlab.jobs.run import plan_runs

        first = sweep.jobs[0].config
        if launched.session is None:
            head = same_sweep(sweep, first.tracking.uri) if settings.resume else None
            if head is not None:
                return partial(resume, head, first.tracking.uri, settings=settings)
            launched.session = launched.closing.enter_context(
                SweepSession(sweep.name, first, settings, study=chosen_study(self._config))
            )
        session = launched.session
        runs = plan_runs(sweep.jobs, first=len(session.runs))
        session.begin(runs, sweep.varying)

        def work() -> "list[Run]":
            session.work()
            return runs

        return work


def _refuse_other_apps(config: DictConfig) -> None:
    """Refuse the sweep of another program, which may find this launcher among Hydra's plugins."""
    if not {"lr", "epochs", "hidden_size"} & {str(key) for key in config}:
        raise ConfigCompositionException(
            "hydra/launcher=nnlab trains the runs of nnlab's own config, and calls no other "
            "program's function: take hydra/launcher=basic."
        )


def _refuse_settings_of_single_jobs(config: DictConfig) -> None:
    """Refuse settings of Hydra that would have to differ between runs that share a process."""
    # Not resolved: a setting may refer to a job's number, which a sweep does not have.
    hydra: Any = OmegaConf.to_container(config.hydra, resolve=False)
    for name, value, without in (
        ("hydra.job.chdir", hydra["job"]["chdir"], (None, False)),
        ("hydra.job.env_set", hydra["job"]["env_set"], ({},)),
        ("hydra.output_subdir", hydra["output_subdir"], (None,)),
        ("hydra.sweep.subdir", hydra["sweep"]["subdir"], (".",)),
    ):
        if value not in without:
            raise ConfigError(
                f"{name}={value} is not possible in a sweep: its runs train together in one "
                "process, and keep their files in the tracking store. Leave it out, or train the "
                "runs one by one, without -m."
            )


class RunFailedError(RunsFailedError):
    """One run failed; an optimising sweeper may count it as a failed trial and go on."""


class FailedJob(JobReturn):
    """The return of a job whose run failed, and was reported when it did."""

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
        failed = run.state.status == "FAILED"
        returned = FailedJob() if failed else JobReturn()
        returned.overrides = list(job)
        returned.status = JobStatus.FAILED if failed else JobStatus.COMPLETED
        returned.return_value = RunFailedError(str(run.state.reason)) if failed else run.objective
        returns.append(returned)
    return returns
