"""Configurations: which parameters vary between runs besides the seed, and each run's result."""

import math

import pandas as pd

from nnlab.analysis.conditions import column
from nnlab.analysis.ranking import LAST, METRIC, SEED, result_of
from nnlab.errors import ComparisonError
from nnlab.jobs.run import SEEDS
from nnlab.training.initializers import independent
from nnlab.wording import counted

DIGEST = "data_digest"
FINAL = (METRIC, LAST, "final_val_loss", "final_train_loss")  # no diverged run has these


def varying_fields(runs: pd.DataFrame) -> list[str]:
    """Return the parameters that vary between runs, without seeds and what follows from others.

    No seed is a field: runs that differ in their seeds alone repeat a configuration.

    An init's name decides its draw, and also its scale and shift unless it leaves these to the
    config. The digest of the data is among them if runs with equal parameters had other data.
    """
    params: list[str] = runs.attrs["params"]
    fields = [name for name in params if name not in SEEDS and len(set(runs[name].astype(str))) > 1]
    fields = independent(fields, set(runs["init.name"]) if "init.name" in runs else set())
    about_data = [name for name in params if name.startswith("data.")]
    if about_data and len(runs[[*about_data, DIGEST]].drop_duplicates()) > len(
        runs[about_data].drop_duplicates()
    ):
        fields.append(DIGEST)
    return fields


def varying_seeds(runs: pd.DataFrame) -> list[str]:
    """Return the seeds that vary between runs."""
    return [seed for seed in SEEDS if seed in runs and len(set(runs[seed].astype(str))) > 1]


def leading_fields(runs: pd.DataFrame, fields: list[str], typed: str) -> list[str]:
    """Leave out varying fields that only follow another: epochs that are matched to a size.

    Parameters
    ----------
    runs : DataFrame
    fields : list of str
    typed : str
        What was typed, such as a sweep's name: of two fields that follow each other, the one that
        it does not name is left out.
    """
    named = [field for field in fields if f"{field.removesuffix('.name')}=" in typed]

    def follows(field: str) -> bool:
        return any(
            len(runs[[field, other]].drop_duplicates())
            == len(set(runs[field]))
            == len(set(runs[other]))
            for other in named
        )

    return [field for field in fields if field in named or not follows(field)]


def endings(runs: pd.DataFrame) -> pd.Series:
    """Return what became of each run: its outcome, or its status if it has none."""
    return runs["outcome"].astype(object).where(runs["outcome"].notna(), runs["status"])


def run_results(runs: pd.DataFrame, metric: str) -> "pd.Series[float]":
    """Return what each run counts as; NaN for a run without a result. See ``result_of``."""
    values = pd.Series(runs.get(metric, math.nan), index=runs.index, dtype=float)
    outcomes = runs["outcome"].astype(object).where(runs["outcome"].notna(), None)
    counted = [result_of(metric, *run) for run in zip(values, outcomes, strict=True)]
    return pd.Series(counted, index=runs.index, dtype=float)


def one_run_per_seed(runs: pd.DataFrame, fields: list[str]) -> pd.DataFrame:
    """Keep one run of each configuration and seed: the newest one that is complete, if any is.

    Equal configurations and seeds have equal results: if one counted twice, it would pass for
    another seed.
    """
    if SEED not in runs:
        return runs
    order = runs.assign(_open=runs["outcome"].isna() | (runs["outcome"] == "pruned"))
    order = order.sort_values(
        ["_open", "start_time", "run_id"], ascending=[True, False, True], kind="stable"
    )
    columns = list(dict.fromkeys([*fields, *(seed for seed in SEEDS if seed in runs)]))
    kept = order.index[~order[columns].astype(str).duplicated()]
    return runs.loc[kept.sort_values()]


def common_target(runs: pd.DataFrame) -> float | None:
    """Return the validation accuracy that counts as learned; None if the runs differ in it."""
    targets = set(runs.get("target_accuracy", pd.Series(dtype=float)))
    return float(targets.pop()) if len(targets) == 1 else None


def metric_of(runs: pd.DataFrame, metric: str) -> str:
    """Return the whole name of a metric that some run has, or counts as having.

    In place of ``late_val_accuracy`` it is ``final_val_accuracy`` where a run has only that: all
    runs are compared by the same.

    Raises
    ------
    ComparisonError
        If no run has it.
    """
    metrics: list[str] = runs.attrs["metrics"]
    if (runs["outcome"] == "diverged").any():  # perhaps all diverged, and that is a result too
        metrics = list(dict.fromkeys((*metrics, *FINAL)))
    if not metrics:
        raise ComparisonError(f"None of these {counted(len(runs), 'run')} has a result yet.")
    if metric == METRIC and not set(FINAL).intersection(metrics):
        raise ComparisonError(
            f"None of these {counted(len(runs), 'run')} has come to its end, as {METRIC} needs. "
            "`nnlab resume` goes on with a sweep; --metric val/accuracy says how far they came."
        )
    if metric == "epochs_to_target" and metric not in runs:
        raise ComparisonError(
            f"None of these {counted(len(runs), 'run')} has reached its target accuracy; compare "
            "another metric."
        )
    name = column(metric, metrics)
    return LAST if name == METRIC and len(without_late(runs)) else name


def without_late(runs: pd.DataFrame) -> pd.DataFrame:
    """Return the runs with a last accuracy and no late one: older ones that kept no history."""
    if LAST not in runs:
        return runs.iloc[:0]
    return runs[runs[LAST].notna() & runs.get(METRIC, runs[LAST] * math.nan).isna()]


def value_key(value: object) -> tuple[bool, float, str]:
    """Order numbers by size and words by letters, numbers first."""
    number = isinstance(value, int | float)
    return not number, float(value) if number else 0.0, str(value)  # type: ignore[arg-type]
