"""A sweep before it starts: its jobs, the fields that vary between them, and its name."""

from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass

from nnlab.errors import ConfigError
from nnlab.jobs.config import RunConfig, fields_with, fields_without
from nnlab.jobs.roles import Role, is_among
from nnlab.jobs.run import Job

DEFAULTS = "defaults"  # the name of a run without overrides
LONG = 1e6  # from which on a whole number is written as Python writes a float
MAX_LISTED = 4  # values of a field in the name of a sweep; more are written as a range


@dataclass(frozen=True)
class Sweep:
    """A frozen list of jobs.

    Attributes
    ----------
    jobs : tuple[Job, ...]
        One a run, in the order in which they were asked for.
    varying : tuple[str, ...]
        The fields in which the jobs differ.
    name : str
        The varying fields with their values.
    """

    jobs: tuple[Job, ...]
    varying: tuple[str, ...]
    name: str

    @classmethod
    def of(cls, configs: Sequence[RunConfig], overrides: Sequence[Sequence[str]]) -> "Sweep":
        """Name the jobs after what varies between them.

        Raises
        ------
        ConfigError
            Where there is no job, or the jobs differ in a field that the sweep has as a whole.
        """
        if not configs:
            raise ConfigError("There is nothing to run: a range or a list of values is empty.")
        for field in fields_with(Role.SHARED):
            if any(getattr(config, field) != getattr(configs[0], field) for config in configs):
                raise ConfigError(
                    f"{field} differs between the jobs of one sweep: it must be the same for all, "
                    "because it belongs to the sweep and not to a run."
                )
        overrides = [canonical(job, config) for job, config in zip(overrides, configs, strict=True)]
        values: dict[str, list[str]] = {}
        for job in overrides:
            for override in filter(_names_a_run, job):
                values.setdefault(field_of(override), []).append(override.partition("=")[2])
        varying = tuple(field for field, given in values.items() if len(set(given)) > 1)
        named = varying or tuple(values)
        jobs = tuple(
            Job(config, tuple(job), config.run_name or job_name(job, named))
            for config, job in zip(configs, overrides, strict=True)
        )
        name = " ".join(_with_values(field, values[field]) for field in named)
        return cls(jobs, varying, name or "sweep")


def field_of(override: str) -> str:
    """Return the field that an override sets: ``prune.eta`` for ``++prune.eta=2``."""
    return override.lstrip("+~").partition("=")[0]


def canonical(overrides: Sequence[str], config: RunConfig) -> tuple[str, ...]:
    """Write numbers as the config has them: ``epochs=10`` for ``epochs=1e1`` too."""
    return tuple(_canonical(override, config) for override in overrides)


def _canonical(override: str, config: RunConfig) -> str:
    field, _, text = override.partition("=")
    value: object = config
    for name in field_of(override).split("."):
        value = getattr(value, name, None)
    if isinstance(value, bool) or not isinstance(value, int | float):
        return override
    with suppress(ValueError):
        if float(text) == value:
            whole = isinstance(value, float) and value.is_integer() and abs(value) < LONG
            return f"{field}={int(value) if whole else value}"
    return override


def job_name(overrides: Sequence[str], fields: Sequence[str] | None = None) -> str:
    """Name a run after its overrides, or after its overrides of some fields."""
    chosen = [
        override.lstrip("+~")
        for override in filter(_names_a_run, overrides)
        if fields is None or field_of(override) in fields
    ]
    return " ".join(chosen) or DEFAULTS


def _names_a_run(override: str) -> bool:
    field = field_of(override)
    return not (
        field.startswith(("hydra.", "hydra/")) or is_among(field, fields_without(Role.NAMED))
    )


def _with_values(field: str, values: Sequence[str]) -> str:
    """Write a field with its values; many values as a range: ``seed=0…19 (20)``."""
    distinct = list(dict.fromkeys(values))
    if len(distinct) <= MAX_LISTED:
        return f"{field}={','.join(distinct)}"
    return f"{field}={distinct[0]}…{distinct[-1]} ({len(distinct)})"
