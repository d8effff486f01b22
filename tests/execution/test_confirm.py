"""``nnlab confirm``: a sweep's candidates on new seeds, against what MLflow's client returns."""

import statistics

import mlflow
import pytest
from click.testing import CliRunner
from support.commands import run_py

from nnlab.analysis.comparison import compare
from nnlab.analysis.confirmation import confirming_sweeps
from nnlab.cli.main import main
from nnlab.execution.session import Session
from nnlab.tracking.frames import read_runs

METRIC = "late_val_accuracy"
SMALL = ("epochs=10", "data.val_size=4500", "pictures=0", "hydra.launcher.backend=sequential")


@pytest.fixture
def swept(tmp_path, monkeypatch):
    """A store with a sweep of two learning rates and five seeds, and the sweep's id."""
    store = f"sqlite:///{tmp_path}/mlflow.db"
    run_py("-m", "lr=0.01,0.5", "seed=range(3,8)", *SMALL, f"tracking.uri={store}", check=True)
    monkeypatch.setattr(
        "nnlab.execution.new_seeds.own_fields", lambda: {"backend": "sequential"}
    )  # no worker processes for 25 short runs
    return store, read_runs(store, ["last"])["sweep"].iloc[0]


def command(*arguments):
    return CliRunner().invoke(main, list(map(str, arguments)))


def test_candidates_are_trained_on_seeds_that_nobody_has_used_and_quoted_before_and_after(swept):
    store, sweep = swept
    done = command("confirm", sweep[:8], "--uri", store, "--top", 1, "--seeds", 6)
    assert done.exit_code == 0, done.output
    (head,) = confirming_sweeps(store, sweep)
    client = mlflow.MlflowClient(store)
    assert client.get_run(head).data.tags["confirms"] == sweep
    runs = read_runs(store, [head])
    assert sorted(runs["seed"]) == list(range(8, 14))
    best = compare([sweep], store).iloc[0]
    assert set(runs["lr"]) == {best["lr"]}
    mean = statistics.mean(client.get_run(run).data.metrics[METRIC] for run in runs["run_id"])
    before = f"after {best['mean']:.4f} in the sweep that selected it"
    for text in (done.stdout, " ".join(compare([sweep], store).attrs["notes"])):
        assert f"has a mean of {mean:.4f} " in text
        assert before in text
    # Found by the same words as before, and not added to: a figure is confirmed once.
    assert read_runs(store, ["last"])["sweep"].iloc[0] == sweep
    again = command("confirm", sweep, "--uri", store)
    assert again.exit_code == 2
    assert f"{sweep[:8]} was confirmed by {head[:8]}" in again.stderr


def test_a_confirmation_that_was_interrupted_is_resumed_by_the_same_command(swept, monkeypatch):
    store, sweep = swept

    def interrupted(_session):
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(Session, "work", interrupted)
        assert command("confirm", "--uri", store, "--top", 1).exit_code == 130
    (head,) = confirming_sweeps(store, sweep)
    done = command("confirm", "--uri", store)
    assert done.exit_code == 0, done.output
    assert confirming_sweeps(store, sweep) == [head]
    assert sorted(read_runs(store, [head])["seed"]) == list(range(8, 13))
    assert "On 5 new seeds, which did not select it" in done.stdout


def test_what_is_no_sweep_has_no_best_to_confirm(compared):
    run = read_runs(compared, ["last"])["run_id"].iloc[0]
    done = command("confirm", run, "--uri", compared)
    assert done.exit_code == 2
    assert f"{run[:8]} is no sweep: there is no best to confirm." in done.stderr
