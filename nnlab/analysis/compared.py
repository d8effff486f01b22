"""What a comparison is of: which runs, what they have in common, where some of them stopped."""

from typing import Any

import pandas as pd

from nnlab.analysis.formatting import short
from nnlab.tracking.locations import tracking_uri
from nnlab.tracking.readers import open_reader
from nnlab.wording import counted

MAX_NAMED = 3  # sweeps that are named; more are counted


def about(runs: pd.DataFrame, configurations: str, where: str | None) -> dict[str, Any]:
    """Return the attributes ``compared`` and ``common`` of a comparison of some runs."""
    condition = "" if where is None else f", where {where}"
    return {
        "compared": f"{counted(len(runs), 'run')} of {_origin(runs)}{condition}: {configurations}",
        "common": common_values(runs),
    }


def last_of_stopped(runs: pd.DataFrame, uri: str | None) -> dict[str, tuple[float, int]]:
    """Return the last validation accuracy, and its epoch, of runs that stopped on their way.

    Parameters
    ----------
    runs : DataFrame
        As ``read_runs`` returns them.
    uri : str or None

    Returns
    -------
    dict
        By the runs' ids; without those that have logged nothing.
    """
    stopped = runs[runs["outcome"].isna() | (runs["outcome"] == "pruned")]
    if stopped.empty:
        return {}
    records = open_reader(tracking_uri(uri)).read(list(stopped["run_id"]))
    name = "val/accuracy"
    return {
        record.run_id: (record.metrics[name], record.steps[name])
        for record in records
        if name in record.metrics
    }


def _origin(runs: pd.DataFrame) -> str:
    """Say which sweeps made some runs."""
    sweeps = dict(zip(runs["sweep"], runs["sweep_name"], strict=True))
    named = [f"{sweep[:8]} ({name})" for sweep, name in sweeps.items() if isinstance(sweep, str)]
    if not named:
        return "no sweep"
    if len(named) > MAX_NAMED:
        return counted(len(named), "sweep")
    alone = " and of no sweep" if len(named) < len(sweeps) else ""
    return f"sweep{'s' * (len(named) > 1)} {', '.join(named)}{alone}"


def common_values(runs: pd.DataFrame) -> dict[str, Any]:
    """Return the parameters in which all runs agree."""
    return {
        short(name): runs[name].iloc[0]
        for name in runs.attrs["params"]
        if len(set(runs[name].astype(str))) == 1 and not pd.isna(runs[name].iloc[0])
    }
