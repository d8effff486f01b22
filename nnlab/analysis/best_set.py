"""Which configurations may be the best.

A configuration is left out if any other one beats it, seed by seed, by a test at the level α / m,
where m others were compared with it. Whichever is truly the best is beaten by chance alone, in m
tests, so that the set holds it in at least 95 of 100 sweeps (Bonferroni; the idea is Hsu's 1984,
"Constrained simultaneous confidence intervals for multiple comparisons with the best"). All pairs
do not count: nothing is claimed of configurations that are left out but that each is not the best.
tests/analysis/test_best_set.py measures this, and the size of the set against that by all pairs.
"""

from collections.abc import Sequence
from dataclasses import replace
from itertools import product

import numpy as np
import pandas as pd

from nnlab.analysis.groups import RunGroup, independent
from nnlab.analysis.mean_test import ALPHA, p_values
from nnlab.analysis.paired_statistics import PairedDifference
from nnlab.analysis.ranking import lower_is_better
from nnlab.analysis.statistics import MIN_SEEDS, Values


def level_with_best(groups: Sequence[RunGroup]) -> list[RunGroup]:
    """Return the groups that have the same mean as the first one, and as many missing runs."""
    return [group for group in groups[1:] if group.rank == groups[0].rank]


def against_best(groups: Sequence[RunGroup]) -> list[PairedDifference]:
    """Compare the first group with each other one, at the level that all of them have together."""
    best, *others = groups
    differences = [best.against(other) for other in others]
    testable = max(1, sum(difference.testable for difference in differences))
    return [replace(difference, level=ALPHA / testable) for difference in differences]


def may_be_best(groups: Sequence[RunGroup]) -> list[RunGroup]:
    """Return the groups that may be the best: the first one, and those that none is shown to beat.

    Without seeds enough to compare it with any other, a group is among them.

    Parameters
    ----------
    groups : sequence of RunGroup
        The configurations of a sweep, the best first.
    """
    p, others = _beaten(groups)
    left_out = p.min(axis=0) <= ALPHA / np.maximum(1, others)
    return [group for place, group in enumerate(groups) if place == 0 or not left_out[place]]


def _beaten(groups: Sequence[RunGroup]) -> tuple[Values, Values]:
    """Return p-values of "this row beats this column", and with how many others a column has one.

    A p-value is 1 where the row does not lead, the common seeds are too few or a value is infinite.
    """
    sign = -1 if lower_is_better(groups[0].metric) else 1
    seeds = [
        seed
        for seed in groups[0].seeds
        if len({x for group in groups for x in group.seeds[seed]}) > 1
    ]
    results = pd.DataFrame({place: group.labelled(seeds) for place, group in enumerate(groups)})
    patterns, members = np.unique(results.notna().to_numpy(), axis=1, return_inverse=True)
    p, others = np.ones((len(groups), len(groups))), np.zeros(len(groups))
    for one, two in product(range(patterns.shape[1]), repeat=2):
        (common,) = independent(results[patterns[:, one] & patterns[:, two]])
        values = sign * common.to_numpy(np.float64).T
        finite = np.isfinite(values).all(axis=1)
        if values.shape[1] < MIN_SEEDS:
            continue
        rows = np.flatnonzero((members == one) & finite)
        for column in np.flatnonzero((members == two) & finite):
            difference = values[rows] - values[column]
            p[rows, column] = np.where(difference.mean(axis=1) > 0, p_values(difference), 1.0)
            others[column] += np.sum(rows != column)
    return p, others
