"""Tables of runs and of configurations, as pandas DataFrames."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

from nnlab.errors import ComparisonError
from nnlab.wording import counted

if TYPE_CHECKING:
    import pandas as pd


def runs_table(
    selection: Sequence[str] | None, where: str | None, uri: str | None
) -> "pd.DataFrame":
    """Return runs, a row each; see ``reading.runs``."""
    from nnlab.analysis.conditions import left_out_note, runs_where
    from nnlab.tracking.frames import read_runs

    runs = read_runs(uri, selection)
    if where is None:
        return runs
    chosen = runs_where(runs, where).reset_index(drop=True)
    chosen.attrs["notes"] = left_out_note(runs, where)
    return chosen


def comparison_table(
    selection: Sequence[str],
    by: str | Sequence[str] | None,
    metric: str | None,
    where: str | None,
    uri: str | None,
) -> "pd.DataFrame":
    """Compare what was selected; see ``reading.compare``."""
    from nnlab.analysis.comparison_output import comparison

    fields = [field for field in by.split(",") if field] if isinstance(by, str) else by
    return comparison(selection, uri=uri, metric=metric, by=fields, where=where)


def best_run(sweep: str, metric: str | None, uri: str) -> str:
    """Return the id of a sweep's best run."""
    from nnlab.analysis.configurations import metric_of, run_results
    from nnlab.analysis.ranking import METRIC, lower_is_better
    from nnlab.tracking.frames import read_runs

    runs = read_runs(uri, [sweep])
    name = metric_of(runs, metric or METRIC)
    results = runs.assign(result=run_results(runs, name)).dropna(subset=["result"])
    if results.empty:
        count = counted(len(runs), "run")
        raise ComparisonError(f"None of the {count} of {sweep[:8]} has {name} yet.")
    upwards = lower_is_better(name)
    ordered = results.sort_values(["result", "run_id"], ascending=[upwards, True])
    return str(ordered["run_id"].iloc[0])
