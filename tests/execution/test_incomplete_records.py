"""Runs that a kill left without params or a dataset are completed."""

import sqlite3
from contextlib import closing

import pytest
from click.testing import CliRunner
from support.configs import config
from support.sweeps import run_sweep

from nnlab.cli.main import main
from nnlab.jobs.launch_config import LaunchConfig
from nnlab.jobs.run import Job
from nnlab.jobs.sweep import Sweep


def entries(database, run_id):
    with closing(sqlite3.connect(database)) as connection:
        params = connection.execute(
            "SELECT key, value FROM params WHERE run_uuid = ? ORDER BY key", (run_id,)
        ).fetchall()
        datasets = connection.execute(
            "SELECT d.name, d.digest, d.dataset_source, d.dataset_schema, d.dataset_profile "
            "FROM inputs i JOIN datasets d ON d.dataset_uuid = i.source_id "
            "WHERE i.destination_id = ?",
            (run_id,),
        ).fetchall()
    return params, datasets


def forget(database, run_id, *tables):
    column = {"params": "run_uuid", "inputs": "destination_id"}
    with closing(sqlite3.connect(database)) as connection, connection:
        for table in tables:
            connection.execute(f"DELETE FROM {table} WHERE {column[table]} = ?", (run_id,))


@pytest.fixture
def sweep(tmp_path):
    uri = f"sqlite:///{tmp_path}/mlflow.db"
    jobs = [
        Job(config(lr=lr, epochs=1, tracking__uri=uri), (f"lr={lr}",), f"lr={lr}")
        for lr in (0.1, 0.2)
    ]
    return (
        tmp_path / "mlflow.db",
        uri,
        run_sweep(Sweep(tuple(jobs), ("lr",), "two"), LaunchConfig(n_jobs=1)),
    )


def nnlab(*words):
    done = CliRunner().invoke(main, words)
    assert done.exit_code == 0, done.output
    return done.output


def test_the_doctor_adds_params_and_dataset_from_the_runs_own_config(sweep):
    database, uri, runs = sweep
    before = [entries(database, run.state.run_id) for run in runs]
    assert all(params and datasets for params, datasets in before)
    for run in runs:  # the first finds no other run whose dataset it could take
        forget(database, run.state.run_id, "params", "inputs")
    told = nnlab("doctor", "--uri", uri, "--dry-run")
    assert f"{runs[0].state.run_id[:8]} lr=0.1 has no params and no dataset: would add" in told
    assert entries(database, runs[0].state.run_id) == ([], [])
    assert "added from its config" in nnlab("doctor", "--uri", uri)
    assert [entries(database, run.state.run_id) for run in runs] == before
    assert "has no" not in nnlab("doctor", "--uri", uri)


def test_a_config_that_is_not_the_runs_own_adds_nothing(sweep):
    database, uri, (run, other) = sweep
    forget(database, run.state.run_id, "params")
    files = database.parent / "artifacts"
    stolen = (files / other.state.run_id / "artifacts" / "config.yaml").read_bytes()
    (files / run.state.run_id / "artifacts" / "config.yaml").write_bytes(stolen)
    assert "is not the one it trained with" in nnlab("doctor", "--uri", uri)
    assert entries(database, run.state.run_id)[0] == []


def test_a_run_that_is_reused_gets_its_params(sweep):
    database, _, (run, _) = sweep
    before = entries(database, run.state.run_id)
    forget(database, run.state.run_id, "params", "inputs")
    again = Job(run.job.config.model_copy(update={"reuse": True}), (), "again")
    (reused,) = run_sweep(Sweep((again,), (), "again"), LaunchConfig(n_jobs=1))
    assert reused.state.run_id == run.state.run_id
    assert entries(database, run.state.run_id) == before


def test_compare_names_the_runs_that_it_leaves_out_since_they_lack_a_param(sweep):
    database, uri, (run, _) = sweep
    forget(database, run.state.run_id, "params")
    said = nnlab("compare", "--uri", uri, "--where", "lr > 0")
    assert f"1 of 2 runs is left out, for it has no lr: {run.state.run_id[:8]}" in " ".join(
        said.split()
    )
    told = nnlab("compare", "--uri", uri, "--where", "status == 'FINISHED'")
    assert "left out" not in told
