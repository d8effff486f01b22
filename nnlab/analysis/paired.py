"""Comparing two: the paired difference over common seeds, and the runs that would decide it."""

import re
import shlex
from collections.abc import Sequence
from itertools import product
from typing import Any

import pandas as pd
import yaml

from nnlab.analysis.conditions import meeting
from nnlab.analysis.configurations import DIGEST, metric_of, once_each, varying
from nnlab.analysis.groups import RunGroup
from nnlab.analysis.ranking import METRIC, SEED
from nnlab.errors import ComparisonError
from nnlab.runs.config import fields_with
from nnlab.runs.roles import Role, is_among
from nnlab.runs.sweep import field_of
from nnlab.tracking.frames import read_file, read_runs, read_tagged
from nnlab.tracking.locations import tracking_uri

ENOUGH = 5  # seeds in all, where a spread is not known yet from which to say more
MOST = 1000  # further seeds for which a command is given
PLAIN = re.compile(r"[\w.+-]+")  # a value that may stand in a list of values as it is

Key = tuple[Any, ...]  # a configuration: the values of the fields that vary


def pair(
    a: str,
    b: str,
    uri: str | None = None,
    metric: str = METRIC,
    where: str | None = None,
) -> pd.DataFrame:
    """Compare two sides seed by seed: equal seeds draw equal random numbers.

    A side is whatever selects runs: a sweep, an experiment, one run or several with commas. It
    stands for the *configurations* of those runs, with every seed of them that the store has: one
    run alone would prove nothing, and seeds that were added later belong to the comparison. Where
    one side is a single configuration, it is compared with each of the other's; else those are
    compared that agree in all that varies on either side.

    Parameters
    ----------
    a, b : see ``frames.read_runs``
    uri, metric, where : as in ``comparison.compare``; runs without a result are left out,
        a diverged one counts as accuracy 0 or as an infinite loss

    Returns
    -------
    DataFrame
        A row each pair of configurations: ``a`` and ``b``, what tells them apart; what else varies
        between the rows; ``seeds`` in common; ``mean_a, mean_b`` over these; ``difference`` (A − B)
        with its 95 % interval ``low, high`` and how that was found (``interval``); ``a_beats_b``,
        the probability, ties counted half; ``decided``, whether the interval leaves 0 out;
        ``further``, about how many more seeds would decide it (see
        ``statistics.further_seeds``; NaN where that cannot be told); ``command``, which
        runs just those, or None. ``attrs``: ``metric``, ``notes``.

    Raises
    ------
    TrackingError
        Where the store cannot be read, or a side is nothing in it.
    ComparisonError
        Where no two configurations can be paired, or as in ``comparison.compare``.
    """
    chosen = [set(read_runs(uri, [side])["run_id"]) for side in (a, b)]
    pool = _with_all_seeds(uri, set.union(*chosen))
    if SEED not in pool:
        raise ComparisonError(f"The runs of {a} and {b} have no parameter `seed` to pair them by.")
    name, first = metric_of(pool, metric), int(pool[SEED].max()) + 1
    if where is not None:
        pool = meeting(pool, where)
    fields = varying(pool)
    keys = pool[fields].apply(tuple, axis=1) if fields else pd.Series([()] * len(pool), pool.index)
    sides = [list(dict.fromkeys(keys[pool["run_id"].isin(ids)])) for ids in chosen]
    shared, pairs = _paired(*sides, fields=fields)
    if not pairs:
        raise ComparisonError(
            f"{a} and {b} cannot be paired: both stand for the same configurations, or for several "
            "that do not match one by one. Name two configurations by a run of each, or narrow "
            "them down with --where."
        )
    once = once_each(pool, fields)
    rows = []
    for one, other in pairs:
        configurations = [once[keys[once.index] == key] for key in (one, other)]
        compared = _compared(configurations[0], configurations[1], name)
        rows.append(
            {
                "a": _label(one, fields, shared),
                "b": _label(other, fields, shared),
                **{field: one[fields.index(field)] for field in shared},
                **compared,
                "command": _command(configurations, compared["further"], first, uri),
            }
        )
    table = pd.DataFrame(rows)
    added = int((~once["run_id"].isin(set.union(*chosen))).sum())
    table.attrs.update(metric=name, notes=_notes(table, added))
    return table


def _with_all_seeds(uri: str | None, run_ids: set[str]) -> pd.DataFrame:
    """Return the runs, and all others of the store that differ from them in the seed alone."""
    chosen = read_runs(uri, [",".join(sorted(run_ids))])
    digests = chosen[DIGEST].dropna().unique()
    if not len(digests):
        return chosen
    pool = read_tagged(uri, DIGEST, digests)
    # A run that was made again is no further results.
    pool = pool[pool["reproduces"].isna() | pool["run_id"].isin(run_ids)]
    names = [each for each in pool.attrs["params"] if each != SEED]
    keys = pool[[*names, DIGEST]].astype(str).apply(tuple, axis=1)
    return pool[keys.isin(set(keys[pool["run_id"].isin(run_ids)]))]


def _paired(
    a: Sequence[Key], b: Sequence[Key], *, fields: Sequence[str]
) -> tuple[list[str], list[tuple[Key, Key]]]:
    """Return which configurations to compare, and the fields in which each two of them agree."""
    if len(a) == 1 or len(b) == 1:
        return [], [(one, other) for one, other in product(a, b) if one != other]
    places = [
        place
        for place in range(len(fields))
        if any(len({key[place] for key in side}) > 1 for side in (a, b))
    ]
    pairs = [
        (one, other)
        for one, other in product(a, b)
        if one != other and all(one[place] == other[place] for place in places)
    ]
    return [fields[place] for place in places], pairs


def _label(key: Key, fields: Sequence[str], shared: Sequence[str]) -> str:
    """Name a configuration by what tells it from the other."""
    told = (f"{field}={value}" for field, value in zip(fields, key, strict=True)
            if field not in shared)  # fmt: skip
    return " ".join(told)


def _compared(a: pd.DataFrame, b: pd.DataFrame, metric: str) -> dict[str, Any]:
    """Compare two configurations over the seeds of which both have a result."""
    one, other = RunGroup({}, a, metric), RunGroup({}, b, metric)
    difference = one.against(other)
    further = difference.further
    if difference.n < 2:  # noqa: PLR2004 - a spread takes two
        further = ENOUGH - difference.n
    mean_a, mean_b = (float(side.mean()) for side in one.common_results(other))
    return {
        "seeds": difference.n,
        "mean_a": mean_a,
        "mean_b": mean_b,
        "difference": difference.mean,
        "low": difference.interval.low,
        "high": difference.interval.high,
        "interval": difference.interval.method,
        "a_beats_b": difference.a_beats_b,
        "decided": difference.decided,
        "further": further,
    }


def _command(
    configurations: Sequence[pd.DataFrame], further: int | None, first: int, uri: str | None
) -> str | None:
    """Write the command that runs the further seeds of both, from the first unused one on."""
    recorded = [typed(runs, uri) for runs in configurations]
    if not further or further > MOST or None in recorded:
        return None
    if recorded[0] == recorded[1]:  # what tells them apart is the code, which no command says
        return None
    seeds = f"seed=range({first},{first + further})"
    elsewhere = [] if tracking_uri(uri) == tracking_uri(None) else [f"tracking.uri={uri}"]
    return "\n".join(
        shlex.join(["python", "run.py", "-m", *overrides, seeds, *elsewhere])
        for overrides in _joined(*(each for each in recorded if each is not None))
    )


def typed(runs: pd.DataFrame, uri: str | None) -> list[str] | None:
    """Return what was typed for a configuration, but for what belongs to a run or its sweep.

    Parameters
    ----------
    runs : of one configuration
    """
    for run_id, reproduces, derived in runs[["run_id", "reproduces", "derived_from"]].itertuples(
        index=False
    ):
        if not (pd.isna(reproduces) and pd.isna(derived)):  # little was typed, or nothing
            return [f"--config-from={run_id}"]
        text = read_file(uri, run_id, "overrides.yaml")
        if text is not None:
            return [
                each for each in map(str, yaml.safe_load(text) or [])
                if not is_among(field_of(each), fields_with(Role.ONCE))
            ]  # fmt: skip
    return None


def _joined(a: list[str], b: list[str]) -> list[list[str]]:
    """Write two jobs as one sweep, where they differ in the value of one field."""
    if any(each.startswith("--") for each in (*a, *b)):
        return [a, b]
    split = [[each.partition("=") for each in side] for side in (sorted(a), sorted(b))]
    if [field for field, _, _ in split[0]] != [field for field, _, _ in split[1]]:
        return [a, b]
    differ = [
        (field, one, other)
        for (field, _, one), (_, _, other) in zip(*split, strict=True)
        if one != other
    ]
    if len(differ) != 1 or not all(map(PLAIN.fullmatch, differ[0][1:])):
        return [a, b]
    field, one, other = differ[0]
    return [[f"{field}={one},{other}" if each == f"{field}={one}" else each for each in a]]


def _notes(table: pd.DataFrame, added: int) -> list[str]:
    """Say what a reader must know to read the numbers right."""
    notes = []
    if added:
        notes.append(
            f"{added} further runs of these configurations, found in the store, count too."
        )
    if (table["seeds"] == 0).any():
        notes.append("Without a common seed there is no pair: run equal seeds of both.")
    if (table["seeds"] == 1).any():
        notes.append("One seed each proves nothing.")
    if (table["interval"] == "not finite").any():
        notes.append(
            "A value is infinite (the loss of a diverged run, a target that was not reached): "
            "there is no mean difference, but a pair is won or lost."
        )
    return notes
