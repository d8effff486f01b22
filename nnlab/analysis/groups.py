"""Runs grouped into configurations, the best first: the basis of tables, figures and sentences."""

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import TypeVar

import numpy as np
import pandas as pd

from nnlab.analysis.configurations import endings, run_results, value_key
from nnlab.analysis.formatting import interval, number, settings_text
from nnlab.analysis.image_sampling import TEST_ACCURACY, test_images, with_sampling
from nnlab.analysis.paired_statistics import PairedDifference, paired_difference
from nnlab.analysis.ranking import SEED, LearnedShare, lower_is_better, order_key
from nnlab.analysis.statistics import Summary, summarise
from nnlab.jobs.run import SEEDS

JOINED = "/"  # between the seeds of a run
Value = int | float | str | None
Results = TypeVar("Results", "pd.Series[float]", pd.DataFrame)


@dataclass(frozen=True)
class RunGroup:
    """The runs of one configuration, which differ in their seed alone.

    Attributes
    ----------
    settings : dict
        Field -> value, for all fields that vary between the groups.
    runs : DataFrame
        A row for each seed.
    metric : str
        The metric that the runs are judged by.
    """

    settings: dict[str, Value]
    runs: pd.DataFrame
    metric: str

    @property
    def label(self) -> str:
        """What distinguishes it from the other groups: ``init=he lr=0.5``."""
        return settings_text(self.settings)

    @cached_property
    def results(self) -> "pd.Series[float]":
        """What each run counts as, see ``ranking.result_of``; by its seeds."""
        return self.labelled([seed for seed, values in self.seeds.items() if len(set(values)) > 1])

    @cached_property
    def seeds(self) -> dict[str, list[str]]:
        """The values of each kind of seed, one for each run."""
        return {seed: self.runs[seed].astype(str).tolist() for seed in SEEDS if seed in self.runs}

    def labelled(self, seeds: Sequence[str]) -> "pd.Series[float]":
        """Return the results, each by its run's values of some seeds: ``3``, or ``3/0``."""
        values = run_results(self.runs, self.metric)
        if SEED not in self.runs:
            return values
        if len(seeds) < 2:  # noqa: PLR2004 - more are joined
            return values.set_axis(self.runs[seeds[0] if seeds else SEED], axis=0)
        labels = map(JOINED.join, zip(*(self.seeds[seed] for seed in seeds), strict=True))
        return values.set_axis(list(labels), axis=0)

    @cached_property
    def independent_results(self) -> "pd.Series[float]":
        """The known results; of crossed seeds, the means over the others of one of them.

        Runs that share a seed are no repetitions of each other.
        """
        (means,) = independent(self.results.dropna())
        return means

    @cached_property
    def summary(self) -> Summary:
        """Mean, interval and the rest, of those runs that have a result.

        The interval of a test accuracy holds other test images too.
        """
        results, lower = self.independent_results.tolist(), lower_is_better(self.metric)
        summary = summarise(results, lower_is_better=lower)
        if self.metric != TEST_ACCURACY:
            return summary
        images = test_images(self.runs[TEST_ACCURACY].dropna())
        return replace(summary, interval=with_sampling(summary.interval, summary.mean, images))

    @property
    def mean_text(self) -> str:
        """The mean, with its interval if the seeds are enough for one."""
        found = self.summary.interval
        return f"{number(self.summary.mean)} {interval(found.low, found.high)}".rstrip()

    @cached_property
    def rank(self) -> tuple[float, float]:
        """The key that sorts groups, the best first; see ``ranking.order_key``."""
        return order_key(self.results.tolist(), self.metric)

    @cached_property
    def endings(self) -> "pd.Series[str]":
        """What became of each run."""
        return endings(self.runs)

    @property
    def ending(self) -> str:
        """What became of most of its runs."""
        return str(self.endings.mode().iloc[0])

    @cached_property
    def learned(self) -> LearnedShare:
        """How many of its runs learned."""
        return LearnedShare.of(self.results.tolist(), self.endings.tolist())

    def share(self, ending: str) -> float:
        """Return the share of its runs that ended so."""
        return float((self.endings == ending).mean())

    def common_results(self, other: "RunGroup") -> tuple["pd.Series[float]", "pd.Series[float]"]:
        """Return the results of both groups for the seeds of which both have one.

        Of crossed seeds, as ``independent_results``.
        """
        mine, others = self.seeds, other.seeds
        seeds = [seed for seed in mine if len({*mine[seed], *others.get(seed, ())}) > 1]
        one, two = (group.labelled(seeds).dropna() for group in (self, other))
        common = one.index.intersection(two.index)
        one, two = independent(one[common], two[common])
        return one, two

    def against(self, other: "RunGroup") -> PairedDifference:
        """Compare it with another group over their common seeds."""
        one, two = self.common_results(other)
        lower = lower_is_better(self.metric)
        difference = paired_difference(one.tolist(), two.tolist(), lower_is_better=lower)
        return replace(difference, limit=math.inf if lower else 1.0)


def independent(*results: Results) -> list[Results]:
    """Average results, by the same labels, over all crossed seeds but the one with most values."""
    labels = results[0].index
    if not len(labels) or not isinstance(labels[0], str) or JOINED not in labels[0]:
        return list(results)
    parts = pd.DataFrame([label.split(JOINED) for label in labels])
    if not any(parts[place].duplicated().any() for place in parts):
        return list(results)
    kept = parts[parts.nunique().idxmax()].to_numpy()
    return [values.groupby(kept).mean() for values in results]


def grouped(runs: pd.DataFrame, fields: Sequence[str], metric: str) -> list[RunGroup]:
    """Group runs by the fields that vary, the best group first."""
    if not fields:
        return [RunGroup({}, runs, metric)]
    bare = runs.copy(deep=False)
    bare.attrs = {}  # pandas would copy them deeply for every group, and again at every step
    groups = [
        RunGroup(dict(zip(fields, map(_plain, key), strict=True)), rows, metric)
        for key, rows in bare.groupby(list(fields), dropna=False, sort=False)
    ]
    # Equal groups are sorted by their values: figures must not depend on the order of the store.
    return sorted(groups, key=lambda group: (group.rank, *map(value_key, group.settings.values())))


def levels(groups: Sequence[RunGroup], field: str) -> list[Value]:
    """Return the values that a field has: numbers by size, then words."""
    return sorted({group.settings[field] for group in groups}, key=value_key)


def following_levels(groups: Sequence[RunGroup], field: str) -> list[Value]:
    """Return the values of a field that follows the varied ones, in the order of those."""
    in_order = sorted(groups, key=lambda group: [*map(value_key, group.settings.values())])
    values = (value for group in in_order for value in group.runs[field])
    return list(dict.fromkeys(map(_plain, values)))


def numeric(groups: Sequence[RunGroup], field: str) -> bool:
    """Tell whether all values of a field are numbers."""
    return all(isinstance(group.settings[field], int | float) for group in groups)


def _plain(value: object) -> Value:
    """Return a value as Python has it; NaN, which no run was given, as None."""
    plain = value.item() if isinstance(value, np.generic) else value
    known = isinstance(plain, int | float | str) and plain == plain  # noqa: PLR0124 - NaN
    return plain if known else None  # type: ignore[return-value]
