"""Looks at a comparison: whoever adds seeds until a difference shows finds one by chance.

Each look spends half of the error that is left: the first one decides at a level of 2.5 %, the next
at 1.25 %, and so on. However many looks there are, and whatever makes one stop, all together err in
at most 5 of 100 cases (the union bound), and their intervals hold at once with 95 % confidence.
A look at seeds that were looked at before is no further look.
"""

import hashlib
from collections.abc import Collection, Sequence

import pandas as pd

from nnlab.analysis.configurations import varying_seeds
from nnlab.analysis.groups import RunGroup
from nnlab.analysis.mean_test import ALPHA
from nnlab.analysis.ranking import SEED
from nnlab.errors import TrackingError
from nnlab.jobs.tags import Tag
from nnlab.tracking.locations import tracking_uri
from nnlab.tracking.readers import open_reader
from nnlab.tracking.store import Store

DIGITS = 12  # of a digest in a tag's name
ENTRY_DIGITS = 6


def look_level(look: int) -> float:
    """Return the level at which a look decides; the first one is 1."""
    return ALPHA / 2.0**look


def count_look(
    uri: str | None,
    groups: tuple[RunGroup, RunGroup],
    deciding: tuple[RunGroup, RunGroup],
    params: Sequence[str],
) -> tuple[int, bool]:
    """Record a look at two configurations over their common seeds.

    The looks are a tag of the sweep of the oldest run (or of that run, if it is in none).

    Parameters
    ----------
    uri : str or None
    groups : tuple of RunGroup
        All runs of both.
    deciding : tuple of RunGroup
        Those of them that are looked at.
    params : sequence of str
        The columns that hold parameters.

    Returns
    -------
    look : int
        Its number, from 1 on.
    recorded : bool
        False where the store cannot be written.
    """
    address = tracking_uri(uri)
    one, _ = deciding[0].common_results(deciding[1])
    seeds = ",".join(map(str, sorted(one.index)))
    entry = f"{len(one)}:{_digest(seeds)[:ENTRY_DIGITS]}"
    name = f"{Tag.LOOKS}/{comparison_id(groups, params)}"
    head = _head(groups)
    (record,) = open_reader(address).read([head])
    looks = [look for look in record.tags.get(name, "").split(",") if look]
    if entry in looks:
        return looks.index(entry) + 1, True
    looks.append(entry)
    try:
        from nnlab.tracking.writer import Writer

        Writer(Store(address)).log(head, (), {name: ",".join(looks)})
    except TrackingError:
        return len(looks), False
    return len(looks), True


def comparison_id(groups: tuple[RunGroup, RunGroup], params: Sequence[str]) -> str:
    """Return the digest that names a comparison of two configurations by a metric."""
    seeds = {SEED, *varying_seeds(pd.concat([group.runs for group in groups]))}
    sides = sorted(_configuration(group, params, seeds) for group in groups)
    return _digest("|".join([*sides, groups[0].metric]))[:DIGITS]


def _configuration(group: RunGroup, params: Sequence[str], seeds: Collection[str]) -> str:
    run = group.runs.iloc[0]
    values = [
        f"{name}={run[name]}"
        for name in sorted(params)
        if name not in seeds and run[name] is not None
    ]
    digests = group.runs["data_digest"].unique()  # several where the seed of the split varies
    return " ".join([*values, *map(str, digests if len(digests) == 1 else ())])


def _head(groups: Sequence[RunGroup]) -> str:
    """Return the sweep of the oldest run, or the run itself."""
    columns = ["start_time", "run_id", "sweep"]
    runs = [run for group in groups for run in group.runs[columns].itertuples(index=False)]
    _, run_id, sweep = min(runs, key=lambda run: run[:2])
    return str(sweep) if isinstance(sweep, str) else str(run_id)


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()
