"""The scheduler: what happens to one stack does not happen to the others."""

from pathlib import Path

import mlflow
import numpy as np
import pytest
from support.configs import config
from support.sweeps import run_sweep

from nnlab.errors import DoesNotFitError, NothingLeftError, RunsFailedError
from nnlab.execution import workers
from nnlab.execution.resume import find_resumable
from nnlab.execution.single_session import run_one
from nnlab.execution.stacks import division, plan_stacks
from nnlab.execution.sweep_session import SweepSession
from nnlab.jobs import run as run_module
from nnlab.jobs.launch_config import LaunchConfig
from nnlab.jobs.run import Job, plan_runs
from nnlab.jobs.sweep import Sweep


def sweep_of(store, changes):
    configs = [config(tracking__uri=store, **each) for each in changes]
    return Sweep.of(configs, [tuple(f"{k}={v}" for k, v in each.items()) for each in changes])


def jobs(store, changes):
    return [Job(config(tracking__uri=store, **each), (), "run") for each in changes]


@pytest.fixture
def burning(monkeypatch):
    """Training that raises for networks of seven units, or for one learning rate of a stack."""
    train = workers.run_segment

    def sometimes(segment, data):
        if segment.state.params.w1.shape[1] == 7 or 0.666 in segment.state.lr.round(3):
            raise FloatingPointError("the disk of 7 units caught fire")
        return train(segment, data)

    monkeypatch.setattr(workers, "run_segment", sometimes)


REASON = "FloatingPointError: the disk of 7 units caught fire"


@pytest.mark.usefixtures("burning")
def test_a_stack_that_fails_says_why_and_the_others_finish(store, capsys):
    changes = [{"hidden_size": size, "lr": lr} for size in (5, 7) for lr in (0.1, 0.2)]
    runs = run_sweep(sweep_of(store, changes))

    assert [run.state.status for run in runs] == ["FINISHED", "FINISHED", "FAILED", "FAILED"]
    client = mlflow.MlflowClient(store)
    for run in runs:
        assert client.get_run(run.state.run_id).info.status == run.state.status
    failed = client.get_run(runs[2].state.run_id)
    assert failed.data.tags["reason"] == REASON
    assert "outcome" not in failed.data.tags
    parent = client.get_run(failed.data.tags["mlflow.parentRunId"])
    assert parent.info.status == "FAILED"
    assert parent.data.tags["reason"] == "2 of 4 runs failed"
    out, err = capsys.readouterr()
    assert out.count(REASON) == 2
    assert err.count(REASON) == 2  # at once, not only at the end
    resume = f"nnlab resume {parent.info.run_id[:8]} --uri {store}"
    assert f"2 runs are not complete; to go on:\n  {resume}\n" in out


@pytest.mark.usefixtures("burning")
def test_in_a_stack_only_the_run_that_raises_fails(store):
    changes = [{"lr": lr} for lr in (0.1, 0.666, 0.2, 0.3)]
    runs = run_sweep(sweep_of(store, changes))
    assert [run.state.status for run in runs] == ["FINISHED", "FAILED", "FINISHED", "FINISHED"]


@pytest.mark.usefixtures("burning")
def test_on_error_stop_begins_nothing_more(store):
    changes = [
        {"lr": 0.1, "epochs": 9},
        {"lr": 0.666, "epochs": 5},
        {"lr": 0.2, "dtype": "float64"},
    ]
    settings = LaunchConfig(on_error="stop", stack=1)
    with pytest.raises(RunsFailedError, match="on_error=stop"):
        run_sweep(sweep_of(store, changes), settings)
    client = mlflow.MlflowClient(store)
    found = client.search_runs(["1"], "tags.job != ''")
    assert {run.data.params["lr"]: run.info.status for run in found} == {
        "0.1": "FINISHED", "0.666": "FAILED",
    }  # fmt: skip
    (parent,) = client.search_runs(["1"], "tags.kind = 'sweep'")
    assert parent.info.status == "FAILED"


def test_a_single_run_that_fails_is_failed_in_the_store_and_raised(store, monkeypatch):
    def broken(_segment, _data):
        raise FloatingPointError("no")

    monkeypatch.setattr(workers, "run_segment", broken)
    with pytest.raises(FloatingPointError, match="no"):
        run_one(config(tracking__uri=store), ())
    client = mlflow.MlflowClient(store)
    (run,) = client.search_runs(["1"])
    assert run.info.status == "FAILED"
    assert run.data.tags["reason"] == "FloatingPointError: no"


def test_runs_that_differ_in_shape_data_or_batches_are_not_stacked(store):
    changes = [
        {"lr": 0.1},
        {"lr": 0.2, "seed": 3, "epochs": 9},  # may share a stack with the first
        {"hidden_size": 6},
        {"dtype": "float64"},
        {"batch_size": 64},
    ]
    stacks = plan_stacks(plan_runs(jobs(store, changes)), 1, LaunchConfig())
    assert sorted(len(stack.runs) for stack in stacks) == [1, 1, 1, 2]


@pytest.mark.parametrize(
    ("limit", "workers", "sizes"),
    [
        ("auto", 1, [7]),
        (3, 1, [2, 2, 3]),
        (1, 1, [1] * 7),
        ("auto", 2, [3, 4]),
        (3, 2, [1, 2, 2, 2]),  # as many for either worker
    ],
)
def test_stacks_respect_the_launchers_limit_and_are_even_over_workers(store, limit, workers, sizes):
    runs = plan_runs(jobs(store, [{"seed": seed} for seed in range(7)]))
    stacks = plan_stacks(runs, workers, LaunchConfig(stack=limit))
    assert sorted(len(stack.runs) for stack in stacks) == sizes
    assert len({id(run) for stack in stacks for run in stack.runs}) == 7


def test_the_longest_work_is_handed_out_first(store):
    changes = [{"epochs": 3}, {"epochs": 30, "hidden_size": 6}, {"epochs": 9, "hidden_size": 7}]
    stacks = plan_stacks(plan_runs(jobs(store, changes)), 2, LaunchConfig())
    assert [stack.runs[0].job.config.epochs for stack in stacks] == [30, 9, 3]


def test_a_small_sweep_starts_no_worker_unless_workers_are_asked_for(store):
    runs = plan_runs(jobs(store, [{"seed": seed} for seed in range(3)]))
    assert division(runs, LaunchConfig())[0] == 1
    assert division(runs, LaunchConfig(n_jobs=2))[0] == 2
    assert division(runs, LaunchConfig(n_jobs=2, backend="sequential"))[0] == 1


def test_in_a_stack_of_runs_of_different_lengths_each_is_measured_once_an_epoch(store):
    changes = [{"epochs": epochs} for epochs in (0, 1, 4, 4)]
    changes[-1]["lr"] = 0.2
    runs = run_sweep(sweep_of(store, changes))
    client = mlflow.MlflowClient(store)
    for run, epochs in zip(runs, (0, 1, 4, 4), strict=True):
        points = client.get_metric_history(run.state.run_id, "val/loss")
        assert sorted(point.step for point in points) == list(range(epochs + 1))


def test_halving_drops_the_worst_at_each_rung_and_says_so(store):
    rates = [0.001, 0.01, 0.1, 0.2, 0.3, 0.5]
    prune = {"rule": "halving", "rungs": [4, 8], "eta": 2}
    changes = [{"lr": rate, "epochs": 20} for rate in rates]
    plain = run_sweep(sweep_of(store, changes))
    configs = [config(tracking__uri=store, prune=prune, **each) for each in changes]
    for settings in (LaunchConfig(), LaunchConfig(stack=2)):
        runs = run_sweep(Sweep.of(configs, [(f"lr={each['lr']}",) for each in changes]), settings)
        client = mlflow.MlflowClient(store)
        left = range(6)
        for rung, places in ((4, 3), (8, 2)):
            at = {
                index: next(
                    point.value
                    for point in client.get_metric_history(
                        plain[index].state.run_id, "val/accuracy"
                    )
                    if point.step == rung
                )
                for index in left
            }
            left = sorted(left, key=lambda index: (-at[index], index))[:places]
        assert {run.index for run in runs if run.state.status == "FINISHED"} == set(left)
        for run, alone in zip(runs, plain, strict=True):
            stored = client.get_run(run.state.run_id)
            assert stored.info.status == run.state.status
            weights = stored.data.tags["weights_sha256"]
            if run.index in left:
                whole = client.get_run(alone.state.run_id).data.tags["weights_sha256"]
                assert weights == whole
            else:
                assert stored.data.tags["outcome"] == "pruned"
                assert stored.data.tags["reason"].startswith("pruned at epoch ")
                ended = stored.data.metrics["pruned_at"]
                assert ended in (4, 8)
                assert "final_val_accuracy" not in stored.data.metrics
                steps = client.get_metric_history(run.state.run_id, "val/loss")
                assert sorted(point.step for point in steps) == list(range(int(ended) + 1))


def test_finished_runs_of_the_same_identity_are_taken_over_where_reuse_is_asked_for(store):
    first = run_sweep(sweep_of(store, [{"lr": 0.1}, {"lr": 0.2}]))
    changes = [{"lr": 0.1}, {"lr": 0.2}, {"lr": 0.3}]
    configs = [config(tracking__uri=store, reuse=True, **each) for each in changes]
    overrides = [(f"lr={each['lr']}",) for each in changes]
    runs = run_sweep(Sweep.of(configs, overrides))
    assert [run.state.run_id for run in runs[:2]] == [run.state.run_id for run in first]
    assert [run.state.reused for run in runs] == [True, True, False]
    assert (
        runs[0].state.metrics["final_val_accuracy"] == first[0].state.metrics["final_val_accuracy"]
    )
    assert len(mlflow.MlflowClient(store).search_runs(["1"])) == 3 + 2  # two parents


def test_runs_on_other_data_than_the_sweeps_first_keep_their_own_split(store):
    batches = [
        sweep_of(store, [{"data__val_size": size, "lr": lr} for lr in (0.1, 0.2)])
        for size in (4000, 3000)
    ]
    with SweepSession("sizes", batches[0].jobs[0].config, LaunchConfig()) as session:
        for batch in batches:  # as an optimising sweeper asks for them
            session.begin(plan_runs(batch.jobs, first=len(session.runs)), batch.varying)
            session.work()
    client = mlflow.MlflowClient(store)
    kept = [
        "split.npz" in {file.path for file in client.list_artifacts(run_id)}
        for run_id in (session.head, *(run.state.run_id for run in session.runs))
    ]
    assert kept == [True, False, False, True, True]


def test_a_curve_may_be_logged_every_few_epochs_and_its_file_has_them_all(store):
    tracking = {"uri": store, "experiment": "nnlab", "every": 4}
    run = run_one(config(tracking__uri=store, epochs=10, tracking=tracking), ())
    client = mlflow.MlflowClient(store)
    points = client.get_metric_history(run.state.run_id, "val/loss")
    assert sorted(point.step for point in points) == [0, 4, 8, 10]
    path = client.download_artifacts(run.state.run_id, "history.csv")
    with open(path) as file:  # noqa: PTH123
        assert len(file.readlines()) == 1 + 11


def observed(store, **changes):
    return config(tracking__uri=store, sharpness={"every": 4}, epochs=10, **changes)


def curve_of(store, run, metric):
    points = mlflow.MlflowClient(store).get_metric_history(run.state.run_id, metric)
    return {point.step: point.value for point in points}


def test_a_sweep_observes_the_sharpness_of_stacked_runs_and_trains_to_the_same_weights(store):
    changes = [{"lr": lr} for lr in (0.1, 0.2)]
    plain = run_sweep(sweep_of(store, [{**each, "epochs": 10} for each in changes]))
    configs = [observed(store, **each) for each in changes]
    runs = run_sweep(Sweep.of(configs, [(f"lr={each['lr']}",) for each in changes]))
    alone = run_one(observed(store, lr=0.2), ())
    client = mlflow.MlflowClient(store)
    for one, other in zip(plain, runs, strict=True):
        assert one.key == other.key
        tags = [
            client.get_run(run.state.run_id).data.tags["weights_sha256"] for run in (one, other)
        ]
        assert tags[0] == tags[1]
        assert not curve_of(store, one, "sharpness")
    found = curve_of(store, runs[1], "sharpness")
    assert sorted(found) == [0, 4, 8, 10]
    assert found == curve_of(store, alone, "sharpness")


def test_a_run_without_its_sharpness_is_not_reused_where_it_is_asked_for(store, capsys):
    run_one(config(tracking__uri=store, epochs=10), ())
    again = run_one(observed(store, reuse=True), ())
    assert not again.state.reused
    assert "Not reused: 1 without the sharpness that sharpness.every asks for." in (
        capsys.readouterr().err
    )
    assert run_one(observed(store, reuse=True), ()).state.reused
    assert run_one(config(tracking__uri=store, epochs=10, reuse=True), ()).state.reused


def snapshots_of(store, run):
    with np.load(
        mlflow.MlflowClient(store).download_artifacts(run.state.run_id, "snapshots.npz")
    ) as file:
        return dict(file)


def test_a_stack_takes_the_snapshots_that_each_run_alone_would(store):
    changes = [{"epochs": 4}, {"epochs": 10}]
    configs = [config(tracking__uri=store, snapshots=4, **each) for each in changes]
    runs = run_sweep(Sweep.of(configs, [(f"epochs={each['epochs']}",) for each in changes]))
    alone = run_one(configs[1], ())
    short, long, single = (snapshots_of(store, run) for run in (*runs, alone))
    assert short["epochs"].tolist() == [0, 1, 2, 4]
    assert long["epochs"].tolist() == [0, 1, 3, 10]
    assert long.keys() == single.keys() == {"epochs", "edges", "W1", "Z1", "W2", "Z2"}
    for name, table in long.items():
        np.testing.assert_array_equal(table, single[name])
    samples = len(alone.prepared.split.train)
    assert set(long["Z1"].sum(axis=1)) == {5 * samples}
    assert set(long["W2"].sum(axis=1)) == {10 * 5}


def test_a_run_without_its_snapshots_is_not_reused_where_they_are_asked_for(store, capsys):
    run_one(config(tracking__uri=store), ())
    again = run_one(config(tracking__uri=store, snapshots=3, reuse=True), ())
    assert not again.state.reused
    assert "Not reused: 1 without the snapshots that snapshots asks for." in capsys.readouterr().err
    assert run_one(config(tracking__uri=store, snapshots=3, reuse=True), ()).state.reused


def test_a_run_tells_how_far_each_layer_has_moved_from_its_start(store):
    run = run_one(config(tracking__uri=store, epochs=10, lr=0.5), ())
    folder = Path(mlflow.MlflowClient(store).download_artifacts(run.state.run_id, ""))
    first, last = (np.load(folder / name) for name in ("weights_initial.npz", "weights.npz"))
    for layer in ("W1", "W2"):
        before, after = (weights[layer].astype(np.float64) for weights in (first, last))
        expected = np.linalg.norm(after - before) / np.linalg.norm(before)
        assert run.state.metrics[f"distance_{layer.lower()}"] == pytest.approx(expected, rel=1e-5)


def test_a_run_that_does_not_fit_into_the_memory_says_so_and_is_not_offered_again(
    tmp_path, monkeypatch, capsys
):
    store = f"sqlite:///{tmp_path}/mlflow.db"
    monkeypatch.setattr(run_module, "memory_size", lambda: 2**20)
    runs = run_sweep(sweep_of(store, [{"hidden_size": size} for size in (5, 1000, 6)]))
    assert [run.state.status for run in runs] == ["FINISHED", "FAILED", "FINISHED"]
    printed = capsys.readouterr()
    assert "hidden_size=1000 takes 0 GiB for the initial weights alone, and this" in printed.err
    assert "nnlab resume" not in printed.out
    with pytest.raises(DoesNotFitError, match="A smaller hidden_size needs less"):
        run_one(config(tracking__uri=store, hidden_size=1000), ())
    assert "nnlab resume" not in capsys.readouterr().err
    assert not list((tmp_path / "sweeps").iterdir())
    with pytest.raises(NothingLeftError):
        find_resumable(None, store)
