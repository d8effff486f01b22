"""What can be said of a sweep's best configuration, in sentences."""

from collections.abc import Iterator, Sequence

from nnlab.analysis.best_set import against_best, level_with_best, may_be_best
from nnlab.analysis.formatting import (
    difference_interval,
    difference_text,
    interval,
    metric_name,
    number,
)
from nnlab.analysis.groups import RunGroup
from nnlab.analysis.looks import look_level
from nnlab.analysis.mean_test import EQUAL
from nnlab.analysis.paired_statistics import PairedDifference
from nnlab.analysis.ranking import lower_is_better, tally
from nnlab.analysis.statistics import MIN_SEEDS
from nnlab.wording import counted, listed

NAMED = 3  # configurations that a sentence lists before it counts them
NUMBERS = ("no", "one", "two", "three", "four")


def about_the_best(groups: Sequence[RunGroup]) -> Iterator[str]:
    """Say which configuration is the best, how good it is, and how sure that is.

    Parameters
    ----------
    groups : sequence of RunGroup
        The configurations, best first; the first one has results.
    """
    yield _best(groups)
    if len(groups) == 1 or len(level_with_best(groups)) == len(groups) - 1:
        return
    yield from order_note(groups)
    yield from rivals(groups)
    yield from _other_measures(groups)


def _best(groups: Sequence[RunGroup]) -> str:
    best, summary = groups[0], groups[0].summary
    between = interval(summary.interval.low, summary.interval.high)
    lowest, highest = sorted((summary.worst, summary.best))
    spread = f"; the seeds lie between {number(lowest)} and {number(highest)}"
    if summary.n == 1:
        note, spread = " (one seed: no interval)", ""
    elif summary.worst == summary.best:
        note, spread = f" ({summary.n} seeds, all equal: no interval)", ""
    elif not between:
        note = f" ({summary.n} seeds: no interval)"
    else:
        note = f" (95 % interval {between}, {summary.n} seeds)"
    mean = f"a mean {metric_name(best.metric)} of {number(summary.mean)}{note}{spread}"
    level = level_with_best(groups)
    if not best.label:
        return f"There is one configuration, with {mean}.{learned_text(best)}"
    if level and len(level) == len(groups) - 1:
        return f"None of {len(groups)} configurations is the best: each has {mean}."
    if level:
        more = f" and {len(level) - NAMED} more" if len(level) > NAMED else ""
        spread = f". So has {', '.join(other.label for other in level[:NAMED])}{more}"
        mean += spread
    return (
        f"Best of {len(groups)} configurations: **{best.label}**, with {mean}.{learned_text(best)}"
    )


def learned_text(group: RunGroup) -> str:
    """Say how many runs learned: where a few do not, a mean says little, and its interval less."""
    share = group.learned
    if not share.ended:
        return ""
    low, high = share.interval
    mean = f", with a mean of {number(share.mean)}" if share.mixed else ""
    return (
        f" {share.learned} of its {counted(share.ended, 'run')} learned{mean} (share that learns: "
        f"{low:.0%} to {high:.0%}, Wilson's 95 % interval)."
    )


def order_note(groups: Sequence[RunGroup]) -> Iterator[str]:
    """Say where the order rests on runs that have no result."""
    without = [group for group in groups if group.results.isna().any()]
    if not without:
        return
    counts = tally(
        ending for group in without for ending in group.endings[group.results.isna().to_numpy()]
    )
    sentence = (
        f"The order rests on missing runs: {len(without)} of {len(groups)} configurations lack "
        f"results ({counts}), each of which counts as the worst result."
    )
    sign = 1 if lower_is_better(groups[0].metric) else -1
    known = [group for group in groups if group.summary.n]
    first = min(known, key=lambda group: sign * group.summary.mean)
    if sign * first.summary.mean < sign * groups[0].summary.mean:
        sentence += (
            f" By the known results alone {first.label} is ahead, with a mean of "
            f"{number(first.summary.mean)} over {first.summary.n} of "
            f"{counted(len(first.results), 'run')}."
        )
    yield sentence


def rivals(groups: Sequence[RunGroup]) -> Iterator[str]:
    """Say which of several configurations, best first, may be the best besides the first one."""
    best, *others = groups
    compared = list(zip(others, against_best(groups), strict=True))
    common = max(difference.n for _, difference in compared)
    if common < MIN_SEEDS:
        yield (
            f"With {NUMBERS[common]} seed{'s' * (common > 1)} in common, no difference between "
            f"configurations can be told from chance: it takes {MIN_SEEDS}. {next_step(groups)}"
        )
        return
    for other, difference in compared:
        if difference.decided and not difference.a_is_better:
            yield (
                f"On the {difference.n} seeds that both have, {best.label} is "
                f"{lead(difference, best.metric)}, and {other.label} is better: the first place "
                f"rests on seeds that {other.label} does not have."
            )
            return
    kept = {id(group) for group in may_be_best(groups)}
    open_ = [(other, difference) for other, difference in compared if id(other) in kept]
    judged = [(other, difference) for other, difference in open_ if difference.testable]
    if not open_ and len(others) == 1:
        ((other, difference),) = compared
        yield (
            f"It is better than {other.label}, seed by seed, by a test that errs in 5 of 100 "
            f"sweeps: {lead_and_interval(difference, best.metric)}."
            f"{_between_the_levels(difference)}"
        )
    elif not open_:
        yield (
            f"It is better than each of the other {len(others)}, seed by seed, by tests that "
            "together err in 5 of 100 sweeps."
        )
    elif len(others) == 1 and judged:
        yield (
            f"These seeds do not tell it from {others[0].label}: "
            f"{lead_and_interval(judged[0][1], best.metric)}."
        )
    elif judged:
        names = "; ".join(
            f"{other.label} ({lead(other.against(best), best.metric)})"
            for other, _ in judged[:NAMED]
        )
        more = f"; and {len(judged) - NAMED} more" if len(judged) > NAMED else ""
        yield (
            f"These seeds do not tell it from any other configuration: {names}{more}."
            if len(judged) == len(others)
            else f"{len(judged) + 1} of {len(groups)} may be the best; in 95 of 100 sweeps such a "
            f"set holds the truly best one. Besides it: {names}{more}."
        )
    if len(judged) < len(open_):
        left = [other for other, difference in open_ if not difference.testable]
        yield (
            f"{len(left)} of {len(groups)} cannot be judged, for lack of {MIN_SEEDS} finite "
            f"results in common with it: {_labels(left)}. {next_step(left)}"
        )


def _labels(groups: Sequence[RunGroup]) -> str:
    """Write the labels of the first of some groups, and count the others."""
    more = f" and {len(groups) - NAMED} more" if len(groups) > NAMED else ""
    return ", ".join(group.label for group in groups[:NAMED]) + more


def next_step(groups: Sequence[RunGroup]) -> str:
    """Say how configurations get the seeds in common that a verdict takes."""
    if any(group.endings.isin(("FAILED", "KILLED")).any() for group in groups):
        return "`nnlab resume` completes the runs that failed."
    if any((group.endings == "pruned").any() for group in groups):
        return "Pruned runs have no result: leave `prune` out."
    return "Add `'seed=range(0,5)' reuse=true`, which trains only what is missing."


def _between_the_levels(difference: PairedDifference) -> str:
    """Say where the first look of a sequence of looks would not decide what one look decides."""
    if difference.p_value <= look_level(1):
        return ""
    return (
        f" `nnlab compare`, which allows for further looks, decides up to p = {look_level(1):g}; "
        f"here it is {difference.p_value:.3f}."
    )


def _other_measures(groups: Sequence[RunGroup]) -> Iterator[str]:
    """Say where a configuration leads by more than the mean: a mean may rest on one seed."""
    best, *others = may_be_best(groups)
    sign = 1 if lower_is_better(best.metric) else -1
    leads: list[tuple[int, str]] = []
    for other in others:
        difference = best.against(other)
        if not difference.n:
            continue
        ahead = []
        wins = (1 - difference.a_beats_b) * difference.n
        if wins > difference.n / 2:
            ahead.append(f"in {wins:g} of {counted(difference.n, 'common seed')}")
        for name, attribute in (("median", "median"), ("interquartile mean", "iqm")):
            mine, others = getattr(best.summary, attribute), getattr(other.summary, attribute)
            if sign * others < sign * mine:
                ahead.append(f"in the {name} ({number(others)} against {number(mine)})")
        if ahead:
            worst = f"its worst seed has {number(other.summary.worst)}"
            leads.append((-len(ahead), f"{other.label} is ahead {listed(ahead)}; {worst}"))
    if leads:
        yield f"The mean is not all: {min(leads, key=lambda entry: entry[0])[1]}."


def lead(difference: PairedDifference, metric: str) -> str:
    """Write by how much the first of a pair is ahead; a lower loss is ahead, too."""
    if difference.n == 0:
        return "no seed in common"
    if difference.mean is None:
        return "no mean difference"
    if not difference.differences.any():
        return f"equal in {counted(difference.n, 'common seed')}"
    if abs(difference.mean) < EQUAL:
        return "equal in the mean"
    sign = -1 if lower_is_better(metric) else 1
    word = "behind" if sign * difference.mean < 0 else "ahead"
    return f"{word} by {difference_text(abs(difference.mean))}"


def lead_and_interval(difference: PairedDifference, metric: str) -> str:
    """Write ``lead`` with its interval and the number of seeds."""
    low, high = difference.interval.low, difference.interval.high
    if not difference.mean or low is None or high is None:
        return lead(difference, metric)
    if difference.mean < 0:
        low, high = -high, -low
    between = difference_interval(low, high)
    return f"{lead(difference, metric)} {between}, {counted(difference.n, 'seed')} in common"
