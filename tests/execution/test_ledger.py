"""The ledger holds a plan as it was, and one owner at a time."""

import json
import subprocess
import sys
from dataclasses import replace

import pytest

from nnlab.errors import ResumeError, TrackingError
from nnlab.execution.ledger import Ledger, Plan, PlannedJob, differences, unfinished


def plan(**changes):
    jobs = tuple(
        PlannedJob(f"lr={lr}", (f"lr={lr}",), {"schema": 1, "lr": lr}, f"key{lr}", "digest")
        for lr in (0.1, 0.5)
    )
    fields = {
        "kind": "sweep",
        "name": "lr=0.1,0.5",
        "varying": ("lr",),
        "tracking_uri": "sqlite:///x.db",
        "experiment": "nnlab",
        "semantics": 1,
        "platform": {"numpy": "2.4"},
        "settings": {"n_jobs": -1},
        "created": "2026-11-23T00:00:00+00:00",
        "jobs": jobs,
    }
    return Plan(**{**fields, **changes})


def test_a_plan_is_read_back_as_it_was_written(tmp_path):
    ledger = Ledger(tmp_path / "sweep")
    ledger.write(plan())
    assert ledger.read() == plan()
    assert not list((tmp_path / "sweep").glob("*.writing"))


def test_more_jobs_stand_behind_the_first():
    more = PlannedJob("seed=3", ("seed=3",), {}, "key", "digest")
    longer = plan().with_jobs([more], ("lr", "seed"))
    assert [job.name for job in longer.jobs] == ["lr=0.1", "lr=0.5", "seed=3"]
    assert longer.varying == ("lr", "seed")
    assert Plan.from_json(longer.to_json(), "here") == longer


@pytest.mark.parametrize("text", ["", "[]", "{}", '{"format": 1}', '{"format": 1, "jobs": [{}]}'])
def test_what_is_no_plan_is_named(text):
    with pytest.raises(ResumeError, match="here is not a sweep's plan"):
        Plan.from_json(text, "here")


def test_a_plan_of_a_later_version_is_refused():
    content = {**json.loads(plan().to_json()), "format": 2}
    with pytest.raises(ResumeError, match="here has format 2, this version of nnlab reads 1"):
        Plan.from_json(json.dumps(content), "here")


def test_a_ledger_that_cannot_be_read_or_written_is_named(tmp_path):
    with pytest.raises(ResumeError, match=r"plan.json cannot be read"):
        Ledger(tmp_path / "none").read()
    (tmp_path / "file").write_text("")
    with pytest.raises(TrackingError, match="file cannot be written"):
        Ledger(tmp_path / "file").write(plan())


def test_one_process_at_a_time_works_on_a_sweep(tmp_path):
    ledger = Ledger(tmp_path / "0123456789")
    code = (
        "import sys; from pathlib import Path; from nnlab.execution.ledger import Ledger\n"
        f"with Ledger(Path({str(ledger.folder)!r})).locked():\n"
        "    print('mine', flush=True); sys.stdin.readline()"
    )
    other = subprocess.Popen(
        [sys.executable, "-c", code], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    assert other.stdout.readline() == "mine\n"
    with (
        pytest.raises(ResumeError, match="Sweep 01234567 is at work in another process"),
        ledger.locked(),
    ):
        pass
    other.kill()
    other.communicate()
    with ledger.locked():  # which went with the process
        pass


def test_the_sweeps_that_were_left_are_listed_with_the_newest_last(tmp_path):
    store = f"sqlite:///{tmp_path}/mlflow.db"
    assert unfinished(store) == []
    for name in ("b", "a", "c"):
        Ledger(tmp_path / "sweeps" / name).write(plan())
    (tmp_path / "sweeps" / "empty").mkdir()
    assert unfinished(store) == ["b", "a", "c"]
    Ledger(tmp_path / "sweeps" / "a").close()
    assert unfinished(store) == ["b", "c"]


def test_a_sweep_is_left_to_the_store_that_its_plan_names(tmp_path, monkeypatch):
    monkeypatch.setenv("NNLAB_ROOT", str(tmp_path))
    folder = tmp_path / "mlruns"
    stores = {
        "local": f"sqlite:///{folder}/mlflow.db",
        "beside": f"sqlite:///{folder}/other.db",
        "server": "http://someone:secret@127.0.0.1:5000",
        "another": "http://127.0.0.1:5001/",
    }
    folder.mkdir()
    (folder / "mlflow.db").touch()
    (folder / "other.db").touch()
    for name, address in stores.items():
        Ledger(folder / "sweeps" / name).write(replace(plan(), tracking_uri=address))
    assert {name: unfinished(address) for name, address in stores.items()} == {
        name: [name] for name in stores
    }
    assert unfinished("http://127.0.0.1:5001") == ["another"]
    (folder / "other.db").rename(folder / "renamed.db")
    assert unfinished(f"sqlite:///{folder}/renamed.db") == ["beside"]


def test_differences_name_what_was_and_what_is():
    assert differences({"a": 1, "b": 2}, {"a": 1, "b": 3, "c": 4}) == [
        "b was 2, is 3", "c was None, is 4",
    ]  # fmt: skip
