"""Whether a comparison was suggested by the runs that it rests on: it is one of many, then.

Whoever compares the best configurations of a sweep has chosen them by its runs, and so has whoever
compares the most different ones. As long as there are few other seeds, such a comparison is decided
as one of all pairs of the sweep; else by the other seeds alone.
"""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import replace
from math import comb

from nnlab.analysis.configurations import one_run_per_seed, varying_fields
from nnlab.analysis.groups import RunGroup
from nnlab.analysis.matching import Key
from nnlab.errors import NnlabError
from nnlab.tracking.frames import read_runs

FEWEST = 3  # configurations of a sweep: two of two were not chosen


def suggesting_sweeps(
    matched: Sequence[tuple[Key, Key]], groups: Mapping[Key, RunGroup], uri: str | None
) -> dict[str, int]:
    """Return the sweeps from which the compared configurations may have been chosen.

    Nothing was chosen where all configurations of a sweep are compared, with one other each.

    Parameters
    ----------
    matched : sequence of tuple
        The pairs that are compared.
    groups : mapping
        The configurations.
    uri : str or None
        The store.

    Returns
    -------
    dict
        Sweep -> the number of its configurations.
    """
    chosen = min(len({pair[place] for pair in matched}) for place in (0, 1)) == 1
    compared = Counter(
        sweep for group in groups.values() for sweep in set(group.runs["sweep"].dropna())
    )
    sizes = {sweep: _size(sweep, uri) for sweep in compared}
    return {
        sweep: size
        for sweep, size in sizes.items()
        if size >= FEWEST and (chosen or size > compared[sweep])
    }


def _size(sweep: str, uri: str | None) -> int:
    """Return how many configurations a sweep has; 0 if it was deleted."""
    try:
        runs = read_runs(uri, [sweep])
    except NnlabError:
        return 0
    fields = varying_fields(runs)
    once = one_run_per_seed(runs, fields)
    return len(once[fields].astype(str).drop_duplicates()) if fields else 1


def without(group: RunGroup, sweeps: Mapping[str, int]) -> RunGroup:
    """Return a group without the runs of some sweeps."""
    return replace(group, runs=group.runs[~group.runs["sweep"].isin(list(sweeps))])


def possible_pairs(sweeps: Mapping[str, int]) -> int:
    """Return the number of pairs of the largest of some sweeps; 1 of none."""
    return max((comb(size, 2) for size in sweeps.values()), default=1)
