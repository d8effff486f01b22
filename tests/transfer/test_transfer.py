"""Runs carried from store to store: everything arrives, nothing is overwritten, nothing half."""

import json
import os
import signal
import socket
import struct
from pathlib import Path

import mlflow
import pytest
from click.testing import CliRunner
from mlflow.entities import Metric
from support import commands, zips
from support.commands import python, run_py
from support.servers import mlflow_server
from support.stopped import stopped_sweep
from support.zips import ONE, TWO

from nnlab.analysis.confirmation import confirming_sweeps
from nnlab.cli.main import main
from nnlab.errors import TrackingError
from nnlab.tracking.store import Store
from nnlab.transfer import importing
from nnlab.transfer.exporting import export_runs
from nnlab.transfer.importing import import_runs

SMALL = ("epochs=5", "data.val_size=4000", "pictures=0", "hydra.launcher.n_jobs=1")


def nnlab(*words):
    done = CliRunner().invoke(main, [str(word) for word in words])
    assert done.exception is None or isinstance(done.exception, SystemExit), done.exception
    return done


def sweep(uri, *words):
    """Make a sweep in a process of its own; return the id of its run."""
    run_py("-m", *words, *SMALL, f"tracking.uri={uri}", check=True)
    return next(Store(uri).search("tags.kind = 'sweep'")).run_id


@pytest.fixture(scope="module")
def lab(tmp_path_factory):
    """A store with a sweep, and a second sweep that reused one of its runs."""
    root = tmp_path_factory.mktemp("lab")
    uri = f"sqlite:///{root}/store/mlflow.db"
    first = sweep(uri, "lr=0.1,0.5", "seed=0,1")
    second = sweep(uri, "lr=0.5,0.9", "reuse=true")
    return uri, first, second


@pytest.fixture
def other(tmp_path):
    """The address of another store that does not exist yet."""
    return f"sqlite:///{tmp_path}/other/mlflow.db"


@pytest.fixture
def archive(tmp_path):
    """Two runs, one below the other, made by hand."""
    child = {f"runs/{TWO}/{name}": data for name, data in (
        ("run.json", json.dumps({**zips.RUN, "run_id": TWO, "parent": ONE}).encode()),
        ("metrics.csv", zips.METRICS),
        ("artifacts/weights.npz", b"weights"),
    )}  # fmt: skip
    return zips.write(tmp_path / "archive.zip", {**zips.files(), **child})


@pytest.fixture
def out(tmp_path):
    return tmp_path / "out.zip"


def record(uri, run_id, folder):
    """All that MLflow's own client tells of a run; the values of its metrics bit by bit."""
    client = mlflow.MlflowClient(uri)
    run = client.get_run(run_id)
    history = [
        (each.key, struct.pack("<d", each.value), each.timestamp, each.step)
        for key in run.data.metrics
        for each in client.get_metric_history(run_id, key)
    ]
    folder.mkdir(parents=True)
    for file in client.list_artifacts(run_id):
        client.download_artifacts(run_id, file.path, str(folder))
    return {
        "name": run.info.run_name,
        "status": run.info.status,
        "times": (run.info.start_time, run.info.end_time),
        "user": run.info.user_id,
        "experiment": client.get_experiment(run.info.experiment_id).name,
        "tags": run.data.tags,
        "params": run.data.params,
        "latest": {key: struct.pack("<d", value) for key, value in run.data.metrics.items()},
        "history": sorted(history),
        "datasets": [each.to_dictionary() for each in run.inputs.dataset_inputs],
        "files": {
            str(path.relative_to(folder)): path.read_bytes()
            for path in folder.rglob("*")
            if path.is_file()
        },
    }


def expected(found, run_id, ids):
    """A record as it should be in the other store: ids are those there, parents are there."""
    tags = dict(found["tags"])
    if tags.get("mlflow.parentRunId") not in ids:
        tags.pop("mlflow.parentRunId", None)
    text = json.dumps(tags)
    for before, after in ids.items():
        text = text.replace(before, after)
    return {**found, "tags": {**json.loads(text), "imported_from": run_id}}


def check_round_trip(source, run_ids, target, made, tmp_path):
    assert set(made) == set(run_ids)
    for run_id, here in made.items():
        before = record(source, run_id, tmp_path / "before" / run_id)
        assert before["history"]
        after = record(target, here, tmp_path / "after" / run_id)
        assert after == expected(before, run_id, made)


def artifacts_of(uri):
    return Path(uri.removeprefix("sqlite:///")).parent / "artifacts"


def folders(uri):
    return {path.name for path in artifacts_of(uri).glob("*")}


def test_a_sweep_arrives_as_it_was_with_its_runs_their_curves_files_and_lineage(
    lab, other, out, tmp_path
):
    uri, first, _ = lab
    told = nnlab("export", first[:8], out, "--uri", uri)
    assert told.exit_code == 0
    runs = [first, *(each.run_id for each in Store(uri).children(first))]
    files = sum(
        path.is_file() for run_id in runs for path in (artifacts_of(uri) / run_id).rglob("*")
    )
    assert f"{out}: 5 runs, {2 * len(runs) + files} files, " in told.output
    done = nnlab("import", out, "--uri", other)
    assert done.exit_code == 0
    assert "imported 5 runs" in done.output
    store = Store(other)
    made = {each.tags["imported_from"]: each.run_id for each in store.search()}
    check_round_trip(uri, runs, other, made, tmp_path)
    assert {each.run_id for each in store.children(made[first])} == {made[run] for run in runs[1:]}
    assert store.get(made[first]).tags["best_run"] in made.values()
    assert nnlab("doctor", "--uri", other).exit_code == 0


def test_the_same_runs_make_the_same_bytes_and_no_file_is_overwritten(lab, out, tmp_path):
    uri, first, _ = lab
    export_runs(first, out, uri)
    export_runs(first, tmp_path / "again.zip", uri)
    content = out.read_bytes()
    assert content == (tmp_path / "again.zip").read_bytes()
    told = nnlab("export", first, out, "--uri", uri)
    assert told.exit_code == 2
    assert "out.zip is there already: name another file" in told.output
    assert out.read_bytes() == content
    assert {path.name for path in tmp_path.iterdir()} == {"out.zip", "again.zip"}


def test_a_sweep_takes_along_the_runs_that_it_reused_without_their_own_parent(lab, other, out):
    uri, first, second = lab
    (own,) = Store(uri).children(second)
    export_runs(second, out, uri)
    made = import_runs(out, other).created
    (reused,) = set(made) - {second, own.run_id}
    assert Store(uri).get(reused).tags["mlflow.parentRunId"] == first
    store = Store(other)
    assert "mlflow.parentRunId" not in store.get(made[reused]).tags
    assert store.get(made[own.run_id]).tags["mlflow.parentRunId"] == made[second]
    # Carried on, the table still names the runs by their first ids, and they are found by these.
    further = out.with_name("further.zip")
    done = export_runs(made[second], further, other)
    assert (done.runs, done.missing) == (3, ())


def test_what_is_there_already_is_left_alone_wherever_it_came_from(lab, other, out, tmp_path):
    uri, _, first = lab
    export_runs(first, out, uri)
    told = nnlab("import", out, "--uri", uri)  # where they come from
    assert told.exit_code == 0
    assert f"left alone {first[:8]}: it is in the store already\n" in told.output
    assert "imported 0 runs" in told.output

    made = import_runs(out, other).created
    before = [record(other, run, tmp_path / "before" / run) for run in made.values()]
    again = import_runs(out, other)
    assert (again.created, again.existing) == ({}, made)
    assert [record(other, run, tmp_path / "after" / run) for run in made.values()] == before

    back, third = tmp_path / "back.zip", f"sqlite:///{tmp_path}/third/mlflow.db"
    export_runs(made[first], back, other)
    assert import_runs(back, uri).existing == {here: run for run, here in made.items()}
    further = import_runs(back, third).created
    assert Store(third).get(further[made[first]]).tags["imported_from"] == first
    known = import_runs(out, third)
    assert known.existing == {run: further[here] for run, here in made.items()}


def test_a_single_run_comes_alone_and_finds_its_parent_where_that_is(lab, other, out, tmp_path):
    uri, first, _ = lab
    child = Store(uri).children(first)[0].run_id
    export_runs(child, out, uri)
    (alone,) = import_runs(out, other).created.values()
    assert "mlflow.parentRunId" not in Store(other).get(alone).tags

    third = f"sqlite:///{tmp_path}/third/mlflow.db"
    whole = tmp_path / "whole.zip"
    export_runs(first, whole, uri)
    made = import_runs(whole, third).created
    store = Store(third)
    mlflow.MlflowClient(store.uri).delete_run(made[child])
    (again,) = import_runs(out, third).created.values()
    assert store.get(again).tags["mlflow.parentRunId"] == made[first]


VALUES = [0.1, -0.0, 5e-324, 1.7976931348623157e308, float("nan"), 1 / 3, 1e22, 123456789.123456789]


def test_every_value_arrives_to_the_bit_and_ids_in_tags_are_those_of_the_new_store(
    tracker, other, out, tmp_path
):
    first = tracker.start("first", {}, {})
    tracker.finish(first, "KILLED")
    run_id = tracker.start("second", {"long": "ü" * 6000}, {}, parent=first)
    client = mlflow.MlflowClient(tracker.store.uri)
    for step, value in enumerate(VALUES):
        client.log_metric(run_id, "value", value, timestamp=1000 + step, step=step - 3)
    client.log_batch(run_id, metrics=[Metric("twice", 1.5, 7, 0), Metric("twice", 2.5, 7, 0)])
    for key, value in {
        "reproduces": first,
        "history": json.dumps([{"run_id": run_id}]),
        "digest": first + first,  # 64 digits: no id, though it begins like one
        "note": "x" * 8000,
    }.items():
        client.set_tag(run_id, key, value)
    with tracker.folder(run_id) as folder:
        (folder / "deep" / "er").mkdir(parents=True)
        (folder / "deep" / "er" / "ünicode name.bin").write_bytes(bytes(3_000_000))
        (folder / "empty").write_bytes(b"")
    tracker.finish(run_id, "FAILED", tags={"reason": "ValueError: why"})
    export_runs(first, out, tracker.store.uri)
    assert out.stat().st_size > 3_000_000  # what would look like a bomb is not deflated
    made = import_runs(out, other).created
    after = record(other, made[run_id], tmp_path / "after")
    before = record(tracker.store.uri, run_id, tmp_path / "before")
    assert len(before["history"]) == len(VALUES) + 2
    before["tags"] |= {
        "reproduces": made[first],
        "history": json.dumps([{"run_id": made[run_id]}]),
        "mlflow.parentRunId": made[first],
        "imported_from": run_id,
    }
    assert after == before


@pytest.fixture
def confirmed(tracker):
    """The ids of a sweep of one run, and of a sweep that confirms it."""
    sweep = tracker.start("sweep", {}, {"kind": "sweep"})
    again = tracker.start("confirmation", {}, {"kind": "sweep", "confirms": sweep})
    for parent in (sweep, again):
        tracker.finish(tracker.start("run", {}, {"job": "0"}, parent=parent), "FINISHED")
        tracker.finish(parent, "FINISHED")
    return sweep, again


def test_a_sweep_takes_along_what_confirms_it_and_the_link(confirmed, tracker, other, out):
    sweep, again = confirmed
    assert export_runs(sweep, out, tracker.store.uri).runs == 4
    made = import_runs(out, other).created
    assert confirming_sweeps(other, made[sweep]) == [made[again]]


@pytest.mark.parametrize("order", [(0, 1), (1, 0)])
def test_a_confirmation_that_comes_in_an_archive_of_its_own_finds_its_sweep(
    order, confirmed, tracker, other, tmp_path
):
    """The sweep's own archive is of before it was confirmed."""
    sweep, again = confirmed
    client = mlflow.MlflowClient(tracker.store.uri)
    made = {}
    for place in order:
        client.set_tag(again, "confirms", ("elsewhere", sweep)[place])
        path = tmp_path / f"{place}.zip"
        export_runs(confirmed[place], path, tracker.store.uri)
        made |= import_runs(path, other).created
    assert confirming_sweeps(other, made[sweep]) == [made[again]]


def test_runs_that_have_not_ended_are_not_exported(tracker, out):
    run_id = tracker.start("at work", {}, {})
    told = nnlab("export", run_id[:6], out, "--uri", tracker.store.uri)
    assert told.exit_code == 2
    assert f"{run_id[:8]} at work is RUNNING: wait for its end" in told.output
    assert not out.exists()


@pytest.mark.parametrize(
    ("make", "why"),
    [
        (lambda folder: (folder / "link").symlink_to("/etc/passwd"), "is a link or no file"),
        (lambda folder: (folder / "a:b").write_text(""), "it is absolute, or names a drive"),
        (lambda folder: os.mkfifo(folder / "pipe"), "is a link or no file"),
    ],
)
def test_files_that_a_reader_would_refuse_are_not_exported(make, why, tracker, out):
    run_id = tracker.start("run", {}, {})
    with tracker.folder(run_id) as folder:
        make(folder)
    tracker.finish(run_id, "FINISHED")
    told = nnlab("export", run_id, out, "--uri", tracker.store.uri)
    assert told.exit_code == 2
    assert why in told.output
    assert not list(out.parent.glob("*out.zip*"))


def test_a_listed_run_that_the_store_no_longer_has_is_reported_as_left_out(lab, out, other):
    uri, _, second = lab
    export_runs(second, out, uri)
    made = import_runs(out, other).created
    store = Store(other)
    (reused,) = [here for here in made.values() if "mlflow.parentRunId" not in store.get(here).tags
                 and here != made[second]]  # fmt: skip
    mlflow.MlflowClient(store.uri).delete_run(reused)
    told = nnlab("export", made[second], out.with_name("less.zip"), "--uri", other)
    assert told.exit_code == 0
    origin = next(before for before, here in made.items() if here == reused)
    assert f"left out: {origin}, which the sweep lists and the store no longer has" in told.output
    assert "less.zip: 2 runs" in told.output


def killed_import(archive, uri, patch):
    """Import in a process of its own, which dies where the patch says."""
    code = (
        "import os, signal, sys\n"
        "from nnlab.transfer import importing\n"
        "def die(): os.kill(os.getpid(), signal.SIGKILL)\n"
        "create, fill, calls = importing._create, importing._fill, []\n"
        f"{patch}\n"
        "importing.import_runs(importing.Path(sys.argv[1]), sys.argv[2])"
    )
    done = python("-W", "ignore", "-c", code, archive, uri)
    assert done.returncode == -signal.SIGKILL, done.stderr


WHILE = {
    "creating": "importing._create = lambda *a: (create(*a), calls and die(), calls.append(1))[0]",
    "filling": "importing._fill = lambda *a: (fill(*a), die())",
    "ending": (
        "importing._end = lambda writer, runs: (writer.finish(next(iter(runs)), 'FINISHED'), die())"
    ),
}


@pytest.mark.parametrize(
    "moment",
    ["ending", *(pytest.param(each, marks=pytest.mark.long) for each in ("creating", "filling"))],
)
def test_what_a_killed_import_leaves_is_taken_away_by_the_doctor(moment, other, archive):
    killed_import(archive, other, WHILE[moment])
    left = [each.run_id for each in Store(other).search()]
    assert left
    told = nnlab("doctor", "--dry-run", "--uri", other)
    assert f"would delete {len(left)} runs, half imported when their process died" in told.output
    assert len(list(Store(other).search())) == len(left)
    told = nnlab("doctor", "--uri", other)
    assert f"deleted {len(left)} runs, half imported" in told.output
    assert list(Store(other).search()) == []
    assert folders(other) == set()
    assert "deleted" not in nnlab("doctor", "--uri", other).output
    assert set(import_runs(archive, other).created) == {ONE, TWO}


def test_an_import_that_lacks_only_its_last_marks_is_complete_and_the_next_one_sees_it(
    other, archive
):
    made = import_runs(archive, other).created
    store = Store(other)
    for run_id in made.values():  # as a kill before the last step leaves them
        mlflow.MlflowClient(store.uri).set_tag(
            run_id, "importing", f"{socket.gethostname()}:1:1.00"
        )
    told = nnlab("doctor", "--dry-run", "--uri", other)
    assert "complete: 2 runs imported" in told.output
    again = import_runs(archive, other)
    assert (again.created, again.existing) == ({}, made)
    assert not any("importing" in each.tags for each in store.search())


def send(number):
    return lambda *_: os.kill(os.getpid(), number)


def fail(*_):
    raise TrackingError("the disk is full")


@pytest.mark.parametrize(
    ("step", "event", "code", "said"),
    [
        ("_end", fail, 2, "the disk is full"),
        ("_fill", fail, 2, "the disk is full"),
        ("_fill", send(signal.SIGINT), 130, "Interrupted."),
        ("_fill", send(signal.SIGTERM), 143, "Terminated."),
    ],
)
def test_an_import_that_fails_or_is_interrupted_takes_its_runs_away(
    step, event, code, said, other, archive, monkeypatch
):
    real = getattr(importing, step)
    with monkeypatch.context() as patch:
        patch.setattr(importing, step, lambda *operands: (real(*operands), event()))
        done = nnlab("import", archive, "--uri", other)
    assert done.exit_code == code
    assert said in done.output
    assert list(Store(other).search()) == []
    assert folders(other) == set()
    assert len(import_runs(archive, other).created) == 2


def test_an_import_that_is_under_way_is_neither_closed_nor_doubled(other, archive):
    here = import_runs(archive, other).created[ONE]
    store = Store(other)
    mlflow.MlflowClient(store.uri).set_tag(here, "importing", f"elsewhere:1:{1.0}")
    told = nnlab("import", archive, "--uri", other)
    assert told.exit_code == 2
    assert "are being imported by the process elsewhere:1:1.0" in told.output
    told = nnlab("doctor", "--uri", other)
    assert "left alone an import of 1 run by elsewhere; if that machine is gone" in told.output
    assert (
        "complete: 1 run imported" in nnlab("doctor", "--uri", other, "--host", "elsewhere").output
    )


def test_an_archive_cannot_mark_its_runs_for_the_doctor_or_put_them_under_others(tracker, out):
    mine = tracker.start("mine", {}, {})
    tracker.finish(mine, "FINISHED")
    marks = {"importing": "gone:1:1.0", "mlflow.runName": "other", "mlflow.parentRunId": mine}
    zips.write(out, zips.files(tags=marks))
    (here,) = import_runs(out, tracker.store.uri).created.values()
    record = tracker.store.get(here)
    assert record.name == zips.RUN["name"]
    assert not {"importing", "mlflow.parentRunId"} & set(record.tags)


@pytest.mark.long
def test_runs_go_through_a_server_and_back(lab, other, out, tmp_path):
    uri, _, second = lab
    export_runs(second, out, uri)
    with mlflow_server(f"sqlite:///{tmp_path}/server.db", tmp_path) as address:
        made = import_runs(out, address).created
        check_round_trip(uri, list(made), address, made, tmp_path / "there")
        back = tmp_path / "back.zip"
        assert export_runs(made[second], back, address).runs == 3
        assert len(import_runs(out, address).existing) == 3
    home = import_runs(back, other).created
    first_ids = {before: home[here] for before, here in made.items()}
    for run_id, here in first_ids.items():
        before = record(uri, run_id, tmp_path / "a" / run_id)
        after = record(other, here, tmp_path / "b" / run_id)
        assert after == expected(before, run_id, first_ids)


@pytest.mark.long
def test_a_sweep_that_was_stopped_goes_on_in_another_store(other, out, tmp_path):
    stopped_sweep(tmp_path)
    store = Store(f"sqlite:///{tmp_path}/mlruns/mlflow.db")
    (head,) = store.search("tags.kind = 'sweep'")
    done = {each.run_id for each in store.children(head.run_id) if each.status == "FINISHED"}
    export_runs(head.run_id, out, store.uri)
    made = import_runs(out, other).created
    commands.nnlab("resume", made[head.run_id], "--uri", other, root=tmp_path, check=True)
    runs = Store(other).children(made[head.run_id])
    assert [each.status for each in runs] == ["FINISHED"] * 4
    assert {each.tags.get("imported_from") for each in runs} >= done
