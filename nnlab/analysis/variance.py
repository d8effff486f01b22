"""Which hyper-parameter matters: the variance of a full, balanced grid, split by its causes."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import combinations

import numpy as np
import pandas as pd
from scipy import stats

from nnlab.analysis.ranking import SEED
from nnlab.wording import agreeing, counted


class DesignError(ValueError):
    """The runs do not support a decomposition; the text says why."""


@dataclass(frozen=True)
class Effect:
    """What one cause explains.

    Attributes
    ----------
    factors : tuple of str
        One hyper-parameter, or several whose interaction this is; ``("seed",)`` for the
        differences between the seeds of one configuration, alone or with the hyper-parameters.
    df : int
        Degrees of freedom.
    eta : float
        Share of the whole variation, η²: what these runs show.
    omega : float or None
        The same less the share that chance alone would show, ω² (Hays 1963, *Statistics for
        Psychologists*): what further seeds can be expected to show. None for the seed, against
        which it is measured.
    p_value : float
        Of the F-test of ``MS / MS_seed``; 1 for the seed.
    """

    factors: tuple[str, ...]
    sum_of_squares: float
    df: int
    eta: float
    omega: float | None
    p_value: float = 1.0


def decompose(runs: pd.DataFrame, factors: Sequence[str], value: str) -> list[Effect]:
    """Split the variation of a value over a grid into main effects, interactions and the seed.

    These are the sums of squares of a fixed-effects analysis of variance (Fisher 1925,
    *Statistical Methods for Research Workers*): a set of factors explains the spread of the means
    over all others, less what its subsets explain already. On a full and balanced grid the sums
    add up to the whole. With ``SS`` and ``df`` of an effect, ``SS_total``, and the mean
    square ``MS_seed`` of the seed: ``η² = SS / SS_total`` and
    ``ω² = (SS − df · MS_seed) / (SS_total + MS_seed)``, at least 0.

    Parameters
    ----------
    runs : DataFrame
        A row for each run.
    factors : sequence of str
        The columns of the hyper-parameters; each distinct value is a level.
    value : str
        The column of the result.

    Returns
    -------
    list of Effect
        Main effects, interactions of two, of three, …, and the seed. Their shares η² add up to 1.

    Raises
    ------
    DesignError
        If the grid is not full or not balanced, has one run for each configuration, or nothing
        varies.
    """
    names = list(factors)
    if not names:
        raise DesignError("no hyper-parameter varies: only the seed does.")
    values = runs[value].to_numpy(np.float64)
    if not np.isfinite(values).all():
        bad = int((~np.isfinite(values)).sum())
        have = agreeing(int(bad), "has", "have")
        raise DesignError(f"{bad} of the {counted(len(values), 'run')} {have} no finite {value}.")
    counts = runs.groupby(names, sort=False)[value].size()
    levels = {name: int(runs[name].nunique()) for name in names}
    cells = math.prod(levels.values())
    if len(counts) < cells:
        grid = " × ".join(f"{count} {name}" for name, count in levels.items())
        raise DesignError(
            f"the grid is not full: {grid} are {cells} configurations, and {len(counts)} were run."
        )
    if counts.min() != counts.max():
        raise DesignError(
            f"the grid is not balanced: its configurations have {counts.min()} to {counts.max()} "
            "seeds."
        )
    if counts.min() == 1:
        raise DesignError(
            "each configuration has one seed: its effect cannot be told from the interaction of "
            "the hyper-parameters. Run two seeds or more."
        )
    if np.ptp(values) == 0:
        raise DesignError(f"every run has the same {value}: there is no variation to explain.")

    whole = float(((values - values.mean()) ** 2).sum())
    between: dict[tuple[str, ...], float] = {(): 0.0}
    for size in range(1, len(names) + 1):
        for chosen in combinations(names, size):
            means = runs.groupby(list(chosen), sort=False)[value].transform("mean")
            spread = float(((means - values.mean()) ** 2).sum())
            subsets = (subset for less in range(size) for subset in combinations(chosen, less))
            # Only rounding can make it negative.
            between[chosen] = max(0.0, spread - sum(between[subset] for subset in subsets))
    within = max(0.0, whole - sum(between.values()))
    within_df = len(values) - cells
    noise = within / within_df
    effects = []
    for chosen, squares in list(between.items())[1:]:
        df = math.prod(levels[name] - 1 for name in chosen)
        omega = max(0.0, (squares - df * noise) / (whole + noise))
        ratio = squares / df / noise if noise else math.inf
        p_value = float(stats.f.sf(ratio, df, within_df))
        effects.append(Effect(chosen, squares, df, squares / whole, omega, p_value))
    return [*effects, Effect((SEED,), within, within_df, within / whole, None)]


def levels_that_learned(runs: pd.DataFrame, factors: Sequence[str]) -> pd.DataFrame:
    """Return the runs without the levels with which nothing learned.

    A level of which no run learned, such as an init that kills every unit, can make most of the
    variation of a grid, and says nothing of what matters among the rest. What is left of a full
    and balanced grid is full and balanced.

    Parameters
    ----------
    runs : DataFrame
        With a column ``outcome``.
    factors : sequence of str
        The columns of the hyper-parameters.
    """
    kept = pd.Series(data=True, index=runs.index)
    for name in factors:
        kept &= runs[name].isin(set(runs.loc[runs["outcome"] == "learned", name]))
    return runs[kept]
