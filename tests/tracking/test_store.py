"""The store: opened by many at once, locked by others, and never left half-made."""

import sqlite3
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest
from mlflow import MlflowClient
from sqlalchemy import event, text
from sqlalchemy.pool import Pool

from nnlab.errors import TrackingError
from nnlab.jobs.code_version import CodeVersion
from nnlab.tracking.database import ensure_database
from nnlab.tracking.locations import local_database, tracking_uri
from nnlab.tracking.store import Store
from nnlab.tracking.tracker import DatasetRecord, Tracker

DATASET = DatasetRecord("digits", "d" * 64, "a test", 10, 784, 10)


@pytest.mark.long
def test_many_writers_may_log_the_same_new_dataset_at_once(store, tracker):
    code = (
        "import sys; from nnlab.tracking.tracker import *\nfrom nnlab.jobs.code_version import *\n"
        f"tracker = Tracker(Store({store!r}), 'nnlab', CodeVersion())\n"
        "print('ready', flush=True); sys.stdin.readline()\n"
        "for number in range(15):\n"
        "    dataset = DatasetRecord('digits', f'{number:064d}'[::-1], 'a test', 10, 784, 10)\n"
        "    tracker.finish(tracker.start('run', {}, {}, dataset=dataset), 'FINISHED')"
    )
    writers = [
        subprocess.Popen(
            [sys.executable, "-W", "ignore", "-c", code],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
        )
        for _ in range(3)
    ]  # fmt: skip
    for writer in writers:
        assert writer.stdout.readline() == "ready\n"
    for writer in writers:
        writer.stdin.write("go\n")
        writer.stdin.flush()
    for writer in writers:
        _, errors = writer.communicate(timeout=120)
        assert writer.returncode == 0, errors
    runs = MlflowClient(tracker.store.uri).search_runs([tracker.get_or_create_experiment("nnlab")])
    assert len(runs) == 45
    assert all(len(run.inputs.dataset_inputs) == 1 for run in runs)


@pytest.mark.long
def test_a_database_that_is_locked_for_longer_than_sqlite_waits_is_waited_for(tracker, capfd):
    run_id = tracker.start("run", {}, {})
    database = tracker.store.uri.removeprefix("sqlite:///")
    connection = sqlite3.connect(database, isolation_level=None, check_same_thread=False)
    connection.execute("BEGIN EXCLUSIVE")
    release = threading.Timer(24, connection.execute, ["COMMIT"])  # SQLite gives up after 20 s
    release.start()
    begin = time.monotonic()
    tracker.log(run_id, [("val/loss", 0.5, 3)])
    release.join()
    connection.close()
    assert time.monotonic() - begin > 20
    (point,) = MlflowClient(tracker.store.uri).get_metric_history(run_id, "val/loss")
    assert (point.value, point.step) == (0.5, 3)
    assert capfd.readouterr().err == ""


@pytest.fixture
def pragma():
    """Sets a pragma of SQLite's for all connections of MLflow."""
    listeners = []

    def set_pragma(text):
        def listener(connection, *_):
            connection.execute(text)

        listeners.append(listener)
        event.listen(Pool, "checkout", listener)

    yield set_pragma
    for listener in listeners:
        event.remove(Pool, "checkout", listener)


@pytest.mark.parametrize(
    ("setting", "sentence"),
    [
        ("PRAGMA max_page_count = 1", "cannot be used: database or disk is full. Check"),
        ("PRAGMA query_only = ON", "cannot be used: attempt to write a readonly database. Check"),
    ],
)
def test_only_a_lock_is_waited_for(tracker, pragma, monkeypatch, capfd, setting, sentence):
    run_id = tracker.start("run", {}, {})
    pragma(setting)

    def wait(_seconds):
        raise AssertionError

    monkeypatch.setattr("nnlab.tracking.connection.time.sleep", wait)
    with pytest.raises(TrackingError, match=sentence):
        tracker.log(run_id, [("val/loss", 0.5, step) for step in range(5000)])
    assert capfd.readouterr().err == ""


def test_a_lock_that_stays_is_named(tracker, monkeypatch, capfd):
    run_id = tracker.start("run", {}, {})
    # MLflow sets SQLite's own 20 s anew for each session.
    monkeypatch.setattr(
        "mlflow.store.db.utils.sql.text", lambda words: text(words.replace("20000", "1"))
    )
    monkeypatch.setattr("nnlab.tracking.connection.LOCK_SECONDS", 0)
    other = sqlite3.connect(local_database(tracker.store.uri), isolation_level=None)
    other.execute("BEGIN EXCLUSIVE")
    with pytest.raises(TrackingError, match="is locked by another program"):
        tracker.log(run_id, [("val/loss", 0.5, 1)])
    other.close()
    assert capfd.readouterr().err == ""


@pytest.mark.skipif(not Path("/proc/self").exists(), reason="there is no such folder here")
def test_a_folder_in_which_no_file_can_be_made_is_named():
    with pytest.raises(TrackingError, match=r"/proc/mlflow.db cannot be used: .*permissions"):
        ensure_database(Path("/proc/mlflow.db"))  # for root, too, and there is no such file


def test_a_root_that_is_not_there_is_said_and_refused_where_its_folder_is_not_either(
    tmp_path, monkeypatch, capsys
):
    monkeypatch.setenv("NNLAB_ROOT", str(tmp_path / "new"))
    database = local_database(tracking_uri(None))
    ensure_database(database)
    assert f"A new store begins in {tmp_path}/new, as NNLAB_ROOT says" in capsys.readouterr().err
    ensure_database(database)
    database.unlink()
    ensure_database(database)
    assert capsys.readouterr().err == ""

    monkeypatch.setenv("NNLAB_ROOT", str(tmp_path / "typo" / "lab"))
    with pytest.raises(TrackingError, match=r"NNLAB_ROOT=.*/typo/lab: there is no folder .*typo\."):
        ensure_database(local_database(tracking_uri(None)))
    assert not (tmp_path / "typo").exists()


def test_values_that_are_not_finite_are_not_sent(tracker):
    run_id = tracker.start("run", {}, {})
    values = [float("inf"), float("-inf"), float("nan"), 1.5]
    tracker.log(run_id, [("train/loss", value, step) for step, value in enumerate(values)])
    (point,) = MlflowClient(tracker.store.uri).get_metric_history(run_id, "train/loss")
    assert (point.value, point.step) == (1.5, 3)


def test_more_points_than_one_request_may_hold_all_arrive(tracker):
    run_id = tracker.start("run", {}, {})
    tracker.log(run_id, [("val/loss", step / 7, step) for step in range(2345)])
    points = MlflowClient(tracker.store.uri).get_metric_history(run_id, "val/loss")
    assert sorted(point.step for point in points) == list(range(2345))


def test_a_run_is_found_by_the_beginning_of_its_id(tracker):
    run_id = tracker.start("run", {}, {}, dataset=DATASET)
    store = Store(tracker.store.uri)
    assert store.find_run(run_id[:6]).run_id == run_id
    with pytest.raises(TrackingError, match="no run begins with 0000zz"):
        store.find_run("0000zz")


def test_a_deleted_experiment_is_not_written_to(tracker):
    MlflowClient(tracker.store.uri).delete_experiment(tracker.get_or_create_experiment("nnlab"))
    with pytest.raises(TrackingError, match=r"experiment=nnlab was deleted .* restore it"):
        Tracker(tracker.store, "nnlab", CodeVersion())


@pytest.mark.long
def test_the_first_store_and_one_from_the_template_hold_the_same_tables(tmp_path, monkeypatch):
    monkeypatch.setenv("NNLAB_CACHE", str(tmp_path / "cache"))
    tables = []
    for name in ("first", "second"):  # the first is migrated, the second copied
        Store(f"sqlite:///{tmp_path}/{name}/mlflow.db")
        connection = sqlite3.connect(tmp_path / name / "mlflow.db")
        query = "SELECT sql FROM sqlite_master ORDER BY name"
        tables.append(connection.execute(query).fetchall())
        (location,) = connection.execute("SELECT artifact_location FROM experiments").fetchone()
        assert location == (tmp_path / name / "artifacts").as_uri()
        assert connection.execute("PRAGMA integrity_check").fetchone() == ("ok",)
        connection.close()
    assert tables[0] == tables[1]
    assert not list(tmp_path.rglob(".making-*"))


def test_a_local_address_is_made_absolute(monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    assert tracking_uri("sqlite:///runs/mlflow.db") == f"sqlite:///{tmp_path}/runs/mlflow.db"
    monkeypatch.setenv("NNLAB_ROOT", str(tmp_path))
    assert tracking_uri(None) == f"sqlite:///{tmp_path}/mlruns/mlflow.db"
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "http://127.0.0.1:5000")
    assert tracking_uri(None) == "http://127.0.0.1:5000"
    assert tracking_uri("http://127.0.0.1:1") == "http://127.0.0.1:1"


@pytest.mark.parametrize(
    ("path", "options"),
    [("x.db", "?timeout=5"), ("a?b/x.db", ""), ("a?b=1/x.db", ""), ("100%20 #1/ü.db", "?a=1&b=2")],
)
def test_whatever_its_path_an_address_leads_to_one_store(tmp_path, monkeypatch, path, options):
    monkeypatch.chdir(tmp_path)
    address = tracking_uri(f"sqlite:///{path}{options}")
    assert address == f"sqlite:///{tmp_path}/{path}"
    tracker = Tracker(Store(address), "nnlab", CodeVersion())
    run_id = tracker.start("run", {}, {})
    with tracker.folder(run_id) as folder:
        (folder / "file").write_text("text")
    assert tracker.store.find_run(run_id).name == "run"  # read by SQL
    assert tracker.store.read_file(run_id, "file") == "text"
    assert {each.name for each in tmp_path.iterdir()} <= {
        path.split("/")[0],
        *(["x.db-wal", "x.db-shm", "x.db.lock", "artifacts"]),
    }


@pytest.mark.parametrize(
    "address",
    ["sqlite://", "sqlite:///", "sqlite:///:memory:", "sqlite:///file:x?mode=memory&uri=true",
     "sqlite:x.db", "sqlite+pysqlite://"],
)  # fmt: skip
def test_a_database_in_memory_is_no_store(address):
    with pytest.raises(TrackingError, match="is no file, and would be gone with the process"):
        tracking_uri(address)


def test_a_second_store_of_a_process_leaves_the_locks_of_the_first_alone(store):
    database = local_database(store)
    ensure_database(database)
    first = sqlite3.connect(database)
    first.execute("CREATE TABLE numbers (n)")
    first.commit()
    ensure_database(database)
    # Another process that closes the database and sees no lock would take the log away.
    other = "import sqlite3, sys; c = sqlite3.connect(sys.argv[1]); c.execute('SELECT * FROM runs')"
    subprocess.run([sys.executable, "-c", f"{other}; c.close()", str(database)], check=True)
    assert database.with_name("mlflow.db-wal").exists()
    first.execute("INSERT INTO numbers VALUES (1)")
    first.commit()
    first.close()
    second = sqlite3.connect(database)
    assert second.execute("SELECT * FROM numbers").fetchall() == [(1,)]
    second.close()
