"""Links into the UI: what they show, and the views that they name."""

import base64
import json
import re
import sqlite3
import zlib
from collections import Counter
from contextlib import closing
from dataclasses import replace
from urllib.parse import parse_qs

import pytest
from mlflow import MlflowClient
from support.commands import run_py

from nnlab.tracking.store import Store
from nnlab.tracking.ui_links import links
from nnlab.tracking.ui_views import VIEW_TAG, sweep_views
from nnlab.tracking.writer import Writer

SMALL = ("epochs=2", "pictures=0", "data.val_size=4000")


@pytest.fixture(scope="module")
def original(tmp_path_factory):
    """The database of a store with a sweep of 14 runs, one of which diverges, and then a run."""
    database = tmp_path_factory.mktemp("filled") / "mlflow.db"
    rates = ",".join(f"{lr / 100}" for lr in range(1, 14))
    for words in (("-m", f"lr=1e30,{rates}", "hydra.launcher.backend=sequential"), ("lr=0.3",)):
        done = run_py(*words, *SMALL, f"tracking.uri=sqlite:///{database}")
        assert done.returncode == 0, done.stderr
    return database


@pytest.fixture
def filled(original, tmp_path):
    """That store; what a test writes into it goes to a copy of the database."""
    copy = tmp_path / "copy.db"
    with closing(sqlite3.connect(original)) as source, closing(sqlite3.connect(copy)) as target:
        source.backup(target)
    return Store(f"sqlite:///{copy}")


def query(path):
    return parse_qs(path.partition("?")[2])


def state_of(store, experiment, key):
    """The view that MLflow reads: JSON in zlib in base64 in JSON."""
    tags = MlflowClient(store.uri).get_experiment(experiment).tags
    packed = json.loads(tags[VIEW_TAG + key])["state"].removeprefix("deflate;")
    return json.loads(zlib.decompress(base64.b64decode(packed)))


def test_without_a_name_the_last_sweep_is_linked_though_a_run_is_newer(filled):
    sweep = filled.last_sweep()
    found = links(filled, None)
    assert query(found.main)["viewStateShareKey"] == ["nnlab"]
    assert query(found.others[f"sweep {sweep.run_id[:8]}"])["viewStateShareKey"] == [sweep.run_id]
    assert query(found.others["its charts"])["compareRunsMode"] == ["CHART"]


def test_views_show_every_run_best_first_and_the_seed_is_no_axis(filled):
    sweep = filled.last_sweep()
    found = links(filled, sweep.run_id).others
    for label in (f"sweep {sweep.run_id[:8]}", "its charts", "compare its configurations"):
        (key,) = query(found[label])["viewStateShareKey"]
        state = state_of(filled, sweep.experiment_id, key)
        assert state["runsHiddenMode"] == "SHOW_ALL"
        assert state["searchFilter"] == f"tags.mlflow.parentRunId = '{sweep.run_id}'"
        assert state["orderByKey"] == "metrics.`late_val_accuracy`"
        assert state["columnOrder"][2] == state["selectedColumns"][0] == state["orderByKey"]
        (parallel,) = [c for c in state["compareRunCharts"] if c["type"] == "PARALLEL"]
        assert parallel["selectedParams"] == ["lr"]
        assert parallel["selectedMetrics"] == ["late_val_accuracy"]
    assert state["compareRunSections"][0]["uuid"] == parallel["metricSectionId"]


@pytest.fixture
def many(filled):
    """A record of a sweep, and 30 configurations × 5 seeds of which a third is dead."""
    sweep = filled.last_sweep()
    some = filled.children(sweep.run_id)[0]
    runs = [
        replace(
            some,
            run_id=f"{lr:016x}{seed:016x}",
            params={"lr": str(lr), "seed": str(seed), "init.name": "dead" if lr < 10 else "he"},
            metrics={"final_val_accuracy": lr / 30, "late_val_accuracy": lr / 30},
        )
        for lr in range(30)
        for seed in range(5)
    ]
    return sweep, runs


def test_runs_that_differ_in_more_than_the_seed_are_grouped_by_configuration(many):
    sweep, runs = many
    state = sweep_views(sweep, runs[:50]).table.state
    keys = [(key["mode"], key["groupByData"]) for key in state["groupBy"]["groupByKeys"]]
    assert keys == [("param", "lr")]
    assert "groupBy" not in sweep_views(sweep, runs[:50:5]).table.state  # one seed each
    assert "groupBy" not in sweep_views(sweep, runs[:5]).table.state  # one configuration


def test_the_charts_of_more_runs_than_mlflow_loads_span_all_configurations(many):
    sweep, runs = many
    views = sweep_views(sweep, runs)
    assert views.drawn == 90  # of at most 100
    for view in (views.charts, views.comparison):
        chosen = set(re.findall("[0-9a-f]{32}", view.state["searchFilter"]))
        shown = [run.params for run in runs if run.run_id in chosen]
        assert Counter(params["lr"] for params in shown) == {str(lr): 3 for lr in range(30)}
        assert {params["seed"] for params in shown} == {"0", "1", "2"}
    assert views.table.state["searchFilter"] == f"tags.mlflow.parentRunId = '{sweep.run_id}'"
    assert "groupBy" not in views.table.state  # by the runs that MLflow has loaded
    assert all(len(view.tag(0)[1]) < 5000 for view in views[:3])


def test_of_more_configurations_than_mlflow_loads_the_best_the_worst_and_those_between_are_drawn(
    many,
):
    sweep, runs = many
    for number, run in enumerate(runs):
        run.params["hidden_size"] = str(number)
    views = sweep_views(sweep, runs)
    chosen = re.findall("[0-9a-f]{32}", views.charts.state["searchFilter"])
    assert views.drawn == len(chosen) == 100
    assert {"0", "29"} <= {str(int(run_id[:16], 16)) for run_id in chosen}


def test_runs_of_older_versions_are_sorted_by_the_last_accuracy(many):
    sweep, runs = many
    del runs[3].metrics["late_val_accuracy"]
    assert sweep_views(sweep, runs[:50]).table.state["orderByKey"] == "metrics.`final_val_accuracy`"


def test_a_single_run_is_linked_with_its_curves_and_no_sweep(filled):
    run = filled.find_run("last", "run")
    assert run.name.startswith("lr=0.3")
    found = links(filled, "last")
    assert f"/runs/{run.run_id}?" in found.main
    assert set(found.others) == {"all runs", "its curves"}
    assert f"/runs/{run.run_id}/model-metrics?" in found.others["its curves"]


def test_an_empty_store_has_a_ui_and_nothing_to_link_to(store):
    found = links(Store(store), None)
    assert (found.main, found.others) == ("", {})


def test_a_sweeps_view_has_a_column_for_what_varies_and_a_chart_for_every_metric(filled):
    sweep = filled.last_sweep()
    links(filled, sweep.run_id)
    state = state_of(filled, sweep.experiment_id, sweep.run_id)
    params = [each for each in state["selectedColumns"] if each.startswith("params.")]
    assert params == ["params.`lr`"]
    drawn = {chart.get("metricKey") for chart in state["compareRunCharts"]}
    metrics = {name for run in filled.children(sweep.run_id) for name in run.metrics}
    assert metrics <= drawn
    sections = {section["uuid"] for section in state["compareRunSections"]}
    assert {chart["metricSectionId"] for chart in state["compareRunCharts"]} == sections


def test_a_users_own_view_stays_as_it_is(filled):
    run = filled.find_run("last")
    Writer(filled).tag_experiment(run.experiment_id, f"{VIEW_TAG}mine", "my columns")
    links(filled, None)
    assert (
        MlflowClient(filled.uri).get_experiment(run.experiment_id).tags[f"{VIEW_TAG}mine"]
        == "my columns"
    )


def test_a_view_of_many_fields_and_long_names_fits_into_mlflows_tag(filled):
    sweep = filled.last_sweep()
    children = filled.children(sweep.run_id)
    for number, run in enumerate(children):
        run.params.update({f"a.field.of.the.config.{each}": str(number) for each in range(30)})
        run.metrics.update({f"a/metric/of/another/kind/{each}": 1.0 for each in range(30)})
    views = sweep_views(sweep, children)
    for view in (views.charts, views.comparison):
        key, text = view.tag(0)
        assert len(text) < 5000  # MLflow's limit
        Writer(filled).tag_experiment(sweep.experiment_id, key, text)
