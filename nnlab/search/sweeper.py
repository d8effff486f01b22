"""The Hydra sweeper that lets Optuna propose the runs of a sweep, a batch at a time."""

from importlib.util import find_spec
from typing import Any

from hydra.core.plugins import Plugins
from hydra.plugins.sweeper import Sweeper
from hydra.types import HydraContext, TaskFunction
from omegaconf import DictConfig, OmegaConf

from nnlab.errors import ConfigError
from nnlab.launcher import reported_sweep


class OptunaSweeper(Sweeper):
    """Asks an Optuna study for a batch of trials, launches them, and tells what they came to."""

    def __init__(self, **fields: Any) -> None:  # noqa: ANN401 - Hydra instantiates it from conf/
        self._fields = fields

    def setup(
        self, *, hydra_context: HydraContext, task_function: TaskFunction, config: DictConfig
    ) -> None:
        """Keep what Hydra hands over."""
        self._loader = hydra_context.config_loader
        self._config = config
        self._launcher = Plugins.instance().instantiate_launcher(
            hydra_context=hydra_context, task_function=task_function, config=config
        )

    def sweep(self, arguments: list[str]) -> None:
        """Search until the study has its trials, and print the best one.

        Raises
        ------
        ConfigError
            Where Optuna is missing, or what is asked for cannot be searched.
        """
        if find_spec("optuna") is None:
            raise ConfigError(
                "hydra/sweeper=nnlab_optuna needs Optuna: pip install 'nnlab[optuna]'."
            )
        from nnlab.jobs.compose import Composer
        from nnlab.jobs.validation import validated
        from nnlab.search.rounds import Search, describe_search
        from nnlab.search.samplers import SearchSettings
        from nnlab.search.space import parse_search_space
        from nnlab.search.study import SharedStudy
        from nnlab.tracking.locations import sweeps_folder, tracking_uri

        fields = OmegaConf.to_container(OmegaConf.create(self._fields))
        assert isinstance(fields, dict)
        settings = validated(
            SearchSettings, {str(key): value for key, value in fields.items()}, "hydra.sweeper."
        )
        params = [f"{field}={values}" for field, values in (settings.params or {}).items()]
        space = parse_search_space([*params, *arguments], self._loader)
        composer = Composer(self._loader, self._config)
        search, config = describe_search(space, composer)
        default = sweeps_folder(tracking_uri(config.tracking.uri)).with_name("optuna.db")
        study = SharedStudy(settings, space, search, default)
        rounds = Search(self._launcher.launch, space, composer, study, config, settings.sampler)
        with reported_sweep(rounds.report):
            rounds.run()
