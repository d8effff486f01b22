"""Which configurations of two selections are compared with each other, and all their seeds."""

from collections.abc import Sequence
from itertools import product
from typing import Any

import pandas as pd

from nnlab.analysis.configurations import DIGEST, varying_seeds
from nnlab.analysis.ranking import SEED
from nnlab.jobs.tags import Tag
from nnlab.tracking.frames import read_runs, read_tagged
from nnlab.tracking.locations import tracking_uri
from nnlab.tracking.readers import open_reader

Key = tuple[Any, ...]  # a configuration: the values of the fields that vary


def with_all_seeds(uri: str | None, run_ids: set[str]) -> pd.DataFrame:
    """Return the runs, and all others of the store that differ from them in the seed alone.

    Where the seed of the split varies too, every run has other data: only further seeds that were
    derived from these runs are found, as those of ``compare --until`` are.
    """
    chosen = read_runs(uri, [",".join(sorted(run_ids))])
    digests = chosen[DIGEST].dropna().unique()
    if not len(digests):
        return chosen
    seeds = {SEED, *varying_seeds(chosen)}
    if "data.seed" in seeds:
        store = open_reader(tracking_uri(uri))
        further = [run for each in run_ids for run in store.tagged(Tag.DERIVED_FROM, each)]
        ids = run_ids | {run.run_id for run in further if not run.is_sweep}
        pool = read_runs(uri, [",".join(sorted(ids))])
    else:
        pool = read_tagged(uri, DIGEST, digests)
    # A reproduction of a run is not another result.
    pool = pool[pool["reproduces"].isna() | pool["run_id"].isin(run_ids)]
    names = [name for name in pool.attrs["params"] if name not in seeds]
    columns = names if "data.seed" in seeds else [*names, DIGEST]
    keys = pool[columns].astype(str).apply(tuple, axis=1)
    return pool[keys.isin(set(keys[pool["run_id"].isin(run_ids)]))]


def matching(
    a: Sequence[Key], b: Sequence[Key], *, fields: Sequence[str]
) -> tuple[list[str], list[tuple[Key, Key]]]:
    """Return the fields in which each pair of configurations agrees, and the pairs."""
    if len(a) == 1 or len(b) == 1:
        return [], [(one, other) for one, other in product(a, b) if one != other]
    places = [
        place
        for place in range(len(fields))
        if any(len({key[place] for key in side}) > 1 for side in (a, b))
    ]
    pairs = [
        (one, other)
        for one, other in product(a, b)
        if one != other and all(one[place] == other[place] for place in places)
    ]
    return [fields[place] for place in places], pairs
