"""``nnlab plan``: what it says of a sweep, and that it leaves the store alone."""

import re
from pathlib import Path

import pytest
from click.testing import CliRunner
from support.configs import config
from support.sweeps import run_sweep

from nnlab.cli.main import main
from nnlab.execution.sweep_plan import plan_sweep
from nnlab.jobs.sweep import Sweep

WORDS = ("init=he", "data.val_size=4000", "hidden_size=5", "epochs=30", "pictures=0",
         "target_accuracy=0.05")  # fmt: skip


def plan(*words):
    done = CliRunner().invoke(main, ["plan", *words])
    assert done.exit_code == 0, done.stderr
    return done.stdout


def folder_of(store):
    return Path(store.removeprefix("sqlite:///")).parent


def contents(folder):
    """Each file with its bytes; SQLite's own shared memory of readers apart."""
    files = (path for path in folder.rglob("*") if path.is_file() and path.suffix != ".db-shm")
    return {path.relative_to(folder): path.read_bytes() for path in files}


def test_a_plan_without_a_store_says_what_it_does_not_know_and_makes_none(tmp_path, monkeypatch):
    monkeypatch.setenv("NNLAB_ROOT", str(tmp_path))
    said = plan(*WORDS, "lr=0.05,0.1", "seed=0,1,2,3,4")
    assert "10: 2 configurations × 5 seeds\n" in said
    assert "stacks   1, on 1 worker" in said
    assert "a rough estimate: the store has no similar sweep" in said
    assert "5 seeds find with 80 % power a mean difference of 1.7 standard deviations" in said
    assert "no similar runs in the store tell" in said
    assert list(tmp_path.iterdir()) == []


def test_too_few_seeds_are_said_to_decide_nothing(tmp_path, monkeypatch):
    monkeypatch.setenv("NNLAB_ROOT", str(tmp_path))
    said = plan(*WORDS, "lr=0.05,0.1", "seed=0,1,2")
    assert "3 seeds of a configuration decide nothing: that takes 5." in said
    assert "There is one configuration" in plan(*WORDS, "seed=0,1,2")


def test_a_plan_rests_on_similar_runs_of_the_store_and_writes_nothing(store):
    changes = [
        {"lr": lr, "seed": seed, "epochs": 30, "target_accuracy": 0.05}
        for lr in (0.05, 0.1)
        for seed in range(3)
    ]
    configs = [config(tracking__uri=store, **each) for each in changes]
    words = [(f"lr={each['lr']}", f"seed={each['seed']}") for each in changes]
    run_sweep(Sweep.of(configs, words))
    before = contents(folder_of(store))
    words = (*WORDS, f"tracking.uri={store}")
    found = plan_sweep([*words, "lr=0.05,0.2", "seed=range(0,5)"])
    assert contents(folder_of(store)) == before
    assert (found.runs, found.configurations, found.finished, found.sweeps) == (10, 2, 3, 1)
    assert found.seeds == {5: 2}
    assert found.spread.pairs == 1
    assert found.spread.deviation > 0
    assert (
        plan_sweep([*words, "lr=0.05,0.2", "hidden_size=6"]).spread is None
    )  # others scatter else
    said = plan(*words, "lr=0.05,0.2", "seed=range(0,5)")
    assert "3 of them are in the store: reuse=true" in said
    assert "as 1 similar sweep in the store took" in said
    difference = float(re.search(r"a mean difference of (\S+) in late_val_accuracy", said)[1])
    assert difference == pytest.approx(1.682 * found.spread.deviation, rel=0.05)


def test_a_plan_of_nonsense_gets_the_sentence_that_the_sweep_would_get():
    done = CliRunner().invoke(main, ["plan", "hidden=3"])
    assert done.exit_code == 2
    assert "did you mean `hidden_size`?" in done.stderr
