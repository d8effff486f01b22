"""Runs as DataFrames, against what MLflow's own client says of the same store."""

import math
import sqlite3
from pathlib import Path

import mlflow
import numpy as np
import pandas as pd
import pytest
from support.servers import mlflow_server

from nnlab.errors import TrackingError
from nnlab.tracking import readers
from nnlab.tracking.frames import INFO, read_curves, read_file, read_runs, read_tagged


@pytest.fixture(scope="module")
def client(compared):
    return mlflow.MlflowClient(compared)


def searched(client, condition=""):
    (experiment,) = [each for each in client.search_experiments() if each.name == "nnlab"]
    return client.search_runs([experiment.experiment_id], condition)


@pytest.fixture(scope="module")
def sweeps(client):
    """The ids of the second sweep and of the first."""
    return [run.info.run_id for run in searched(client, "tags.kind = 'sweep'")]


@pytest.fixture
def copy(compared, tmp_path):
    """A copy of the store that a test may change."""
    path = tmp_path / "mlflow.db"
    source = sqlite3.connect(compared.removeprefix("sqlite:///"))
    target = sqlite3.connect(path)
    source.backup(target)
    source.close()
    target.close()
    return f"sqlite:///{path}"


def test_every_value_is_the_one_that_mlflows_search_returns(compared, client):
    frame = read_runs(compared, ["nnlab"]).set_index("run_id")
    runs = [run for run in searched(client) if run.data.tags.get("kind") != "sweep"]
    assert len(runs) == len(frame) == 17
    assert list(frame.index) == [run.info.run_id for run in runs]  # the newest first
    for run in runs:
        row = frame.loc[run.info.run_id]
        assert row["name"] == run.info.run_name
        assert row["status"] == run.info.status
        assert row["outcome"] == run.data.tags["outcome"]
        assert row["sweep"] == run.data.tags["mlflow.parentRunId"]
        assert row["start_time"].timestamp() * 1000 == pytest.approx(run.info.start_time)
        assert {name: str(row[name]) for name in run.data.params} == run.data.params
        metrics = {name: row[name] for name in frame.attrs["metrics"] if not math.isnan(row[name])}
        assert metrics == run.data.metrics


def test_every_point_of_a_curve_is_the_one_that_mlflow_returns(compared, client):
    ids = list(read_runs(compared, ["last"])["run_id"])
    names = ["val/accuracy", "grad_norm/w1"]
    curves = read_curves(compared, ids, names)
    assert list(curves.columns) == ["run_id", "epoch", *names]
    assert set(curves["run_id"]) == set(ids)
    for run_id, own in curves.groupby("run_id"):
        for name in names:
            points = {p.step: p.value for p in client.get_metric_history(run_id, name)}
            found = own.set_index("epoch")[name].dropna()
            assert found.to_dict() == points
            assert found.index.is_monotonic_increasing


def test_a_curve_that_was_never_logged_is_nan_and_an_unknown_run_has_no_rows(compared):
    ids = list(read_runs(compared, ["last"])["run_id"])[:2]
    curves = read_curves(compared, ids, ["val/loss", "nonsense"])
    assert curves["nonsense"].isna().all()
    assert len(read_curves(compared, ["0" * 32], ["val/loss"])) == 0
    assert len(read_curves(compared, [], ["val/loss"])) == 0


def test_numbers_are_numbers_and_words_are_words(compared):
    frame = read_runs(compared, ["nnlab"])
    assert list(frame.columns[: len(INFO)]) == list(INFO)
    assert frame["lr"].dtype == float
    assert frame["seed"].dtype == int
    assert set(frame["lr"]) == {0.1, 0.5, 1e30}
    assert set(frame["batch_size"]) == {"full"}
    assert frame["init.scale"].tolist().count(0.01) == 6
    assert frame["init.scale"].tolist().count("he") == 11


def test_a_sweep_has_the_runs_that_it_made_and_those_that_it_reused(compared, sweeps):
    second, first = sweeps
    own = read_runs(compared, [second])
    assert sorted(zip(own["lr"], own["seed"], strict=True)) == [
        (lr, seed) for lr in (0.5, 1e30) for seed in range(4)
    ]
    assert set(own["sweep"]) == {second}
    assert own["sweep_name"].unique().tolist() == ["lr=0.5,1e+30 seed=0,1,2,3"]
    before = read_runs(compared, [first])
    assert len(before) == 12
    assert len(set(own["run_id"]) & set(before["run_id"])) == 3


def test_a_selection_is_a_beginning_of_an_id_several_of_them_the_last_or_an_experiment(
    compared, sweeps
):
    second, first = sweeps
    pd.testing.assert_frame_equal(read_runs(compared, ["last"]), read_runs(compared, [second[:9]]))
    one, other = read_runs(compared, [first])["run_id"][:2]
    for selection in ([one[:8], other], [f"{one},{other[:9]}"], [one, other, one]):
        assert set(read_runs(compared, selection)["run_id"]) == {one, other}
    assert len(read_runs(compared, [second, first])) == 17
    tagged = read_tagged(compared, "outcome", ["diverged"])
    assert set(tagged["lr"]) == {1e30}


@pytest.mark.parametrize(
    ("selection", "sentence"),
    [
        ("nonsense", r"nonsense is nothing in sqlite:.*an experiment \((Default, nnlab|nnlab, D)"),
        ("ffffffffff", "ffffffffff is nothing in"),
        ("%", "% is nothing in"),
        ("Default", "has no runs yet in Default: there is nothing to compare"),
    ],
)
def test_a_selection_that_is_nothing_says_what_there_is(compared, selection, sentence):
    with pytest.raises(TrackingError, match=sentence):
        read_runs(compared, [selection])


def test_a_beginning_that_several_ids_share_is_refused(compared, client):
    first = [run.info.run_id[0] for run in searched(client)]
    shared = next(letter for letter in first if first.count(letter) > 1)  # 19 ids, 16 letters
    with pytest.raises(TrackingError, match=f"runs begin with {shared}: give more of the id"):
        read_runs(compared, [shared])


def test_a_store_that_is_not_there_is_not_made(tmp_path):
    with pytest.raises(TrackingError, match="There is no tracking store"):
        read_runs(f"sqlite:///{tmp_path}/mlflow.db", ["last"])
    assert not list(tmp_path.iterdir())


def test_a_store_without_a_sweep_has_no_last_one(copy):
    database = sqlite3.connect(copy.removeprefix("sqlite:///"))
    with database:
        database.execute("DELETE FROM tags WHERE key = 'kind'")
    database.close()
    with pytest.raises(TrackingError, match="has no sweep yet"):
        read_runs(copy, [])


def test_a_file_that_is_no_store_is_refused_with_a_sentence(tmp_path):
    (tmp_path / "mlflow.db").write_text("nonsense" * 100)
    with pytest.raises(TrackingError, match="cannot be read: file is not a database"):
        read_runs(f"sqlite:///{tmp_path}/mlflow.db", ["last"])


def test_deleted_runs_are_left_out_and_nan_is_nan(copy):
    client = mlflow.MlflowClient(copy)
    runs = read_runs(copy, ["nnlab"])
    gone, changed = runs["run_id"][:2]
    client.delete_run(gone)
    client.log_metric(changed, "odd", math.nan, step=3)
    client.log_metric(changed, "val/loss", 0.25, step=7)  # of an epoch that is there already
    after = read_runs(copy, ["nnlab"]).set_index("run_id")
    assert set(after.index) == set(runs["run_id"]) - {gone}
    assert math.isnan(after.loc[changed, "odd"])
    curve = read_curves(copy, [changed], ["val/loss", "odd"]).set_index("epoch")
    assert math.isnan(curve.loc[3, "odd"])
    assert curve.loc[7, "val/loss"] == 0.25
    assert curve.index.is_unique
    with pytest.raises(TrackingError, match="is nothing in"):
        read_runs(copy, [gone])
    client.delete_experiment(client.get_experiment_by_name("nnlab").experiment_id)
    with pytest.raises(TrackingError, match="nnlab is nothing in"):
        read_runs(copy, ["nnlab"])


def test_a_runs_file_is_read_and_one_that_is_not_there_is_none(compared):
    run_id = read_runs(compared, ["last"])["run_id"][0]
    assert '- "init=he"' in read_file(compared, run_id, "overrides.yaml")
    assert read_file(compared, run_id, "nonsense.txt") is None


def test_through_mlflows_client_the_frames_are_the_same(compared, monkeypatch):
    monkeypatch.setattr(readers, "local_database", lambda _: None)  # as any other store is read
    ids = list(read_runs(compared, ["last"])["run_id"])
    names = ["val/accuracy", "update_ratio/w2"]
    there = [read_runs(compared, [word]) for word in ("last", "nnlab", ids[0][:9])]
    curves = read_curves(compared, ids, names)
    monkeypatch.undo()
    here = [read_runs(compared, [word]) for word in ("last", "nnlab", ids[0][:9])]
    for one, other in zip(here, there, strict=True):
        pd.testing.assert_frame_equal(one, other)
    by_run = curves.sort_values(["run_id", "epoch"], ignore_index=True)
    expected = read_curves(compared, ids, names).sort_values(["run_id", "epoch"], ignore_index=True)
    # The file has every epoch of what diverged; the store only what is finite.
    both = expected.merge(by_run, on=["run_id", "epoch"], suffixes=("", " file"))
    assert len(both) == len(expected)
    for name in names:
        np.testing.assert_array_equal(both[name], both[f"{name} file"])


@pytest.mark.long
def test_a_tracking_server_gives_the_same_frames(compared, tmp_path):
    with mlflow_server(compared, tmp_path) as address:
        for word in ("last", "nnlab"):
            pd.testing.assert_frame_equal(read_runs(compared, [word]), read_runs(address, [word]))
        ids = list(read_runs(compared, ["nnlab"])["run_id"])[-3:]
        pd.testing.assert_frame_equal(
            read_curves(compared, ids, ["val/loss"]), read_curves(address, ids, ["val/loss"])
        )
    assert Path(compared.removeprefix("sqlite:///")).exists()
