"""What the seeds of a sweep vary, and how much of the variance each of them makes."""

import math
from collections.abc import Iterator, Sequence

import numpy as np
import pandas as pd

from nnlab.analysis.configurations import run_results, varying_seeds
from nnlab.analysis.formatting import metric_name, number
from nnlab.analysis.statistics import MIN_SEEDS
from nnlab.jobs.run import SEEDS
from nnlab.wording import agreeing, counted

WEIGHTS, SPLIT, ORDER = "the initial weights", "the split", "the order of the mini-batches"
DRAWS = dict(zip(SEEDS, (WEIGHTS, SPLIT, ORDER), strict=True))


def seed_sentences(runs: pd.DataFrame, fields: Sequence[str], metric: str) -> Iterator[str]:
    """Say over what the intervals are, and which seed makes how much of the variance.

    Parameters
    ----------
    runs : DataFrame
        A row for each run that counts.
    fields : sequence of str
        What varies between the configurations.
    metric : str
    """
    yield from left_out_of_intervals(runs, fields)
    seeds = varying_seeds(runs)
    fields = [field for field in fields if field not in SEEDS]
    components = seed_components(runs.assign(_result=run_results(runs, metric)), fields, "_result")
    if components:
        whole = sum(components.values())
        if not whole:
            return
        parts = [
            f"{DRAWS.get(seed, 'what is left')} {variance / whole:.0%}"
            for seed, variance in components.items()
        ]
        yield (
            f"Repeated with other seeds, {metric_name(metric)} has a standard deviation of "
            f"{number(math.sqrt(whole))}; its variance comes from {', '.join(parts[:-1])}, and "
            f"{parts[-1]} (interactions included).{_how_sure(runs, seeds)}"
        )


def left_out_of_intervals(runs: pd.DataFrame, fields: Sequence[str]) -> Iterator[str]:
    """Say which draws the seeds do not vary; the parameters are those of ``seed_sentences``."""
    seeds = varying_seeds(runs)
    averaged = _averaged(runs, [seed for seed in seeds if seed not in fields])
    drawn, same = _drawn(runs, seeds)
    if averaged:
        others = " and ".join(f"{runs[seed].nunique(dropna=False)} `{seed}`" for seed in averaged)
        kept = " and ".join(f"`{seed}`" for seed in seeds if seed not in averaged)
        draws = " and ".join(DRAWS[seed] for seed in averaged)
        yield (
            f"The seeds are crossed: a {kept} counts once, with the mean over its {others}, and "
            f"the intervals do not hold what another choice of {draws} would change. Shares that "
            "learned count every run: their intervals are too narrow."
        )
    if drawn and same and len(runs) > 1:
        verb = "are" if len(same) > 1 or same[0] == WEIGHTS else "is"
        yield (
            f"The seeds vary {' and '.join(drawn)} alone: {' and '.join(same)} {verb} the same in "
            f"all runs, so that the intervals do not hold what another choice would change."
        )


def _drawn(runs: pd.DataFrame, seeds: Sequence[str]) -> tuple[list[str], list[str]]:
    """Return what the seeds that vary draw, and what is drawn but the same in all runs."""
    drawn = [DRAWS[seed] for seed in seeds]
    batches = "batch_size" in runs and (runs["batch_size"].astype(str) != "full").any()
    own_order = "order_seed" in runs and runs["order_seed"].notna().all()
    if batches and "data.seed" in seeds and not own_order and ORDER not in drawn:
        drawn.append(ORDER)
    all_draws = [WEIGHTS, SPLIT, *([ORDER] if batches else [])]
    return drawn, [draw for draw in all_draws if draw not in drawn]


def _how_sure(runs: pd.DataFrame, seeds: Sequence[str]) -> str:
    """Say where too few values of a seed make its share of the variance."""
    counts = {seed: runs[seed].nunique(dropna=False) for seed in seeds}
    few = {seed: count for seed, count in counts.items() if count < MIN_SEEDS}
    values = " and ".join(f"{counted(count, 'value')} of `{seed}`" for seed, count in few.items())
    return f" {values} {agreeing(sum(few.values()), 'says', 'say')} little of it." if few else ""


def _averaged(runs: pd.DataFrame, seeds: Sequence[str]) -> list[str]:
    """Return the crossed seeds over which results are averaged, see ``groups.RunGroup``."""
    counts = {seed: runs[seed].nunique(dropna=False) for seed in seeds}
    if len(seeds) < 2 or len(runs[list(seeds)].drop_duplicates()) == max(counts.values()):  # noqa: PLR2004
        return []
    kept = max(counts, key=lambda seed: counts[seed])
    return [seed for seed in seeds if seed != kept]


def seed_components(
    runs: pd.DataFrame, fields: Sequence[str], value: str
) -> dict[str, float] | None:
    """Return the variance that each of some crossed seeds makes, and at last what is left.

    Random effects by the method of moments: in a full grid of seeds, with ``n`` runs of which
    ``l`` levels of a seed share n/l each, the mean square of that seed is expected to be
    ``σ² + (n / l) σ_seed²``, and that of the rest ``σ²``, interactions included (Searle, Casella &
    McCulloch 1992, *Variance Components*, chapter 4). Sums of squares and degrees of freedom are
    pooled over the configurations. A negative estimate counts as 0.

    Parameters
    ----------
    runs : DataFrame
    fields : sequence of str
        What varies between the configurations.
    value : str
        The column of the result.

    Returns
    -------
    dict or None
        Seed -> variance; ``""`` -> what is left. None if the seeds are not crossed in full.
    """
    seeds = varying_seeds(runs)
    if len(seeds) < 2:  # noqa: PLR2004 - one seed makes all of it
        return None
    counts = [runs[seed].nunique(dropna=False) for seed in seeds]
    cells = math.prod(counts)
    configurations = runs.groupby(list(fields), dropna=False) if fields else [((), runs)]
    squares, left, freedom = dict.fromkeys(seeds, 0.0), 0.0, 0
    tables = 0
    for _, rows in configurations:
        results = rows[value].to_numpy(np.float64)
        distinct = len(rows[seeds].drop_duplicates())
        if len(rows) != cells or distinct != cells or not np.isfinite(results).all():
            return None
        whole = float(((results - results.mean()) ** 2).sum())
        for seed in seeds:
            means = rows.groupby(seed, dropna=False)[value].transform("mean")
            between = float(((means - results.mean()) ** 2).sum())
            squares[seed] += between
            whole -= between
        left += whole
        freedom += cells - 1 - sum(count - 1 for count in counts)
        tables += 1
    rest = max(0.0, left / freedom)
    components = {
        seed: max(0.0, (squares[seed] / (tables * (count - 1)) - rest) * count / cells)
        for seed, count in zip(seeds, counts, strict=True)
    }
    return {**components, "": rest}
