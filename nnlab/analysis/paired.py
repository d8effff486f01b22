"""Comparing two configurations: the difference over common seeds, and how many more decide it."""

import re
import shlex
from collections.abc import Sequence
from itertools import product
from typing import Any

import pandas as pd

from nnlab.analysis.conditions import left_out_note, runs_where
from nnlab.analysis.configurations import DIGEST, metric_of, one_run_per_seed, varying_fields
from nnlab.analysis.groups import RunGroup
from nnlab.analysis.ranking import METRIC, SEED
from nnlab.errors import ComparisonError
from nnlab.jobs.commands import says_what_is_trained
from nnlab.jobs.config import fields_with
from nnlab.jobs.roles import Role, is_among
from nnlab.jobs.sweep import field_of
from nnlab.safe_text import masked
from nnlab.system.stored_files import parse_yaml
from nnlab.tracking.frames import read_file, read_runs, read_tagged
from nnlab.tracking.locations import tracking_uri

FIRST_SEEDS = 5  # recommended in all while there are too few to know their spread
MAX_FURTHER = 1000  # further seeds for which a command is given
PLAIN = re.compile(r"[\w.+-]+")  # a value that needs no quotes in a list of values

Key = tuple[Any, ...]  # a configuration: the values of the fields that vary


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
        ``difference`` (A − B) with its 95 % interval ``low, high`` and the method that found it
        (``interval``); ``a_beats_b``, the probability, with ties counted half; ``decided``,
        whether the interval leaves 0 out; ``further``, about how many more seeds would decide it
        (see ``paired_statistics.further_seeds``; NaN if that is not known); ``command``, which
        runs just these, or None. ``attrs``: ``metric``, ``notes``.

    Raises
    ------
    TrackingError
        If the store cannot be read, or has nothing of a side.
    ComparisonError
        If no two configurations can be paired, or as in ``comparison.compare``.
    """
    chosen = [set(read_runs(uri, [side])["run_id"]) for side in (a, b)]
    pool = _with_all_seeds(uri, set.union(*chosen))
    if SEED not in pool:
        raise ComparisonError(f"The runs of {a} and {b} have no parameter `seed` to pair them by.")
    name, first = metric_of(pool, metric), int(pool[SEED].max()) + 1
    left_out = []
    if where is not None:
        pool, left_out = runs_where(pool, where), left_out_note(pool, where)
    fields = varying_fields(pool)
    keys = pool[fields].apply(tuple, axis=1) if fields else pd.Series([()] * len(pool), pool.index)
    sides = [list(dict.fromkeys(keys[pool["run_id"].isin(ids)])) for ids in chosen]
    shared, pairs = _paired(*sides, fields=fields)
    if not pairs:
        raise ComparisonError(
            f"{a} and {b} cannot be paired: both stand for the same configurations, or for several "
            "that do not match one by one. Name two configurations by a run of each, or narrow "
            "them down with --where."
        )
    once = one_run_per_seed(pool, fields)
    rows = []
    for one, other in pairs:
        groups = [RunGroup({}, once[keys[once.index] == key], name) for key in (one, other)]
        compared = _compared(*groups)
        rows.append(
            {
                "a": _label(one, fields, shared),
                "b": _label(other, fields, shared),
                **{field: one[fields.index(field)] for field in shared},
                **compared,
                "command": _command(groups, compared["further"], first, uri),
            }
        )
    table = pd.DataFrame(rows)
    added = int((~once["run_id"].isin(set.union(*chosen))).sum())
    table.attrs.update(metric=name, notes=left_out + _notes(table, added))
    return table


def _with_all_seeds(uri: str | None, run_ids: set[str]) -> pd.DataFrame:
    """Return the runs, and all others of the store that differ from them in the seed alone."""
    chosen = read_runs(uri, [",".join(sorted(run_ids))])
    digests = chosen[DIGEST].dropna().unique()
    if not len(digests):
        return chosen
    pool = read_tagged(uri, DIGEST, digests)
    # A reproduction of a run is not another result.
    pool = pool[pool["reproduces"].isna() | pool["run_id"].isin(run_ids)]
    names = [name for name in pool.attrs["params"] if name != SEED]
    keys = pool[[*names, DIGEST]].astype(str).apply(tuple, axis=1)
    return pool[keys.isin(set(keys[pool["run_id"].isin(run_ids)]))]


def _paired(
    a: Sequence[Key], b: Sequence[Key], *, fields: Sequence[str]
) -> tuple[list[str], list[tuple[Key, Key]]]:
    """Return the fields in which each pair of configurations agrees, and the pairs."""
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
    """Name a configuration by the fields in which it differs from the other."""
    settings = dict(zip(fields, key, strict=True))
    return " ".join(f"{name}={value}" for name, value in settings.items() if name not in shared)


def _compared(a: RunGroup, b: RunGroup) -> dict[str, Any]:
    """Compare two configurations over the seeds of which both have a result."""
    difference = a.against(b)
    further = difference.further
    if difference.n < 2:  # noqa: PLR2004 - a spread takes two
        further = FIRST_SEEDS - difference.n
    mean_a, mean_b = (float(side.mean()) for side in a.common_results(b))
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
    groups: Sequence[RunGroup], further: int | None, first: int, uri: str | None
) -> str | None:
    """Write the command that runs the further seeds of both, from the first unused one on."""
    one, other = (typed_overrides(group.runs, uri) for group in groups)
    if not further or further > MAX_FURTHER or one is None or other is None:
        return None
    if one == other:  # they differ in their code, which no command can state
        return None
    seeds = f"seed=range({first},{first + further})"
    store = [] if tracking_uri(uri) == tracking_uri(None) else [f"tracking.uri={masked(str(uri))}"]
    return "\n".join(
        shlex.join(["python", "run.py", "-m", *overrides, seeds, *store])
        for overrides in _joined(one, other)
    )


def typed_overrides(runs: pd.DataFrame, uri: str | None) -> list[str] | None:
    """Return the overrides that were typed for a configuration, without those of a single run.

    Parameters
    ----------
    runs : DataFrame
        The runs of one configuration.
    uri : str or None
        The store; None for the one of the config.

    Returns
    -------
    list of str or None
        None if no run has recorded them.
    """
    columns = runs[["run_id", "reproduces", "derived_from"]]
    for run_id, reproduces, derived in columns.itertuples(index=False):
        if not (pd.isna(reproduces) and pd.isna(derived)):  # its config was not typed
            return [f"--config-from={run_id}"]
        text = read_file(uri, run_id, "overrides.yaml")
        if text is not None:
            typed = parse_yaml(text, "overrides.yaml")
            overrides = [
                override for override in map(str, typed if isinstance(typed, list) else [])
                if not is_among(field_of(override), (*fields_with(Role.ONCE), "tracking"))
            ]  # fmt: skip
            # Text from elsewhere, which somebody will type: else the config is taken, and checked.
            safe = run_id.isalnum() and all(map(says_what_is_trained, overrides))
            return overrides if safe else [f"--config-from={run_id}"]
    return None


def _joined(a: list[str], b: list[str]) -> list[list[str]]:
    """Write two configurations as one sweep if they differ in the value of one field."""
    if any(override.startswith("--") for override in (*a, *b)):
        return [a, b]
    parts = [[override.partition("=") for override in side] for side in (sorted(a), sorted(b))]
    if [field for field, _, _ in parts[0]] != [field for field, _, _ in parts[1]]:
        return [a, b]
    differ = [
        (field, one, other)
        for (field, _, one), (_, _, other) in zip(*parts, strict=True)
        if one != other
    ]
    if len(differ) != 1 or not all(map(PLAIN.fullmatch, differ[0][1:])):
        return [a, b]
    field, one, other = differ[0]
    both = f"{field}={one},{other}"
    return [[both if override == f"{field}={one}" else override for override in a]]


def _notes(table: pd.DataFrame, added: int) -> list[str]:
    """Return the sentences that a reader needs to read the numbers right."""
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
