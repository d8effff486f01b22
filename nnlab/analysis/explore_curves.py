"""The curves and histograms of ``explore.html``, thinned so that the page stays small."""

import base64
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from nnlab.training.history import Snapshots

NUMBERS = 900_000  # of all curves, 4 bytes each, and a third more as text
MOST_EPOCHS, FEWEST_EPOCHS = 200, 20
LARGEST = 3e38  # what is larger is drawn there: float32 has no such numbers


def thinned_curves(
    run_ids: Sequence[str], members: Sequence[NDArray[np.int64]], curves: pd.DataFrame
) -> dict[str, Any]:
    """Return the median, lowest and highest value of each group, and the end of each run.

    Parameters
    ----------
    run_ids : sequence of str
    members : sequence of NDArray
        The places of each group's runs among them.
    curves : DataFrame
        See ``frames.read_curves``.
    """
    metrics = [name for name in curves.columns if name not in ("run_id", "epoch")]
    place = {run_id: row for row, run_id in enumerate(run_ids)}
    rows = curves["run_id"].map(place).to_numpy(np.int64)
    epochs = curves["epoch"].to_numpy(np.int64)
    logged = np.unique(epochs)
    several = max(map(len, members)) > 1
    each = max(1, len(metrics)) * len(members) * (4 if several else 1)
    kept = _thinned(logged, min(MOST_EPOCHS, max(FEWEST_EPOCHS, NUMBERS // each)))
    chosen = np.isin(epochs, kept)
    columns = np.searchsorted(kept, epochs[chosen])

    made: dict[str, Any] = {}
    for metric in metrics:
        table = np.full((len(run_ids), len(kept)), np.nan)
        table[rows[chosen], columns] = curves[metric].to_numpy(np.float64)[chosen]
        made[metric] = _over_seeds(table, members, several=several)
    ends = curves.groupby("run_id").last() if len(curves) else curves.set_index("run_id")
    ends = ends.reindex(list(run_ids))
    return {
        "epochs": kept.tolist(),
        "logged": len(logged),
        "curves": made,
        "ends": {
            "epoch": _floats(ends["epoch"].to_numpy(np.float64)),
            **{metric: _floats(ends[metric].to_numpy(np.float64)) for metric in metrics},
        },
    }


def _over_seeds(
    table: NDArray[np.float64], members: Sequence[NDArray[np.int64]], *, several: bool
) -> dict[str, str]:
    """Return ``(groups, epochs)`` each: the median and, of several runs, their spread and count."""
    if not several:
        return {"middle": _floats(table[np.concatenate(members)])}
    shape = (len(members), table.shape[1])
    middle, low, high = (np.full(shape, np.nan) for _ in range(3))
    count = np.zeros(shape)
    for group, rows in enumerate(members):
        values = table[rows]
        known = np.isfinite(values)
        measured = known.any(axis=0)
        count[group] = known.sum(axis=0)
        if measured.any():
            values = np.where(known, values, np.nan)[:, measured]
            middle[group, measured] = np.nanmedian(values, axis=0)
            low[group, measured] = np.nanmin(values, axis=0)
            high[group, measured] = np.nanmax(values, axis=0)
    made = {"middle": middle, "low": low, "high": high, "count": count}
    return {name: _floats(array) for name, array in made.items()}


def _thinned(epochs: NDArray[np.int64], most: int) -> NDArray[np.int64]:
    """Keep the first, the last, and others: half at even and half at log-spaced distances."""
    if len(epochs) <= most:
        return epochs
    even = np.linspace(0, len(epochs) - 1, most - most // 2)
    logarithmic = np.geomspace(1, len(epochs), most // 2) - 1
    places = np.unique(np.concatenate((even, logarithmic)).round().astype(int))
    return np.asarray(epochs[places])


def encoded_snapshots(
    run_ids: Sequence[str], snapshots: Mapping[str, Snapshots]
) -> dict[str, list[Any]]:
    """Return the histograms of some runs: ``counts`` are (epochs, quantities, bins) of each."""
    rows = [row for row, run_id in enumerate(run_ids) if snapshots.get(run_id)]
    taken = [sorted(snapshots[run_ids[row]].items()) for row in rows]
    return {
        "runs": rows,
        "epochs": [[epoch for epoch, _ in run] for run in taken],
        "counts": [_floats(np.array([counts for _, counts in run])) for run in taken],
    }


def _floats(values: NDArray[Any]) -> str:
    """Write numbers as ``Float32Array`` has them, in base64."""
    limited = np.clip(values, -LARGEST, LARGEST).astype("<f4")
    return base64.b64encode(limited.tobytes()).decode("ascii")
