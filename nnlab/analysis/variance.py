"""Which hyper-parameter matters: the variance of a full, balanced grid, split by its causes."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import combinations

import numpy as np
import pandas as pd

SEED = "seed"


class DesignError(ValueError):
    """The runs do not support a decomposition; the text says why."""


@dataclass(frozen=True)
class Effect:
    """What one cause explains.

    Attributes
    ----------
    factors : one hyper-parameter, or several whose interaction this is; ``("seed",)`` for what
        differs between the seeds of one configuration, of itself or with the hyper-parameters
    df : degrees of freedom
    eta : share of the whole variation, η²: what is seen in these runs
    omega : the same, less what chance alone would show, ω² (Hays 1963): what further seeds can be
        expected to show. None for the seed, which it is measured against.
    """

    factors: tuple[str, ...]
    sum_of_squares: float
    df: int
    eta: float
    omega: float | None


def decompose(runs: pd.DataFrame, factors: Sequence[str], value: str) -> list[Effect]:
    """Split the variation of a value over a grid into main effects, interactions and the seed.

    The sums of squares of a fixed-effects analysis of variance (Fisher 1925): a set of factors
    explains the spread of the means over all others, less what its subsets explain already. On a
    full and balanced grid they add up to the whole.

    Parameters
    ----------
    runs : one row a run
    factors : its hyper-parameters; a level each distinct value
    value : its column with the result

    Returns
    -------
    list of Effect
        Main effects, interactions of two, of three, …, and the seed. Their shares η² add up to 1.

    Raises
    ------
    DesignError
        Where the grid is not full, not balanced, has one run a configuration, or nothing varies.
    """
    names = list(factors)
    if not names:
        raise DesignError("no hyper-parameter varies: only the seed does.")
    found = runs[value].to_numpy(np.float64)
    if not np.isfinite(found).all():
        bad = int((~np.isfinite(found)).sum())
        raise DesignError(f"{bad} of the {len(found)} runs have no finite {value}.")
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
            "each configuration has one seed: what the seed does cannot be told from what the "
            "hyper-parameters do together. Run two seeds or more."
        )
    if np.ptp(found) == 0:
        raise DesignError(f"every run has the same {value}: there is no variation to explain.")

    whole = float(((found - found.mean()) ** 2).sum())
    between: dict[tuple[str, ...], float] = {(): 0.0}
    for size in range(1, len(names) + 1):
        for chosen in combinations(names, size):
            means = runs.groupby(list(chosen), sort=False)[value].transform("mean")
            spread = float(((means - found.mean()) ** 2).sum())
            subsets = (each for less in range(size) for each in combinations(chosen, less))
            # Rounding alone makes it negative.
            between[chosen] = max(0.0, spread - sum(between[subset] for subset in subsets))
    within = max(0.0, whole - sum(between.values()))
    within_df = len(found) - cells
    noise = within / within_df
    effects = []
    for chosen, squares in list(between.items())[1:]:
        df = math.prod(levels[name] - 1 for name in chosen)
        omega = max(0.0, (squares - df * noise) / (whole + noise))
        effects.append(Effect(chosen, squares, df, squares / whole, omega))
    return [*effects, Effect((SEED,), within, within_df, within / whole, None)]
