"""The ``late_val_accuracy`` of runs that were made before it was recorded: from their history."""

import csv
import io
from collections.abc import Sequence
from contextlib import suppress
from typing import TYPE_CHECKING, Protocol

import numpy as np

from nnlab.errors import StoredFileError, TrackingError
from nnlab.tracking.records import RunRecord
from nnlab.training.outcomes import LATE, LATE_PART, late_mean

if TYPE_CHECKING:
    import pandas as pd

FINAL = "final_val_accuracy"  # only a run with a final network has it
CURVE = "val/accuracy"
HISTORY = "history.csv"


class Files(Protocol):
    """What reads the text of a run's files."""

    def read_file(self, run_id: str, name: str) -> str | None:
        """Return a text; None where there is no such file."""


class Curves(Files, Protocol):
    """What reads the curves of many runs, too."""

    def curves(self, run_ids: Sequence[str], metrics: Sequence[str]) -> "pd.DataFrame":
        """Return ``run_id``, ``epoch`` and a column for each metric."""


def lacks(record: RunRecord) -> bool:
    """Tell whether a run has a final network, and no late accuracy is recorded."""
    return FINAL in record.metrics and LATE not in record.metrics


def from_history(files: Files, record: RunRecord) -> dict[str, float]:
    """Return a run's ``late_val_accuracy`` by its history.csv; nothing where that cannot be."""
    with suppress(TrackingError, StoredFileError, ValueError, KeyError, OverflowError, csv.Error):
        rows = list(csv.DictReader(io.StringIO(files.read_file(record.run_id, HISTORY) or "")))
        epochs = np.array([int(row["epoch"]) for row in rows], np.int64)
        values = np.array([float(row[CURVE]) for row in rows])
        if epochs.size and np.isfinite(values).all():
            return {LATE: late_mean(epochs, values)}
    return {}


def late_accuracies(store: Curves, records: Sequence[RunRecord]) -> dict[str, float]:
    """Return the late accuracy of those runs that lack it, by run id.

    It comes from the metrics by epoch; of a run that logged only some epochs, from history.csv.
    A run of which neither tells it has none.
    """
    lacking = {record.run_id: record for record in records if lacks(record)}
    late: dict[str, float] = {}
    if not lacking:
        return late
    for run_id, curve in store.curves(sorted(lacking), [CURVE]).dropna().groupby("run_id"):
        epochs, values = curve["epoch"].to_numpy(np.int64), curve[CURVE].to_numpy(np.float64)
        expected = max(1, epochs[-1] // LATE_PART)
        if np.sum(epochs > epochs[-1] - expected) == expected:
            late[str(run_id)] = late_mean(epochs, values)
    for run_id in lacking.keys() - late.keys():
        for value in from_history(store, lacking[run_id]).values():
            late[run_id] = value
    return late
