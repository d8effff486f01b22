"""``nnlab confirm``: the candidates for the best of a sweep, trained again on new seeds."""

from collections.abc import Sequence

import pandas as pd

from nnlab.analysis.best_set import may_be_best
from nnlab.analysis.configurations import metric_of
from nnlab.analysis.confirmation import confirming_sweeps, read_confirmation
from nnlab.analysis.confirmation_text import about_confirmation
from nnlab.analysis.groups import RunGroup
from nnlab.analysis.ranking import METRIC, SEED
from nnlab.analysis.seed_variance import left_out_of_intervals
from nnlab.analysis.statistics import MIN_SEEDS
from nnlab.analysis.sweep_results import SweepResults
from nnlab.errors import ComparisonError, ConfigError
from nnlab.execution.failures import raise_if_failed
from nnlab.execution.new_seeds import NewSeeds, unused_seed
from nnlab.execution.progress import print_note
from nnlab.execution.resume import resume
from nnlab.jobs.tags import Tag
from nnlab.system.status_line import status
from nnlab.tracking.store import existing_store
from nnlab.wording import counted

MAX_CANDIDATES = 20  # more are trained only where --top says so


def confirm(
    sweep: str | None,
    uri: str | None = None,
    *,
    metric: str | None = None,
    top: int | None = None,
    seeds: int | None = None,
    overrides: Sequence[str] = (),
) -> list[str]:
    """Train a sweep's candidates for the best again, on seeds that nobody has used.

    They are a sweep of their own, with the tag ``confirms``. One that was interrupted is resumed.

    Parameters
    ----------
    sweep : str or None
        The beginning of its id, or ``last``; None for the last sweep.
    uri : str or None
        Of the store; None as in the config.
    metric : str or None
        What the best is judged by; None for the late validation accuracy.
    top : int or None
        How many configurations, the best first; None for those that may be the best, see
        ``best_set.may_be_best``.
    seeds : int or None
        How many; None for as many as the best one has, and at least 5.
    overrides : sequence of str
        ``field=value``, for where the data is now; see ``local_fields``.

    Returns
    -------
    list of str
        What the new seeds say, in sentences.

    Raises
    ------
    NnlabError
        Where there is no such sweep, it has no result, it was confirmed before, or runs failed.
    """
    store = existing_store(uri)
    parent = store.last_sweep() if sweep is None else store.find_run(sweep)
    if parent.tags.get(Tag.KIND) != "sweep":
        raise ComparisonError(f"{parent.run_id[:8]} is no sweep: there is no best to confirm.")
    if Tag.CONFIRMS in parent.tags:
        raise ComparisonError(
            f"{parent.run_id[:8]} confirms another sweep: confirm {parent.tags[Tag.CONFIRMS][:8]}."
        )
    with status("reading runs"):
        results = SweepResults.read(store, parent)
        name = metric_of(results.all_runs, metric or METRIC)
        results = SweepResults.read(store, parent, name)
    before = [store.get(head) for head in confirming_sweeps(store.uri, parent.run_id)]
    unfinished = [record for record in before if record.status != "FINISHED"]
    if unfinished:
        raise_if_failed(resume(unfinished[0].run_id, store.uri, overrides=overrides))
    elif before:
        raise ConfigError(
            f"{parent.run_id[:8]} was confirmed by {before[0].run_id[:8]}, and seeds that are "
            "added until a figure pleases confirm nothing: nnlab report "
            f"{parent.run_id[:8]} quotes it."
        )
    else:
        chosen = _chosen(results.groups, top, parent.run_id)
        count = seeds or max(MIN_SEEDS, chosen[0].summary.n)
        first = unused_seed(store.uri, results.all_runs)
        print_note(
            f"{len(chosen)} of {counted(len(results.groups), 'configuration')}, {SEED}s {first} to "
            f"{first + count - 1}:"
        )
        new = NewSeeds(store, chosen, range(first, first + count), overrides)
        new.train(f"confirmation of {parent.run_id[:8]}", {Tag.CONFIRMS: parent.run_id})
    confirmation = read_confirmation(store.uri, parent.run_id, results.fields, name)
    sentences = list(about_confirmation(results.groups, confirmation, parent.run_id))
    if confirmation:
        runs = pd.concat([group.runs for group in confirmation.groups])
        sentences += left_out_of_intervals(runs, results.fields)
    return sentences


def _chosen(groups: Sequence[RunGroup], top: int | None, sweep: str) -> Sequence[RunGroup]:
    """Return the configurations to train."""
    if not groups[0].summary.n:
        raise ComparisonError(f"No run of {sweep[:8]} has a {groups[0].metric} to confirm.")
    if top is not None:
        return groups[:top]
    chosen = may_be_best(groups)
    if len(chosen) > MAX_CANDIDATES:
        raise ConfigError(
            f"{len(chosen)} of {len(groups)} configurations of {sweep[:8]} may be the best: its "
            f"seeds exclude too few. Say how many to train, the best first: nnlab confirm "
            f"{sweep[:8]} --top 5."
        )
    return chosen
