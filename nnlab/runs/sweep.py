"""A sweep before it starts: its jobs, what varies between them, and what they are called."""

from collections.abc import Sequence
from dataclasses import dataclass

from nnlab.errors import ConfigError
from nnlab.runs.config import RunConfig
from nnlab.runs.run import Job

ELSEWHERE = (
    "tracking.", "data.dir=", "data.path=", "threads=", "pictures=", "run_name=", "hydra.",
    "hydra/", "reuse=", "objective=", "derived_from=", "model=",
)  # fmt: skip
NAMELESS = "defaults"  # a run that changes nothing
LISTED = 4  # values of a field that a sweep's name lists before it counts them
SHARED = ("tracking", "prune", "reuse")  # parts of the config that belong to a sweep as a whole


@dataclass(frozen=True)
class Sweep:
    """A frozen list of jobs, and the fields in which they differ."""

    jobs: tuple[Job, ...]
    varying: tuple[str, ...]
    name: str

    @classmethod
    def of(cls, configs: Sequence[RunConfig], overrides: Sequence[Sequence[str]]) -> "Sweep":
        """Name the jobs after what varies between them.

        Raises
        ------
        ConfigError
            Where the jobs disagree on what is the sweep's own.
        """
        if not configs:
            raise ConfigError("There is nothing to run: a range or a list of values is empty.")
        for part in SHARED:
            first = getattr(configs[0], part)
            if any(getattr(config, part) != first for config in configs):
                raise ConfigError(
                    f"{part} differs between the jobs of one sweep: it must be the same for all, "
                    "because it belongs to the sweep and not to a run."
                )
        values: dict[str, list[str]] = {}
        for job in overrides:
            for override in filter(_tells, job):
                field, _, value = override.partition("=")
                values.setdefault(field.lstrip("+~"), []).append(value)
        varying = tuple(field for field, found in values.items() if len(set(found)) > 1)
        named = varying or tuple(values)
        jobs = tuple(
            Job(config, tuple(job), config.run_name or job_name(job, named))
            for config, job in zip(configs, overrides, strict=True)
        )
        name = " ".join(_several(field, values[field]) for field in named)
        return cls(jobs, varying, name or "sweep")


def job_name(overrides: Sequence[str], fields: Sequence[str] | None = None) -> str:
    """Name a run after its overrides, or after those of some fields."""
    chosen = [
        override.lstrip("+~")
        for override in filter(_tells, overrides)
        if fields is None or override.partition("=")[0].lstrip("+~") in fields
    ]
    return " ".join(chosen) or NAMELESS


def _tells(override: str) -> bool:
    """Tell whether an override says something of the run, and not of where things are."""
    return not override.startswith(ELSEWHERE)


def _several(field: str, values: Sequence[str]) -> str:
    """Write a field with its values, counted where they are many: ``seed=0…19 (20)``."""
    distinct = list(dict.fromkeys(values))
    if len(distinct) <= LISTED:
        return f"{field}={','.join(distinct)}"
    return f"{field}={distinct[0]}…{distinct[-1]} ({len(distinct)})"
