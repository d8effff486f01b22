"""The Hydra launcher: turns a sweep's jobs into one plan, and runs it under one parent run."""

from collections.abc import Sequence
from typing import Any

from hydra.core.utils import JobReturn, JobStatus
from hydra.plugins.launcher import Launcher
from hydra.types import HydraContext, TaskFunction
from omegaconf import DictConfig, OmegaConf, open_dict

from nnlab.errors import RunsFailedError


class StackLauncher(Launcher):
    """Trains a sweep's runs in stacks, on workers, with one writer to the tracking store."""

    def __init__(self, **fields: Any) -> None:  # noqa: ANN401 - Hydra instantiates it from conf/
        self._fields = fields

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
        self, job_overrides: Sequence[Sequence[str]], initial_job_idx: int
    ) -> Sequence[JobReturn]:
        """Check every job's config, and only then start; return the objectives in job order."""
        from nnlab.config import from_hydra, launch_config
        from nnlab.sweep import Sweep, run_sweep

        settings = launch_config(self._fields)
        configs = []
        composed: list[DictConfig] = []
        for index, overrides in enumerate(job_overrides):
            config = self._context.config_loader.load_sweep_config(self._config, list(overrides))
            with open_dict(config):
                config.hydra.job.id = config.hydra.job.num = initial_job_idx + index
            composed.append(config)
            task = OmegaConf.masked_copy(config, [str(key) for key in config if key != "hydra"])
            configs.append(from_hydra(task))

        runs = run_sweep(Sweep.of(configs, [tuple(job) for job in job_overrides]), settings)
        failed = sum(run.error is not None for run in runs)
        if failed:
            raise RunsFailedError(f"{failed} of {len(runs)} runs failed; the reasons are above.")
        return [
            _job_return(run.objective, config) for run, config in zip(runs, composed, strict=True)
        ]


def _job_return(objective: float, config: DictConfig) -> JobReturn:
    returned = JobReturn(
        overrides=list(config.hydra.overrides.task),
        cfg=config,
        hydra_cfg=config,
        status=JobStatus.COMPLETED,
    )
    returned.return_value = objective
    return returned
