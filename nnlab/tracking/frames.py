"""The runs of a store as pandas DataFrames, for tables, figures and notebooks."""

import math
import re
from collections.abc import Collection, Iterable, Sequence

import pandas as pd

from nnlab.errors import TrackingError
from nnlab.jobs.tags import Tag
from nnlab.tracking.late_accuracy import late_accuracies
from nnlab.tracking.locations import tracking_uri
from nnlab.tracking.readers import Reader, open_reader
from nnlab.tracking.selection import Selected, select
from nnlab.training.outcomes import LATE

LONGEST_INTEGER = 18  # digits, so that it fits into 64 bits
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
    "weights_sha256",
    "reproduces",
    "derived_from",
)  # columns that every run has; behind them its params, and then its metrics


def read_runs(uri: str | None, selection: Sequence[str] | None) -> pd.DataFrame:
    """Read runs: one row each, the newest first.

    Parameters
    ----------
    uri : str or None
        Of the store; None as in the config.
    selection : sequence of str or None
        Any of: the id of a sweep or of a run, or its beginning; an experiment's name; ``last``, the
        sweep or single run that was started last. One entry may list several of them, separated by
        commas. None for all runs, empty for those of the last sweep.

    Returns
    -------
    DataFrame
        The columns of ``INFO``: ``sweep`` is the id of the selected sweep, or else of the sweep
        that made the run; ``outcome`` is None where a run did not end; ``start_time`` is in UTC.
        Then a column for each parameter, numeric where all its values are numbers
        (``attrs["params"]`` lists these columns), and a column for each metric: its last value, NaN
        where there is none (``attrs["metrics"]``); the ``late_val_accuracy`` of runs that did not
        record it comes from their history. The runs that a sweep reused are among its
        rows; the run that stands for the sweep is not.

    Raises
    ------
    TrackingError
        Where the store cannot be read, or there is no such run, sweep or experiment.
    """
    store = open_reader(tracking_uri(uri))
    if selection is None:
        experiments = store.experiments()
        everything = [(run, None) for name in experiments for run in store.in_experiment(name)]
        return _frame(store, everything, f"{store.uri} has no runs yet")
    where = f"in {', '.join(selection)}" if selection else "in its last sweep"
    return _frame(store, select(store, selection), f"{store.uri} has no runs yet {where}")


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
    runs = [(run, None) for value in dict.fromkeys(values) for run in store.tagged(tag, value)]
    return _frame(store, runs, f"{store.uri} has no run with such a {tag}")


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


def _frame(store: Reader, selected: Collection[Selected], nothing: str) -> pd.DataFrame:
    parents = {
        record.run_id: sweep or record.parent for record, sweep in selected if not record.is_sweep
    }
    records = [record for record, _ in selected if not record.is_sweep]
    if not records:
        raise TrackingError(f"{nothing}: there is nothing to compare.")
    names = {
        parent.run_id: parent.name
        for parent in store.read(list({run_id for run_id in parents.values() if run_id}))
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
                record.start_time,
                record.tags.get(Tag.DATA_DIGEST),
                record.tags.get(Tag.WEIGHTS_SHA256),
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
    late = late_accuracies(store, records)
    if late:
        metrics[LATE] = pd.Series(
            [late.get(record.run_id, record.metrics.get(LATE)) for record in records], dtype=float
        )
    frame = pd.concat([info, pd.DataFrame(params), pd.DataFrame(metrics)], axis=1)
    # Not a time where no clock can have said it.
    frame["start_time"] = pd.to_datetime(frame["start_time"], unit="ms", utc=True, errors="coerce")
    frame = frame.sort_values(["start_time", "run_id"], ascending=[False, True], ignore_index=True)
    frame.attrs.update(params=list(params), metrics=sorted(metrics))
    return frame


def _typed(values: Sequence[str | None]) -> pd.Series:
    """Parse numbers; a column that holds nothing else is numeric."""
    return pd.Series([typed_value(each) for each in values], dtype=object).infer_objects()


def typed_value(text: str | None) -> int | float | str | None:
    """Return a parameter's value: a number where its text is a finite one."""
    if text is None:
        return None
    if INTEGER.fullmatch(text) and len(text) <= LONGEST_INTEGER:
        return int(text)
    try:
        number = float(text)
    except ValueError:
        return text
    return number if math.isfinite(number) else text  # no param of a run is such a number
