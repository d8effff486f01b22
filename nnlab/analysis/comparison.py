"""Comparing runs: one row a configuration, over its seeds; and which hyper-parameter matters."""

import math
from collections import Counter
from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd

from nnlab.analysis.conditions import column, meeting
from nnlab.analysis.configurations import (
    ENDINGS,
    counted,
    endings,
    lower_is_better,
    metric_of,
    once_each,
    results,
    value_key,
    varying,
)
from nnlab.analysis.statistics import summarise, time_to_target
from nnlab.analysis.variance import DesignError, decompose
from nnlab.errors import ComparisonError
from nnlab.tracking.frames import LAST, read_runs

METRIC = "final_val_accuracy"
VALUE, ENDING, ENDED, EPOCHS = ("_value", "_ending", "_ended", "_epochs")  # of one run
FIGURES = ("mean", "low", "high", "interval", "seeds")  # what a pivoted comparison keeps of a row


def compare(
    selection: Sequence[str] = (LAST,),
    uri: str | None = None,
    metric: str = METRIC,
    by: Sequence[str] | None = None,
    where: str | None = None,
) -> pd.DataFrame:
    """Compare configurations over their seeds.

    A diverged run counts as accuracy 0, or as an infinite loss. Runs without a result (pruned,
    failed, killed, still at work) are not in the statistics; in the order they count like diverged
    ones, as in the table at a sweep's end.

    Parameters
    ----------
    selection : see ``frames.read_runs``
    uri : of the store; None as in the config
    metric : a column of the runs, such as ``final_val_accuracy``, ``final_val_loss``,
        ``test/accuracy``, ``epochs_to_target``; of a curve, its last value
    by : parameters to pivot by: the values of the last one go across, all else that varies stays
        in the rows. Nothing is averaged over but seeds.
    where : a condition on runs, see ``conditions.meeting``

    Returns
    -------
    DataFrame
        One row a configuration, best first: the parameters that vary; ``seeds`` (that have a
        result); ``mean`` with its 95 % interval ``low, high`` and how that was found
        (``interval``, see ``statistics.Interval``); ``median, iqm, worst, best``; a
        count each ending; ``reached`` of ``ended`` runs reached their target accuracy, in a median
        of ``epochs_to_target`` (see ``statistics.time_to_target``). With ``by``: a row
        each configuration of the rest, and columns ``(figure, value)``, so that
        ``table["mean"]`` is a grid of numbers. ``attrs``: ``metric``, ``fields``, ``runs`` (how
        many), ``notes`` (what a reader must know).

    Raises
    ------
    TrackingError
        Where the store cannot be read, or the selection is nothing in it.
    ComparisonError
        Where a name or the condition is not understood, or no run has the metric.
    """
    runs, name, notes = _chosen(selection, uri, metric, where)
    fields = varying(runs)
    told = runs[fields].assign(**{VALUE: results(runs, name), ENDING: endings(runs)})
    told[ENDED] = runs["outcome"].notna()
    told[EPOCHS] = runs.get("epochs_to_target", math.nan)
    told.attrs.clear()  # which pandas would copy at every step
    counts = [ending for ending in ENDINGS if ending in set(told[ENDING])]
    groups = told.groupby(fields, dropna=False, sort=False) if fields else [((), told)]
    rows = [
        {**dict(zip(fields, key, strict=True)), **_row(group, counts, lower=lower_is_better(name))}
        for key, group in groups
    ]
    table = pd.DataFrame(rows).sort_values(
        ["_rank", "_mean"], ascending=lower_is_better(name), kind="stable", ignore_index=True
    )
    table = table.drop(columns=["_rank", "_mean"])
    notes += _notes(runs, table, name)
    facts = {"metric": name, "fields": fields, "runs": len(runs), "notes": notes}
    table = table if by is None else _pivoted(table, fields, by, name)
    table.attrs.update(facts)
    return table


def importance(
    selection: Sequence[str] = (LAST,),
    uri: str | None = None,
    metric: str = METRIC,
    where: str | None = None,
) -> pd.DataFrame:
    """Split a metric's variation over a full, balanced grid by what causes it.

    Parameters
    ----------
    selection, uri, metric, where : as in ``compare``

    Returns
    -------
    DataFrame
        ``cause`` (a hyper-parameter, an interaction, the seed), ``df``, ``sum_of_squares``,
        ``eta_squared``, ``omega_squared``; see ``variance.Effect``. By share, and the
        seed last.

    Raises
    ------
    ComparisonError
        Where the design does not support it, with the reason; and as in ``compare``.
    """
    runs, name, notes = _chosen(selection, uri, metric, where)
    fields = varying(runs)
    values = results(runs, name)
    try:
        effects = decompose(runs.assign(**{name: values}), fields, name)
    except DesignError as error:
        raise ComparisonError(
            f"What each hyper-parameter explains of {name} cannot be told here: {error}"
        ) from error
    *causes, seed = effects
    rows = [
        {
            "cause": " × ".join(effect.factors),
            "df": effect.df,
            "sum_of_squares": effect.sum_of_squares,
            "eta_squared": effect.eta,
            "omega_squared": effect.omega,
        }
        for effect in (*sorted(causes, key=lambda effect: -effect.eta), seed)
    ]
    table = pd.DataFrame(rows)
    grid = " × ".join(f"{runs[field].nunique()} {field}" for field in fields)
    configurations = math.prod(int(runs[field].nunique()) for field in fields)
    notes += [
        f"A full, balanced grid: {grid}, {len(runs) // configurations} seeds each.",
        *_diverged_note(runs, name),
    ]
    table.attrs.update(metric=name, fields=fields, runs=len(runs), notes=notes)
    return table


def _chosen(
    selection: Sequence[str], uri: str | None, metric: str, where: str | None
) -> tuple[pd.DataFrame, str, list[str]]:
    """Return the runs to compare, the metric's whole name, and what must be said of the choice."""
    runs = read_runs(uri, selection)
    name = metric_of(runs, metric)
    if where is not None:
        runs = meeting(runs, where)
    once = once_each(runs, varying(runs))
    repeated = len(runs) - len(once)
    notes = [
        f"{repeated} runs repeat a configuration and seed of others, and are not counted again."
    ]
    return once, name, notes if repeated else []


def _row(group: pd.DataFrame, counts: Sequence[str], *, lower: bool) -> dict[str, Any]:
    """Sum up the runs of one configuration."""
    values = group[VALUE].to_numpy(np.float64)
    known = ~np.isnan(values)
    summary = summarise(values[known], lower_is_better=lower)
    became = Counter(group[ENDING])
    time = time_to_target(group[EPOCHS].to_numpy(np.float64)[group[ENDED].to_numpy(bool)])
    return {
        "seeds": summary.n,
        "mean": summary.mean,
        "low": summary.interval.low,
        "high": summary.interval.high,
        "interval": summary.interval.method,
        "median": summary.median,
        "iqm": summary.iqm,
        "worst": summary.worst,
        "best": summary.best,
        **{ending: became[ending] for ending in counts},
        "reached": time.reached,
        "ended": time.n,
        "epochs_to_target": time.median,
        "_rank": float(np.where(known, values, math.inf if lower else 0.0).mean()),
        "_mean": summary.mean,
    }


def _pivoted(
    table: pd.DataFrame, fields: Sequence[str], by: Sequence[str], metric: str
) -> pd.DataFrame:
    if not fields:
        raise ComparisonError(f"--by {','.join(by)}: nothing varies between these runs.")
    named = list(dict.fromkeys(column(each, fields) for each in by))
    *down, across = named
    down += [field for field in fields if field not in named]
    if not down:
        table, down = table.assign(metric=metric), ["metric"]
    values = sorted(set(table[across]), key=value_key)
    rows = []
    for key, group in table.groupby(down, sort=False, dropna=False):
        own = group.set_index(across)
        rows.append(
            (key, {(each, value): own[each].get(value) for each in FIGURES for value in values})
        )
    rows.sort(key=lambda row: [value_key(value) for value in row[0]])
    index = pd.MultiIndex.from_tuples([key for key, _ in rows], names=down)
    columns = pd.MultiIndex.from_product([FIGURES, values], names=["figure", across])
    return pd.DataFrame([row for _, row in rows], index, columns)


def _notes(runs: pd.DataFrame, table: pd.DataFrame, metric: str) -> list[str]:
    """Say what a reader must know to read the numbers right."""
    notes = _diverged_note(runs, metric)
    without = runs[results(runs, metric).isna()]
    if len(without):
        notes.append(
            f"{len(without)} of {len(runs)} runs have no {metric} ({counted(endings(without))}): "
            "they are in the order, as the worst there is, but not in the statistics."
        )
    alone = int((table["seeds"] == 1).sum())
    if alone:
        notes.append(
            f"{alone} of {len(table)} configurations have one seed: no interval. More seeds: add "
            "'seed=range(0,5)' to the sweep."
        )
    few = int(table["seeds"].between(2, 4).sum())
    if few:
        notes.append(
            f"{few} of {len(table)} configurations have 2 to 4 seeds: too few for an interval that "
            "holds the true mean 95 times in 100."
        )
    plain = int((table["interval"] == "percentile").sum())
    if plain:
        notes.append(f"{plain} intervals are percentile intervals: BCa is not defined there.")
    return notes


def _diverged_note(runs: pd.DataFrame, metric: str) -> list[str]:
    worst = math.inf if lower_is_better(metric) else 0.0
    diverged = int(((runs["outcome"] == "diverged") & (results(runs, metric) == worst)).sum())
    counts_as = "infinite" if lower_is_better(metric) else "0"
    return [f"{diverged} diverged runs count as {metric} {counts_as}."] if diverged else []
