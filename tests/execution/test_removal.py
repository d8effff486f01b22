"""`nnlab rm`: into MLflow's trash and back, for good, never half, never what is another's."""

import sqlite3
from contextlib import closing
from pathlib import Path

import pytest
from mlflow import MlflowClient
from support.configs import config
from support.sweeps import run_sweep

import nnlab
from nnlab.analysis.listing import Filters, list_runs
from nnlab.errors import ConfigError, NothingLeftError, ResumeError, TrackingError
from nnlab.execution.ledger import Ledger
from nnlab.execution.removal import complete_removals, remove, restore
from nnlab.execution.resume import find_resumable, resume
from nnlab.jobs.sweep import Sweep
from nnlab.tracking.locations import ledger_folder
from nnlab.tracking.process import ProcessId
from nnlab.tracking.readers import open_reader
from nnlab.tracking.writer import Writer
from nnlab.transfer.doctor import examine

DEAD = str(ProcessId(ProcessId.this_process().host, 2**22 + 1, 1.0))


class Lab:
    """A store with a sweep of two runs, which has a ledger, and a single run."""

    def __init__(self, tracker, uri):
        self.tracker, self.uri = tracker, uri
        self.folder = Path(uri.removeprefix("sqlite:///")).parent
        self.sweep = self.made(kind="sweep")
        self.runs = [self.made(self.sweep, job=str(job)) for job in range(2)]
        self.single = self.made(job="0")
        self.family = {self.sweep, *self.runs}
        self.ledger = Ledger(ledger_folder(uri, self.sweep))
        self.ledger.folder.mkdir(parents=True)
        self.ledger.plan_file.write_text("a plan", encoding="utf-8")
        (self.ledger.folder / "lock").touch()

    def made(self, parent=None, **tags):
        run_id = self.tracker.start("name", {"lr": "0.1"}, tags, parent=parent)
        self.tracker.log(run_id, [("val/accuracy", 0.5, epoch) for epoch in range(3)])
        with self.tracker.folder(run_id) as folder:
            (folder / "weights.npz").write_bytes(b"x" * 1000)
        self.tracker.finish(run_id, "FINISHED")
        return run_id

    def stages(self):
        with closing(sqlite3.connect(self.folder / "mlflow.db")) as database:
            return dict(database.execute("SELECT run_uuid, lifecycle_stage FROM runs").fetchall())

    def execute(self, *statement):
        with closing(sqlite3.connect(self.folder / "mlflow.db")) as database:
            database.execute(*statement)
            database.commit()

    def files(self):
        return {path.parent.parent.name for path in self.folder.rglob("weights.npz")}

    def held(self):
        """All that a removal could change."""
        records = {run.run_id: run for run in open_reader(self.uri).read(list(self.stages()))}
        paths = {path.relative_to(self.folder).as_posix() for path in self.folder.rglob("*")}
        return records, self.stages(), {path for path in paths if not path.startswith("mlflow.db")}

    def broken_off(self, action):
        """Say that a process that is gone was at this."""
        trash = self.folder / "sweeps" / "trash"
        trash.mkdir(exist_ok=True)
        (trash / f"{self.sweep}.pending").write_text(f"{action} {DEAD}", encoding="utf-8")


@pytest.fixture
def lab(tracker, store):
    return Lab(tracker, store)


def test_a_sweep_goes_into_the_trash_with_its_runs_and_its_ledger_and_back_as_it_was(lab):
    before = lab.held()
    (message,) = remove([lab.sweep[:8]], lab.uri)
    assert f"{lab.sweep[:8]} name (3 runs, 3 files, 3 kB)" in message
    assert f"nnlab rm --restore {lab.sweep[:8]}" in message
    assert {run for run, stage in lab.stages().items() if stage == "deleted"} == lab.family
    assert nnlab.runs(uri=lab.uri)["run_id"].tolist() == [lab.single]
    assert lab.files() == {*lab.family, lab.single}
    assert find_resumable(lab.single, lab.uri) == lab.single
    with pytest.raises(TrackingError, match="no run begins with"):
        find_resumable(lab.sweep, lab.uri)
    with pytest.raises(TrackingError, match=rf"belongs to the sweep {lab.sweep[:8]}, which is in"):
        restore([lab.runs[0]], lab.uri)
    restore([lab.sweep[:8]], lab.uri)
    assert lab.held() == before


def test_a_run_of_a_sweep_is_removed_alone(lab):
    remove([lab.runs[0]], lab.uri)
    assert [run for run, stage in lab.stages().items() if stage == "deleted"] == [lab.runs[0]]
    assert lab.ledger.plan_file.exists()
    restore([lab.runs[0]], lab.uri)
    assert set(lab.stages().values()) == {"active"}


def test_a_sweep_is_named_though_one_of_its_runs_is_in_the_trash_already(lab):
    lab.execute("UPDATE runs SET name = 'the sweep' WHERE run_uuid = ?", (lab.sweep,))
    lab.execute(
        "UPDATE tags SET value = 'the sweep' WHERE run_uuid = ? AND key = 'mlflow.runName'",
        (lab.sweep,),
    )
    remove([lab.runs[0]], lab.uri)
    with pytest.raises(ConfigError, match=rf"{lab.sweep[:8]} the sweep \(3 runs"):
        remove([lab.sweep], lab.uri, forever=1)
    (message,) = remove([lab.sweep], lab.uri)
    assert message.startswith(f"in the trash: {lab.sweep[:8]} the sweep (3 runs")


def test_mlflows_own_undeletion_brings_all_back_and_the_ledger_follows(lab):
    before = lab.held()
    remove([lab.sweep], lab.uri)
    for run_id in lab.family:
        MlflowClient(lab.uri).restore_run(run_id)
    (message,) = complete_removals(lab.tracker)
    assert "taken out of the trash" in message
    assert lab.ledger.plan_file.exists()
    assert lab.held() == before
    for run_id in lab.family:
        MlflowClient(lab.uri).delete_run(run_id)
    complete_removals(lab.tracker)
    assert not lab.ledger.folder.exists()
    assert complete_removals(lab.tracker) == []


@pytest.mark.parametrize("first_into_the_trash", [False, True])
def test_deleted_for_good_is_said_twice_and_leaves_nothing(lab, first_into_the_trash):
    if first_into_the_trash:
        remove([lab.sweep], lab.uri)
    before = lab.held()
    with pytest.raises(ConfigError, match=r"name \(3 runs, 3 files, 3 kB\)\. Say --forever twice"):
        remove([lab.sweep[:8]], lab.uri, forever=1)
    assert lab.held() == before
    remove([lab.sweep[:8]], lab.uri, forever=2)
    assert lab.stages() == {lab.single: "active"}
    with closing(sqlite3.connect(lab.folder / "mlflow.db")) as database:
        for table in ("params", "tags", "metrics", "latest_metrics"):
            (ids,) = zip(*database.execute(f"SELECT run_uuid FROM {table}"), strict=True)
            assert set(ids) == {lab.single}
    assert {path.name for path in (lab.folder / "artifacts").iterdir()} == {lab.single}
    assert list((lab.folder / "sweeps").iterdir()) == []


def test_what_may_be_written_still_is_left_alone(lab):
    before = lab.held()
    MlflowClient(lab.uri).update_run(lab.runs[1], status="RUNNING")
    for name in (lab.sweep, lab.runs[1]):
        with pytest.raises(TrackingError, match=rf"^{lab.runs[1][:8]} name is RUNNING: stop it"):
            remove([lab.single, name], lab.uri)
    MlflowClient(lab.uri).update_run(lab.sweep, status="RUNNING")
    with pytest.raises(TrackingError, match=rf"^{lab.sweep[:8]} name is RUNNING: stop it"):
        remove([lab.runs[0]], lab.uri)
    MlflowClient(lab.uri).set_terminated(lab.runs[1])
    MlflowClient(lab.uri).set_terminated(lab.sweep)
    with lab.ledger.locked(), pytest.raises(ResumeError, match="at work in another process"):
        remove([lab.sweep], lab.uri)
    assert lab.held()[1:] == before[1:]
    with pytest.raises(TrackingError, match="no run begins with ffff"):
        remove([lab.single, "ffff"], lab.uri)
    assert set(lab.stages().values()) == {"active"}


def test_only_the_folder_that_the_id_names_is_deleted_whatever_the_store_says(lab, tmp_path):
    other = tmp_path / "other"
    theirs = other / lab.runs[0] / "artifacts"
    theirs.mkdir(parents=True)
    (theirs / "results").touch()
    lab.execute(
        "UPDATE runs SET artifact_uri = ? WHERE run_uuid = ?", (theirs.as_uri(), lab.runs[0])
    )
    own = lab.folder / "artifacts" / lab.runs[1]
    own.rename(tmp_path / "moved")
    own.symlink_to(tmp_path / "moved")
    messages = remove([lab.sweep], lab.uri, forever=2)
    assert f"the files of {lab.runs[0][:8]} stay: they are in {theirs.as_uri()}" in messages
    assert (theirs / "results").exists()
    assert (tmp_path / "moved" / "artifacts" / "weights.npz").exists()
    assert not own.is_symlink()
    assert lab.stages() == {lab.single: "active"}
    lab.execute("UPDATE runs SET run_uuid = '..'")
    lab.execute("UPDATE tags SET run_uuid = '..'")
    with pytest.raises(TrackingError, match=r"'\.\.' is no run's id"):
        Writer(lab.tracker.store).erase("..")


@pytest.mark.parametrize("progress", [1, 2])
@pytest.mark.parametrize(
    ("action", "before"), [("trash", []), ("restore", ["trash"]), ("forever", ["trash"])]
)
def test_a_removal_that_was_broken_off_is_completed(lab, monkeypatch, action, before, progress):
    names = {"trash": "put_into_trash", "restore": "bring_back", "forever": "erase"}
    for _ in before:
        remove([lab.sweep], lab.uri)
    step, left = getattr(Writer, names[action]), [progress]

    def broken_off(writer, run_id):
        if not left[0]:
            raise KeyboardInterrupt
        left[0] -= 1
        return step(writer, run_id)

    with monkeypatch.context() as patch:
        patch.setattr(Writer, names[action], broken_off)
        with pytest.raises(KeyboardInterrupt):
            carry_out(lab, action)
    lab.broken_off(action)  # by a process that is gone, and not by this one
    assert "would complete" in complete_removals(lab.tracker, dry_run=True)[0]
    assert "completed what was broken off" in complete_removals(lab.tracker)[0]
    stages = {run: stage for run, stage in lab.stages().items() if run in lab.family}
    expected = {"trash": "deleted", "restore": "active"}
    assert stages == ({} if action == "forever" else dict.fromkeys(lab.family, expected[action]))
    assert lab.ledger.plan_file.exists() == (action == "restore")
    assert complete_removals(lab.tracker) == []
    assert lab.stages()[lab.single] == "active"


def carry_out(lab, action):
    if action == "restore":
        restore([lab.sweep], lab.uri)
    else:
        remove([lab.sweep], lab.uri, forever=2 * (action == "forever"))


def test_a_removal_by_another_process_is_left_to_it(lab):
    lab.broken_off("trash")
    mark = lab.folder / "sweeps" / "trash" / f"{lab.sweep}.pending"
    mark.write_text(f"trash {ProcessId.this_process()}", encoding="utf-8")
    assert complete_removals(lab.tracker) == []
    mark.write_text(f"trash {ProcessId('elsewhere', 1, 1.0)}", encoding="utf-8")
    (message,) = complete_removals(lab.tracker)
    assert message.endswith("use --host elsewhere")
    assert set(lab.stages().values()) == {"active"}
    assert "completed" in complete_removals(lab.tracker, lost_host="elsewhere")[0]


def test_a_sweep_whose_run_was_deleted_is_not_complete_and_trains_it_again(tmp_path, capsys):
    uri = f"sqlite:///{tmp_path}/mlflow.db"
    configs = [config(tracking__uri=uri, lr=lr) for lr in (0.1, 0.5)]
    runs = run_sweep(Sweep.of(configs, [("lr=0.1",), ("lr=0.5",)]))
    sweep = open_reader(uri).read([runs[1].state.run_id])[0].parent
    with pytest.raises(NothingLeftError):
        resume(sweep, uri)
    MlflowClient(uri).delete_run(runs[1].state.run_id)
    capsys.readouterr()
    list_runs([], "table", uri=uri, filters=Filters())
    assert "0 of 2 learned, 1 in the trash" in capsys.readouterr().out
    examine(uri)
    assert f"{sweep[:8]} lr=0.1,0.5 lacks 1 run, which the trash has" in capsys.readouterr().out
    again = resume(sweep, uri)
    assert again[0].state.run_id == runs[0].state.run_id
    made = MlflowClient(uri).get_run(again[1].state.run_id)
    assert made.info.lifecycle_stage == "active"
    assert made.data.metrics == runs[1].state.metrics | made.data.metrics
