"""Comparing two configurations: the difference over common seeds, and how many more decide it."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import pandas as pd

from nnlab.analysis.compared import common_values
from nnlab.analysis.conditions import chosen_by_result_note, left_out_note, runs_where
from nnlab.analysis.configurations import metric_of, one_run_per_seed, varying_fields
from nnlab.analysis.formatting import brief
from nnlab.analysis.groups import RunGroup
from nnlab.analysis.looks import count_look, look_level
from nnlab.analysis.matching import Key, matching, with_all_seeds
from nnlab.analysis.paired_notes import notes_on, selection_notes
from nnlab.analysis.paired_statistics import as_family
from nnlab.analysis.pairs import Pair, Pairs
from nnlab.analysis.ranking import METRIC, SEED
from nnlab.analysis.seed_commands import seeds_command
from nnlab.analysis.seed_variance import left_out_of_intervals
from nnlab.analysis.selection import possible_pairs, suggesting_sweeps, without
from nnlab.analysis.statistics import MIN_SEEDS
from nnlab.errors import ComparisonError
from nnlab.tracking.frames import read_runs
from nnlab.wording import counted


def pair(
    a: str,
    b: str,
    uri: str | None = None,
    metric: str = METRIC,
    where: str | None = None,
) -> pd.DataFrame:
    """Compare two sides seed by seed: equal seeds draw equal random numbers.

    A side selects runs: a sweep, an experiment, one run, or several with commas. It stands for the
    *configurations* of those runs, with every seed that the store has of them: one run alone would
    prove nothing, and seeds that were added later belong to the comparison. If one side is a
    single configuration, it is compared with each one of the other side; otherwise, those
    configurations are compared that agree in everything that varies within a side.

    Below 5 common seeds nothing is decided. The store counts the looks at a comparison, and each
    one has a level of its own, see ``looks``; several rows are one family, see
    ``paired_statistics.as_family``.

    Parameters
    ----------
    a, b : str
        See ``frames.read_runs``.
    uri, metric, where
        As in ``comparison.compare``. Runs without a result are left out; a diverged run counts as
        accuracy 0 or as an infinite loss.

    Returns
    -------
    DataFrame
        A row for each pair of configurations: ``a`` and ``b``, in which they differ; the fields
        that vary between the rows; ``seeds`` in common; ``mean_a, mean_b`` over these;
        ``difference`` (A − B) with its interval ``low, high`` and the method that found it
        (``interval``): the intervals of all rows and all looks hold together with 95 %
        confidence; ``a_beats_b``, the share of these seeds that A wins, with ties counted half;
        ``decided``, whether the interval leaves 0 out; ``look``, its number; ``further``, about how
        many more seeds would decide it at the next look (see ``mean_test.further_seeds``; NaN if
        that is not known), and ``chance``, the probability that they do; ``command``, which runs
        just these, or None. ``attrs``: ``metric``, ``notes``, ``compared``, ``common``, as in
        ``comparison.compare``.

    Raises
    ------
    TrackingError
        If the store cannot be read, or has nothing of a side.
    ComparisonError
        If no two configurations can be paired, or as in ``comparison.compare``.
    """
    compared = compare_pairs(a, b, uri, metric, where)
    rows = [
        {
            "a": compared.label(found.a),
            "b": compared.label(found.b),
            **{field: found.a[compared.fields.index(field)] for field in compared.shared},
            **_row(found),
            "command": seeds_command(found.groups, found.further, compared.unused_seed, uri),
        }
        for found in compared.pairs
    ]
    table = pd.DataFrame(rows)
    table.attrs.update(
        metric=compared.metric, notes=compared.notes, common=compared.common,
        compared=f"A = {brief(a)} and B = {brief(b)}, seed by seed: "
        f"{counted(len(table), 'pair')} of configurations"
        + ("" if where is None else f", where {where}"),
    )  # fmt: skip
    return table


def compare_pairs(
    a: str, b: str, uri: str | None = None, metric: str = METRIC, where: str | None = None
) -> Pairs:
    """Compare two sides seed by seed; see ``pair``."""
    chosen = [set(read_runs(uri, [side])["run_id"]) for side in (a, b)]
    pool = with_all_seeds(uri, set.union(*chosen))
    if SEED not in pool:
        raise ComparisonError(f"The runs of {a} and {b} have no parameter `seed` to pair them by.")
    if pool[SEED].dtype.kind not in "iuf":
        raise ComparisonError(f"Among the runs of {a} and {b} are seeds that are no numbers.")
    name, unused, params = metric_of(pool, metric), int(pool[SEED].max()) + 1, pool.attrs["params"]
    left_out = []
    if where is not None:
        chosen_runs = runs_where(pool, where)
        left_out = [*left_out_note(pool, where), *chosen_by_result_note(pool, where)]
        pool = chosen_runs
    fields = varying_fields(pool)
    keys = pool[fields].apply(tuple, axis=1) if fields else pd.Series([()] * len(pool), pool.index)
    sides = [list(dict.fromkeys(keys[pool["run_id"].isin(ids)])) for ids in chosen]
    shared, matched = matching(*sides, fields=fields)
    if not matched:
        raise ComparisonError(
            f"{brief(a)} and {brief(b)} cannot be paired: both stand for the same "
            "configurations, or for several that do not match one by one. Name two "
            "configurations by a run of each, or narrow them down with --where."
        )
    once = one_run_per_seed(pool, fields)
    groups = {
        key: RunGroup({}, once[keys[once.index] == key], name)
        for key in dict.fromkeys(key for both in matched for key in both)
    }
    suggesting = suggesting_sweeps(matched, groups, uri)
    pairs = [
        _compared(one, other, (groups[one], groups[other]), suggesting, len(matched))
        for one, other in matched
    ]
    pairs = [_looked_at(found, uri, params) for found in pairs]
    family = as_family([found.difference for found in pairs])
    pairs = [
        replace(found, difference=difference)
        for found, difference in zip(pairs, family, strict=True)
    ]
    added = int((~once["run_id"].isin(set.union(*chosen))).sum())
    notes = [*left_out, *selection_notes(suggesting, pairs), *notes_on(pairs, added)]
    if any(found.difference.testable for found in pairs):
        notes += left_out_of_intervals(once, fields)
    return Pairs(pairs, fields, shared, name, unused, params, common_values(pool), notes)


def _compared(
    one: Key,
    other: Key,
    groups: tuple[RunGroup, RunGroup],
    suggesting: Mapping[str, int],
    count: int,
) -> Pair:
    """Compare two configurations, one of ``count`` pairs, by the seeds that decide."""
    apart = without(groups[0], suggesting), without(groups[1], suggesting)
    every, others = groups[0].against(groups[1]), apart[0].against(apart[1])
    if others.n >= MIN_SEEDS:
        return Pair(one, other, groups, apart, others, every.n, others.n, 1, 0, recorded=True)
    pairs = max(1.0, possible_pairs(suggesting) / count)
    return Pair(one, other, groups, groups, every, every.n, others.n, pairs, 0, recorded=True)


def _looked_at(found: Pair, uri: str | None, params: Sequence[str]) -> Pair:
    """Return a comparison at the level of the look that this is; untested ones are no look."""
    if not found.difference.testable:
        return found
    look, recorded = count_look(uri, found.groups, found.deciding, params)
    difference = replace(found.difference, level=look_level(look) / found.pairs)
    return replace(found, difference=difference, look=look, recorded=recorded)


def _row(found: Pair) -> dict[str, Any]:
    """Write a comparison as columns."""
    difference = found.difference
    one, other = found.deciding[0].common_results(found.deciding[1])
    return {
        "seeds": difference.n,
        "mean_a": float(one.mean()),
        "mean_b": float(other.mean()),
        "difference": difference.mean,
        "low": difference.interval.low,
        "high": difference.interval.high,
        "interval": difference.interval.method,
        "a_beats_b": difference.a_beats_b,
        "decided": difference.decided,
        "look": found.look,
        "further": found.further,
        "chance": found.chance,
    }
