"""Runs in order: best first, and over seeds as one row a configuration."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

from nnlab.runs.run import Run

SEED = "seed"


def ranked(runs: Sequence[Run]) -> list[Run]:
    """Sort runs from best to worst: by final validation accuracy, without one last."""
    return sorted(runs, key=lambda run: -run.metrics.get("final_val_accuracy", -1.0))


def value_of(run: Run, key: str) -> str:
    """Return what a run's overrides say of a field."""
    for override in run.job.overrides:
        name, _, value = override.partition("=")
        if name.lstrip("+~") == key:
            return value
    return ""


def verdict(run: Run) -> str:
    """Say in a word what became of a run."""
    return run.outcome or run.status or "not started"


@dataclass(frozen=True)
class Group:
    """Runs that differ in their seed alone.

    Attributes
    ----------
    values : of the other varying fields
    accuracies : final validation accuracies, of those runs that have one
    """

    values: tuple[str, ...]
    runs: tuple[Run, ...]

    @property
    def accuracies(self) -> list[float]:
        """Final validation accuracies, of those runs that have one."""
        name = "final_val_accuracy"
        return [run.metrics[name] for run in self.runs if name in run.metrics]

    @property
    def mean(self) -> float | None:
        """Mean of ``accuracies``; None where there are none."""
        found = self.accuracies
        return sum(found) / len(found) if found else None

    @property
    def verdicts(self) -> str:
        """What became of the runs, counted: ``4 learned, 1 diverged``."""
        counts = Counter(verdict(run) for run in self.runs)
        return ", ".join(f"{count} {word}" for word, count in counts.most_common())


def over_seeds(runs: Sequence[Run], varying: Sequence[str]) -> list[Group]:
    """Group runs by all that varies but the seed, and rank the groups.

    By their mean, in which a run without a final accuracy counts as 0: three lucky survivors of
    five do not beat five that learned.
    """
    fields = [field for field in varying if field != SEED]
    groups: dict[tuple[str, ...], list[Run]] = {}
    for run in runs:
        groups.setdefault(tuple(value_of(run, field) for field in fields), []).append(run)
    found = [Group(values, tuple(members)) for values, members in groups.items()]
    return sorted(found, key=lambda group: -sum(group.accuracies) / len(group.runs))
