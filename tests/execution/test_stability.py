"""The edges of real networks, and the command that finds, records and prints them."""

import csv
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner
from support.commands import nnlab
from support.paths import ROOT
from support.small_networks import gradients, losses

from nnlab.cli.main import main
from nnlab.execution.stability import Network, find_edges
from nnlab.execution.stability_study import verdict
from nnlab.runs.compose import compose_grid
from nnlab.runs.run import plan_runs
from nnlab.runs.sweep import Sweep
from nnlab.training.curvature import sharpness
from nnlab.training.network import update
from nnlab.training.stability_search import Course, Trial

SMALL = ("data.val_size=4600", "epochs=30", "threads=1")  # 400 images train


def runs_of(*overrides):
    jobs, configs, _ = compose_grid([*SMALL, *overrides])
    return plan_runs(Sweep.of(configs, jobs).jobs)


def images_of(run):
    """The training images and labels of a run as plain columns, in float64."""
    chosen = run.prepared.split.train
    dataset = run.prepared.dataset
    return dataset.pixels[chosen].T / 255, dataset.labels[chosen]


def plain_descent(run, lr):
    """Losses of gradient descent over all images at once, without engine, blocks or stacks."""
    x, labels = images_of(run)
    params = run.initial()
    found = [losses(params, x, labels)[0]]
    for _ in range(run.job.config.epochs):
        params = update(params, gradients(params, x, labels), np.array([lr]))
        found.append(losses(params, x, labels)[0])
    return np.array(found)


def bias_descent(run, lr):
    """Losses of a network that is nothing but its output biases: b := b − lr · (p − π)."""
    _, labels = images_of(run)
    shares, b, found = np.bincount(labels, minlength=10) / labels.size, np.zeros(10), []
    for _ in range(run.job.config.epochs + 1):
        partition = np.log(np.exp(b).sum())
        found.append(partition - shares @ b)
        b = b - lr * (np.exp(b - partition) - shares)
    return np.array(found)


@pytest.mark.parametrize(
    ("overrides", "plain"),
    [
        pytest.param(("init=he", "dtype=float64"), plain_descent, marks=pytest.mark.long),
        (("init=randn_small", "dtype=float64", "hidden_size=4"), plain_descent),
        (("init=randn_minus_half", "dtype=float64"), bias_descent),
    ],
)
def test_the_stable_phase_ends_where_plain_gradient_descent_says(overrides, plain):
    (run,) = runs_of(*overrides)
    (network,) = find_edges([run], tolerance=0.05)
    stable = network.edges.stable
    assert stable.upper / stable.lower <= 1.05
    for lr, stays in ((stable.lower, True), (stable.upper, False)):
        curve = plain(run, lr)
        assert (curve.max() <= curve[0] * (1 + 1e-5)) == stays


def test_a_dead_networks_edge_is_at_2_over_the_curvature_that_its_biases_come_to():
    (run,) = runs_of("init=randn_minus_half", "epochs=100")
    (network,) = find_edges([run], tolerance=0.03)
    assert network.sharpness == pytest.approx(0.1, rel=1e-5)
    # It sets out at p = 1/10 each, but the limit is set where it goes: H = diag(π) − π πᵀ.
    _, labels = images_of(run)
    shares = np.bincount(labels, minlength=10) / labels.size
    at_minimum = np.linalg.eigvalsh(np.diag(shares) - np.outer(shares, shares))[-1]
    assert network.edges.stable.middle == pytest.approx(2 / at_minimum, rel=0.05)
    assert not any(trial.killed for trial in network.trials)  # it was dead before


def test_a_network_that_its_first_steps_kill_has_not_survived():
    (network,) = find_edges(runs_of("init=he"), tolerance=0.05)
    killed = [trial for trial in network.trials if trial.killed]
    assert killed
    assert all(trial.phase in ("killed", "divergent") for trial in killed)
    assert network.edges.largest.lower not in {trial.lr for trial in killed}


def test_what_is_found_of_a_network_does_not_depend_on_company_or_threads():
    together = find_edges(runs_of("init=he,randn", "threads=2"), tolerance=0.4)
    for company, init in zip(together, ("he", "randn"), strict=True):
        (run,) = runs_of(f"init={init}", "threads=1")
        (alone,) = find_edges([run], tolerance=0.4)
        assert alone.trials == company.trials
        assert alone.sharpness == company.sharpness == sharpness(
            run.initial(), run.prepared.training(run.job.config).train
        )  # fmt: skip


def network_with(predicted, stable, largest):
    """A network whose edges are at these multiples of what is predicted."""
    shapes = {"stable": [2, 1, 1], "catapult": [2, *[3] * 5, *[1] * 5], "divergent": [2, 3]}
    found = [
        Trial.of(lr * predicted, Course(np.array(shapes[phase], float)))
        for lr, phase in (
            (stable * 0.999, "stable"),
            (stable * 1.001, "catapult"),
            (largest * 0.999, "catapult"),
            (largest * 1.001, "divergent"),
        )
    ]
    return Network(None, 2 / predicted, found)


def test_the_verdict_follows_from_the_numbers():
    found = [
        network_with(0.3, 0.5, 2),
        network_with(0.3, 1.05, 4),
        network_with(3.0, 0.95, 6),
        network_with(0.2, 20, 40),
    ]
    assert verdict(found) == (
        "The loss begins to rise above its initial value at 0.5 to 20 (median 1) times "
        "2/sharpness: within 10% of it in 2 of 4 networks, above in 1, below in 1. Up to 2 to 40 "
        "(median 5) times 2/sharpness, it still settles below its initial value."
    )


@pytest.fixture(scope="module")
def study(tmp_path_factory):
    """One small study in a real store, looked at by several tests."""
    import mlflow

    store = f"sqlite:///{tmp_path_factory.mktemp('study')}/mlflow.db"
    done = nnlab(
        "stability", *SMALL, "init=he,randn_minus_half", "seed=range(0,2)", "--tolerance", "0.2",
        f"tracking.uri={store}", "tracking.experiment=edges",
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    client = mlflow.MlflowClient(store)
    experiment = client.get_experiment_by_name("edges").experiment_id
    runs = client.search_runs([experiment])
    (parent,) = (run for run in runs if "mlflow.parentRunId" not in run.data.tags)
    children = [run for run in runs if run is not parent]
    return done, parent, children


def rows_of(parent, name):
    path = Path(parent.info.artifact_uri.removeprefix("file://")) / name
    with path.open(newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))


def test_the_command_prints_each_network_the_seeds_together_and_a_verdict(study):
    done, parent, _ = study
    lines = done.stdout.splitlines()
    assert [line.split()[:2] for line in lines[1:5]] == [
        [init, seed] for init in ("he", "randn_minus_half") for seed in "01"
    ]
    (summary,) = (line for line in lines if re.match(r" *randn_minus_half +2 ", line))
    assert "20 (20–20)" in summary
    assert "The loss begins to rise above its initial value at" in done.stdout
    assert f"nnlab ui {parent.info.run_id[:8]}" in done.stdout


def test_the_store_has_a_run_for_each_network_under_one_for_the_study(study):
    _, parent, children = study
    assert parent.info.status == "FINISHED"
    assert parent.info.run_name == "stability init=he,randn_minus_half seed=0,1"
    assert parent.data.tags["kind"] == "stability"
    assert {run.data.tags["mlflow.parentRunId"] for run in children} == {parent.info.run_id}
    found = {(run.data.params["init.name"], run.data.params["seed"]) for run in children}
    assert found == {(init, seed) for init in ("he", "randn_minus_half") for seed in "01"}
    for run in children:
        assert run.info.status == "FINISHED"
        assert "lr" not in run.data.params
        metrics = run.data.metrics
        assert metrics["lr_predicted"] == pytest.approx(2 / metrics["sharpness"])
        assert metrics["stable_over_predicted"] == pytest.approx(
            metrics["lr_stable"] / metrics["lr_predicted"]
        )


def test_the_tables_hold_the_intervals_and_the_evidence(study):
    _, parent, children = study
    edges, results = rows_of(parent, "stability.csv"), rows_of(parent, "trials.csv")
    assert {row["run_id"] for row in edges} == {run.info.run_id for run in children}
    for row in edges:
        phases = {
            float(trial["lr"]): trial["phase"]
            for trial in results
            if trial["run_id"] == row["run_id"]
        }
        assert phases[float(row["lr_stable_lower"])] == "stable"
        assert phases[float(row["lr_stable_upper"])] != "stable"
        assert phases[float(row["lr_largest_lower"])] in ("stable", "catapult")
        assert phases[float(row["lr_largest_upper"])] in ("divergent", "killed")


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["lr=0.1"], "lr is what is searched for here: leave it out."),
        (["batch_size=64"], "batch_size=64 is not allowed here: 2 over the sharpness is a limit"),
        (["epochs=0"], "epochs=0 is not allowed here: it must be 1 or more."),
        (["init=foo"], "init=foo is not allowed: init is one of "),
        (["experiment=foo"], "experiment=foo is not allowed: experiment is one of "),
        (["hidden=3"], "hidden is not a field of the config: did you mean `hidden_size`?"),
        (["seed=-1"], "seed=-1 is not allowed: seed must be a whole number, 0 or more."),
    ],
)
def test_a_question_without_sense_gets_a_sentence_and_makes_no_store(
    arguments, sentence, tmp_path, monkeypatch
):
    monkeypatch.setenv("NNLAB_ROOT", str(tmp_path))
    done = CliRunner().invoke(main, ["stability", *arguments])
    assert done.exit_code == 2
    assert sentence in done.stderr
    assert not (tmp_path / "mlruns").exists()


def test_a_study_that_fails_says_so_in_the_store(store):
    import mlflow

    words = (*SMALL, "init=normal", "init.scale=1e30", f"tracking.uri={store}")
    done = CliRunner().invoke(main, ["stability", *words])
    assert done.exit_code == 2
    assert "take a smaller init.scale" in done.stderr
    client = mlflow.MlflowClient(store)
    experiment = client.get_experiment_by_name("nnlab").experiment_id
    (run,) = client.search_runs([experiment])
    assert run.info.status == "FAILED"
    assert "not finite" in run.data.tags["reason"]


@pytest.mark.long
def test_a_study_that_is_interrupted_is_killed_in_the_store(store):
    import mlflow

    process = subprocess.Popen(
        [sys.executable, "-m", "nnlab", "stability", "epochs=20000", "init=he",
         f"tracking.uri={store}"],
        cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
    )  # fmt: skip
    try:
        database, deadline = Path(store.removeprefix("sqlite:///")), time.monotonic() + 60
        runs = []
        while not runs and time.monotonic() < deadline:
            time.sleep(0.5)
            if database.exists():
                client = mlflow.MlflowClient(store)
                runs = client.search_runs(
                    [each.experiment_id for each in client.search_experiments()]
                )
        process.send_signal(signal.SIGINT)
        _, errors = process.communicate(timeout=60)
    finally:
        process.kill()
    assert process.returncode == 130
    assert "Traceback" not in errors
    (run,) = client.search_runs([runs[0].info.experiment_id])
    assert run.info.status == "KILLED"
    assert run.data.tags["reason"] == "interrupted"
