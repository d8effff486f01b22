"""Runs selected by words: ids of sweeps and runs, names of experiments, ``last``."""

import re
from collections.abc import Sequence

from nnlab.errors import TrackingError
from nnlab.jobs.tags import Tag
from nnlab.system.stored_files import parse_column
from nnlab.tracking.locations import RUN_ID
from nnlab.tracking.lookup import LAST, find_run, last_sweep
from nnlab.tracking.readers import Reader
from nnlab.tracking.records import RunRecord

ID = re.compile(r"[0-9a-f]{1,32}")
Selected = tuple[RunRecord, str | None]  # a run, and the sweep by which it was selected


def select(store: Reader, selection: Sequence[str]) -> list[Selected]:
    """Return the runs that some words select, each once.

    Parameters
    ----------
    store : Reader
    selection : sequence of str
        See ``frames.read_runs``; empty for the runs of the last sweep.

    Raises
    ------
    TrackingError
        Where a word selects nothing.
    """
    if not selection:
        return runs_of(store, last_sweep(store).run_id)
    words = [word for entry in selection for word in entry.split(",") if word]
    # Whole ids are looked up together: there may be ten thousand.
    whole = [word for word in words if RUN_ID.fullmatch(word)]
    runs = {run.run_id: run for run in store.read(whole)}
    selected: dict[str, Selected] = {}
    for word in words:
        alone = word in runs and not runs[word].is_sweep
        for run, sweep in [(runs[word], None)] if alone else _selected(store, word):
            selected.setdefault(run.run_id, (run, sweep))
    return list(selected.values())


def _selected(store: Reader, word: str) -> list[Selected]:
    """Return the runs that a word selects."""
    if word == LAST:
        record = find_run(store, word)
        return runs_of(store, record.run_id) if record.is_sweep else [(record, None)]
    for experiment_id, name in store.experiments().items():
        if name == word:
            return [(run, None) for run in store.in_experiment(experiment_id)]
    runs = store.beginning_with(word) if ID.fullmatch(word) else []
    if len(runs) == 1:
        return runs_of(store, runs[0].run_id) if runs[0].is_sweep else [(runs[0], None)]
    if runs:
        raise TrackingError(
            f"In {store.uri} {len(runs)} runs begin with {word}: give more of the id."
        )
    raise TrackingError(
        f"{word} is nothing in {store.uri}: give the id of a sweep or of a run (or its "
        f"beginning), the name of an experiment ({', '.join(store.experiments().values())}), or "
        f"`{LAST}` for what was started last."
    )


def runs_of(store: Reader, sweep: str) -> list[Selected]:
    """Return a sweep's runs: its own, and those of earlier sweeps that it reused."""
    runs = {run.run_id: run for run in store.tagged(Tag.PARENT, sweep)}
    table = store.read_file(sweep, "runs.csv")  # the sweep's own list, written at its end
    if table is not None:
        listed = parse_column(table, "run_id", f"runs.csv of {sweep[:8]}")
        reused = store.read([run_id for run_id in listed if run_id and run_id not in runs])
        runs.update((run.run_id, run) for run in reused)
    return [(run, sweep) for run in runs.values()]
