"""From a sweep's overrides to plain configs, without composing each one from its files.

Hydra composes a job's config in about 75 ms: it reads the YAML files of every group again. Jobs
of a sweep mostly differ in a few values, which Hydra applies last; so a base is composed for each
choice of groups, and values are set in a copy of it. Whatever is not that simple goes through
Hydra itself.
"""

import copy
import re
from collections.abc import Sequence
from functools import lru_cache
from pathlib import Path
from typing import Any, NamedTuple

from hydra import initialize_config_dir
from hydra._internal.core_plugins.basic_sweeper import BasicSweeper
from hydra.core.config_loader import ConfigLoader
from hydra.core.global_hydra import GlobalHydra
from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.types import RunMode
from omegaconf import DictConfig, OmegaConf

from nnlab.errors import ConfigError
from nnlab.runs import resolvers
from nnlab.runs.code_version import CHECKOUT
from nnlab.runs.config import RunConfig, from_hydra, from_mapping
from nnlab.runs.study import Study

PLAIN = re.compile(r"(?P<field>\w+(?:\.\w+)*)=[^$]*")  # no +, ~, @, no interpolation


class Composer:
    """Composes the jobs of one sweep.

    Parameters
    ----------
    loader, config : as Hydra hands them to a launcher
    """

    def __init__(self, loader: ConfigLoader, config: DictConfig) -> None:
        self._loader = loader
        self._config = config
        self._bases: dict[tuple[str, ...], dict[str, Any]] = {}
        self._fields = self._plain(())

    def compose(self, overrides: Sequence[str]) -> RunConfig:
        """Return a job's config, checked.

        Raises
        ------
        ConfigError
            Naming each field that holds what it may not hold.
        """
        values = [override for override in overrides if self._sets_a_value(override)]
        groups = tuple(override for override in overrides if override not in values)
        if groups not in self._bases:
            self._bases[groups] = self._plain(groups)
        plain = copy.deepcopy(self._bases[groups])
        if all(_put(plain, override) for override in values) and _is_final(plain):
            return from_mapping(plain)
        return from_hydra(self._whole(overrides))

    def _sets_a_value(self, override: str) -> bool:
        """Tell whether an override sets a value, and does not choose from a group."""
        match = PLAIN.fullmatch(override)
        if match is None or match["field"].startswith("hydra."):
            return False
        field = match["field"]
        return "." in field or not isinstance(self._fields.get(field, {}), dict)

    def _plain(self, overrides: Sequence[str]) -> dict[str, Any]:
        found = OmegaConf.to_container(self._whole(overrides), resolve=False)
        assert isinstance(found, dict)
        return {str(key): value for key, value in found.items()}

    def _whole(self, overrides: Sequence[str]) -> DictConfig:
        """Have Hydra compose a config, and leave out Hydra's own part."""
        config = self._loader.load_sweep_config(self._config, list(overrides))
        return OmegaConf.masked_copy(config, [str(key) for key in config if key != "hydra"])


class Grid(NamedTuple):
    """A product of configs.

    Attributes
    ----------
    jobs : the overrides of each config
    study : that was chosen, if one was
    """

    jobs: list[tuple[str, ...]]
    configs: list[RunConfig]
    study: Study | None


def compose_grid(overrides: Sequence[str]) -> Grid:
    """Compose the configs that ``python run.py -m`` would train, for a command of our own.

    Parameters
    ----------
    overrides : as they are typed: fields, choices from groups, several values of either; what an
        ``experiment=…`` sweeps over counts too

    Raises
    ------
    ConfigError, HydraException
        Where they are wrong.
    """
    folder = CHECKOUT / "conf"
    if not folder.is_dir():
        raise ConfigError(f"There is no {folder}: configs are composed in a checkout of nnlab.")
    resolvers.register()
    parser = OverridesParser.create()
    fixed = [
        each for each in parser.parse_overrides(list(overrides)) if not each.is_sweep_override()
    ]
    with initialize_config_dir(str(folder), version_base="1.3"):
        loader = GlobalHydra.instance().config_loader()
        words = [str(each.input_line) for each in fixed]
        master = loader.load_configuration("config", words, run_mode=RunMode.MULTIRUN)
        params = OmegaConf.select(master, "hydra.sweeper.params") or {}
        swept = [f"{field}={values}" for field, values in params.items()]
        parsed = parser.parse_overrides([*swept, *overrides])
        (jobs,) = BasicSweeper.split_arguments(parsed, max_batch_size=None)
        composer = Composer(loader, master)
        configs = [composer.compose(job) for job in jobs]
        return Grid([tuple(job) for job in jobs], configs, chosen_study(master))


def chosen_study(config: DictConfig) -> Study | None:
    """Return the study that ``experiment=NAME`` has chosen.

    Parameters
    ----------
    config : as Hydra composed it, its own part included

    Returns
    -------
    Study or None
        None where none was chosen, or its file is nowhere that can be read.
    """
    name = OmegaConf.select(config, "hydra.runtime.choices.experiment")
    for source in OmegaConf.select(config, "hydra.runtime.config_sources") or ():
        path = Path(source.path) / "experiment" / f"{name}.yaml"
        if name is not None and source.schema == "file" and path.is_file():
            return Study(name, path.read_text(encoding="utf-8"))
    return None


def _put(plain: dict[str, Any], override: str) -> bool:
    """Set a value in a config; False where that is not as simple as it looks."""
    field, _, _ = override.partition("=")
    *path, last = field.split(".")
    for part in path:
        inner = plain.get(part)
        if not isinstance(inner, dict):
            return False
        plain = inner
    value = _parsed(override)
    if last not in plain or isinstance(plain[last], dict) or isinstance(value, dict):
        return False
    plain[last] = value
    return True


@lru_cache(maxsize=4096)
def _parsed(override: str) -> Any:  # noqa: ANN401 - any value that Hydra's grammar knows
    (found,) = OverridesParser.create().parse_overrides([override])
    return found.value()


def _is_final(value: Any) -> bool:  # noqa: ANN401 - any part of a config
    """Tell whether nothing is left to interpolate or to give."""
    if isinstance(value, dict):
        return all(map(_is_final, value.values()))
    if isinstance(value, list):
        return all(map(_is_final, value))
    return not isinstance(value, str) or ("${" not in value and value != "???")
