"""The search space that a command line describes in Hydra's override grammar, for Optuna."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import TYPE_CHECKING, Any, get_args

from hydra.core.config_loader import ConfigLoader
from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.core.override_parser.types import IntervalSweep, Override, RangeSweep, Transformer

from nnlab.errors import ConfigError
from nnlab.jobs.config import RunConfig
from nnlab.jobs.words import PAIR_TAG

if TYPE_CHECKING:
    from optuna.distributions import BaseDistribution


@dataclass(frozen=True)
class SearchSpace:
    """The fields that are searched, and those that are fixed.

    Attributes
    ----------
    fixed : tuple of str
        The overrides that all trials share.
    distributions : dict of str to optuna.distributions.BaseDistribution
        What each searched field may be.
    """

    fixed: tuple[str, ...]
    distributions: dict[str, "BaseDistribution"]

    def overrides(self, params: Mapping[str, Any]) -> tuple[str, ...]:
        """Return the overrides of the trial with these values."""
        return (
            *self.fixed,
            *(
                f"{field}={_exact(value) if getattr(space, 'step', None) else value}"
                for field, space in self.distributions.items()
                for value in (params[field],)
            ),
        )

    def holds(self, params: Mapping[str, Any]) -> bool:
        """Tell whether each searched field has a value."""
        return params.keys() >= self.distributions.keys()

    @property
    def extremes(self) -> dict[str, list[Any]]:
        """The lowest and the highest value of each searched field; of a choice, every one."""
        return {
            field: list(getattr(space, "choices", None) or (space.low, space.high))  # type: ignore[attr-defined]
            for field, space in self.distributions.items()
        }

    @property
    def corners(self) -> Iterator[tuple[str, dict[str, Any]]]:
        """A field, and values of all fields: its extremes, while the others have their first."""
        first = {field: values[0] for field, values in self.extremes.items()}
        for field, values in self.extremes.items():
            for value in values:
                yield field, {**first, field: value}

    def as_texts(self) -> dict[str, str]:
        """Describe each searched field by its distribution."""
        return {field: repr(space) for field, space in self.distributions.items()}


def _exact(value: Any) -> Any:  # noqa: ANN401 - of any type of the config
    """Return a number of a range as it would be typed: 0.3, and not 0.1 + 2 · 0.1."""
    return float(f"{value:.15g}") if isinstance(value, float) else value


def parse_search_space(arguments: Sequence[str], loader: ConfigLoader) -> SearchSpace:
    """Read what Hydra's users write: fixed values, and what a field may be.

    ``interval(a,b)``, of whole numbers in ``int(interval(a,b))`` or where the field has no others;
    ``range(a,b,step)``, without ``b``, as in a sweep; ``choice(a,b)``, ``a,b`` and ``glob(*)``.
    ``tag(log,interval(a,b))`` is searched by its logarithm. Of several overrides of one field the
    last one counts.

    Raises
    ------
    ConfigError
        Where a field cannot be searched in the way that is asked for, or none is searched.
    """
    parsed = OverridesParser.create(config_loader=loader).parse_overrides(list(arguments))
    last = {override.get_key_element(): override for override in parsed}
    searched = {field: each for field, each in last.items() if each.is_sweep_override()}
    if not searched:
        raise ConfigError(
            "hydra/sweeper=nnlab_optuna has nothing to search: give a field an interval, a range "
            "or several values, such as 'lr=tag(log,interval(0.001,1))'."
        )
    fixed = tuple(
        str(each.input_line) if each.is_delete() else f"{field}={each.get_value_element_as_str()}"
        for field, each in last.items()
        if field not in searched
    )
    return SearchSpace(fixed, {field: _distribution(each) for field, each in searched.items()})


def _distribution(override: Override) -> "BaseDistribution":
    field, value = override.key_or_group, override.value()
    try:
        if isinstance(value, IntervalSweep):
            return _interval(field, value)
        if isinstance(value, RangeSweep):
            return _range(override, value)
        return _choice(override)
    except ValueError as error:  # Optuna's, of its distributions
        raise ConfigError(f"{override.input_line} cannot be searched: {error}") from error


def _interval(field: str, value: IntervalSweep) -> "BaseDistribution":
    from optuna.distributions import FloatDistribution, IntDistribution

    low, high = value.start, value.end  # floats, unless they are in int(…)
    assert low is not None
    assert high is not None
    log = _is_logarithmic(field, value.tags)
    if isinstance(low, int) or (_is_whole(field) and low.is_integer() and high.is_integer()):
        return IntDistribution(int(low), int(high), log=log)
    return FloatDistribution(low, high, log=log)


def _range(override: Override, value: RangeSweep) -> "BaseDistribution":
    from optuna.distributions import FloatDistribution, IntDistribution

    field = override.key_or_group
    numbers = value.range()
    whole = isinstance(numbers, range)
    count = len(numbers) if isinstance(numbers, range) else sum(1 for _ in numbers)
    if not count:
        raise ConfigError(f"{override.input_line} is empty: {field} needs a value to be searched.")
    start, step = Decimal(str(value.start)), Decimal(str(value.step))  # as they were typed
    low, high = sorted((start, start + step * (count - 1)))
    log = _is_logarithmic(field, value.tags)
    if log and not (whole and value.step == 1):
        raise ConfigError(
            f"{override.input_line} cannot be searched: a logarithm needs whole numbers in steps "
            "of 1; leave tag(log,…) out, or give an interval."
        )
    if whole:
        return IntDistribution(int(low), int(high), log=log, step=int(abs(step)))
    return FloatDistribution(float(low), float(high), step=float(abs(step)))


def _choice(override: Override) -> "BaseDistribution":
    from optuna.distributions import CategoricalDistribution

    tags: set[str] = getattr(override.value(), "tags", set())
    if any(tag.startswith(PAIR_TAG) for tag in tags):
        raise ConfigError(
            "zip(…) lists what is trained, and Optuna chooses it: leave out one of them."
        )
    if tags:
        raise ConfigError(
            f"{override.input_line} cannot be searched: tag(…) is for an interval or a range."
        )
    choices: list[Any] = list(override.sweep_iterator(transformer=Transformer.encode))
    return CategoricalDistribution(tuple(dict.fromkeys(choices)))


def _is_logarithmic(field: str, tags: set[str]) -> bool:
    unknown = tags - {"log"}
    if unknown:
        raise ConfigError(
            f"{field}: tag({','.join(sorted(unknown))},…) is not known; only tag(log,…) is."
        )
    return "log" in tags


def _is_whole(field: str) -> bool:
    """Tell whether the config declares that a field is a whole number."""
    declared: Any = RunConfig
    for part in field.split("."):
        known = getattr(declared, "model_fields", {}).get(part)
        if known is None:
            return False
        declared = known.annotation
    return declared is int or int in get_args(declared)
