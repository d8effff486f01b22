"""Configurations: what varies between runs besides the seed, and what each run counts as."""

import math
from collections import Counter

import pandas as pd

from nnlab.analysis.conditions import column
from nnlab.errors import ComparisonError
from nnlab.training.initializers import independent

SEED = "seed"
DIGEST = "data_digest"
FINAL = ("final_val_accuracy", "final_val_loss", "final_train_loss")  # of no diverged run
ENDINGS = (
    "learned", "stalled", "dead", "diverged", "pruned", "FAILED", "KILLED", "RUNNING", "SCHEDULED",
)  # fmt: skip


def lower_is_better(metric: str) -> bool:
    """Tell whether the best value of a metric is its smallest: of all but accuracies."""
    return not metric.endswith("accuracy")


def varying(runs: pd.DataFrame) -> list[str]:
    """Return the parameters that vary between runs, the seed and what follows from others aside.

    An init's name decides its draw, and its scale and shift too unless it is one that leaves them
    free. The data's digest is one of them where runs of equal parameters had other data.
    """
    params: list[str] = runs.attrs["params"]
    fields = [each for each in params if each != SEED and len(set(runs[each].astype(str))) > 1]
    fields = independent(fields, set(runs["init.name"]) if "init.name" in runs else set())
    about_data = [each for each in params if each.startswith("data.")]
    if about_data and len(runs[[*about_data, DIGEST]].drop_duplicates()) > len(
        runs[about_data].drop_duplicates()
    ):
        fields.append(DIGEST)
    return fields


def leading(runs: pd.DataFrame, fields: list[str], typed: str) -> list[str]:
    """Leave out of varying fields what only follows another: epochs that are matched to a size.

    Parameters
    ----------
    typed : what was typed, such as a sweep's name: of two fields that follow each other, the one
        that it does not name is left out
    """
    named = [each for each in fields if f"{each.removesuffix('.name')}=" in typed]

    def follows(field: str) -> bool:
        return any(
            len(runs[[field, other]].drop_duplicates())
            == len(set(runs[field]))
            == len(set(runs[other]))
            for other in named
        )

    return [each for each in fields if each in named or not follows(each)]


def endings(runs: pd.DataFrame) -> pd.Series:
    """Return what became of each run: its outcome, or else its status."""
    return runs["outcome"].astype(object).where(runs["outcome"].notna(), runs["status"])


def counted(words: "pd.Series[str]") -> str:
    """Write what became of runs, counted: ``4 learned, 1 diverged``."""
    return ", ".join(f"{count} {word}" for word, count in Counter(words).most_common())


def results(runs: pd.DataFrame, metric: str) -> "pd.Series[float]":
    """Return what each run counts as; NaN where it has no result.

    A diverged run has no final network, and that is a result: its accuracy counts as 0, its loss
    as infinite, so that a configuration's lucky survivors do not speak for it alone. A run that
    ended without having reached its target needed infinitely many epochs. What a run would have
    come to that was pruned, killed, failed or is at work still is not known.
    """
    values = pd.Series(runs.get(metric, math.nan), index=runs.index, dtype=float)
    if metric == "epochs_to_target":
        return values.where(values.notna() | runs["outcome"].isna(), math.inf)
    if metric.endswith(("accuracy", "loss")):
        worst = math.inf if lower_is_better(metric) else 0.0
        return values.where(values.notna() | (runs["outcome"] != "diverged"), worst)
    return values


def once_each(runs: pd.DataFrame, fields: list[str]) -> pd.DataFrame:
    """Keep one run of each configuration and seed: a complete one if there is, the newest of them.

    Equal configurations and seeds have equal results: counting one twice would feign a seed.
    """
    if SEED not in runs:
        return runs
    order = runs.assign(_open=runs["outcome"].isna() | (runs["outcome"] == "pruned"))
    order = order.sort_values(
        ["_open", "start_time", "run_id"], ascending=[True, False, True], kind="stable"
    )
    kept = order.index[~order[[*fields, SEED]].astype(str).duplicated()]
    return runs.loc[kept.sort_values()]


def metric_of(runs: pd.DataFrame, metric: str) -> str:
    """Return the whole name of a metric that some run has, or counts as having.

    Raises
    ------
    ComparisonError
        Where no run has it.
    """
    metrics: list[str] = runs.attrs["metrics"]
    if (runs["outcome"] == "diverged").any():  # perhaps of all, and a result nevertheless
        metrics = list(dict.fromkeys((*metrics, *FINAL)))
    if not metrics:
        raise ComparisonError(f"None of these {len(runs)} runs has a result yet.")
    if metric == "epochs_to_target" and metric not in runs:
        raise ComparisonError(
            f"None of these {len(runs)} runs has reached its target accuracy; compare another "
            "metric."
        )
    return column(metric, metrics)


def value_key(value: object) -> tuple[bool, float, str]:
    """Order numbers by size and words by letters, numbers first."""
    number = isinstance(value, int | float)
    return not number, float(value) if number else 0.0, str(value)  # type: ignore[arg-type]
