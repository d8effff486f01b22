"""The parent's loop: what happens to one stack does not happen to the others."""

import mlflow
import pytest

from nnlab import runner, sweep
from nnlab.config import LaunchConfig, from_mapping
from nnlab.plan import Job, division, plan_runs, plan_stacks
from nnlab.worker import workers


def config(store, **changes):
    return from_mapping(
        {
            "lr": 0.1,
            "epochs": 3,
            "hidden_size": 5,
            "init": {"name": "he", "bias": "zeros"},
            "seed": 0,
            "batch_size": None,
            "dtype": "float32",
            "target_accuracy": 0.8,
            "data": {"source": "mnist_sample", "name": "mnist_sample", "val_size": 4000, "seed": 0},
            "tracking": {"uri": store, "experiment": "nnlab"},
            "pictures": 0,
            **changes,
        }
    )


def test_a_stack_that_fails_says_why_and_the_others_finish(store, monkeypatch, capsys):
    train = runner.run_segment

    def sometimes(segment):
        if segment.state.params.w1.shape[1] == 7:
            raise FloatingPointError("the disk of 7 units caught fire")
        return train(segment)

    monkeypatch.setattr(runner, "run_segment", sometimes)
    configs = [config(store, hidden_size=size, lr=lr) for size in (5, 7) for lr in (0.1, 0.2)]
    overrides = [(f"hidden_size={each.hidden_size}", f"lr={each.lr}") for each in configs]
    runs = sweep.run_sweep(sweep.Sweep.of(configs, overrides), LaunchConfig())

    assert [run.status for run in runs] == ["FINISHED", "FINISHED", "FAILED", "FAILED"]
    client = mlflow.MlflowClient(store)
    for run in runs:
        assert client.get_run(run.run_id).info.status == run.status
    failed = client.get_run(runs[2].run_id)
    reason = "FloatingPointError: the disk of 7 units caught fire"
    assert failed.data.tags["reason"] == reason
    assert "outcome" not in failed.data.tags
    parent = client.get_run(failed.data.tags["mlflow.parentRunId"])
    assert parent.info.status == "FAILED"
    assert parent.data.tags["reason"] == "2 of 4 runs failed"
    assert reason in capsys.readouterr().out


def test_a_single_run_that_fails_is_failed_in_the_store_and_raised(store, monkeypatch):
    def broken(_segment):
        raise FloatingPointError("no")

    monkeypatch.setattr(runner, "run_segment", broken)
    with pytest.raises(FloatingPointError, match="no"):
        sweep.run_one(config(store), ())
    client = mlflow.MlflowClient(store)
    (run,) = client.search_runs(["1"])
    assert run.info.status == "FAILED"
    assert run.data.tags["reason"] == "FloatingPointError: no"


def jobs(store, changes):
    return [Job(config(store, **each), (), "run") for each in changes]


def test_runs_that_differ_in_shape_data_or_batches_are_not_stacked(store):
    changes = [
        {"lr": 0.1},
        {"lr": 0.2, "seed": 3, "epochs": 9},  # may share a stack with the first
        {"hidden_size": 6},
        {"dtype": "float64"},
        {"batch_size": 64},
    ]
    runs = plan_runs(jobs(store, changes))
    with workers(1, 1) as crew:
        stacks = plan_stacks(runs, crew, LaunchConfig())
    assert sorted(len(stack.runs) for stack in stacks) == [1, 1, 1, 2]


@pytest.mark.parametrize(("limit", "sizes"), [("auto", [7]), (3, [2, 2, 3]), (1, [1] * 7)])
def test_a_stack_holds_at_most_what_the_launcher_allows(store, limit, sizes):
    runs = plan_runs(jobs(store, [{"seed": seed} for seed in range(7)]))
    with workers(1, 1) as crew:
        stacks = plan_stacks(runs, crew, LaunchConfig(stack=limit))
    assert sorted(len(stack.runs) for stack in stacks) == sizes
    assert len({id(run) for stack in stacks for run in stack.runs}) == 7


def test_a_small_sweep_starts_no_worker_unless_workers_are_asked_for(store):
    runs = plan_runs(jobs(store, [{"seed": seed} for seed in range(3)]))
    assert division(runs, LaunchConfig())[0] == 1
    assert division(runs, LaunchConfig(n_jobs=2))[0] == 2
    assert division(runs, LaunchConfig(n_jobs=2, backend="sequential"))[0] == 1


def test_in_a_stack_of_runs_of_different_lengths_each_is_measured_once_an_epoch(store):
    configs = [config(store, epochs=epochs) for epochs in (0, 1, 4, 4)]
    runs = sweep.run_sweep(
        sweep.Sweep.of(configs, [(f"epochs={each.epochs}",) for each in configs]), LaunchConfig()
    )
    client = mlflow.MlflowClient(store)
    for run, epochs in zip(runs, (0, 1, 4, 4), strict=True):
        assert run.curve.epochs.tolist() == list(range(epochs + 1))
        points = client.get_metric_history(run.run_id, "val/loss")
        assert sorted(point.step for point in points) == list(range(epochs + 1))
