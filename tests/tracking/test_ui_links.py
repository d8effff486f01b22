"""Links into the UI: what they show, and the views that they name."""

import base64
import json
import sqlite3
import zlib
from contextlib import closing
from urllib.parse import parse_qs

import pytest
from mlflow import MlflowClient
from support.commands import run_py

from nnlab.tracking.store import Store
from nnlab.tracking.ui_links import links
from nnlab.tracking.ui_views import VIEW_TAG, sweep_view
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


def test_the_12_best_runs_are_compared_the_best_first(filled):
    sweep = filled.last_sweep()
    (ids,) = query(links(filled, sweep.run_id).others["compare the 12 best"])["runs"]
    found = [filled.get(run_id) for run_id in json.loads(ids)]
    accuracies = [run.metrics["final_val_accuracy"] for run in found]
    left = {run.run_id: run for run in filled.children(sweep.run_id)}
    for run in found:
        del left[run.run_id]
    assert accuracies == sorted(accuracies, reverse=True)
    assert len(accuracies) == 12
    assert max(run.metrics.get("final_val_accuracy", 0) for run in left.values()) <= accuracies[-1]
    assert "diverged" in {run.tags["outcome"] for run in left.values()}


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
    key, text = sweep_view(sweep, children).tag(0)
    assert len(text) < 5000  # MLflow's limit
    Writer(filled).tag_experiment(sweep.experiment_id, key, text)
