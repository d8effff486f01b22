"""What a number of seeds can show before they are run: the power of a paired test."""

from dataclasses import dataclass
from itertools import combinations

import numpy as np
import pandas as pd
from scipy import optimize, stats

from nnlab.analysis.configurations import metric_of, run_results
from nnlab.analysis.mean_test import ALPHA, POWER
from nnlab.analysis.ranking import SEED

FEWEST = 3  # common seeds of a pair of recorded configurations, below which its spread says little
UPPER = 100.0  # in standard deviations: no detectable difference is larger


@dataclass(frozen=True)
class Spread:
    """How much the difference of two configurations varies from seed to seed.

    Attributes
    ----------
    deviation : float
        The median of the standard deviations of the paired differences.
    low, high : float
        Of these standard deviations.
    pairs : int
        Pairs of recorded configurations that they are of.
    """

    deviation: float
    low: float
    high: float
    pairs: int


def paired_power(effect: float, n: int, level: float = ALPHA) -> float:
    """Return the power of a two-sided paired t-test.

    Parameters
    ----------
    effect : float
        The mean difference over the standard deviation of the differences (Cohen's d_z).
    n : int
        Number of pairs, 2 or more.
    level : float
        Rate of decisions where there is no difference.
    """
    limit, shift = stats.t.ppf(1 - level / 2, n - 1), effect * np.sqrt(n)
    # The upper tail of the lower side, mirrored: SciPy's lower tail of nct loses digits.
    return float(stats.nct.sf(limit, n - 1, shift) + stats.nct.sf(limit, n - 1, -shift))


def detectable_effect(n: int, power: float = POWER) -> float | None:
    """Return the effect that a paired t-test of n pairs finds with this power; None below 2."""
    if n < 2:  # noqa: PLR2004 - a deviation takes two
        return None
    return float(optimize.brentq(lambda d: paired_power(d, n) - power, 1e-3, UPPER))


def spread_of(runs: pd.DataFrame, metric: str) -> Spread | None:
    """Estimate from recorded runs how much paired differences vary.

    Only pairs of configurations count that have at least ``FEWEST`` seeds in common and learned
    with all of them: where a seed failed, the spread is that of failures.

    Parameters
    ----------
    runs : DataFrame
        As ``frames.read_runs`` returns it, of runs that are similar enough.
    metric : str

    Returns
    -------
    Spread or None
        None where there is no such pair.
    """
    learned = runs[(runs["status"] == "FINISHED") & (runs["outcome"] == "learned")]
    if learned.empty:
        return None
    learned.attrs.update(runs.attrs)
    fields = [name for name in runs.attrs["params"] if name != SEED]
    values = learned.assign(result=run_results(learned, metric_of(learned, metric)))
    failed = set(map(tuple, runs[runs["outcome"] != "learned"][fields].astype(str).to_numpy()))
    results = [
        group.drop_duplicates(SEED).set_index(SEED)["result"]
        for key, group in values.groupby([values[name].astype(str) for name in fields])
        if key not in failed
    ]
    deviations = [
        float(differences.std(ddof=1))
        for one, other in combinations(results, 2)
        if len(differences := (one - other).dropna()) >= FEWEST
    ]
    if not deviations:
        return None
    return Spread(float(np.median(deviations)), min(deviations), max(deviations), len(deviations))
