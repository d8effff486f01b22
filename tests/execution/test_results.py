"""The end of a sweep on the terminal."""

import pytest
from support.configs import config

from nnlab.analysis.ranking import METRIC
from nnlab.execution.results import report_sweep
from nnlab.jobs.run import Job, Run, RunState

SWEEP = "1ce4dff60149443c8faf0d231d699cf7"
URI = "sqlite:////a/folder/with a blank/and/a/rather/long/name/mlflow.db"


def run(number, overrides, outcome="learned", status="FINISHED", last=None, **changes):
    metrics = (
        {METRIC: 0.8 + number / 10_000, "final_val_accuracy": 0.8} if outcome == "learned" else {}
    )
    state = RunState(f"{number:032x}", outcome=outcome, status=status, metrics=metrics, last=last)
    return Run(Job(config(**changes), overrides, " ".join(overrides)), number, None, "", state)


def reported(capsys, monkeypatch, runs, varying, width=60):
    monkeypatch.setenv("COLUMNS", str(width))
    report_sweep(runs, varying, SWEEP)
    return capsys.readouterr().out


@pytest.mark.parametrize("width", [60, 80, 140])
@pytest.mark.parametrize("count", [1, 7, 300])
def test_ids_and_commands_are_whole_at_any_width(capsys, monkeypatch, width, count):
    values = [f"some-{'very-' * 12}long-value-{number}" for number in range(count)]
    runs = [
        run(2 * number + seed, (f"lr=0.{number}1", f"data.path={value}", f"seed={seed}"),
            tracking={"uri": URI, "experiment": "x"})
        for number, value in enumerate(values) for seed in (0, 1)
    ]  # fmt: skip
    out = reported(capsys, monkeypatch, runs, ("lr", "data.path", "seed"), width)
    best = [f"{2 * number + 1:032x}"[:8] for number in range(count)][::-1][:40]
    assert all(any(run_id in line for line in out.splitlines()) for run_id in best)
    for command in ("compare", "report", "ui"):
        assert f"  nnlab {command} {SWEEP[:8]} --uri '{URI}'" in out.splitlines()
    assert f"sweep {SWEEP}: {2 * count} runs" in out.splitlines()


def test_one_run_is_no_runs(capsys, monkeypatch):
    out = reported(capsys, monkeypatch, [run(0, ("lr=0.1",))], ("lr",))
    assert f"sweep {SWEEP}: 1 run" in out.splitlines()
    assert "resume" not in out


def test_pruned_and_killed_runs_show_their_last_accuracy_and_its_epoch(capsys, monkeypatch):
    runs = [
        run(0, ("lr=0.1",)),
        run(1, ("lr=0.2",), "pruned", "KILLED", last=(0.4121, 20)),
        run(2, ("lr=0.3",), None, "KILLED", last=(0.3131, 35)),
        run(3, ("lr=0.4",), None, None),
    ]
    words = " ".join(reported(capsys, monkeypatch, runs, ("lr",), 80).split())
    assert "0.4121 at epoch 20" in words
    assert "0.3131 at epoch 35" in words
    assert f"2 runs are not complete; to go on: nnlab resume {SWEEP[:8]}" in words


def test_of_several_seeds_that_were_pruned_it_is_the_mean(capsys, monkeypatch):
    runs = [
        run(0, ("lr=0.2", "seed=0"), "pruned", "KILLED", last=(0.4, 20)),
        run(1, ("lr=0.2", "seed=1"), "pruned", "KILLED", last=(0.6, 40)),
    ]
    out = reported(capsys, monkeypatch, runs, ("lr", "seed"), 140)
    assert "0.5000 at epochs 20 to 40" in out


def test_a_failed_run_is_told_with_its_reason(capsys, monkeypatch):
    failed = run(1, ("lr=0.2",), None, "FAILED")
    failed.state.reason = "MemoryError: too much"
    out = reported(capsys, monkeypatch, [run(0, ("lr=0.1",)), failed], ("lr",))
    assert "lr=0.2: FAILED (MemoryError: too much)" in out
    assert "1 run is not complete; to go on:" in out
