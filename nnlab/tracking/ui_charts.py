"""The charts of MLflow's UI that show a sweep, in MLflow's own terms."""

from collections.abc import Iterable, Iterator, Mapping, Sequence

from nnlab.training.history import CURVES as BY_EPOCH
from nnlab.training.history import STEPS

CURVES = ("val/accuracy", "train/loss", "val/loss", "dead_fraction")
SCATTER_RUNS = 1000  # that a scatter plot shows
CONFIGURATIONS = "Configurations"
SECTIONS = {
    "Curves": 2,
    CONFIGURATIONS: 1,
    "Results": 3,
    "Steps": 3,
    "Other metrics": 3,
}  # charts side by side
COLLAPSED = ("Steps", "Other metrics")
CHART_HEIGHT = 320  # pixels


def charts_state(
    charts: Sequence[Mapping[str, object]], sections: Iterable[str]
) -> dict[str, object]:
    """Return the charts of all runs that MLflow has loaded, in sections."""
    return {
        "runsHiddenMode": "SHOW_ALL",
        "compareRunCharts": charts,
        "compareRunSections": [
            {
                "uuid": name,
                "name": name,
                "display": name not in COLLAPSED,
                "isReordered": True,
                "columns": SECTIONS[name],
                "cardHeight": CHART_HEIGHT,
            }
            for name in dict.fromkeys(sections)
            if any(chart["metricSectionId"] == name for chart in charts)
        ],
        "isAccordionReordered": True,
    }


def sweep_charts(
    metrics: set[str], fields: list[str], score: str | None
) -> Iterator[dict[str, object]]:
    """Yield a chart for each metric: MLflow would put those that are missing at the top."""
    curves = [name for name in CURVES if name in metrics]
    for name in curves:
        scale = "log" if name.endswith("loss") else "linear"
        yield _chart("LINE", "Curves", name, metricKey=name, scaleType=scale)
    if score is not None:
        if fields:
            yield _chart(
                "PARALLEL", CONFIGURATIONS, f"{score} by configuration",
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
