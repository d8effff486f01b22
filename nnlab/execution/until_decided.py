"""``nnlab compare A B --until``: further seeds in rounds, until a difference is decided."""

import math
from dataclasses import dataclass

from scipy import stats

from nnlab.analysis.formatting import difference_interval, difference_text
from nnlab.analysis.looks import comparison_id
from nnlab.analysis.mean_test import all_equal
from nnlab.analysis.paired import compare_pairs
from nnlab.analysis.pairs import Pair, Pairs
from nnlab.analysis.ranking import METRIC
from nnlab.analysis.statistics import MIN_SEEDS
from nnlab.errors import ComparisonError
from nnlab.execution.failures import raise_if_failed
from nnlab.execution.new_seeds import NewSeeds, unused_seed
from nnlab.execution.progress import print_note
from nnlab.execution.resume import resume
from nnlab.jobs.tags import Tag
from nnlab.tracking.frames import read_runs
from nnlab.tracking.store import Store, existing_store
from nnlab.wording import counted

HOPELESS = 0.05  # the chance of deciding within the budget, below which no more seeds are trained


@dataclass(frozen=True)
class Goal:
    """When to stop.

    Attributes
    ----------
    half_width : float
        The interval of the difference reaches as far to either side of its middle, at most.
    max_seeds : int
        In common, in all.
    """

    half_width: float
    max_seeds: int


def compare_until(
    a: str, b: str, uri: str | None, goal: Goal, metric: str | None = None
) -> tuple[tuple[str, str], str]:
    """Train further seeds of two configurations until their difference is decided or known.

    Each round is a look at the comparison, see ``looks``, and trains at most as many seeds as there
    are. Those that may have suggested it decide no further look, see ``selection``. A round that
    was interrupted is resumed.

    Parameters
    ----------
    a, b : str
        See ``frames.read_runs``; one configuration each.
    uri : str or None
    goal : Goal
    metric : str or None

    Returns
    -------
    sides : tuple of str
        The ids of the runs that ``a`` and ``b`` stand for now.
    sentence : str
        Why it ended.

    Raises
    ------
    NnlabError
        Where they cannot be compared, are several configurations, or a run failed.
    """
    store = existing_store(uri)
    sides = tuple(",".join(read_runs(store.uri, [side])["run_id"]) for side in (a, b))
    _resume(store, _compared(sides, store, metric))
    while True:
        pairs = _compared(sides, store, metric)
        (pair,) = pairs.pairs
        difference = pair.difference
        low, high = difference.interval.low, difference.interval.high
        between = difference_interval(low, high, "+") or "no interval yet"
        print_note(
            f"{counted(difference.n, 'common seed')}: A - B = "
            f"{difference_text(difference.mean, '+')} {between}"
            + (f", look {pair.look}" if pair.look else "")
        )
        if reason := _reason(pair, goal):
            return (sides[0], sides[1]), reason
        runs = pair.groups[0].runs
        first = max(pairs.unused_seed, unused_seed(store.uri, runs))
        seeds = range(first, first + _round(pair, goal))
        name = f"further seeds of {sides[0][:8]} and {sides[1][:8]}"
        tags = {Tag.FURTHER_SEEDS: comparison_id(pair.groups, pairs.params)}
        NewSeeds(store, pair.groups, seeds).train(name, tags, show=False)


def _compared(sides: tuple[str, ...], store: Store, metric: str | None) -> Pairs:
    pairs = compare_pairs(sides[0], sides[1], store.uri, metric or METRIC)
    if len(pairs.pairs) != 1:
        raise ComparisonError(
            f"--until trains further seeds of two configurations, and these are "
            f"{len(pairs.pairs)} pairs: name one run of each."
        )
    return pairs


def _resume(store: Store, pairs: Pairs) -> None:
    """Complete a round that was interrupted."""
    tag = comparison_id(pairs.pairs[0].groups, pairs.params)
    for record in store.search(f"tags.{Tag.FURTHER_SEEDS} = '{tag}'"):
        if record.is_sweep and record.status != "FINISHED":
            raise_if_failed(resume(record.run_id, store.uri))


def _reason(pair: Pair, goal: Goal) -> str | None:
    """Say why no further seeds are to be trained; None where they are."""
    difference = pair.difference
    low, high = difference.interval.low, difference.interval.high
    if difference.decided:
        better = "A" if difference.a_is_better else "B"
        return f"Decided: {better} is better, by {counted(difference.n, 'common seed')}."
    if not difference.finite:
        return "No seeds decide this: a value is infinite, and there is no mean difference."
    if low is not None and high is not None and (high - low) / 2 <= goal.half_width:
        return (
            f"As narrow as asked: A - B lies between {difference_text(low, '+')} and "
            f"{difference_text(high, '+')}, and neither is shown to be better."
        )
    left = goal.max_seeds - pair.common
    if left <= 0:
        return f"The budget of {counted(goal.max_seeds, 'common seed')} is spent: open."
    if difference.testable and pair.pairs == 1 and not all_equal(difference.differences):
        chance = pair.next_look.chance(left)
        if _seeds_for(pair, goal.half_width) > difference.n + left and chance < HOPELESS:
            return (
                f"It will hardly be decided, nor as narrow as asked, with {goal.max_seeds} common "
                f"seeds: the chance is {chance:.1%}. More: --max-seeds."
            )
    return None


def _round(pair: Pair, goal: Goal) -> int:
    """Return how many seeds to train next: as many as seem to be needed, half to all of those."""
    n, left = pair.difference.n, goal.max_seeds - pair.common
    if n < MIN_SEEDS or pair.pairs > 1:
        return min(MIN_SEEDS - (n if n < MIN_SEEDS else pair.others), left)
    needed = min(pair.further or n, max(1, _seeds_for(pair, goal.half_width) - n))
    return min(max(needed, math.ceil(n / 2)), n, left)


def _seeds_for(pair: Pair, half_width: float) -> int:
    """Return about how many seeds in all make the interval of the next look as narrow as asked."""
    spread = float(pair.difference.differences.std(ddof=1))
    z = float(stats.norm.ppf(1 - pair.next_look.level / 2))
    return math.ceil((z * spread / half_width) ** 2 + z**2 / 2)
