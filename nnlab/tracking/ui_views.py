"""Views of MLflow's UI: the columns and charts that show a sweep.

MLflow keeps a saved view in a tag of the experiment, lists it in the menu *Views*, and opens it by
its key in a link. Without a view, its table of runs has neither parameters nor metrics, and its
charts begin with gradient norms.
"""

import base64
import json
import zlib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from nnlab.jobs.tags import Tag
from nnlab.tracking.records import RunRecord
from nnlab.training.history import CURVES as BY_EPOCH
from nnlab.training.history import STEPS
from nnlab.training.initializers import independent
from nnlab.training.outcomes import LATE

VIEW_TAG = "mlflow.sharedViewState."  # MLflow's own; the view's key follows
SCORE = "final_val_accuracy"
RESULTS = (
    SCORE, LATE, "best_val_accuracy", "test/accuracy", "epochs_to_target", "final_train_loss",
    "stable_over_predicted", "largest_over_predicted", "lr_stable", "lr_largest", "lr_predicted",
    "sharpness",
)  # fmt: skip
COUNTS = ("runs/planned", "runs/learned")  # of a sweep's own row
COMMON_PARAMS = ("init.name", "lr", "seed", "hidden_size", "epochs")
CURVES = ("val/accuracy", "train/loss", "val/loss", "dead_fraction")
WIDTHS = {"attributes.`Run Name`": 290, "runDateAndNestInfo": 130}  # pixels; always shown
NAME_LENGTH = 80  # of a sweep's name in the menu
SCATTER_RUNS = 1000  # that a scatter plot shows
SECTIONS = {"Curves": 2, "What varies": 1, "Results": 3, "Steps": 3, "Other metrics": 3}
COLLAPSED = ("Steps", "Other metrics")
CHART_HEIGHT = 320  # pixels


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


def sweep_view(parent: RunRecord, children: Sequence[RunRecord]) -> View:
    """Return the view of a sweep's runs, best first, with the charts of what varies in it."""
    metrics = {name for run in children for name in run.metrics}
    results = [name for name in RESULTS if name in metrics]
    fields = varying(children)
    score = results[0] if results else None
    charts = list(_charts(metrics, fields, score))
    state = {
        **_selection(f"tags.{Tag.PARENT} = '{parent.run_id}'", score),
        **_columns([*_params(fields), *_metrics(results)]),
        "runsHiddenMode": "FIRST_20_RUNS",
        "compareRunCharts": charts,
        "compareRunSections": [
            {
                "uuid": name,
                "name": name,
                "display": name not in COLLAPSED,
                "isReordered": True,
                "columns": columns,  # charts side by side
                "cardHeight": CHART_HEIGHT,
            }
            for name, columns in SECTIONS.items()
            if any(chart["metricSectionId"] == name for chart in charts)
        ],
        "isAccordionReordered": True,
    }
    return View(parent.run_id, f"{parent.run_id[:8]} {parent.name[:NAME_LENGTH]}", state)


def varying(runs: Sequence[RunRecord]) -> list[str]:
    """Return the parameters that differ between runs, without those that follow from others."""
    values: dict[str, set[str]] = {}
    for run in runs:
        for name, value in run.params.items():
            values.setdefault(name, set()).add(value)
    fields = [name for name in values if len(values[name]) > 1]
    return independent(fields, values.get("init.name", set()))


def best_first(runs: Iterable[RunRecord]) -> list[RunRecord]:
    """Sort runs by their final validation accuracy, those without one last."""
    return sorted(runs, key=lambda run: -run.metrics.get(SCORE, -1.0))


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
    return [*(f"params.`{name}`" for name in names), "tags.`outcome`"]


def _metrics(names: Iterable[str]) -> list[str]:
    return [f"metrics.`{name}`" for name in names]


def _columns(columns: list[str]) -> dict[str, object]:
    widths = {name: 110 if name.startswith("metrics") else 90 for name in columns}
    return {
        "selectedColumns": columns,
        "columnOrder": [*WIDTHS, *columns],
        "columnWidths": {**WIDTHS, **widths},
    }


def _charts(metrics: set[str], fields: list[str], score: str | None) -> Iterator[dict[str, object]]:
    """Yield a chart for each metric: MLflow would put those that are missing at the top."""
    curves = [name for name in CURVES if name in metrics]
    for name in curves:
        scale = "log" if name.endswith("loss") else "linear"
        yield _chart("LINE", "Curves", name, metricKey=name, scaleType=scale)
    if score is not None:
        if len(fields) > 1:
            yield _chart(
                "PARALLEL", "What varies", "all of it",
                selectedParams=fields, selectedMetrics=[score], showAllRuns=True,
            )  # fmt: skip
        yield _chart("BAR", "Results", score, metricKey=score)
        for field in fields:
            yield _chart(
                "SCATTER", "Results", f"{score} by {field}",
                xaxis={"key": field, "type": "PARAM"}, yaxis={"key": score, "type": "METRIC"},
                runsCountToCompare=SCATTER_RUNS,
            )  # fmt: skip
    for name in (*STEPS, *sorted(metrics.difference(STEPS, curves, {score}))):
        if name in metrics:
            kind = "LINE" if name in BY_EPOCH else "BAR"
            section = "Steps" if name in STEPS else "Other metrics"
            yield _chart(kind, section, name, metricKey=name)


def _chart(kind: str, section: str, title: str, **rest: object) -> dict[str, object]:
    line = {
        "lineSmoothness": 0,
        "xAxisKey": "step",
        "xAxisScaleType": "linear",
        "scaleType": "linear",
        "selectedXAxisMetricKey": "",
        "yAxisKey": "metric",
        "yAxisExpressions": [],
        "range": {},
        "useGlobalXaxisKey": True,
        "useGlobalLineSmoothing": True,
    }
    return {
        "type": kind,
        "uuid": f"{section} {title}",
        "metricSectionId": section,
        "displayName": title,
        "runsCountToCompare": 20,
        "deleted": False,
        "isGenerated": False,  # MLflow would make a bar at a late epoch a line of one point
        **(line if kind == "LINE" else {}),
        **rest,
    }
