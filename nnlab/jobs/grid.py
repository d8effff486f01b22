"""The jobs of a sweep: the product of what its overrides vary, with paired fields side by side."""

import itertools
from collections.abc import Iterator, Sequence
from decimal import ROUND_CEILING, Decimal
from random import shuffle

from hydra.core.override_parser.types import Override, RangeSweep

from nnlab.errors import ConfigError
from nnlab.jobs.config import RunConfig
from nnlab.jobs.words import PAIR_TAG
from nnlab.wording import agreeing

Jobs = list[list[str]]


def jobs_of(overrides: Sequence[Override]) -> Jobs:
    """Return the overrides of each job.

    Parameters
    ----------
    overrides : Sequence[Override]
        As Hydra read them; of several for one field, the last one counts.

    Raises
    ------
    ConfigError
        Where values cannot be listed, or paired fields have unequally many.
    """
    fields: dict[str, tuple[str, list[str]]] = {}  # field -> what varies together, its overrides
    for override in overrides:
        key = override.get_key_element()
        fields[key] = _pairing(override) or key, [f"{key}={value}" for value in _values(override)]
    dimensions: dict[str, list[list[str]]] = {}
    for name, values in fields.values():
        dimensions.setdefault(name, []).append(values)
    for name, members in dimensions.items():
        if len(set(map(len, members))) > 1:
            raise ConfigError(
                f"{name.removeprefix(PAIR_TAG)}=zip(…) needs equally many values of each field, "
                f"since they move together: it has {' and '.join(str(len(m)) for m in members)}."
            )
    rows = (list(zip(*members, strict=True)) for members in dimensions.values())
    return [list(itertools.chain(*job)) for job in itertools.product(*rows)]


def _pairing(override: Override) -> str | None:
    """Return the name of the pairing that a field belongs to."""
    tags: set[str] = getattr(override.value(), "tags", set())
    return next((tag for tag in tags if tag.startswith(PAIR_TAG)), None)


def _values(override: Override) -> Iterator[str]:
    """Yield the values of a field, as an override writes them."""
    value = override.value()
    if isinstance(value, RangeSweep) and not isinstance(value.range(), range):
        numbers = list(exact_range(value))
        if value.shuffle:
            shuffle(numbers)
        yield from map(str, numbers)
    elif not override.is_sweep_override():
        yield override.get_value_element_as_str()
    elif override.is_discrete_sweep():
        yield from override.sweep_string_iterator()
    else:
        raise ConfigError(
            "interval(…) needs a sweeper that searches: add hydra/sweeper=nnlab_optuna."
        )


def exact_range(value: RangeSweep) -> Iterator[float]:
    """Yield a range's numbers as they would be typed: 0.3, and not 0.1 + 0.1 + 0.1."""
    start, stop, step = (Decimal(f"{each:.15g}") for each in (value.start, value.stop, value.step))
    if not step or not (start.is_finite() and stop.is_finite()):
        raise ConfigError("A range needs a first and a last number, and a step that is not 0.")
    count = ((stop - start) / step).to_integral_value(ROUND_CEILING)
    return (float(start + step * place) for place in range(int(count)))


def with_names_of_data(configs: Sequence[RunConfig]) -> list[RunConfig]:
    """Return configs in which two data files of one name are told apart by their folders."""
    files: dict[str, set[str]] = {}
    for config in configs:
        files.setdefault(config.data.name, set()).add(_place(config))
    return [
        config
        if len(files[config.data.name]) == 1
        else config.model_copy(
            update={"data": config.data.model_copy(update={"name": _place(config)})}
        )
        for config in configs
    ]


def _place(config: RunConfig) -> str:
    """Return where a config's data is, as it was typed; its name where it has no place."""
    return config.data.path or config.data.dir or config.data.name


def distinct(
    configs: Sequence[RunConfig], jobs: Sequence[Sequence[str]]
) -> tuple[list[int], str | None]:
    """Find jobs with equal configs, which would train to equal results.

    Returns
    -------
    places : list[int]
        Of each job, the first one that has its config.
    note : str or None
        A sentence that says which jobs are trained once though they were asked for several times.
    """
    first: dict[str, int] = {}
    contents = [config.model_dump_json() for config in configs]
    places = [first.setdefault(content, place) for place, content in enumerate(contents)]
    if len(first) == len(jobs):
        return places, None
    again = len(jobs) - len(first)
    are = agreeing(again, "is", "are")
    repeated = next(place for at, place in enumerate(places) if at != place)
    return places, (
        f"{again} of the {len(jobs)} runs asked for {are} equal to another, and {are} "
        f"trained once; the first of these is {' '.join(jobs[repeated])}."
    )
