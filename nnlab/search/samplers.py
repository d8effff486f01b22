"""The settings of a search, and the sampler of Optuna that they choose."""

import inspect
import math
import warnings
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
from pydantic import Field

from nnlab.errors import ConfigError
from nnlab.jobs.validation import StrictModel
from nnlab.search.space import SearchSpace

if TYPE_CHECKING:
    from optuna.samplers import BaseSampler

SAMPLERS = {
    "tpe": "TPESampler",
    "random": "RandomSampler",
    "cmaes": "CmaEsSampler",
    "qmc": "QMCSampler",
    "grid": "GridSampler",
}
ONE_SEQUENCE = ("qmc", "grid")  # samplers that go through one sequence, which one seed decides
MAX_GRID = 100_000  # points; Optuna lists them all

COUNT = "a whole number, 1 or more"


class SearchSettings(StrictModel):
    """The fields of ``conf/hydra/sweeper/nnlab_optuna.yaml``, which documents them."""

    n_trials: int = Field(ge=1, description=COUNT)
    batch: int = Field(ge=1, description=COUNT)
    sampler: Literal["tpe", "random", "cmaes", "qmc", "grid"] = Field(
        description="one of " + ", ".join(SAMPLERS)
    )
    sampler_options: dict[str, Any] | None = Field(
        description="keywords of the sampler, such as {n_startup_trials: 20}, or null"
    )
    seed: int | None = Field(ge=0, description="a whole number, 0 or more, or null")
    study_name: str | None = Field(min_length=1, description="a name, or null")
    storage: str | None = Field(min_length=1, description="the URL of a database, or null")
    params: dict[str, Any] | None = Field(description="fields with their values, or null")


def make_sampler(settings: SearchSettings, space: SearchSpace, trial: int) -> "BaseSampler":
    """Make the sampler that proposes one trial.

    Each trial has a seed of its own, made from ``settings.seed`` and its number: a study that was
    stopped and continued proposes what an undisturbed one does.

    Raises
    ------
    ConfigError
        Where the sampler lacks its package, refuses its options or does not fit the space.
    """
    import optuna

    kind = getattr(optuna.samplers, SAMPLERS[settings.sampler])
    options = dict(settings.sampler_options or {})
    known = sorted(set(inspect.signature(kind).parameters) - {"seed", "search_space"})
    unknown = sorted(set(options) - set(known))
    if unknown:
        raise ConfigError(
            f"hydra.sweeper.sampler_options: {', '.join(unknown)} is not known to "
            f"hydra.sweeper.sampler={settings.sampler}, which knows {', '.join(known)}."
        )
    if settings.seed is not None:
        sequence = np.random.SeedSequence([settings.seed, trial])
        one_sequence = settings.sampler in ONE_SEQUENCE
        options["seed"] = settings.seed if one_sequence else int(sequence.generate_state(1)[0])
    if settings.sampler == "tpe":
        options.setdefault("constant_liar", True)  # a batch is proposed before any of it is known
    if settings.sampler == "cmaes":
        _check_cmaes(space)
    if settings.sampler == "grid":
        options["search_space"] = grid(space)
    try:
        with warnings.catch_warnings():  # QMC and parts of TPE count as experimental
            warnings.simplefilter("ignore", optuna.exceptions.ExperimentalWarning)
            sampler: BaseSampler = kind(**options)
    except (ValueError, TypeError) as error:
        raise ConfigError(f"hydra.sweeper.sampler_options: {error}.") from error
    return sampler


def grid(space: SearchSpace) -> dict[str, list[Any]]:
    """List the values of each searched field.

    Raises
    ------
    ConfigError
        Where a field has no list of values, or there are too many points.
    """
    points = {field: _values(field, each) for field, each in space.distributions.items()}
    size = math.prod(map(len, points.values()))
    if size > MAX_GRID:
        raise ConfigError(
            f"hydra.sweeper.sampler=grid would have {size:,} points, and may have {MAX_GRID:,}: "
            "give fewer values, or take another sampler."
        )
    return {field: list(values) for field, values in points.items()}


def _values(field: str, distribution: Any) -> range | list[Any]:  # noqa: ANN401 - one of three
    from optuna.distributions import CategoricalDistribution, IntDistribution

    if isinstance(distribution, CategoricalDistribution):
        return list(distribution.choices)
    if isinstance(distribution, IntDistribution):
        return range(distribution.low, distribution.high + 1, distribution.step)
    if distribution.step is None:
        raise ConfigError(
            f"hydra.sweeper.sampler=grid needs values to try, and {field} is an interval: give a "
            "range or several values, or take another sampler."
        )
    count = round((distribution.high - distribution.low) / distribution.step) + 1
    return [distribution.low + distribution.step * place for place in range(count)]


def _check_cmaes(space: SearchSpace) -> None:
    from optuna.distributions import CategoricalDistribution

    if find_spec("cmaes") is None:
        raise ConfigError("hydra.sweeper.sampler=cmaes needs its package: pip install cmaes.")
    numeric = [
        each
        for each in space.distributions.values()
        if not isinstance(each, CategoricalDistribution) and not each.single()
    ]
    if len(numeric) < 2:  # noqa: PLR2004 - Optuna would sample at random instead
        raise ConfigError(
            "hydra.sweeper.sampler=cmaes needs two fields with an interval or a range at least: "
            "take hydra.sweeper.sampler=tpe."
        )
