"""Figures are no reason to fail: a process that draws and dies is replaced, or they come later."""

import os
import signal

import numpy as np
import psutil
import pytest
from click.testing import CliRunner
from support.configs import config

from nnlab.cli.main import main
from nnlab.errors import RecordError
from nnlab.execution import drawing
from nnlab.execution.figure_contents import drawable
from nnlab.execution.missing_figures import recorded_figure
from nnlab.execution.pictures import DrawingPool
from nnlab.execution.single_session import SingleSession
from nnlab.execution.sweep_session import SweepSession
from nnlab.jobs.launch_config import LaunchConfig
from nnlab.jobs.run import Job, plan_runs
from nnlab.plots.names import RUN_FIGURES
from nnlab.tracking.readers import open_reader
from nnlab.tracking.store import Store

FILES = {f"{name}.png" for name in RUN_FIGURES}


@pytest.fixture
def train(tmp_path):
    def train_one(before_drawing, **changes):
        uri = f"sqlite:///{tmp_path}/mlflow.db"
        chosen = config(epochs=1, pictures=1, tracking__uri=uri, **changes)
        runs = plan_runs([Job(chosen, (), "one")])
        with SingleSession("one", chosen, LaunchConfig(), show=False) as session:
            session.begin(runs)
            session.work()
            before_drawing()
        return (
            uri,
            session.tracker.store.get(runs[0].state.run_id),
            folder(tmp_path, runs[0].state.run_id),
        )

    return train_one


def test_the_results_are_shown_before_the_figures_are_drawn(store, capsys):
    shown = []

    class Watched(SingleSession):
        def _draw(self):
            shown.append(capsys.readouterr().out)
            super()._draw()

    chosen = config(epochs=1, pictures=1, tracking__uri=store)
    with Watched("one", chosen, LaunchConfig()) as session:
        session.begin(plan_runs([Job(chosen, (), "one")]))
        session.work()
    assert session.head in shown[0]
    assert session.head not in capsys.readouterr().out  # and once


def folder(root, run_id):
    return root / "artifacts" / run_id / "artifacts"


def figures(artifacts):
    return {path.name for path in artifacts.glob("*.png")}


def kill_drawing_processes():
    killed = [
        process
        for process in psutil.Process().children(recursive=True)
        if "LokyProcess" in " ".join(process.cmdline())
    ]
    assert killed
    for process in killed:
        process.kill()
    psutil.wait_procs(killed, timeout=60)


@pytest.mark.long
def test_a_process_that_is_killed_is_replaced_and_nothing_is_missing(train, capfd):
    _, record, artifacts = train(kill_drawing_processes)
    assert record.status == "FINISHED"
    assert figures(artifacts) == FILES
    assert "missing" not in capfd.readouterr().err


def test_a_network_that_answers_every_image_alike_has_no_picture_of_mistakes():
    alike = np.full((3, 4), 1 / 3)
    contents = {"probs": alike, "snapshots": None}
    assert drawable(contents) == [name for name in RUN_FIGURES if name != "mistakes"]
    assert drawable(contents | {"probs": alike + np.eye(3, 4)}) == list(RUN_FIGURES)


def test_a_run_with_snapshots_has_a_picture_of_them(train):
    uri, record, artifacts = train(lambda: None, snapshots=2)
    assert figures(artifacts) == FILES | {"snapshots.png"}
    assert recorded_figure(Store(uri), record, "snapshots").axes
    (artifacts / "snapshots.npz").unlink()
    with pytest.raises(RecordError, match="has taken no snapshots: snapshots=20 takes them"):
        recorded_figure(Store(uri), record, "snapshots")


def test_a_call_that_kills_its_process_takes_no_other_along():
    def die():
        os.kill(os.getpid(), signal.SIGKILL)

    pool = DrawingPool(1)
    try:
        errors = pool.run([(int, ()), (die, ()), (int, ()), (int, ("no number",)), (int, ())])
    finally:
        pool.close()
    assert [type(error).__name__ for error in errors] == [
        "NoneType", "TerminatedWorkerError", "NoneType", "ValueError", "NoneType",
    ]  # fmt: skip


def sweep_of_two(tmp_path):
    uri = f"sqlite:///{tmp_path}/mlflow.db"
    configs = [config(epochs=1, pictures=1, lr=lr, tracking__uri=uri) for lr in (0.1, 0.2)]
    runs = plan_runs([Job(chosen, (), f"lr={chosen.lr}") for chosen in configs])
    with SweepSession("two", configs[0], LaunchConfig(), show=False) as session:
        session.begin(runs, ("lr",))
        session.work()
    return session.tracker.store.get(session.head), folder(tmp_path, session.head)


def test_a_sweep_has_ended_before_its_interactive_page_is_drawn(tmp_path, monkeypatch):
    def look(scratch, uri, run_ids, _title, experiment_id, _snapshots):
        (record,) = open_reader(uri).tagged("kind", "sweep")
        said = [record.status, record.experiment_id == experiment_id, len(run_ids)]
        (scratch / "explore.html").write_text(str(said))

    monkeypatch.setattr(drawing, "draw_page", look)
    record, artifacts = sweep_of_two(tmp_path)
    assert record.status == "FINISHED"
    assert (artifacts / "explore.html").read_text() == str(["FINISHED", True, 2])


@pytest.mark.long
def test_a_page_that_cannot_be_drawn_is_named_with_the_command_that_draws_it(
    tmp_path, monkeypatch, capfd
):
    with monkeypatch.context() as patch:
        patch.setattr(drawing, "draw_page", lambda *_: 1 / 0)
        record, artifacts = sweep_of_two(tmp_path)
    assert record.status == "FINISHED"
    assert record.tags["figures_missing"] == "explore.html"
    assert "Figures of two are missing (explore.html)" in capfd.readouterr().err
    uri = f"sqlite:///{tmp_path}/mlflow.db"
    doctor = CliRunner().invoke(main, ["doctor", "--uri", uri])
    assert f"to draw them: nnlab report {record.run_id[:8]}" in doctor.output
    report = ["report", record.run_id, "--uri", uri, "--out", str(tmp_path / "report")]
    assert CliRunner().invoke(main, report).exit_code == 0
    assert (artifacts / "explore.html").stat().st_size > 4_000_000


def test_figures_that_cannot_be_drawn_are_named_and_the_doctor_draws_them(
    train, monkeypatch, capfd
):
    def die(*_):
        os.kill(os.getpid(), signal.SIGKILL)

    with monkeypatch.context() as patch:
        patch.setattr(drawing, "draw", die)
        uri, record, artifacts = train(lambda: None)
    assert record.status == "FINISHED"
    assert figures(artifacts) == set()
    said = capfd.readouterr().err
    assert f"Figures of one are missing ({', '.join(RUN_FIGURES)})" in said
    assert "`nnlab doctor` draws them" in said
    doctor = CliRunner().invoke(main, ["doctor", "--uri", uri])
    assert doctor.exit_code == 0, doctor.output
    assert f"drew the figures of {record.run_id[:8]} one" in doctor.output
    assert figures(artifacts) == FILES
    again = CliRunner().invoke(main, ["doctor", "--uri", uri]).output
    assert record.run_id[:8] not in again
