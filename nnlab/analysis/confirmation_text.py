"""What new seeds make of a sweep's best configuration, in sentences."""

from collections.abc import Iterator, Sequence

import pandas as pd

from nnlab.analysis.best_configuration import learned_text, order_note, rivals
from nnlab.analysis.best_set import level_with_best, may_be_best
from nnlab.analysis.confirmation import Confirmation
from nnlab.analysis.formatting import metric_name, number
from nnlab.analysis.groups import RunGroup
from nnlab.analysis.image_sampling import TEST_ACCURACY
from nnlab.analysis.ranking import tally
from nnlab.wording import agreeing, counted


def optimistic(groups: Sequence[RunGroup]) -> str:
    """Say that the best of several is too good by the runs that selected it."""
    return f"The best mean is optimistic: of {len(groups)} it was selected by these very runs"


def confirmation_sentence(
    groups: Sequence[RunGroup], confirmation: Confirmation | None, sweep: str
) -> str:
    """Say what the best configuration comes to on new seeds, or how to find out.

    Parameters
    ----------
    groups : sequence of RunGroup
        The sweep's configurations, best first.
    confirmation : Confirmation or None
    sweep : str
        Its id.
    """
    best = groups[0]
    new = confirmation.runs_of(best) if confirmation else None
    if not confirmation or new is None:
        return (
            f"{optimistic(groups)}. `nnlab confirm {sweep[:8]}` trains the candidates for the best "
            "again, on new seeds."
        )
    without = new.results.isna().to_numpy()
    runs, missing = counted(len(without), "new run"), tally(new.endings[without])
    source = f"sweep `{confirmation.sweeps[0][:8]}`"
    if without.all():
        return (
            f"{optimistic(groups)}, and it is not confirmed: of {runs} of {best.label} "
            f"({source}) none has a result ({missing})."
        )
    text = (
        f"On {counted(new.summary.n, 'new seed')}, which did not select it ({source}), "
        f"{best.label} has a mean of {new.mean_text}, after {number(best.summary.mean)} in the "
        "sweep that selected it."
    )
    if without.any():
        lack = agreeing(int(without.sum()), "has no result", "have no result")
        text += f" {without.sum()} of {runs} {lack} ({missing})."
    if new.learned.mixed:
        text += learned_text(new)
    if all(group is not new for group in may_be_best(confirmation.groups)):
        text += " Seed by seed, they show that it is not the best."
    return text


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
    confirmed = confirmation.runs_of(groups[0]) if confirmation else None
    if len(level_with_best(groups)) < len(groups) - 1 or confirmed:
        yield confirmation_sentence(groups, confirmation, sweep)
    elif len(groups) == 1:
        yield from test_error(groups[0], "the sweep has no other configuration to choose from")
    if not confirmation or confirmed is None or not confirmed.summary.n:
        return
    first, notes = confirmation.groups[0], list(order_note(confirmation.groups))
    if first.settings != groups[0].settings:
        place = "comes first" if notes else "has the best mean"
        yield (
            f"On the new seeds {first.label} {place} of the "
            f"{len(confirmation.groups)} candidates, {number(first.summary.mean)}; it is the best "
            "of several again."
        )
    if len(confirmation.groups) > 1:
        for verdict in (*notes, *rivals(confirmation.groups)):
            yield f"On the new seeds: {verdict[0].lower()}{verdict[1:]}"
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
    if low is not None and high is not None:
        between = f", 95 % interval for other seeds and images [{1 - high:.2%}, {1 - low:.2%}]"
    yield (
        f"On the test images {group.label or 'it'} errs in {1 - summary.mean:.2%} "
        f"({counted(summary.n, 'seed')}{between}): {how_chosen}."
    )
