"""Runs grouped into configurations, the best first: what pictures and verdicts are made of."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import pandas as pd

from nnlab.analysis.configurations import SEED, endings, lower_is_better, results, value_key
from nnlab.analysis.statistics import PairedDifference, Summary, paired_difference, summarise

Value = int | float | str | None


@dataclass(frozen=True)
class Group:
    """The runs of one configuration, which differ in their seed alone.

    Attributes
    ----------
    settings : field -> its value, for all fields that vary between the groups
    runs : one row a seed
    metric : what they are judged by
    """

    settings: dict[str, Value]
    runs: pd.DataFrame
    metric: str

    @property
    def label(self) -> str:
        """What tells it from the others: ``init=he lr=0.5``."""
        return named(self.settings)

    @cached_property
    def results(self) -> "pd.Series[float]":
        """What each run counts as, by seed; see ``configurations.results``."""
        found = results(self.runs, self.metric)
        return found.set_axis(self.runs[SEED], axis=0) if SEED in self.runs else found

    @cached_property
    def summary(self) -> Summary:
        """Mean, interval and the rest, of those runs that have a result."""
        lower = lower_is_better(self.metric)
        return summarise(self.results.dropna().tolist(), lower_is_better=lower)

    @cached_property
    def rank(self) -> float:
        """Smaller is better. A run without a result counts as the worst that there is."""
        lower = lower_is_better(self.metric)
        values = self.results.fillna(math.inf if lower else 0.0).to_numpy(np.float64)
        mean = float(values.mean())
        return mean if lower else -mean

    @cached_property
    def endings(self) -> "pd.Series[str]":
        """What became of each run."""
        return endings(self.runs)

    @property
    def ending(self) -> str:
        """What became of most of its runs."""
        return str(self.endings.mode().iloc[0])

    def share(self, ending: str) -> float:
        """Return the share of its runs that ended so."""
        return float((self.endings == ending).mean())

    def against(self, other: "Group") -> PairedDifference:
        """Compare it with another over the seeds of which both have a result."""
        one, two = self.results.dropna(), other.results.dropna()
        seeds = one.index.intersection(two.index)
        return paired_difference(
            one[seeds].tolist(), two[seeds].tolist(), lower_is_better=lower_is_better(self.metric)
        )


def grouped(runs: pd.DataFrame, fields: Sequence[str], metric: str) -> list[Group]:
    """Group runs by the fields that vary, and put the best group first."""
    if not fields:
        return [Group({}, runs, metric)]
    groups = [
        Group(dict(zip(fields, map(_plain, key), strict=True)), rows, metric)
        for key, rows in runs.groupby(list(fields), dropna=False, sort=False)
    ]
    # Ties in the order of their values: pictures must not depend on the order of the store.
    return sorted(groups, key=lambda each: (each.rank, *map(value_key, each.settings.values())))


def levels(groups: Sequence[Group], field: str) -> list[Value]:
    """Return the values that a field has: numbers by size, then words."""
    return sorted({group.settings[field] for group in groups}, key=value_key)


def numeric(groups: Sequence[Group], field: str) -> bool:
    """Tell whether all values of a field are numbers."""
    return all(isinstance(group.settings[field], int | float) for group in groups)


def named(values: dict[str, Value]) -> str:
    """Write settings as they are typed: ``init=he lr=0.5``."""
    return " ".join(f"{short(field)}={written(value)}" for field, value in values.items())


def short(field: str) -> str:
    """Return a field's name as it is typed: ``init`` for ``init.name``."""
    return field.removesuffix(".name")


def written(value: Value) -> str:
    """Write a value as briefly as it can be typed."""
    return f"{value:.6g}" if isinstance(value, float) else str(value)


def _plain(value: object) -> Value:
    found = value.item() if isinstance(value, np.generic) else value
    return found if isinstance(found, int | float | str) else None
