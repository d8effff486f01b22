"""Why a sweep came out as it did, in sentences: each by a rule from the numbers."""

from collections.abc import Iterator, Sequence

import numpy as np
import pandas as pd
from scipy import stats

from nnlab.analysis.configurations import lower_is_better, value_key
from nnlab.analysis.groups import Group, Value, short, written
from nnlab.analysis.verdicts import figure, interval, metric_name
from nnlab.runs.study import Reference

MOSTLY = 0.5  # of the units, or of the seeds
TREND = 0.05  # p-value below which a rank correlation is called a trend
FIVE = 5  # values that a rank correlation needs to be told from chance
HALF = 0.005  # references are given to two digits


def explained(effects: pd.DataFrame, metric: str) -> str:
    """Say which hyper-parameter matters; ``effects`` as of ``comparison.importance``."""
    parts = []
    for cause, share in zip(effects["cause"], effects["eta_squared"], strict=True):
        names = " × ".join(short(each) for each in str(cause).split(" × "))
        parts.append(f"{'the seed' if names == 'seed' else names} {share:.1%}")
    return (
        f"Of the variation of {metric_name(metric)} over this grid, "
        f"{', '.join(parts[:-1])} and {parts[-1]} are accounted for."
        if len(parts) > 1
        else f"All variation of {metric_name(metric)} is accounted for by {parts[0]}."
    )


def moved(found: Sequence[tuple[Value, float | None]], field: str, across: str) -> str | None:
    """Say how the best value across moves with another field.

    Parameters
    ----------
    found : the other field's values in order, and the best value across at each, where one is
    """
    best_at = [(value, best) for value, best in found if best is not None]
    if len(best_at) < 2:  # noqa: PLR2004 - nothing to move with
        return None
    where = [f"{written(value)}: {best:g}" for value, best in best_at]
    low, high = min(best for _, best in best_at), max(best for _, best in best_at)
    if low == high:
        return f"The best {short(across)} is {low:g} at every {short(field)}."
    text = f"The best {short(across)} lies between {low:g} and {high:g} ({', '.join(where)})"
    numbers = [(float(value), best) for value, best in best_at if isinstance(value, int | float)]
    if len(numbers) < max(FIVE, len(best_at)):
        return text + "."
    rho, p = stats.spearmanr(*zip(*numbers, strict=True))
    trend = "rises" if rho > 0 else "falls"
    judged = f"it {trend} with {short(field)}" if p < TREND else "no one-way trend is shown"
    return f"{text}: {judged} (Spearman's ρ = {rho:+.2f}, p = {p:.2g})."


def dead_on_arrival(dead: Sequence[tuple[str, float, float]]) -> Iterator[str]:
    """Say which initial weights kill the hidden units before training begins, and why.

    Parameters
    ----------
    dead : name, share of units that are dead before the first step, mean of W1
    """
    killed = [each for each in dead if each[1] > MOSTLY]
    for name, share, mean in killed:
        why = (
            f"its mean weight is {mean:+.2f}, and pixels are never negative, so that their sum, "
            "weighted so, is below 0 on nearly every image"
            if mean < 0
            else f"its mean weight is {mean:+.2g}"
        )
        yield (
            f"{name} is dead on arrival: {share:.0%} of its hidden units are silent on every "
            f"training image before the first step: {why}. What is left are the output biases."
        )
    alive = [each for each in dead if each[1] <= MOSTLY]
    if killed and alive:
        worst = max(share for _, share, _ in alive)
        told = f"at most {worst:.1%} of their units" if worst else "no unit"
        yield f"All others begin with {told} dead."


def held_against(
    groups: Sequence[Group], reference: Reference
) -> tuple[list[tuple[str, float, float, float, float, float]], str]:
    """Hold results against what somebody else found.

    Returns
    -------
    rows : configuration, reference, mean, lowest and highest seed, mean − reference
    sentence
    """
    rows = []
    for words, value in reference.figures.items():
        for group in groups:
            if _is(group, words):
                found = group.summary
                ends = min(found.worst, found.best), max(found.worst, found.best)
                rows.append((" ".join(words), value, found.mean, *ends, found.mean - value))
    if not rows:
        return [], ""
    within = sum(low - HALF <= value <= high + HALF for _, value, _, low, high, _ in rows)
    name, value, mean, *_, largest = max(rows, key=lambda row: abs(row[-1]))
    if len(rows) == 1:
        better = (mean < value) == lower_is_better(reference.metric)
        word = "better than" if better else "not better than"
        bounds = next(group for group in groups if _is(group, name.split())).summary.interval
        between = interval(bounds.low, bounds.high)
        return rows, (
            f"{name}: a mean {metric_name(reference.metric)} of {figure(mean)} {between}, {word} "
            f"the reference's {figure(value)} ({reference.source})."
        )
    return rows, (
        f"Of {len(rows)} reference figures ({reference.source}), {within} lie within the range of "
        f"our seeds; the mean deviation is {np.mean([abs(row[-1]) for row in rows]):.3f}, the "
        f"largest {largest:+.3f} ({name})."
    )


def _is(group: Group, words: Sequence[str]) -> bool:
    """Tell whether overrides such as ``init=he lr=0.5`` mean this configuration."""
    wanted = dict(word.split("=", 1) for word in words)
    own = {short(field): written(value) for field, value in group.settings.items()}
    return all(own.get(field) == value for field, value in wanted.items())


def best_across(groups: Sequence[Group], across: str) -> float | None:
    """Return the value across at which the best of some groups stands; None where all are equal."""
    best = min(groups, key=lambda each: each.rank)
    value = best.settings[across]
    if len(groups) > 1 and all(each.rank == best.rank for each in groups):
        return None
    return float(value) if isinstance(value, int | float) else None


def learned_between(groups: Sequence[Group], across: str) -> str:
    """Say at which values across most seeds learn: ``0.05 … 0.5``; "nowhere" where none do."""
    chosen = sorted(
        (group.settings[across] for group in groups if group.share("learned") > MOSTLY),
        key=value_key,
    )
    if not chosen:
        return "nowhere"
    return (
        written(chosen[0]) if len(chosen) == 1 else f"{written(chosen[0])} … {written(chosen[-1])}"
    )
