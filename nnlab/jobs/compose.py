"""From a sweep's overrides to checked configs, without composing each one from its files.

Hydra takes about 75 ms to compose the config of a job, because it reads the YAML files of every
group again. Most jobs of a sweep differ in a few values only, and Hydra applies values last. So
one base is composed for each choice of groups, and the values are set in a copy of it. Any
override that is more than that goes through Hydra.
"""

import copy
import re
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from functools import lru_cache
from pathlib import Path
from typing import Any, NamedTuple

from hydra._internal.config_loader_impl import ConfigLoaderImpl
from hydra._internal.utils import create_config_search_path
from hydra.core.config_loader import ConfigLoader
from hydra.core.hydra_config import HydraConfig
from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.core.utils import setup_globals
from hydra.types import RunMode
from hydra.version import VersionBase, setbase
from omegaconf import DictConfig, OmegaConf, open_dict
from omegaconf.errors import InterpolationKeyError, MissingMandatoryValue

from nnlab.errors import ConfigError
from nnlab.jobs import resolvers
from nnlab.jobs.code_version import CONF
from nnlab.jobs.config import RunConfig, from_mapping
from nnlab.jobs.grid import distinct, jobs_of, with_names_of_data
from nnlab.jobs.study import Study
from nnlab.jobs.sweep import field_of
from nnlab.jobs.words import hydra_words

OF_HYDRA = ("hydra.", "hydra/")  # the settings of Hydra itself: no run has them
_COMPOSING = threading.RLock()  # Hydra keeps its state in the process, not in the thread
ASSIGNMENT = re.compile(r"(?P<field>\w+(?:\.\w+)*)=[^$]*")  # no +, ~, @ and no interpolation


def from_hydra(config: DictConfig) -> RunConfig:
    """Check a config that Hydra composed.

    Raises
    ------
    ConfigError
        Naming each field that is missing or has a value that is not allowed.
    """
    try:
        plain = OmegaConf.to_container(config, resolve=True, throw_on_missing=True)
    except MissingMandatoryValue as error:
        field = str(error.full_key)
        raise ConfigError(f"{field} is needed here: give it as {field}=… .") from error
    except InterpolationKeyError as error:
        raise ConfigError(f"{error.full_key} refers to a field that does not exist.") from error
    assert isinstance(plain, dict)
    return from_mapping({str(key): value for key, value in plain.items()})


class Composer:
    """Composes the jobs of one sweep.

    Parameters
    ----------
    loader : ConfigLoader
        Hydra's loader, as a launcher gets it.
    config : DictConfig
        The config of the sweep, as a launcher gets it.
    """

    def __init__(self, loader: ConfigLoader, config: DictConfig) -> None:
        self._loader = loader
        self._config = config
        self._bases: dict[tuple[str, ...], dict[str, Any]] = {}
        self._groups = frozenset(loader.list_groups(""))

    def compose(self, overrides: Sequence[str], number: int = 0) -> RunConfig:
        """Return the checked config of a job.

        Parameters
        ----------
        overrides : Sequence[str]
            Of the job.
        number : int
            The job's place in the sweep: ``${hydra:job.num}``.

        Raises
        ------
        ConfigError
            Naming each field that is missing or has a value that is not allowed.
        """
        values = [override for override in overrides if self._sets_a_value(override)]
        groups = tuple(override for override in overrides if override not in values)
        if groups not in self._bases:
            self._bases[groups] = self._base(groups)
        plain = copy.deepcopy(self._bases[groups])
        if all(_set(plain, override) for override in values) and _is_final(plain):
            return from_mapping(plain)
        whole = self.whole(overrides, number)
        with _as_hydra_config(whole):
            return from_hydra(without_hydra(whole))

    def whole(self, overrides: Sequence[str], number: int) -> DictConfig:
        """Let Hydra compose the config of a job, its own settings included."""
        config = self._loader.load_sweep_config(self._config, list(overrides))
        with open_dict(config):
            config.hydra.job.id = str(number)
            config.hydra.job.num = number
        return config

    def _sets_a_value(self, override: str) -> bool:
        """Tell whether an override sets a value, and does not choose from a group."""
        match = ASSIGNMENT.fullmatch(override)
        if match is None or match["field"].startswith("hydra."):
            return False
        return match["field"] not in self._groups

    def _base(self, overrides: Sequence[str]) -> dict[str, Any]:
        plain = OmegaConf.to_container(without_hydra(self.whole(overrides, 0)), resolve=False)
        assert isinstance(plain, dict)
        return {str(key): value for key, value in plain.items()}


def without_hydra(config: DictConfig) -> DictConfig:
    """Return a copy of a config that Hydra composed, without Hydra's own settings."""
    return OmegaConf.masked_copy(config, [str(key) for key in config if key != "hydra"])


@contextmanager
def _as_hydra_config(config: DictConfig) -> Iterator[None]:
    """Let ``${hydra:…}`` refer to a job's config in a block."""
    hydra_config = HydraConfig.instance()
    before = hydra_config.cfg
    hydra_config.set_config(config)
    try:
        yield
    finally:
        hydra_config.cfg = before


class Grid(NamedTuple):
    """A product of configs.

    Attributes
    ----------
    jobs : list[tuple[str, ...]]
        The overrides of each config.
    configs : list[RunConfig]
        In the order of the jobs.
    study : Study or None
        The study that was chosen.
    launcher : dict
        The launcher's fields, not checked yet; see ``launch_config``.
    note : str or None
        A sentence where equal configs were asked for, of which one is kept.
    """

    jobs: list[tuple[str, ...]]
    configs: list[RunConfig]
    study: Study | None
    launcher: dict[Any, Any]
    note: str | None


@contextmanager
def _config_loader() -> Iterator[ConfigLoader]:
    """Provide Hydra's loader of ``conf/``, without the global state of a program of Hydra's.

    That state may be the host's, whose notebook or program uses Hydra for itself.
    """
    with _COMPOSING:
        versions = VersionBase.instance()
        before = versions.version_base
        setbase("1.3")
        setup_globals()
        resolvers.register()
        try:
            yield ConfigLoaderImpl(create_config_search_path(f"file://{CONF}"))
        finally:
            versions.version_base = before


def compose_run(overrides: Sequence[str]) -> tuple[RunConfig, list[str]]:
    """Compose the config that ``python run.py`` would train.

    Parameters
    ----------
    overrides : Sequence[str]
        As they are typed.

    Returns
    -------
    config : RunConfig
    overrides : list[str]
        Those of the run, without those of Hydra's own settings.

    Raises
    ------
    ConfigError, HydraException
        Where an override is wrong, or asks for a sweep.
    """
    with _config_loader() as loader:
        words = hydra_words(overrides, several=False)
        whole = loader.load_configuration("config", words, run_mode=RunMode.RUN)
        if whole.hydra.mode == RunMode.MULTIRUN:
            raise ConfigError(
                f"experiment={whole.hydra.runtime.choices.experiment} is a sweep, and no single "
                "run: train it as a sweep."
            )
        with _as_hydra_config(whole):
            return from_hydra(without_hydra(whole)), list(whole.hydra.overrides.task)


def compose_grid(overrides: Sequence[str]) -> Grid:
    """Compose the configs that ``python run.py -m`` would train.

    Parameters
    ----------
    overrides : Sequence[str]
        As they are typed: fields, choices from groups, several values of either. The fields over
        which an ``experiment=…`` sweeps are added.

    Raises
    ------
    ConfigError, HydraException
        Where an override is wrong.
    """
    parser = OverridesParser.create()
    overrides = hydra_words(overrides, several=True)
    fixed = [
        str(override.input_line)
        for override in parser.parse_overrides(overrides)
        if not override.is_sweep_override()
    ]
    with _config_loader() as loader:
        master = loader.load_configuration("config", fixed, run_mode=RunMode.MULTIRUN)
        params = OmegaConf.select(master, "hydra.sweeper.params") or {}
        swept = hydra_words([f"{field}={value}" for field, value in params.items()], several=True)
        typed = [word for word in overrides if not field_of(word).startswith(OF_HYDRA)]
        parsed = parser.parse_overrides([*swept, *typed])
        jobs = jobs_of(parsed)
        composer = Composer(loader, master)
        configs = with_names_of_data([composer.compose(job) for job in jobs])
        places, note = distinct(configs, jobs)
        kept = sorted(set(places))
        launcher = OmegaConf.to_container(master.hydra.launcher)
        assert isinstance(launcher, dict)
        del launcher["_target_"]
        return Grid(
            [tuple(jobs[place]) for place in kept],
            [configs[place] for place in kept],
            chosen_study(master),
            launcher,
            note,
        )


def chosen_study(config: DictConfig) -> Study | None:
    """Return the study that ``experiment=NAME`` has chosen.

    Parameters
    ----------
    config : DictConfig
        As Hydra composed it, with the settings of Hydra itself.

    Returns
    -------
    Study or None
        None where no study was chosen, or its file cannot be found.
    """
    name = OmegaConf.select(config, "hydra.runtime.choices.experiment")
    for source in OmegaConf.select(config, "hydra.runtime.config_sources") or ():
        path = Path(source.path) / "experiment" / f"{name}.yaml"
        if name is not None and source.schema == "file" and path.is_file():
            return Study(name, path.read_text(encoding="utf-8"))
    return None


def _set(plain: dict[str, Any], override: str) -> bool:
    """Set a value in a config; return False where Hydra has to do it."""
    *path, last = override.partition("=")[0].split(".")
    for part in path:
        section = plain.get(part)
        if not isinstance(section, dict):
            return False
        plain = section
    value = _value(override)
    if last not in plain or isinstance(plain[last], dict) or isinstance(value, dict):
        return False
    plain[last] = value
    return True


@lru_cache(maxsize=4096)
def _value(override: str) -> Any:  # noqa: ANN401 - any value that Hydra's grammar knows
    (parsed,) = OverridesParser.create().parse_overrides([override])
    return parsed.value()


def _is_final(value: Any) -> bool:  # noqa: ANN401 - any part of a config
    """Tell whether there is no interpolation and no missing value."""
    if isinstance(value, dict):
        return all(map(_is_final, value.values()))
    if isinstance(value, list):
        return all(map(_is_final, value))
    return not isinstance(value, str) or ("${" not in value and value != "???")
