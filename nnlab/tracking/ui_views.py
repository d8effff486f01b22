"""Views of MLflow's UI: the columns and charts that show a sweep.

MLflow keeps a saved view in a tag of the experiment, lists it in the menu *Views*, and opens it by
its key in a link. Without a view, its table of runs has neither parameters nor metrics, and its
charts begin with gradient norms.
"""

import base64
import json
import math
import zlib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

from nnlab.jobs.run import SEEDS
from nnlab.jobs.tags import Tag
from nnlab.tracking.late_accuracy import FINAL, lacks
from nnlab.tracking.records import RunRecord
from nnlab.tracking.ui_charts import CONFIGURATIONS, SECTIONS, charts_state, sweep_charts
from nnlab.training.initializers import independent
from nnlab.training.outcomes import LATE

VIEW_TAG = "mlflow.sharedViewState."  # MLflow's own; the view's key follows
RESULTS = (
    LATE, FINAL, "best_val_accuracy", "test/accuracy", "epochs_to_target", "final_train_loss",
    "stable_over_predicted", "largest_over_predicted", "lr_stable", "lr_largest", "lr_predicted",
    "sharpness",
)  # fmt: skip
COUNTS = ("runs/planned", "runs/learned")  # of a sweep's own row
COMMON_PARAMS = ("init.name", "lr", "seed", "hidden_size", "epochs")
WIDTHS = {"attributes.`Run Name`": 290, "runDateAndNestInfo": 130}  # pixels; always shown
NAME_LENGTH = 80  # of a sweep's name in the menu
LOADED = 100  # runs of a list, until one asks for more


@dataclass(frozen=True)
class View:
    """A table of runs with its charts.

    Attributes
    ----------
    key : str
        By which a link names it.
    name : str
        In the menu of views.
    state : mapping
        In MLflow's own terms.
    """

    key: str
    name: str
    state: Mapping[str, Any]

    def tag(self, now: int) -> tuple[str, str]:
        """Return the experiment's tag in which MLflow finds this view; ``now`` in milliseconds."""
        packed = base64.b64encode(zlib.compress(json.dumps(self.state).encode())).decode()
        envelope = {"name": self.name, "createdAt": now, "state": f"deflate;{packed}"}
        return VIEW_TAG + self.key, json.dumps(envelope)


def experiment_view(name: str) -> View:
    """Return the view of all runs of an experiment: each sweep one row, and its runs below it."""
    columns = [*_metrics((*COUNTS, *RESULTS[:4])), *_params(COMMON_PARAMS)]
    return View("nnlab", f"all of {name}", {**_selection("", None), **_columns(columns)})


class SweepViews(NamedTuple):
    """The views of a sweep's runs.

    Attributes
    ----------
    table : View
        All runs, best first.
    charts : View
        Curves and results by configuration. It is the table's view where MLflow loads all runs.
    comparison : View
        The configurations beside each other.
    drawn : int
        How many runs are in the charts.
    """

    table: View
    charts: View
    comparison: View
    drawn: int


def sweep_views(parent: RunRecord, children: Sequence[RunRecord]) -> SweepViews:
    """Return the views of a sweep's runs.

    MLflow loads ``LOADED`` runs of a list, and draws and groups these alone: of a larger sweep,
    best first, no dead run would be seen. Its charts have a part of the runs, which spans all
    configurations.
    """
    metrics = {name for run in children for name in run.metrics}
    fields = varying(children)
    configuration = [field for field in fields if field not in SEEDS]
    results = [name for name in RESULTS if name in metrics]
    if (score := score_of(children)) in results:
        results = [score, *(name for name in results if name != score)]
    best = results[0] if results else None
    drawn = spanning(best_first(children), configuration)
    of_sweep = f"tags.{Tag.PARENT} = '{parent.run_id}'"
    columns = _columns([*_metrics(results[:1]), *_params(fields), *_metrics(results[1:])])
    charts = list(sweep_charts(metrics, configuration, best))
    short_id = parent.run_id[:8]
    name = f"{short_id} {parent.name[:NAME_LENGTH]}"
    table = {**_selection(of_sweep, best), **columns, **charts_state(charts, SECTIONS)}
    grouped = _grouping(drawn, configuration)
    compared = {**table, **charts_state(charts, (CONFIGURATIONS, *SECTIONS))}
    kinds = "charts", "configurations"
    if len(drawn) < len(children):
        of_drawn = f"attributes.run_id IN ({', '.join(repr(run.run_id) for run in drawn)})"
        part = _selection(of_drawn, best)
        compared.update(part)
        names = [f"{short_id} {kind} of {len(drawn)} of {len(children)} runs" for kind in kinds]
        table_view = View(parent.run_id, name, {**table, "runsHiddenMode": "HIDE_ALL"})
        charts_view = View(f"{parent.run_id}-charts", names[0], {**table, **part, **grouped})
    else:
        names = [f"{name} {kind}" for kind in kinds]
        charts_view = table_view = View(parent.run_id, name, {**table, **grouped})
    comparison = View(f"{parent.run_id}-configurations", names[1], compared)
    return SweepViews(table_view, charts_view, comparison, len(drawn))


def varying(runs: Sequence[RunRecord]) -> list[str]:
    """Return the parameters that differ between runs, without those that follow from others."""
    values: dict[str, set[str]] = {}
    for run in runs:
        for name, value in run.params.items():
            values.setdefault(name, set()).add(value)
    fields = [name for name in values if len(values[name]) > 1]
    return independent(fields, values.get("init.name", set()))


def configuration_of(run: RunRecord, fields: Sequence[str]) -> tuple[str | None, ...]:
    """Return a run's values of the fields that define its configuration."""
    return tuple(run.params.get(field) for field in fields)


def score_of(runs: Sequence[RunRecord]) -> str:
    """Return the metric that runs are sorted by: the late accuracy where all that ended have it."""
    return FINAL if any(map(lacks, runs)) else LATE


def best_first(runs: Sequence[RunRecord]) -> list[RunRecord]:
    """Sort runs by their validation accuracy, those without one last."""
    score = score_of(runs)
    return sorted(runs, key=lambda run: -run.metrics.get(score, -1.0))


def spanning(runs: Sequence[RunRecord], fields: Sequence[str]) -> list[RunRecord]:
    """Return at most ``LOADED`` runs, of every configuration equally many if there is room.

    Parameters
    ----------
    runs : sequence of RunRecord
        The best first.
    fields : sequence of str
        That define a configuration.
    """
    if len(runs) <= LOADED:
        return list(runs)
    groups: dict[tuple[str | None, ...], list[RunRecord]] = {}
    for run in runs:
        groups.setdefault(configuration_of(run, fields), []).append(run)
    rows = list(groups.values())
    if len(rows) > LOADED:  # at even distances from the best to the worst
        rows = [rows[place * (len(rows) - 1) // (LOADED - 1)] for place in range(LOADED)]
    seeds = LOADED // len(rows)
    by_seed = [sorted(row, key=lambda run: [_number(run, seed) for seed in SEEDS]) for row in rows]
    return [run for row in by_seed for run in row[:seeds]]


def _number(run: RunRecord, seed: str) -> float:
    text = run.params.get(seed, "")
    return float(text) if text.isdecimal() else math.inf


def _grouping(runs: Sequence[RunRecord], fields: Sequence[str]) -> dict[str, object]:
    """Group runs by configuration, unless each is one of its own."""
    configurations = {configuration_of(run, fields) for run in runs}
    if not 1 < len(configurations) < len(runs):
        return {}
    keys = [{"mode": "param", "groupByData": field} for field in fields]
    return {"groupBy": {"aggregateFunction": "average", "groupByKeys": keys}}


def _selection(condition: str, score: str | None) -> dict[str, object]:
    order = "attributes.start_time" if score is None else f"metrics.`{score}`"
    return {
        "searchFilter": condition,
        "orderByKey": order,
        "orderByAsc": False,
        "startTime": "ALL",
        "lifecycleFilter": "Active",
    }


def _params(names: Iterable[str]) -> list[str]:
    return ["tags.`outcome`", *(f"params.`{name}`" for name in names)]


def _metrics(names: Iterable[str]) -> list[str]:
    return [f"metrics.`{name}`" for name in names]


def _columns(columns: list[str]) -> dict[str, object]:
    widths = {name: 130 if name.startswith("metrics") else 90 for name in columns}
    return {
        "selectedColumns": columns,
        "columnOrder": [*WIDTHS, *columns],
        "columnWidths": {**WIDTHS, **widths},
    }
