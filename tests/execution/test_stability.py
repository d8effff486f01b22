"""The edges of real networks, and the command that finds, records and prints them."""

import csv
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from click.testing import CliRunner
from support.commands import nnlab
from support.paths import ROOT
from support.small_networks import gradients, losses

from nnlab.analysis.stability_verdict import add_rates, stability_verdict
from nnlab.cli.main import main
from nnlab.execution.stability import Network, find_edges
from nnlab.jobs.compose import compose_grid
from nnlab.jobs.run import plan_runs
from nnlab.jobs.sweep import Sweep
from nnlab.training.curvature import sharpness
from nnlab.training.network import update
from nnlab.training.stability_edges import Bracket, Course, Trial

SMALL = ("data.val_size=4600", "epochs=30", "threads=1")  # 400 images train


def runs_of(*overrides):
    jobs, configs, *_ = compose_grid([*SMALL, *overrides])
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
    assert all(trial.killed_at is None for trial in network.trials)  # it was dead before


def test_a_network_that_its_first_steps_kill_has_not_survived():
    (network,) = find_edges(runs_of("init=he"), tolerance=0.05)
    killed = [trial for trial in network.trials if trial.killed_at is not None]
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


def table_of(**columns):
    """A table of networks of five seeds at two scales."""
    frame = pd.DataFrame({"init.scale": [0.001] * 5 + [1.0] * 5, "seed": [*range(5)] * 2})
    frame["run_id"] = [f"{number:032x}" for number in range(10)]
    frame["holes"] = 0
    frame["data_digest"] = "d"
    for name, (near_zero, large) in columns.items():
        frame[name] = [near_zero] * 5 + [large] * 5
    for edge in ("monotone_10", "monotone_100", "stable", "largest"):
        if f"lr_{edge}" in frame:
            frame[f"lr_{edge}_lower"] = frame[f"lr_{edge}"] * 0.999
            frame[f"lr_{edge}_upper"] = frame[f"lr_{edge}"] * 1.001
    return add_rates(frame)


def test_the_verdict_follows_from_the_numbers():
    networks = table_of(
        sharpness=(0.5, 10), lr_predicted=(4.0, 0.2), lr_monotone_10=(3.6, 4.0),
        lr_monotone_100=(0.4, 4.0), lr_stable=(0.8, 8.0), lr_largest=(8.0, 8.0),
        sharpness_trained=(4.9, 0.1), stable_killed=(False, True),
    )  # fmt: skip
    trials = pd.DataFrame(
        {
            "run_id": networks["run_id"],
            "lr": networks["lr_stable_lower"],
            "epochs": 100,
            "rising_steps": [17, 20, 20, 20, 38, 0, 0, 0, 0, 0],
        }
    )
    assert " ".join(stability_verdict(networks, trials)) == (
        "For the rate up to which no step within 10 epochs raises the loss, 2 / sharpness is "
        "nearly right, within a factor of 1.33, at init.scale=0.001 (found: 0.9 times it); "
        "too low at init.scale=1 (found: 20 times it). "
        "For the rate up to which no step within 100 epochs raises the loss, 2 / sharpness is "
        "too high at init.scale=0.001 (found: 0.1 times it); too low at "
        "init.scale=1 (found: 20 times it). "
        "Progressive sharpening is the cause, not a failure of the theory, at init.scale=0.001: "
        "from 10 to 100 epochs the edge falls; at the rate just below it the sharpness comes to "
        "9.8 times its first value, and 2 over that is 1.02 times the rate. "
        "Up to 0.2 to 40 times 2 / sharpness the loss is never above its initial value; at the "
        "rate just below that, it rises at 0 to 38 of 100 steps. "
        "In 5 of 10 networks it does not rise above it before a step switches off every hidden "
        "unit. "
        "Up to 2 to 40 times 2 / sharpness it settles below its initial value."
    )


def test_where_the_curvature_did_not_grow_sharpening_is_not_named_as_the_cause():
    networks = table_of(
        sharpness=(0.5, 0.5), lr_predicted=(4.0, 4.0), lr_monotone_10=(3.6, 3.6),
        lr_monotone_100=(0.4, 0.4), lr_stable=(0.8, 8.0), lr_largest=(8.0, 8.0),
        sharpness_trained=(0.5, 4.9),
    )  # fmt: skip
    text = " ".join(stability_verdict(networks, pd.DataFrame()))
    assert "alone does not explain the figures at init.scale=0.001:" in text
    assert "is the cause, not a failure of the theory, at init.scale=1:" in text


def test_networks_that_share_their_draws_get_no_p_value():
    frame = pd.concat(
        [
            table_of(
                sharpness=(1, 1), lr_predicted=(scale, scale), lr_stable=(5 - scale,) * 2,
                lr_largest=(5.0, 5.0),
            ).head(5).assign(**{"init.scale": scale})
            for scale in (1.0, 2.0, 2.5, 3.0, 4.0)
        ],
        ignore_index=True,
    )  # fmt: skip
    (order,) = (line for line in stability_verdict(frame, pd.DataFrame()) if "Spearman" in line)
    assert "is -1." in order
    assert "there is no p-value" in order
    assert "p =" not in order


def test_the_tables_of_an_earlier_version_are_read_without_the_edges_that_it_did_not_look_for():
    networks = table_of(
        sharpness=(0.5, 10), lr_predicted=(4.0, 0.2), lr_stable=(0.8, 8.0), lr_largest=(8.0, 8.0)
    )
    trials = pd.DataFrame(
        {"run_id": networks["run_id"], "lr": networks["lr_stable_lower"], "phase": "stable"}
    )
    assert list(stability_verdict(networks, trials)) == [
        "Up to 0.2 to 40 times 2 / sharpness the loss is never above its initial value.",
        "Up to 2 to 40 times 2 / sharpness it settles below its initial value.",
    ]


def test_the_record_of_a_network_that_is_killed_says_so():
    losses = np.array([2.3] + [2.2] * 100)
    found = [Trial.of(lr, Course(losses, 3 if lr > 1 else None)) for lr in (0.5, 0.99, 1.01, 2)]
    assert Network(None, 0.1, found).edges.stable == Bracket(0.99, 1.01, killed=True)
    assert Network(None, 0.1, found).edges.monotone_100.killed


@pytest.fixture(scope="module")
def study(tmp_path_factory):
    """One small study in a real store, looked at by several tests."""
    import mlflow

    store = f"sqlite:///{tmp_path_factory.mktemp('study')}/mlflow.db"
    done = nnlab(
        "stability", *SMALL, "init=he,randn_minus_half", "seed=range(0,2)", "--tolerance", "0.2",
        f"tracking.uri={store}", "tracking.experiment=edges", env={"COLUMNS": "200"},
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
    assert "monotone 10" in lines[0]
    assert "the loss is never above its initial value" in done.stdout
    assert "no step within 10 epochs raises the loss" in done.stdout
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
        trials = [trial for trial in results if trial["run_id"] == row["run_id"]]
        phases = {float(t["lr"]): t["phase"] for t in trials if t["epochs"] == "30"}
        rises_at = {float(t["lr"]): int(t["rises_at"] or 99) for t in trials}
        assert rises_at[float(row["lr_monotone_10_lower"])] > 10
        assert rises_at[float(row["lr_monotone_10_upper"])] <= 10 or row["monotone_10_killed"]
        assert row["lr_monotone_100_lower"] == ""  # 30 epochs do not tell
        assert phases[float(row["lr_stable_lower"])] == "stable"
        assert phases[float(row["lr_stable_upper"])] != "stable"
        assert phases[float(row["lr_largest_lower"])] in ("stable", "catapult")
        assert phases[float(row["lr_largest_upper"])] in ("divergent", "killed")


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["lr=0.1"], "lr is what is searched for here: leave it out."),
        (["batch_size=64"], "batch_size=64 is not allowed here: 2 over the sharpness is a limit"),
        (["dtype=exact"], "dtype=exact is not allowed here: the sharpness comes from LAPACK"),
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
