"""Comparing configurations over their seeds; and which hyper-parameter matters."""

import math
from collections import Counter
from collections.abc import Mapping, Sequence
from contextlib import suppress
from statistics import fmean
from typing import Any

import pandas as pd

from nnlab.analysis.best_configuration import next_step
from nnlab.analysis.best_set import level_with_best
from nnlab.analysis.compared import about, last_of_stopped
from nnlab.analysis.conclusions import late_notes
from nnlab.analysis.conditions import chosen_by_result_note, column, left_out_note, runs_where
from nnlab.analysis.configurations import (
    endings,
    metric_of,
    one_run_per_seed,
    run_results,
    value_key,
    varying_fields,
    varying_seeds,
)
from nnlab.analysis.confirmation import read_confirmation
from nnlab.analysis.confirmation_text import confirmation_sentence, optimistic
from nnlab.analysis.explanations import variation_shares
from nnlab.analysis.formatting import short, span, written
from nnlab.analysis.groups import RunGroup, grouped
from nnlab.analysis.image_sampling import TEST_ACCURACY
from nnlab.analysis.mean_test import ALPHA, holm
from nnlab.analysis.ranking import ENDINGS, METRIC, SEED, lower_is_better, tally, worst_result
from nnlab.analysis.seed_variance import seed_sentences
from nnlab.analysis.time_to_target import time_to_target
from nnlab.analysis.variance import DesignError, decompose, levels_that_learned
from nnlab.errors import ComparisonError
from nnlab.jobs.tags import Tag
from nnlab.tracking.frames import read_runs
from nnlab.tracking.locations import tracking_uri
from nnlab.tracking.readers import open_reader
from nnlab.wording import agreeing, counted

VARIED = "varied"  # attribute of selected runs: the fields that vary before a condition is met
PIVOTED = ("mean", "low", "high", "interval", "seeds")  # columns that a pivoted comparison keeps


def compare(
    selection: Sequence[str] = (),
    uri: str | None = None,
    metric: str = METRIC,
    by: Sequence[str] | None = None,
    where: str | None = None,
) -> pd.DataFrame:
    """Compare configurations over their seeds.

    A diverged run counts as accuracy 0, or as an infinite loss. Runs without a result (pruned,
    failed, killed, still running) are not in the statistics; in the order they count as the worst
    result. The table at the end of a sweep follows the same rules, see ``ranking``.

    Parameters
    ----------
    selection : sequence of str
        See ``frames.read_runs``.
    uri : str or None
        The store; None for the one of the config.
    metric : str
        A column of the runs, such as ``late_val_accuracy`` (the mean over the last tenth of the
        epochs), ``final_val_accuracy`` (the last value), ``final_val_loss``,
        ``test/accuracy``, ``epochs_to_target``. The metric of a curve stands for its last value.
    by : sequence of str or None
        Parameters to pivot by: the values of the last one become columns, and all else that varies
        stays in the rows. Only seeds are averaged.
    where : str or None
        A condition on runs, see ``conditions.runs_where``.

    Returns
    -------
    DataFrame
        A row for each configuration, best first: the parameters that vary; ``seeds`` (that have a
        result); ``mean`` with its 95 % interval ``low, high`` and the method that found it
        (``interval``, see ``statistics.Interval``); ``median, iqm, worst, best``;
        ``learners`` of ``learners_of`` runs that came to their end learned, with the 95 % interval
        of that share ``learned_low, learned_high`` (see ``ranking.LearnedShare``), and
        ``mean_of_learned``, the mean of those; a count of each ending; ``reached`` of ``ended``
        runs reached their target accuracy, in a median of ``epochs_to_target`` (see
        ``time_to_target``). With ``by``: a row for each configuration of the rest, and columns
        ``(figure, value)``, so that ``table["mean"]`` is a grid of numbers. ``attrs``:
        ``metric``, ``fields``, ``runs`` (their number), ``notes`` (sentences that a reader must
        know), ``compared`` (what is compared), ``common`` (parameter -> value, of those that do
        not vary).

    Raises
    ------
    TrackingError
        If the store cannot be read, or has nothing of that selection.
    ComparisonError
        If a name or the condition is not understood, or no run has the metric.
    """
    runs, name, notes = _select(selection, uri, metric, where)
    fields = varying_fields(runs)
    asked = set(by or ()) - {SEED, *fields}
    fields += [seed for seed in varying_seeds(runs) if seed in asked]
    present = set(endings(runs))
    counts = [ending for ending in ENDINGS if ending in present]
    columns = list(dict.fromkeys([*runs.attrs[VARIED], *fields]))
    groups = grouped(runs, columns, name)
    last = last_of_stopped(runs, uri)
    table = pd.DataFrame([_row(group, counts) | _stopped(group, last) for group in groups])
    notes += _notes(runs, table, name, groups)
    if groups[0].summary.n and len(level_with_best(groups)) < len(groups) - 1:
        notes += _confirmation(groups, uri) if where is None else [f"{optimistic(groups)}."]
    if (table["seeds"] > 1).any():
        notes += seed_sentences(runs, fields, name)
    if by is not None:
        table = _pivoted(table, fields, by, name)
    table.attrs.update(
        metric=name, fields=fields, runs=len(runs), notes=notes,
        **about(runs, counted(len(groups), "configuration"), where),
    )  # fmt: skip
    return table


def importance(
    selection: Sequence[str] = (),
    uri: str | None = None,
    metric: str = METRIC,
    where: str | None = None,
) -> pd.DataFrame:
    """Split a metric's variation over a full, balanced grid by what causes it.

    Parameters
    ----------
    selection, uri, metric, where
        As in ``compare``.

    Returns
    -------
    DataFrame
        ``cause`` (a hyper-parameter, an interaction, the seed), ``df``, ``sum_of_squares``,
        ``eta_squared``, ``omega_squared``, ``p_value``; see ``variance.Effect``. ``shown``: whether
        it is more than chance, by tests that together err in 5 of 100 cases (Holm). The largest
        share comes first, and the seed last. ``attrs``: as in ``compare``; ``learned``, the same
        without the levels with which nothing learned, which can make most of the variation, and
        ``among``, which levels are left; None where that says nothing else.

    Raises
    ------
    ComparisonError
        If the design does not support it, with the reason; and as in ``compare``.
    """
    runs, name, notes = _select(selection, uri, metric, where)
    fields = varying_fields(runs)
    values = run_results(runs, name)
    runs = runs.assign(**{name: values})
    try:
        table = _effects(runs, fields, name)
    except DesignError as error:
        raise ComparisonError(
            f"What each hyper-parameter explains of {name} cannot be told here: {error}"
        ) from error
    grid = " × ".join(f"{runs[field].nunique()} {field}" for field in fields)
    configurations = math.prod(int(runs[field].nunique()) for field in fields)
    notes += [
        f"A full, balanced grid: {grid}, {counted(len(runs) // configurations, 'seed')} each.",
        *_diverged_note(runs, name),
    ]
    among, learned = _among_those_that_learned(runs, fields, name)
    if learned is not None:
        notes.append(variation_shares(learned, name, among))
    table.attrs.update(
        metric=name, fields=fields, runs=len(runs), notes=notes, among=among, learned=learned,
        **about(runs, counted(configurations, "configuration"), where),
    )  # fmt: skip
    return table


def _effects(runs: pd.DataFrame, fields: Sequence[str], name: str) -> pd.DataFrame:
    """Return the effects of fields on a metric: the largest share first, and the seed last."""
    *causes, seed = decompose(runs, fields, name)
    ordered = sorted(causes, key=lambda effect: -effect.eta)
    p = [effect.p_value for effect in ordered]
    beyond = [value <= ALPHA / divisor for value, divisor in zip(p, holm(p), strict=True)]
    return pd.DataFrame(
        {
            "cause": " × ".join(effect.factors),
            "df": effect.df,
            "sum_of_squares": effect.sum_of_squares,
            "eta_squared": effect.eta,
            "omega_squared": effect.omega,
            "p_value": effect.p_value,
            "shown": shown,
        }
        for effect, shown in zip((*ordered, seed), (*beyond, False), strict=True)
    ).astype({"omega_squared": float})


def _among_those_that_learned(
    runs: pd.DataFrame, fields: Sequence[str], name: str
) -> tuple[str, pd.DataFrame | None]:
    """Return the effects without the levels with which nothing learned, and their description.

    None if every level learned somewhere, or what is left does not support a decomposition.
    """
    rest = levels_that_learned(runs, fields)
    varying = [field for field in fields if len(set(rest[field])) > 1]
    if len(rest) == len(runs) or not varying:
        return "", None
    kept = [
        f"{short(field)} = {', '.join(map(written, sorted(set(rest[field]), key=value_key)))}"
        for field in fields
        if rest[field].nunique() < runs[field].nunique()
    ]
    with suppress(DesignError):
        return f"among {' and '.join(kept)}, where anything learned,", _effects(rest, varying, name)
    return "", None


def _select(
    selection: Sequence[str], uri: str | None, metric: str, where: str | None
) -> tuple[pd.DataFrame, str, list[str]]:
    """Return the runs to compare, the metric's whole name, and notes on the selection."""
    runs = read_runs(uri, selection)
    name = metric_of(runs, metric)
    left_out, varied = [], varying_fields(runs)
    if where is not None:
        chosen = runs_where(runs, where)
        left_out = [*left_out_note(runs, where), *chosen_by_result_note(runs, where)]
        runs = chosen
    once = one_run_per_seed(runs, varying_fields(runs))
    once.attrs[VARIED] = varied  # a condition takes no column away
    repeated = len(runs) - len(once)
    note = (
        f"{counted(repeated, 'run')} {agreeing(repeated, 'repeats', 'repeat')} a configuration and "
        f"seed of others, and {agreeing(repeated, 'is', 'are')} not counted again."
    )
    return once, name, left_out + ([note] if repeated else [])


def _row(group: RunGroup, counts: Sequence[str]) -> dict[str, Any]:
    """Sum up the runs of one configuration."""
    summary, ended_as = group.summary, Counter(group.endings)
    ended = group.runs[group.runs["outcome"].notna()]
    epochs, pruned_at = (
        ended.get(name, pd.Series(math.nan, ended.index, dtype=float)).tolist()
        for name in ("epochs_to_target", "pruned_at")
    )
    time = time_to_target(epochs, pruned_at)
    return {
        **group.settings,
        "seeds": summary.n,
        "mean": summary.mean,
        "low": summary.interval.low,
        "high": summary.interval.high,
        "interval": summary.interval.method,
        "median": summary.median,
        "iqm": summary.iqm,
        "worst": summary.worst,
        "best": summary.best,
        "learners": group.learned.learned,
        "learners_of": group.learned.ended,
        "learned_low": group.learned.interval[0],
        "learned_high": group.learned.interval[1],
        "mean_of_learned": group.learned.mean,
        **{ending: ended_as[ending] for ending in counts},
        "reached": time.reached,
        "ended": time.n,
        "epochs_to_target": time.median,
    }


def _stopped(group: RunGroup, last: Mapping[str, tuple[float, int]]) -> dict[str, Any]:
    """Describe a configuration's runs that stopped on their way; nothing where none of all did."""
    if not last:
        return {}
    ended = [last[run_id] for run_id in group.runs["run_id"] if run_id in last]
    return {
        "stopped_accuracy": fmean(value for value, _ in ended) if ended else math.nan,
        "stopped_epochs": span([epoch for _, epoch in ended]),
    }


def _pivoted(
    table: pd.DataFrame, fields: Sequence[str], by: Sequence[str], metric: str
) -> pd.DataFrame:
    if not fields:
        raise ComparisonError(f"--by {','.join(by)}: nothing varies between these runs.")
    named = list(dict.fromkeys(column(name, fields) for name in by))
    *down, across = named
    down += [field for field in fields if field not in named]
    if not down:
        table, down = table.assign(metric=metric), ["metric"]
    values = sorted(set(table[across]), key=value_key)
    rows = []
    for key, group in table.groupby(down, sort=False, dropna=False):
        cells = group.set_index(across)
        rows.append(
            (key, {(name, value): cells[name].get(value) for name in PIVOTED for value in values})
        )
    rows.sort(key=lambda row: [value_key(value) for value in row[0]])
    index = pd.MultiIndex.from_tuples([key for key, _ in rows], names=down)
    columns = pd.MultiIndex.from_product([PIVOTED, values], names=["figure", across])
    return pd.DataFrame([row for _, row in rows], index, columns)


def _notes(
    runs: pd.DataFrame, table: pd.DataFrame, metric: str, groups: Sequence[RunGroup]
) -> list[str]:
    """Return the sentences that a reader needs to read the numbers right."""
    notes = [*_diverged_note(runs, metric), *late_notes(runs, metric)]
    if metric == TEST_ACCURACY:
        notes.append("The intervals are for other test images too, as many as these.")
    without = runs[run_results(runs, metric).isna()]
    if len(without):
        notes.append(
            f"{len(without)} of {counted(len(runs), 'run')} "
            f"{agreeing(len(without), 'has', 'have')} no {metric} ({tally(endings(without))}): "
            f"{agreeing(len(without), 'it is', 'they are')} in the order, as the worst result, "
            "but not in the statistics."
        )
    if (runs["outcome"] == "pruned").any():
        notes.append(
            "Epochs to target: a pruned run counts up to the epoch at which it was pruned "
            "(Kaplan-Meier). Pruning drops the runs that lag behind, so that the median may be too "
            "early."
        )
    alone = int((table["seeds"] == 1).sum())
    if alone:
        notes.append(
            f"{alone} of {counted(len(table), 'configuration')} "
            f"{agreeing(alone, 'has', 'have')} one seed: no interval. More seeds: add "
            "'seed=range(0,5)' to the sweep."
        )
    few = int(table["seeds"].between(2, 4).sum())
    if few:
        notes.append(
            f"{few} of {counted(len(table), 'configuration')} {agreeing(few, 'has', 'have')} "
            "2 to 4 seeds: too few for an interval that holds the true mean 95 times in 100, "
            "and for any verdict. " + next_step(groups).replace("`", "")
        )
    plain = int((table["interval"] == "percentile").sum())
    if plain:
        are = agreeing(plain, "is a percentile interval", "are percentile intervals")
        notes.append(f"{counted(plain, 'interval')} {are}: BCa is not defined there.")
    return notes


def _confirmation(groups: Sequence[RunGroup], uri: str | None) -> list[str]:
    """Say of a sweep's best configuration what new seeds make of it, or how to find out."""
    sweeps = set(pd.concat([group.runs["sweep"] for group in groups]))
    sweep = sweeps.pop()
    if sweeps or not isinstance(sweep, str):
        return []
    (record,) = open_reader(tracking_uri(uri)).read([sweep])
    if Tag.CONFIRMS in record.tags:
        return []
    confirmation = read_confirmation(uri, sweep, list(groups[0].settings), groups[0].metric)
    return [confirmation_sentence(groups, confirmation, sweep).replace("`", "")]


def _diverged_note(runs: pd.DataFrame, metric: str) -> list[str]:
    worst = run_results(runs, metric) == worst_result(metric)
    diverged = int(((runs["outcome"] == "diverged") & worst).sum())
    counts_as = "infinite" if lower_is_better(metric) else "0"
    return [f"{diverged} diverged runs count as {metric} {counts_as}."] if diverged else []
