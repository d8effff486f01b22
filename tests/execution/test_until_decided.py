"""``nnlab compare A B --until``: when it stops, and that it trains just the seeds it says."""

import math

import mlflow
import numpy as np
import pytest
from click.testing import CliRunner
from support.commands import run_py

from nnlab.analysis.looks import look_level
from nnlab.analysis.paired_statistics import PairedDifference
from nnlab.analysis.pairs import Pair
from nnlab.cli.main import main
from nnlab.execution.until_decided import Goal, _reason, _round
from nnlab.tracking.frames import read_runs


def looked_at(values, look=1):
    """A comparison of two configurations with these differences, at a look."""
    difference = PairedDifference(np.asarray(values, float), math.nan, level=look_level(look))
    n = len(values)
    return Pair((), (), (), (), difference, n, n, 1, look if difference.testable else 0, True)


SPREAD = np.array([-1.0, 1, -1, 1, -1, 1.1])


@pytest.mark.parametrize(
    ("values", "goal", "reason"),
    [
        (5 + SPREAD, Goal(0.01, 50), "Decided: A is better, by 6 common seeds."),
        (SPREAD - 5, Goal(0.01, 50), "Decided: B is better, by 6 common seeds."),
        (SPREAD, Goal(5, 50), "As narrow as asked: A - B lies between -"),
        (SPREAD, Goal(0.01, 6), "The budget of 6 common seeds is spent: open."),
        (SPREAD, Goal(0.01, 12), "It will hardly be decided, nor as narrow as asked, with 12 com"),
        ([math.inf] * 6, Goal(0.01, 50), "No seeds decide this: a value is infinite"),
    ],
)
def test_it_stops_for_one_of_these_reasons_and_says_which(values, goal, reason):
    assert _reason(looked_at(values), goal).startswith(reason)


@pytest.mark.parametrize(
    ("values", "goal", "seeds"),
    [
        ([0.1, 0.2], Goal(0.01, 50), 3),  # five at first
        (SPREAD + 0.9, Goal(0.01, 50), 6),  # at most as many again
        (SPREAD + 1.1, Goal(0.01, 10), 4),  # what is left of the budget
        (SPREAD + 0.9, Goal(0.9, 50), 4),  # z² s² / h² + z² / 2: ten in all
    ],
)
def test_a_round_has_the_seeds_that_seem_to_be_needed_within_limits(values, goal, seeds):
    pair = looked_at(values)
    assert _reason(pair, goal) is None
    if goal.half_width == 0.9:
        z, spread = 2.4977, np.std(values, ddof=1)  # at the level of the second look, 0.0125
        assert math.ceil((z * spread / 0.9) ** 2 + z**2 / 2) - 6 >= seeds
        seeds = min(6, max(3, math.ceil((z * spread / 0.9) ** 2 + z**2 / 2) - 6))
    assert _round(pair, goal) == seeds


def test_further_seeds_are_trained_in_rounds_recorded_as_looks_and_are_those_nobody_has_used(
    tmp_path, monkeypatch
):
    store = f"sqlite:///{tmp_path}/mlflow.db"
    small = ("epochs=5", "data.val_size=4500", "pictures=0", "hydra.launcher.backend=sequential")
    run_py("-m", "lr=0.5,0.500001", "seed=0,1", *small, f"tracking.uri={store}", check=True)
    sweep = read_runs(store, ["last"])
    monkeypatch.setattr("nnlab.execution.new_seeds.own_fields", lambda: {"backend": "sequential"})
    sides = [sweep.loc[sweep["lr"] == lr, "run_id"].iloc[0] for lr in (0.5, 0.500001)]
    arguments = ["compare", *sides, "--uri", store, "--until", "1e-9", "--max-seeds", "5"]
    done = CliRunner().invoke(main, arguments)
    assert done.exit_code == 0, done.output
    runs = read_runs(store, ["nnlab"])
    assert {lr: sorted(rows["seed"]) for lr, rows in runs.groupby("lr")} == {
        0.5: [0, 1, 2, 3, 4], 0.500001: [0, 1, 2, 3, 4],
    }  # fmt: skip
    client = mlflow.MlflowClient(store)
    (further,) = set(runs["sweep"]) - {sweep["sweep"].iloc[0]}
    assert "further_seeds" in client.get_run(further).data.tags
    parent = client.get_run(sweep["sweep"].iloc[0])
    (looks,) = [text for name, text in parent.data.tags.items() if name.startswith("looks/")]
    assert [look.partition(":")[0] for look in looks.split(",")] == ["5"]
    assert "2 common seeds: A - B = " in done.stderr
    assert read_runs(store, ["last"])["sweep"].iloc[0] == sweep["sweep"].iloc[0]
    endings = ("The budget of 5 common seeds is spent: open.", "Decided: ", "As narrow as asked: ")
    assert any(ending in done.stdout for ending in endings)


def test_until_needs_two_selections_of_one_configuration_each(compared):
    done = CliRunner().invoke(main, ["compare", "last", "--uri", compared, "--until", "0.1"])
    assert done.exit_code == 2
    assert "--until needs two selections, and no --by, --where or --importance." in done.stderr
