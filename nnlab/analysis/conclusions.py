"""What follows from a sweep's numbers, in sentences: each by a rule, and with its figures."""

from collections.abc import Iterator, Sequence

import numpy as np
import pandas as pd

from nnlab.analysis.configurations import endings, without_late
from nnlab.analysis.formatting import interval, number, short, written
from nnlab.analysis.groups import RunGroup, Value, levels, numeric
from nnlab.analysis.paired_statistics import PairedDifference
from nnlab.analysis.ranking import LAST, METRIC, lower_is_better, tally
from nnlab.analysis.statistics import summarise

UNLEARNED = ("stalled", "dead", "diverged")  # outcomes of runs that came to their end
PARTED = 0.02  # between the last accuracy and the mean of the late ones: worth a sentence
NAMED = 3  # configurations, or values, that a sentence lists before it counts them or gives ranges
METRIC_NAMES = {
    "late_val_accuracy": "late validation accuracy",
    "final_val_accuracy": "final validation accuracy",
    "test/accuracy": "test accuracy",
}


def conclusions(
    groups: Sequence[RunGroup], runs: pd.DataFrame, *, planned: int, target: float | None
) -> list[str]:
    """Say what a sweep has found.

    Parameters
    ----------
    groups : sequence of RunGroup
        The configurations, best first.
    runs : DataFrame
        All runs, a row for each configuration and seed.
    planned : int
        How many runs the sweep was to have.
    target : float or None
        The validation accuracy that counts as learned; None if the runs differ in it.
    """
    sentences = list(_completeness(runs, planned))
    if np.isnan(groups[0].summary.mean):
        name = metric_name(groups[0].metric)
        return [*sentences, f"No run has a {name}: there is nothing to judge."]
    sentences.append(_best(groups))
    if len(groups) > 1:
        sentences.append(_rivals(groups))
    sentences += _outcomes(groups, runs, target)
    sentences += late_notes(runs, groups[0].metric)
    sentences += _test_error(groups)
    return sentences


def metric_name(metric: str) -> str:
    """Return a metric's name as it is said in a sentence."""
    return METRIC_NAMES.get(metric, metric.replace("_", " ").replace("/", " "))


def _completeness(runs: pd.DataFrame, planned: int) -> Iterator[str]:
    done = int(runs["outcome"].notna().sum())
    if done < planned:
        yield (
            f"**Not complete:** {done} of {planned} runs have come to their end; all that follows "
            "holds for these."
        )


def _best(groups: Sequence[RunGroup]) -> str:
    best, summary = groups[0], groups[0].summary
    between = interval(summary.interval.low, summary.interval.high)
    note = (
        f" (95 % interval {between}, {summary.n} seeds)" if between else " (one seed: no interval)"
    )
    which = f"Best of {len(groups)} configurations: **{best.label}**, with" if best.label else "All"
    spread = f"; the seeds lie between {number(summary.worst)} and {number(summary.best)}"
    return (
        f"{which} a mean {metric_name(best.metric)} of {number(summary.mean)}{note}"
        f"{spread if summary.n > 1 else ''}."
    )


def _rivals(groups: Sequence[RunGroup]) -> str:
    """Say which configurations the seeds do not distinguish from the best one."""
    best, *others = groups
    compared = [(other, best.against(other)) for other in others]
    common = max(difference.n for _, difference in compared)
    if common < 2:  # noqa: PLR2004 - a spread takes two
        seeds = "one seed" if common else "no seed"
        return (
            f"With {seeds} in common, no difference between configurations can be told from "
            "chance: add `'seed=range(0,5)'`."
        )
    level = [(other, difference) for other, difference in compared if not difference.decided]
    if not level:
        return (
            f"It is better than each of the other {len(others)}, seed by seed: every paired "
            "difference has a 95 % interval that leaves 0 out."
        )
    listed = "; ".join(
        f"{other.label} ({lead(difference, best.metric)})" for other, difference in level[:NAMED]
    )
    more = f"; and {len(level) - NAMED} more" if len(level) > NAMED else ""
    return (
        f"Seed by seed, these seeds do not tell it from {len(level)} of the other {len(others)} "
        f"configurations: {listed}{more}. From the rest it differs by paired differences whose "
        "95 % intervals, each taken for itself, leave 0 out."
        if len(level) < len(others)
        else f"These seeds do not tell it from any other configuration: {listed}{more}."
    )


def lead(difference: PairedDifference, metric: str) -> str:
    """Write by how much the first of a pair is ahead; a lower loss is ahead, too."""
    if difference.n == 0:
        return "no seed in common"
    if difference.mean is None:
        return "no mean difference"
    low, high = difference.interval.low, difference.interval.high
    sign = -1 if lower_is_better(metric) else 1
    if sign * difference.mean < 0:
        sign, word = -sign, "behind"
    else:
        word = "ahead"
    if low is not None and high is not None:
        low, high = sorted((sign * low, sign * high))
    between = interval(low, high)
    seeds = f", {difference.n} seed{'s' * (difference.n != 1)} in common"
    return f"{word} by {number(sign * difference.mean)} {between}".strip() + seeds


def _outcomes(
    groups: Sequence[RunGroup], runs: pd.DataFrame, target: float | None
) -> Iterator[str]:
    goal = f", that is, reached a validation accuracy of {target:g}" if target is not None else ""
    ended = endings(runs)
    rest = ended[ended != "learned"]
    others = f"; {tally(rest)}" if len(rest) else ""
    yield f"{len(runs) - len(rest)} of {len(runs)} runs learned{goal}{others}."
    for field in groups[0].settings:
        values = levels(groups, field)
        at = {
            value: pd.concat([group.endings for group in groups if group.settings[field] == value])
            for value in values
        }
        never = [value for value in values if at[value].isin(UNLEARNED).all()]
        always = [value for value in values if (at[value] == "learned").all()]
        if 0 < len(never) < len(values):
            count = sum(len(at[value]) for value in never)
            yield (
                f"Nothing learned with {field_values(groups, field, never)} ({_runs(count)}), "
                "whatever the rest."
            )
        if 0 < len(always) < len(values):
            count = sum(len(at[value]) for value in always)
            yield f"Every run learned with {field_values(groups, field, always)} ({_runs(count)})."


def _runs(count: int) -> str:
    return f"{count} run{'s' * (count != 1)}"


def field_values(groups: Sequence[RunGroup], field: str, chosen: Sequence[Value]) -> str:
    """Write some of a field's values; neighbouring numbers as ranges if there are many."""
    known, name = levels(groups, field), short(field)
    if not numeric(groups, field) or len(chosen) <= NAMED:
        return f"{name} = {' or '.join(map(written, chosen))}"
    ranges: list[list[Value]] = []
    for value in chosen:
        place = known.index(value)
        if ranges and place and known[place - 1] == ranges[-1][-1]:
            ranges[-1].append(value)
        else:
            ranges.append([value])
    return f"{name} = {' or '.join(map(value_range, ranges))}"


def value_range(values: Sequence[Value]) -> str:
    """Write the first and the last of some values: ``0.05 … 0.5``."""
    first, last = written(values[0]), written(values[-1])
    return first if len(values) == 1 else f"{first} … {last}"


def _test_error(groups: Sequence[RunGroup]) -> Iterator[str]:
    best = groups[0]
    if "test/accuracy" not in best.runs or best.metric == "test/accuracy":
        return
    errors = 1 - best.runs["test/accuracy"].dropna().to_numpy(np.float64)
    if not errors.size:
        return
    summary = summarise(errors, lower_is_better=True)
    between = ""
    if summary.interval.low is not None and summary.interval.high is not None and summary.n > 1:
        low, high = summary.interval.low, summary.interval.high
        between = f", 95 % interval [{low:.2%}, {high:.2%}]"
    yield (
        f"On the test images, by which no choice was made, this configuration errs in "
        f"{summary.mean:.2%} ({summary.n} seed{'s' * (summary.n != 1)}{between})."
    )


def late_notes(runs: pd.DataFrame, metric: str) -> Iterator[str]:
    """Say where the last accuracy parts from the mean over the last tenth of the epochs."""
    if metric not in (METRIC, LAST):
        return
    without = len(without_late(runs))
    if without:
        yield (
            f"{without} of {len(runs)} runs, of an older version, have no history and so no "
            f"{METRIC}: all are compared by their last value."
        )
    if METRIC not in runs or LAST not in runs:
        return
    apart = (runs[LAST] - runs[METRIC]).abs()
    parted = int((apart > PARTED).sum())
    if parted:
        (name, last, late), *_ = runs.loc[[apart.idxmax()], ["name", LAST, METRIC]].itertuples(
            index=False, name=None
        )
        yield (
            f"In {parted} of {len(runs)} runs the last validation accuracy is more than {PARTED:g} "
            f"from the mean over the last tenth of the epochs, most of all in {name} "
            f"({number(last)}, and {number(late)} in the mean): there it still moves, and a last "
            "value is a matter of when training was stopped."
        )
