"""What follows from a sweep's numbers, in sentences: each by a rule, and with its figures."""

from collections.abc import Iterable, Iterator, Sequence

import numpy as np
import pandas as pd

from nnlab.analysis.best_configuration import about_the_best
from nnlab.analysis.configurations import endings, without_late
from nnlab.analysis.formatting import metric_name, number, short, written
from nnlab.analysis.groups import RunGroup, Value, levels, numeric
from nnlab.analysis.ranking import LAST, METRIC, tally
from nnlab.analysis.seed_variance import seed_sentences
from nnlab.wording import agreeing, counted

UNLEARNED = ("stalled", "dead", "diverged")  # outcomes of runs that came to their end
PARTED = 0.02  # between the last accuracy and the mean of the late ones: worth a sentence
NAMED = 3  # configurations, or values, that a sentence lists before it counts them or gives ranges


def conclusions(
    groups: Sequence[RunGroup],
    runs: pd.DataFrame,
    *,
    planned: int,
    target: float | None,
    confirmation: Iterable[str] = (),
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
    confirmation : iterable of str
        What new seeds say, see ``confirmation_text.about_confirmation``.
    """
    sentences = list(_completeness(runs, planned))
    if np.isnan(groups[0].summary.mean):
        name = metric_name(groups[0].metric)
        return [*sentences, f"No run has a {name}: there is nothing to judge."]
    sentences += about_the_best(groups)
    sentences += confirmation
    sentences += _outcomes(groups, runs, target)
    sentences += late_notes(runs, groups[0].metric)
    if any(group.summary.n > 1 for group in groups):
        sentences += seed_sentences(runs, list(groups[0].settings), groups[0].metric)
    return sentences


def _completeness(runs: pd.DataFrame, planned: int) -> Iterator[str]:
    done = int(runs["outcome"].notna().sum())
    if done < planned:
        have_come = agreeing(done, "has come to its", "have come to their")
        yield (
            f"**Not complete:** {done} of {counted(planned, 'run')} {have_come} end; all that "
            f"follows holds for {agreeing(done, 'it', 'these')}."
        )


def _outcomes(
    groups: Sequence[RunGroup], runs: pd.DataFrame, target: float | None
) -> Iterator[str]:
    goal = f", that is, reached a validation accuracy of {target:g}" if target is not None else ""
    ended = endings(runs)
    rest = ended[ended != "learned"]
    others = f"; {tally(rest)}" if len(rest) else ""
    yield f"{len(runs) - len(rest)} of {counted(len(runs), 'run')} learned{goal}{others}."
    for field in groups[0].settings:
        values = levels(groups, field)
        at = {
            value: pd.concat([group.endings for group in groups if group.settings[field] == value])
            for value in values
        }
        never = [value for value in values if at[value].isin(UNLEARNED).all()]
        always = [value for value in values if (at[value] == "learned").all()]
        if 0 < len(never) < len(values):
            count = counted(sum(len(at[value]) for value in never), "run")
            yield (
                f"Nothing learned with {field_values(groups, field, never)} ({count}), "
                "whatever the rest."
            )
        if 0 < len(always) < len(values):
            count = counted(sum(len(at[value]) for value in always), "run")
            yield f"Every run learned with {field_values(groups, field, always)} ({count})."


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


def late_notes(runs: pd.DataFrame, metric: str) -> Iterator[str]:
    """Say where the last accuracy parts from the mean over the last tenth of the epochs."""
    if metric not in (METRIC, LAST):
        return
    without = len(without_late(runs))
    if without:
        yield (
            f"{without} of {counted(len(runs), 'run')}, of an older version, "
            f"{agreeing(without, 'has', 'have')} no history and so no {METRIC}: all are "
            "compared by their last value."
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
            f"In {parted} of {counted(len(runs), 'run')} the last validation accuracy is more than "
            f"{PARTED:g} from the mean over the last tenth of the epochs, most of all in {name} "
            f"({number(last)}, and {number(late)} in the mean): there it still moves, and a last "
            "value is a matter of when training was stopped."
        )
