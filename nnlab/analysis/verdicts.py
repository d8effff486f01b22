"""What follows from a sweep's numbers, in sentences: each by a rule, none without figures."""

from collections.abc import Iterator, Sequence

import numpy as np
import pandas as pd

from nnlab.analysis.configurations import counted, endings
from nnlab.analysis.groups import Group, Value, levels, numeric, short, written
from nnlab.analysis.statistics import PairedDifference, summarise

NAMED = 3  # configurations that a sentence lists before it counts them
UNIT = {"final_val_accuracy": "final validation accuracy", "test/accuracy": "test accuracy"}


def verdict(
    groups: Sequence[Group], runs: pd.DataFrame, *, planned: int, target: float | None
) -> list[str]:
    """Say what a sweep has found.

    Parameters
    ----------
    groups : configurations, the best first
    runs : all of them, one row a configuration and seed
    planned : how many runs the sweep was to have
    target : the validation accuracy that counts as learned, where all runs agree in it
    """
    lines = list(_completeness(runs, planned))
    if np.isnan(groups[0].summary.mean):
        return [*lines, f"No run has a {metric_name(groups[0].metric)}: there is nothing to judge."]
    lines.append(_best(groups))
    if len(groups) > 1:
        lines.append(_rivals(groups))
    lines += _outcomes(groups, runs, target)
    lines += _test(groups)
    return lines


def metric_name(metric: str) -> str:
    """Return a metric's name as it is said in a sentence."""
    return UNIT.get(metric, metric.replace("_", " ").replace("/", " "))


def figure(value: float) -> str:
    """Write a metric's value: to four decimals, or to four digits where it is large."""
    return f"{value:.4f}" if abs(value) < 10 else f"{value:.4g}"  # noqa: PLR2004 - epochs


def interval(low: float | None, high: float | None) -> str:
    """Write an interval, or nothing where there is none."""
    if low is None or high is None:
        return ""
    return f"[{figure(low)}, {figure(high)}]" if low != high else "all equal"


def _completeness(runs: pd.DataFrame, planned: int) -> Iterator[str]:
    done = int(runs["outcome"].notna().sum())
    if done < planned:
        yield (
            f"**Not complete:** {done} of {planned} runs have come to their end; all that follows "
            "holds for these."
        )


def _best(groups: Sequence[Group]) -> str:
    best = groups[0]
    found = best.summary
    between = interval(found.interval.low, found.interval.high)
    told = f" (95 % interval {between}, {found.n} seeds)" if between else " (one seed: no interval)"
    which = f"Best of {len(groups)} configurations: **{best.label}**, with" if best.label else "All"
    spread = f"; the seeds lie between {figure(found.worst)} and {figure(found.best)}"
    return (
        f"{which} a mean {metric_name(best.metric)} of {figure(found.mean)}{told}"
        f"{spread if found.n > 1 else ''}."
    )


def _rivals(groups: Sequence[Group]) -> str:
    best, *others = groups
    compared = [(other, best.against(other)) for other in others]
    if all(found.n < 2 for _, found in compared):  # noqa: PLR2004 - a spread takes two
        return (
            "With one seed in common, no difference between configurations can be told from "
            "chance: add `'seed=range(0,5)'`."
        )
    level = [(other, found) for other, found in compared if not found.decided]
    if not level:
        return (
            f"It is better than each of the other {len(others)}, seed by seed: every paired "
            "difference has a 95 % interval that leaves 0 out."
        )
    listed = "; ".join(f"{other.label} ({_by(found)})" for other, found in level[:NAMED])
    more = f"; and {len(level) - NAMED} more" if len(level) > NAMED else ""
    return (
        f"Seed by seed, these seeds do not tell it from {len(level)} of the other {len(others)} "
        f"configurations: {listed}{more}. From the rest it differs by paired differences whose "
        "95 % intervals, each taken for itself, leave 0 out."
        if len(level) < len(others)
        else f"These seeds do not tell it from any other configuration: {listed}{more}."
    )


def _by(found: PairedDifference) -> str:
    if found.mean is None:
        return "no mean difference"
    between = interval(found.interval.low, found.interval.high)
    return f"ahead by {figure(found.mean)} {between}".strip()


def _outcomes(groups: Sequence[Group], runs: pd.DataFrame, target: float | None) -> Iterator[str]:
    goal = f", that is, reached a validation accuracy of {target:g}" if target is not None else ""
    learned = int((endings(runs) == "learned").sum())
    rest = endings(runs)[endings(runs) != "learned"]
    others = f"; {counted(rest)}" if len(rest) else ""
    yield f"{learned} of {len(runs)} runs learned{goal}{others}."
    for field in groups[0].settings:
        always, never = [], []
        for value in levels(groups, field):
            members = [group for group in groups if group.settings[field] == value]
            if all(group.share("learned") == 1 for group in members):
                always.append(value)
            if all(group.share("learned") == 0 for group in members):
                never.append(value)
        known = levels(groups, field)
        if never and len(never) < len(known):
            yield f"Nothing learned with {_values(groups, field, never)}, whatever the rest."
        if always and len(always) < len(known):
            yield f"Every run learned with {_values(groups, field, always)}."


def _values(groups: Sequence[Group], field: str, chosen: Sequence[Value]) -> str:
    """Write some of a field's values: as ranges, where numbers stand beside each other."""
    known = levels(groups, field)
    name = short(field)
    if not numeric(groups, field) or len(chosen) <= NAMED:
        return f"{name} = {' or '.join(map(written, chosen))}"
    runs_: list[list[Value]] = []
    for value in chosen:
        place = known.index(value)
        if runs_ and place and known[place - 1] == runs_[-1][-1]:
            runs_[-1].append(value)
        else:
            runs_.append([value])
    return f"{name} = " + " or ".join(
        written(part[0]) if len(part) == 1 else f"{written(part[0])} … {written(part[-1])}"
        for part in runs_
    )


def _test(groups: Sequence[Group]) -> Iterator[str]:
    best = groups[0]
    if "test/accuracy" not in best.runs or best.metric == "test/accuracy":
        return
    errors = 1 - best.runs["test/accuracy"].dropna().to_numpy(np.float64)
    if not errors.size:
        return
    found = summarise(errors, lower_is_better=True)
    between = ""
    if found.interval.low is not None and found.interval.high is not None and found.n > 1:
        between = f", 95 % interval [{found.interval.low:.2%}, {found.interval.high:.2%}]"
    yield (
        f"On the test images, which no choice was made by, this configuration errs in "
        f"{found.mean:.2%} ({found.n} seed{'s' * (found.n != 1)}{between})."
    )
