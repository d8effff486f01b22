"""The runs of a store as pandas DataFrames, for tables, figures and notebooks."""

import csv
import re
from collections.abc import Iterable, Mapping, Sequence

import pandas as pd

from nnlab.errors import TrackingError
from nnlab.runs.tags import Tag
from nnlab.tracking.locations import tracking_uri
from nnlab.tracking.readers import Reader, open_reader

LAST = "last"  # the selection of the newest sweep
ID = re.compile(r"[0-9a-f]{1,32}")
INTEGER = re.compile(r"[+-]?\d+")
INFO = (
    "run_id",
    "name",
    "sweep",
    "sweep_name",
    "experiment",
    "status",
    "outcome",
    "start_time",
    "data_digest",
    "reproduces",
    "derived_from",
)  # columns that every run has; behind them its params, and then its metrics


def read_runs(uri: str | None, selection: Sequence[str]) -> pd.DataFrame:
    """Read runs: one row each, the newest first.

    Parameters
    ----------
    uri : str or None
        Of the store; None as in the config.
    selection : sequence of str
        Any of: the id of a sweep or of a run, or its beginning; an experiment's name; ``last``, the
        newest sweep. One entry may list several of them, separated by commas.

    Returns
    -------
    DataFrame
        The columns of ``INFO``: ``sweep`` is the id of the selected sweep, or else of the sweep
        that made the run; ``outcome`` is None where a run did not end; ``start_time`` is in UTC.
        Then a column for each parameter, numeric where all its values are numbers
        (``attrs["params"]`` lists these columns), and a column for each metric: its last value, NaN
        where there is none (``attrs["metrics"]``). The runs that a sweep reused are among its
        rows; the run that stands for the sweep is not.

    Raises
    ------
    TrackingError
        Where the store cannot be read, or there is no such run, sweep or experiment.
    """
    store = open_reader(tracking_uri(uri))
    sweeps: dict[str, str | None] = {}  # run -> the sweep by which it was selected
    for entry in selection:
        for word in filter(None, entry.split(",")):
            for run_id, sweep in _selected(store, word):
                sweeps.setdefault(run_id, sweep)
    return _frame(store, sweeps, f"{store.uri} has no runs yet in {', '.join(selection)}")


def read_tagged(uri: str | None, tag: str, values: Iterable[str]) -> pd.DataFrame:
    """Read the runs whose tag has one of these values.

    Parameters
    ----------
    uri : str or None
        Of the store; None as in the config.
    tag : str
        Its name.
    values : iterable of str

    Returns
    -------
    DataFrame
        As ``read_runs`` returns it.

    Raises
    ------
    TrackingError
        Where the store cannot be read, or there is no such run.
    """
    store = open_reader(tracking_uri(uri))
    run_ids = (run_id for value in values for run_id in store.ids_tagged(tag, value))
    return _frame(store, dict.fromkeys(run_ids), f"{store.uri} has no run with such a {tag}")


def read_curves(uri: str | None, run_ids: Sequence[str], metrics: Sequence[str]) -> pd.DataFrame:
    """Read metrics by epoch, of many runs at once.

    Parameters
    ----------
    uri : str or None
        Of the store; None as in the config.
    run_ids : sequence of str
        Whole ids.
    metrics : sequence of str
        Such as ``val/accuracy``; losses are in nats.

    Returns
    -------
    DataFrame
        ``run_id``, ``epoch`` and a column for each metric; a row for each epoch at which a run
        logged any of them, sorted by run id and epoch. NaN where a metric was not logged, or not
        finite.

    Raises
    ------
    TrackingError
        Where the store cannot be read.
    """
    return open_reader(tracking_uri(uri)).curves(sorted(run_ids), metrics)


def read_file(uri: str | None, run_id: str, name: str) -> str | None:
    """Return the text of one of a run's files, or None where there is none."""
    return open_reader(tracking_uri(uri)).read_file(run_id, name)


def _selected(store: Reader, word: str) -> list[tuple[str, str | None]]:
    """Return the ids of the runs that a word selects, each with its sweep if the word names one."""
    if word == LAST:
        sweeps = store.ids_tagged(Tag.KIND, "sweep")
        if not sweeps:
            raise TrackingError(
                f"{store.uri} has no sweep yet: make one with `python run.py -m lr=0.1,0.5`, or "
                "name an experiment or runs."
            )
        return _runs_of(store, sweeps[0])
    for experiment_id, name in store.experiments().items():
        if name == word:
            return [(run_id, None) for run_id in store.ids_in_experiment(experiment_id)]
    run_ids = store.ids_beginning_with(word) if ID.fullmatch(word) else []
    if len(run_ids) == 1:
        (record,) = store.read(run_ids)
        if record.is_sweep:
            return _runs_of(store, record.run_id)
        return [(record.run_id, None)]
    if run_ids:
        raise TrackingError(
            f"In {store.uri} {len(run_ids)} runs begin with {word}: give more of the id."
        )
    raise TrackingError(
        f"{word} is nothing in {store.uri}: give the id of a sweep or of a run (or its "
        f"beginning), the name of an experiment ({', '.join(store.experiments().values())}), or "
        f"`{LAST}` for the newest sweep."
    )


def _runs_of(store: Reader, sweep: str) -> list[tuple[str, str | None]]:
    """Return a sweep's runs: its own, and those of earlier sweeps that it reused."""
    run_ids = dict.fromkeys(store.ids_tagged(Tag.PARENT, sweep))
    table = store.read_file(sweep, "runs.csv")  # the sweep's own list, written at its end
    if table is not None:
        rows = csv.DictReader(table.splitlines())
        run_ids.update(dict.fromkeys(row["run_id"] for row in rows if row["run_id"]))
    return [(run_id, sweep) for run_id in run_ids]


def _frame(store: Reader, sweeps: Mapping[str, str | None], nothing: str) -> pd.DataFrame:
    records = [each for each in store.read(list(sweeps)) if not each.is_sweep]
    if not records:
        raise TrackingError(f"{nothing}: there is nothing to compare.")
    parents = {record.run_id: sweeps[record.run_id] or record.parent for record in records}
    names = {
        each.run_id: each.name
        for each in store.read(list({parent for parent in parents.values() if parent}))
    }
    experiments = store.experiments()
    info = pd.DataFrame(
        [
            (
                record.run_id,
                record.name,
                parents[record.run_id],
                names.get(parents[record.run_id] or ""),
                experiments.get(record.experiment_id),
                record.status,
                record.tags.get(Tag.OUTCOME),
                pd.Timestamp(record.start_time, unit="ms", tz="UTC"),
                record.tags.get(Tag.DATA_DIGEST),
                record.tags.get(Tag.REPRODUCES),
                record.tags.get(Tag.DERIVED_FROM),
            )
            for record in records
        ],
        columns=list(INFO),
        dtype=object,
    )
    params = {
        name: _typed([record.params.get(name) for record in records])
        for name in dict.fromkeys(name for record in records for name in record.params)
    }
    metrics = {
        name: pd.Series([record.metrics.get(name) for record in records], dtype=float)
        for name in sorted({name for record in records for name in record.metrics})
    }
    frame = pd.concat([info, pd.DataFrame(params), pd.DataFrame(metrics)], axis=1)
    frame["start_time"] = pd.to_datetime(frame["start_time"], utc=True)
    frame = frame.sort_values(["start_time", "run_id"], ascending=[False, True], ignore_index=True)
    frame.attrs.update(params=list(params), metrics=list(metrics))
    return frame


def _typed(values: Sequence[str | None]) -> pd.Series:
    """Parse numbers; a column that holds nothing else is numeric."""
    return pd.Series([_value(each) for each in values], dtype=object).infer_objects()


def _value(text: str | None) -> int | float | str | None:
    if text is None:
        return None
    if INTEGER.fullmatch(text):
        return int(text)
    try:
        return float(text)
    except ValueError:
        return text
