"""What can be said of a sweep's best configuration, in sentences."""

from collections.abc import Iterator, Sequence

import pandas as pd

from nnlab.analysis.confirmation import Confirmation, confirmation_sentence
from nnlab.analysis.formatting import interval, metric_name, number
from nnlab.analysis.groups import RunGroup, against_best, level_with_best, shown_worse
from nnlab.analysis.image_sampling import TEST_ACCURACY
from nnlab.analysis.looks import look_level
from nnlab.analysis.paired_statistics import MIN_SEEDS, PairedDifference
from nnlab.analysis.ranking import lower_is_better, tally
from nnlab.wording import counted

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
    yield from _missing(groups)
    compared = against_best(groups)
    yield _rivals(groups[0], compared)
    yield from _better_on_common_seeds(groups[0], compared)
    yield from _other_measures(groups[0], compared)


def _best(groups: Sequence[RunGroup]) -> str:
    best, summary = groups[0], groups[0].summary
    between = interval(summary.interval.low, summary.interval.high)
    spread = f"; the seeds lie between {number(summary.worst)} and {number(summary.best)}"
    if summary.n == 1:
        note, spread = " (one seed: no interval)", ""
    elif summary.worst == summary.best:
        note, spread = f" ({summary.n} seeds, all equal: no interval)", ""
    elif summary.n < MIN_SEEDS or not between:
        note = f" ({summary.n} seeds: no interval)"
    else:
        note = f" (95 % interval {between}, {summary.n} seeds)"
    mean = f"a mean {metric_name(best.metric)} of {number(summary.mean)}{note}{spread}"
    level = level_with_best(groups)
    if not best.label:
        return f"There is one configuration, with {mean}.{_learned(best)}"
    if level and len(level) == len(groups) - 1:
        return f"None of {len(groups)} configurations is the best: each has {mean}."
    if level:
        more = f" and {len(level) - NAMED} more" if len(level) > NAMED else ""
        spread = f". So has {', '.join(other.label for other in level[:NAMED])}{more}"
        mean += spread
    return f"Best of {len(groups)} configurations: **{best.label}**, with {mean}.{_learned(best)}"


def _learned(group: RunGroup) -> str:
    """Say how many runs learned: where a few do not, a mean says little, and its interval less."""
    share = group.learned
    if not share.ended:
        return ""
    low, high = share.interval
    mean = f", with a mean of {number(share.mean)}" if share.mixed else ""
    return (
        f" {share.learned} of its {counted(share.ended, 'run')} learned{mean}; by these, the share "
        f"that learns lies between {low:.0%} and {high:.0%} (95 % interval, Wilson)."
    )


def _missing(groups: Sequence[RunGroup]) -> Iterator[str]:
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


def _rivals(best: RunGroup, compared: Sequence[tuple[RunGroup, PairedDifference]]) -> str:
    """Say which configurations the seeds do not distinguish from the best one."""
    common = max(difference.n for _, difference in compared)
    if common < MIN_SEEDS:
        return (
            f"With {NUMBERS[common]} seed{'s' * (common > 1)} in common, no difference between "
            f"configurations can be told from chance: it takes {MIN_SEEDS}. "
            f"{next_step([best, *(other for other, _ in compared)])}"
        )
    level = [(other, difference) for other, difference in compared if not shown_worse(difference)]
    pairs = len(compared) * (len(compared) + 1) // 2
    if not level and len(compared) == 1:
        ((other, difference),) = compared
        return (
            f"It is better than {other.label}, seed by seed, by a test that errs in 5 of 100 "
            f"sweeps: {lead(difference, best.metric)}.{_between_the_levels(difference)}"
        )
    holm = f"by tests that together err in 5 of 100 sweeps (Holm, all {pairs} pairs)"
    if not level:
        return f"It is better than each of the other {len(compared)}, seed by seed, {holm}."
    listed = "; ".join(
        f"{other.label} ({lead(difference, best.metric)})" for other, difference in level[:NAMED]
    )
    more = f"; and {len(level) - NAMED} more" if len(level) > NAMED else ""
    more += "." + _decided_alone(level, pairs)
    if len(level) == len(compared):
        return f"These seeds do not tell it from any other configuration: {listed}{more}"
    return (
        f"Seed by seed, these seeds do not tell it from {len(level)} of the other {len(compared)} "
        f"configurations: {listed}{more} So {len(level) + 1} may be the best. The rest are worse, "
        f"{holm}."
    )


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
        f" The p-value is {difference.p_value:.3f}: enough for one look at the seeds that were "
        f"planned. `nnlab compare` of the two allows for more looks, begins at {look_level(1):g}, "
        "and leaves it open."
    )


def _decided_alone(open_: Sequence[tuple[RunGroup, PairedDifference]], pairs: int) -> str:
    """Say of how many pairs that are open here each would be decided if it were the only one."""
    alone = sum(
        difference.testable and difference.a_is_better and difference.p_value <= look_level(1)
        for _, difference in open_
    )
    if pairs == 1 or not alone:
        return ""
    would = "it would" if len(open_) == 1 else f"{alone} of these would"
    return (
        f" As the only pair, named before the runs, {would} be told apart by `nnlab compare`; as "
        f"one of {pairs}, not."
    )


def _better_on_common_seeds(
    best: RunGroup, compared: Sequence[tuple[RunGroup, PairedDifference]]
) -> Iterator[str]:
    """Say where the first place rests on seeds that another configuration does not have."""
    for other, difference in compared:
        if difference.decided and not difference.a_is_better:
            by = lead(other.against(best), best.metric).removeprefix("ahead by ").split(",")
            yield (
                f"On the {difference.n} seeds that both have, {other.label} is better than "
                f"{best.label} by {','.join(by[:-1])}: the first place rests on seeds that "
                f"{other.label} does not have."
            )


def _other_measures(
    best: RunGroup, compared: Sequence[tuple[RunGroup, PairedDifference]]
) -> Iterator[str]:
    """Say where a configuration leads by more than the mean: a mean may rest on one seed."""
    sign = 1 if lower_is_better(best.metric) else -1
    leads: list[tuple[int, str]] = []
    for other, difference in compared:
        if shown_worse(difference) or not difference.n:
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
            leads.append((-len(ahead), f"{other.label} is ahead {_listed(ahead)}; {worst}"))
    if leads:
        yield f"The mean is not all: {min(leads, key=lambda entry: entry[0])[1]}."


def _listed(parts: Sequence[str]) -> str:
    return " and ".join((", ".join(parts[:-1]), parts[-1])) if len(parts) > 1 else parts[0]


def lead(difference: PairedDifference, metric: str) -> str:
    """Write by how much the first of a pair is ahead; a lower loss is ahead, too."""
    if difference.n == 0:
        return "no seed in common"
    if difference.mean is None:
        return "no mean difference"
    if not difference.differences.any():
        return f"equal in {counted(difference.n, 'common seed')}"
    low, high = difference.interval.low, difference.interval.high
    sign = -1 if lower_is_better(metric) else 1
    if sign * difference.mean < 0:
        sign, word = -sign, "behind"
    else:
        word = "ahead"
    if low is not None and high is not None:
        low, high = sorted((sign * low, sign * high))
    between = interval(low, high)
    seeds = f", {counted(difference.n, 'seed')} in common"
    return f"{word} by {number(sign * difference.mean)} {between}".strip() + seeds


def about_confirmation(
    groups: Sequence[RunGroup], confirmation: Confirmation | None, sweep: str
) -> Iterator[str]:
    """Say what new seeds make of the best configuration, and what it is worth on the test images.

    Parameters
    ----------
    groups : sequence of RunGroup
        The sweep's configurations, best first; the first one has results.
    confirmation : Confirmation or None
    sweep : str
        The sweep's id.
    """
    confirmed = confirmation.of(groups[0]) if confirmation else None
    if len(level_with_best(groups)) < len(groups) - 1 or confirmed:
        yield confirmation_sentence(groups, confirmation, sweep)
    elif len(groups) == 1:
        yield from test_error(groups[0], "the sweep has no other configuration to choose from")
    if not confirmation or confirmed is None:
        return
    first = confirmation.groups[0]
    if first.settings != groups[0].settings:
        yield (
            f"On the new seeds {first.label} has the best mean of the "
            f"{len(confirmation.groups)} candidates, {number(first.summary.mean)}; it is the best "
            "of several again."
        )
    if len(confirmation.groups) > 1:
        compared = against_best(confirmation.groups)
        verdict = _rivals(first, compared)
        yield f"On the new seeds, {verdict[0].lower()}{verdict[1:]}"
    yield from test_error(
        confirmed,
        f"the sweep chose it by {metric_name(confirmed.metric)}, and neither by these images nor "
        "by these runs",
    )


def test_error(group: RunGroup, how_chosen: str) -> Iterator[str]:
    """Say how a configuration does on the test images, by runs that did not select it."""
    if (
        group.metric == TEST_ACCURACY
        or not group.runs.get(TEST_ACCURACY, pd.Series()).notna().any()
    ):
        return
    tested = RunGroup(group.settings, group.runs, TEST_ACCURACY)
    summary = tested.summary
    between = ""
    low, high = summary.interval.low, summary.interval.high
    if low is not None and high is not None and summary.n >= MIN_SEEDS:
        between = f", 95 % interval for other seeds and images [{1 - high:.2%}, {1 - low:.2%}]"
    yield (
        f"On the test images {group.label or 'it'} errs in {1 - summary.mean:.2%} "
        f"({counted(summary.n, 'seed')}{between}): {how_chosen}."
    )
