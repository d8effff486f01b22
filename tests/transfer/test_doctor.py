"""The doctor closes what nobody owns any more, and nothing else."""

import socket
import sqlite3

import pytest
from click.testing import CliRunner
from mlflow import MlflowClient
from support.commands import python

from nnlab.cli.main import main


@pytest.fixture
def doctor(store):
    def examine(*options):
        return CliRunner().invoke(main, ["doctor", "--uri", store, *options])

    return examine


def orphan(store):
    """A run whose process has ended without a word."""
    code = (
        "from nnlab.tracking.tracker import *; from nnlab.jobs.code_version import CodeVersion\n"
        f"tracker = Tracker(Store({store!r}), 'nnlab', CodeVersion())\n"
        "print(tracker.start('orphan', {}, {}))"
    )
    return python("-W", "ignore", "-c", code, check=True).stdout.strip()


def status(tracker, run_id):
    return tracker.store.get(run_id).status


def test_a_run_whose_process_is_gone_is_closed_with_the_reason(store, tracker, doctor):
    dead, mine = orphan(store), tracker.start("mine", {}, {})
    told = doctor("--dry-run")
    assert told.exit_code == 0
    assert f"would close {dead[:8]} orphan: its process " in told.output
    assert status(tracker, dead) == "RUNNING"

    done = doctor()
    assert done.exit_code == 0
    assert "the database is sound" in done.output
    assert f"closed {dead[:8]} orphan" in done.output
    assert mine[:8] not in done.output
    assert status(tracker, dead) == "KILLED"
    assert status(tracker, mine) == "RUNNING"
    assert "is gone" in tracker.store.get(dead).tags["reason"]
    assert "every run that is RUNNING has a living owner" in doctor().output


def test_runs_of_another_machine_are_closed_only_where_it_is_said_to_be_gone(tracker, doctor):
    run_id = tracker.start("far away", {}, {"owner": "elsewhere:1:5.00"})
    told = doctor()
    assert "it runs on elsewhere, of which nothing can be told from here" in told.output
    assert "--host elsewhere" in told.output
    assert status(tracker, run_id) == "RUNNING"
    doctor("--host", "elsewhere")
    assert status(tracker, run_id) == "KILLED"


def test_runs_of_other_programs_are_left_alone(tracker, doctor):
    run_id = (
        MlflowClient(tracker.store.uri)
        .create_run(tracker.get_or_create_experiment("nnlab"), run_name="theirs")
        .info.run_id
    )
    told = doctor()
    assert f"left alone {run_id[:8]} theirs: not made by nnlab" in told.output
    assert status(tracker, run_id) == "RUNNING"


def test_a_reused_process_number_does_not_keep_a_run_alive(tracker, doctor):
    import os

    run_id = tracker.start("old", {}, {"owner": f"{socket.gethostname()}:{os.getpid()}:1000.00"})
    doctor()
    assert status(tracker, run_id) == "KILLED"


def test_a_damaged_database_is_reported_and_the_exit_code_is_1(store, tracker, doctor):
    tracker.start("run", {}, {})
    MlflowClient(tracker.store.uri)._tracking_client.store.engine.dispose()
    database = store.removeprefix("sqlite:///")
    connection = sqlite3.connect(database)
    connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    (page,) = connection.execute(
        "SELECT rootpage FROM sqlite_master WHERE type = 'index' AND tbl_name = 'tags'"
    ).fetchone()
    (size,) = connection.execute("PRAGMA page_size").fetchone()
    connection.close()
    with open(database, "r+b") as file:  # noqa: PTH123
        file.seek((page - 1) * size)
        file.write(bytes(size))
    told = doctor()
    assert told.exit_code == 1
    assert "the database is damaged" in told.output


def test_a_store_that_is_not_there_is_not_made(doctor, tmp_path, monkeypatch):
    named = doctor()
    assert named.exit_code == 2
    assert "There is no tracking store" in named.output
    monkeypatch.setenv("NNLAB_ROOT", str(tmp_path))
    default = CliRunner().invoke(main, ["doctor"])
    assert default.exit_code == 0
    assert "nothing to look after" in default.output
    assert not list(tmp_path.rglob("*.db"))


def test_a_sweep_that_was_killed_before_it_had_a_plan_is_named_and_not_resumed(
    tracker, doctor, store
):
    empty = tracker.start("lr=0.1,0.2", {}, {"kind": "sweep", "owner": "elsewhere:1:5.00"})
    told = doctor("--host", "elsewhere")
    assert f"{empty[:8]} lr=0.1,0.2 is empty: it was killed before its plan was" in told.output
    assert "start its command again" in told.output
    resumed = CliRunner().invoke(main, ["resume", "--uri", store])
    assert (resumed.exit_code, "Nothing to resume" in resumed.output) == (0, True), resumed.output
