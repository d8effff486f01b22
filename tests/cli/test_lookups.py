"""Commands whose run is not there: one sentence at once, without MLflow."""

import itertools
import re
import sys
from dataclasses import replace

import numpy as np
import pytest
from mlflow import MlflowClient
from support.commands import python

import nnlab
from nnlab.analysis.report import report
from nnlab.errors import ReportError, TrackingError
from nnlab.jobs.code_version import CodeVersion
from nnlab.jobs.tags import Tag
from nnlab.tracking.frames import read_runs
from nnlab.tracking.sqlite_reader import DatabaseReader
from nnlab.tracking.store import Store
from nnlab.tracking.tracker import Tracker

WRONG = "deadbeef"


def test_a_wrong_id_is_answered_from_the_rows_of_the_store_without_mlflow(compared, tmp_path):
    digits = tmp_path / "digits.npy"
    np.save(digits, np.zeros((1, 784), np.uint8))
    commands = [
        ["report", WRONG], ["resume", WRONG], ["explain", WRONG, WRONG], ["ui", WRONG],
        ["reproduce", WRONG], ["show", WRONG], ["confirm", WRONG], ["tag", WRONG, "paper=yes"],
        ["rm", WRONG], ["rm", WRONG, "--forever"], ["predict", WRONG, str(digits)],
        ["export", WRONG, str(tmp_path / "out.zip")],
    ]  # fmt: skip
    code = (
        "import sys; from nnlab.cli.main import main\n"
        f"for words in {commands}:\n"
        "    try: main([*words, *sys.argv[1:]])\n"
        "    except SystemExit as end: print(end.code, {'mlflow', 'sqlalchemy'} & set(sys.modules))"
    )
    done = python("-c", code, "--uri", compared)
    assert done.stdout.splitlines() == ["2 set()"] * len(commands)
    for line in done.stderr.splitlines():
        assert re.fullmatch(rf"In \S+ no run begins with {WRONG}: .*", line)
    assert len(done.stderr.splitlines()) == len(commands)


def test_a_store_that_is_not_there_is_told_by_doctor_without_mlflow(tmp_path):
    code = (
        "import sys; from nnlab.cli.main import main\n"
        "try: main(sys.argv[1:])\n"
        "finally: print({'mlflow', 'sqlalchemy'} & set(sys.modules))"
    )
    done = python("-c", code, "doctor", "--uri", f"sqlite:///{tmp_path}/no.db")
    assert (done.returncode, done.stdout.strip()) == (2, "set()")
    assert done.stderr.startswith("There is no tracking store")


def test_the_look_up_of_runs_by_rows_means_the_runs_that_mlflow_means(compared):
    store = Store(compared)
    newest = next(store.search())
    assert store.find_run(newest.run_id[:12]).run_id == newest.run_id
    sweep = next(store.search("tags.kind = 'sweep'"))
    assert store.find_run("last") == store.last_sweep() == replace(sweep, has_dataset=None)
    assert [run.run_id for run in store.heads()] == [
        run.run_id for run in DatabaseReader(compared, store._database).heads()
    ]
    assert "mlflow" in sys.modules


@pytest.fixture
def begun(store):
    """A store without files, to which runs are added a millisecond after each other."""
    tracker = Tracker(Store(store), "nnlab", CodeVersion())
    clock = itertools.count(1)

    def begin(parent=None, **tags):
        tags |= {} if parent is None else {Tag.PARENT: parent}
        experiment = tracker.get_or_create_experiment("nnlab")
        return tracker.create(experiment, "name", next(clock), tags)

    return begin


def test_last_is_the_sweep_or_single_run_that_was_started_last_everywhere(begun, store):
    reader = Store(store)
    with pytest.raises(TrackingError, match="has no run yet"):
        reader.find_run("last")
    single = begun(job="0")
    assert reader.find_run("last").run_id == nnlab.get("last", store).id == single
    assert read_runs(store, ["last"])["run_id"].tolist() == [single]
    with pytest.raises(TrackingError, match="has no sweep yet"):
        reader.last_sweep()

    sweep = begun(kind="sweep")
    child = begun(sweep, job="0")
    newest = begun(sweep, job="1")
    assert reader.find_run("last").run_id == nnlab.get("last", store).id == sweep
    assert read_runs(store, ["last"])["run_id"].tolist() == [newest, child]
    with pytest.raises(TrackingError, match=r"is a sweep: name one of its runs\.$"):
        reader.find_run("last", "run")
    MlflowClient(store).set_tag(sweep, "best_run", child)
    assert reader.find_run("last", "run").run_id == child
    with pytest.raises(TrackingError, match=f"one of its runs, such as {child[:8]}, its best"):
        reader.find_run(sweep, "run")

    # None of these was started for its own sake, or by nnlab.
    begun(kind="sweep", confirms=sweep)
    begun(kind="sweep", reproduces=sweep)
    begun(job="0", reproduces=single)
    begun()
    assert reader.find_run("last").run_id == nnlab.get("last", store).id == sweep
    assert reader.last_sweep().run_id == sweep
    assert set(read_runs(store, [])["run_id"]) == {child, newest}

    later = begun(job="0")
    assert reader.find_run("last").run_id == nnlab.get("last", store).id == later
    with pytest.raises(ReportError, match="is a single run, and no sweep"):
        report("last", store)
    assert reader.last_sweep().run_id == sweep
