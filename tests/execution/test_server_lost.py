"""A tracking server that goes away while runs train: nothing is lost, and nobody waits in vain."""

import os
import signal
import threading
from functools import partial

import mlflow
import pytest
from support.configs import config
from support.sweeps import run_sweep
from support.tracking_server import TrackingServer

from nnlab.errors import ServerLostError
from nnlab.execution import scheduler, workers
from nnlab.execution.resume import resume
from nnlab.interrupts import Terminated
from nnlab.jobs.launch_config import LaunchConfig
from nnlab.jobs.sweep import Sweep
from nnlab.tracking import server as calls

LONG = partial(pytest.param, marks=pytest.mark.long)
SETTINGS = LaunchConfig(n_jobs=1, stack=2)
LOST, BACK = 2, 4  # segments before which the server goes, and comes back


@pytest.fixture(scope="module")
def server(tmp_path_factory):
    server = TrackingServer(tmp_path_factory.mktemp("server"))
    mlflow.MlflowClient(server.uri).search_experiments()  # it makes its database
    yield server
    server.close()


@pytest.fixture(autouse=True)
def patience(server, monkeypatch):
    """A busy machine is not taken for a lost server, and a server that hangs soon is."""
    wait, seconds = calls.answer, {"hang": 0.3}
    monkeypatch.setattr(
        calls, "answer", lambda future, _: wait(future, seconds.get(server.mode, 3600.0))
    )
    yield seconds
    server.mode = "pass"


@pytest.fixture
def before_segment(monkeypatch):
    """What is to happen before a segment of training, by the segment's number from 1 on."""
    train, events, trained = workers.run_segment, {}, []

    def train_with_events(segment, data):
        if segment.epochs:
            trained.append(segment)
            events.pop(len(trained), lambda: None)()
        return train(segment, data)

    monkeypatch.setattr(workers, "run_segment", train_with_events)
    return events


@pytest.fixture
def ledgers(tmp_path, monkeypatch):
    monkeypatch.setenv("NNLAB_ROOT", str(tmp_path))
    return tmp_path / "mlruns" / "sweeps"


def sweep_of(uri, experiment):
    changes = [{"lr": lr, "seed": seed} for lr in (0.1, 1e9) for seed in (0, 1)]
    configs = [
        config(tracking__uri=uri, tracking__experiment=experiment, epochs=6, pictures=0, **each)
        for each in changes
    ]
    return Sweep.of(configs, [tuple(f"{k}={v}" for k, v in each.items()) for each in changes])


def content(uri, experiment):
    """What a store holds of a sweep: by the runs' identity, all but ids, times and addresses."""
    client = mlflow.MlflowClient(uri)
    held = {}
    for run in client.search_runs([client.get_experiment_by_name(experiment).experiment_id]):
        run_id, tags = run.info.run_id, run.data.tags
        points = [
            (name, point.step, point.value)
            for name in run.data.metrics
            for point in client.get_metric_history(run_id, name)
        ]
        params = {
            name: text for name, text in run.data.params.items() if not name.startswith("tracking.")
        }
        kept = {name: tags.get(name) for name in ("outcome", "weights_sha256", "job", "reason")}
        files = sorted(file.path for file in client.list_artifacts(run_id))
        datasets = [each.dataset.digest for each in run.inputs.dataset_inputs]
        key = tags.get("run_key", "the sweep")
        assert key not in held
        held[key] = run.info.status, sorted(points), params, kept, files, datasets
    return held


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory):
    store = f"sqlite:///{tmp_path_factory.mktemp('undisturbed')}/mlflow.db"
    run_sweep(sweep_of(store, "nnlab"), SETTINGS)
    return content(store, "nnlab")


@pytest.mark.parametrize("mode", ["cut", LONG("error"), LONG("hang")])
def test_a_server_that_comes_back_is_told_of_everything(
    server, before_segment, undisturbed, ledgers, capfd, mode
):
    before_segment[LOST] = lambda: setattr(server, "mode", mode)
    before_segment[BACK] = lambda: setattr(server, "mode", "pass")
    runs = run_sweep(sweep_of(server.uri, mode), SETTINGS)
    assert not before_segment
    assert all(run.complete for run in runs)
    assert content(server.uri, mode) == undisturbed
    told = capfd.readouterr().err
    assert "Training goes on; what the server misses is kept here." in told
    assert "The tracking server is back after" in told
    assert not list(ledgers.iterdir())


def test_what_was_trained_without_a_server_is_delivered_when_it_is_resumed(
    server, before_segment, undisturbed, ledgers, monkeypatch, capfd
):
    monkeypatch.setattr(scheduler, "RETURN_SECONDS", 1.0)
    before_segment[LOST] = lambda: setattr(server, "mode", "cut")
    uri = server.uri
    with pytest.raises(ServerLostError, match="kept on this machine; when the server is back: nnl"):
        run_sweep(sweep_of(uri, "never"), SETTINGS)
    (ledger,) = ledgers.iterdir()
    assert "Training goes on; what the server misses is kept here." in capfd.readouterr().err
    server.mode = "pass"
    segments = []
    train = workers.run_segment
    monkeypatch.setattr(
        workers, "run_segment", lambda *given: segments.append(given[0].epochs) or train(*given)
    )
    runs = resume(None, uri)
    assert all(run.complete for run in runs)
    assert content(uri, "never") == undisturbed
    assert not ledger.exists()
    assert set(segments) == {0}  # nothing is trained again


@pytest.mark.parametrize("mode", [LONG("cut"), "hang"])
def test_an_interrupt_is_heard_while_the_server_is_lost(
    server, before_segment, undisturbed, ledgers, patience, mode
):
    experiment = f"interrupted {mode}"

    def lose_and_interrupt():
        server.mode = mode
        threading.Timer(0.5, os.kill, (os.getpid(), signal.SIGTERM)).start()

    patience.clear()  # only the interrupt ends the wait for an answer
    before_segment[LOST] = lose_and_interrupt
    with pytest.raises(Terminated):
        run_sweep(sweep_of(server.uri, experiment), SETTINGS)
    server.mode = "pass"
    assert list(ledgers.iterdir())
    resume(None, server.uri)
    assert content(server.uri, experiment) == undisturbed
