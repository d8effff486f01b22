"""Rows that are written in bulk are those that MLflow's own client writes."""

import sqlite3

import numpy as np
import pytest
from mlflow.entities import Metric, Param, RunTag

from nnlab.errors import TrackingError


def rows_of(store, run_id):
    """All rows of a run, without its id, as a set a table, and the run's name."""
    with sqlite3.connect(store.removeprefix("sqlite:///")) as database:
        columns = {
            "metrics": "key, value, timestamp, step, is_nan",
            "latest_metrics": "key, value, timestamp, step, is_nan",
            "params": "key, value",
            "tags": "key, value",
            "runs": "name, status, lifecycle_stage, end_time",
        }
        return {
            table: sorted(
                database.execute(f"SELECT {names} FROM {table} WHERE run_uuid = ?", [run_id])
            )
            for table, names in columns.items()
        }


def batches():
    """Points in any order, twice, at equal times, not finite; tags that replace others."""
    rng = np.random.default_rng(0)
    values = [0.5, -1.25, 0.0, float("inf"), float("-inf"), float("nan")]
    for batch in range(4):
        points = [
            Metric(
                f"val/m{rng.integers(3)}",
                values[rng.integers(len(values))],
                1_700_000_000_000 + int(rng.integers(3)),
                int(rng.integers(5)),
            )
            for _ in range(60)
        ]
        yield {
            "metrics": [*points, *points[:5]],
            "params": [Param(f"p{batch}", "ü" * 100)],
            "tags": [RunTag("outcome", str(batch)), RunTag("note", "a"), RunTag("note", "b")],
        }
    yield {"tags": [RunTag("mlflow.runName", "another name")]}
    yield {"metrics": [Metric("many", step / 7, 1_700_000_000_000, step) for step in range(2500)]}


def test_the_rows_are_those_that_mlflows_own_client_writes(tracker, store):
    alone, bulk = (tracker.create("0", "a name", None, {}) for _ in range(2))
    for batch in batches():
        tracker._connection.client.log_batch(alone, **batch)
        tracker._connection.log_batch(bulk, **batch)
    written = rows_of(store, bulk)
    assert written == rows_of(store, alone)
    assert len(written["metrics"]) > 2500
    assert len(written["latest_metrics"]) == 4
    assert written["runs"][0][0] == "another name"


@pytest.mark.parametrize(
    "wrong", [{"params": [Param("lr", "2")]}, {"tags": [RunTag("", "no name")]}]
)
def test_a_batch_that_the_store_refuses_leaves_nothing(tracker, store, wrong):
    run_id = tracker.start("a", {"lr": "1"}, {})
    before = rows_of(store, run_id)
    points = [Metric("val/loss", 0.5, 1_700_000_000_000, 3)]
    with pytest.raises(TrackingError, match="The tracking store"):
        tracker._call(tracker._connection.log_batch, run_id, **{"metrics": points, **wrong})
    assert rows_of(store, run_id) == before


def test_nothing_is_written_into_a_run_in_the_trash(tracker, store):
    run_id = tracker.start("a", {}, {})
    tracker.put_into_trash(run_id)
    before = rows_of(store, run_id)
    with pytest.raises(TrackingError, match="must be in the 'active' state"):
        tracker.log(run_id, [("val/loss", 0.5, 3)])
    assert rows_of(store, run_id) == before
