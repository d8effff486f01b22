"""Whether a comparison rests on runs that selected one of its sides as the best of a sweep."""

from collections.abc import Iterator, Sequence
from dataclasses import replace

from nnlab.analysis.configurations import one_run_per_seed, varying_fields
from nnlab.analysis.formatting import interval, number
from nnlab.analysis.groups import RunGroup, grouped
from nnlab.errors import NnlabError
from nnlab.tracking.frames import read_runs
from nnlab.wording import counted

FEWEST = 3  # configurations of a sweep: the better one of two was selected from nothing


def selection_notes(sides: Sequence[tuple[RunGroup, RunGroup]], uri: str | None) -> Iterator[str]:
    """Say which sides are the best of a sweep by runs that are compared, and what others say.

    Parameters
    ----------
    sides : sequence of tuple
        The pairs that are compared.
    uri : str or None
        The store.
    """
    sweeps = {
        sweep: None
        for pair in sides
        for group in pair
        for sweep in group.runs["sweep"]
        if isinstance(sweep, str)
    }
    for sweep in sweeps:
        best = _best_of(sweep, sides[0][0].metric, uri)
        if best is None:
            continue
        selecting = set(best[0].runs["run_id"])
        for pair in sides:
            for place, group in enumerate(pair):
                if selecting & set(group.runs["run_id"]):
                    yield _note(pair, place, best, sweep)


def _best_of(sweep: str, metric: str, uri: str | None) -> tuple[RunGroup, int] | None:
    """Return the best configuration of a sweep, and of how many; None if of one or two."""
    try:
        runs = read_runs(uri, [sweep])
    except NnlabError:  # deleted
        return None
    fields = varying_fields(runs)
    groups = grouped(one_run_per_seed(runs, fields), fields, metric)
    if len(groups) < FEWEST or not groups[0].summary.n:
        return None
    return groups[0], len(groups)


def _note(
    pair: tuple[RunGroup, RunGroup], place: int, best: tuple[RunGroup, int], sweep: str
) -> str:
    side, name = pair[place], "AB"[place]
    chosen = side.runs["run_id"].isin(best[0].runs["run_id"])
    new = replace(side, runs=side.runs[~chosen])
    text = (
        f"{name} is the best of the {best[1]} configurations of sweep {sweep[:8]} by runs that are "
        "compared here, which favours it"
    )
    sides = (new, pair[1]) if place == 0 else (pair[0], new)
    difference = sides[0].against(sides[1])
    if not difference.n or difference.mean is None:
        return (
            f"{text}: `nnlab report {sweep[:8]}` judges all its pairs together, and `nnlab confirm "
            f"{sweep[:8]}` trains new seeds."
        )
    between = interval(difference.interval.low, difference.interval.high, "+")
    return (
        f"{text}; by the other {counted(difference.n, 'common seed')} alone, A - B is "
        f"{number(difference.mean, '+')} {between}".rstrip()
        + "."
    )
