"""Runs in order, one by one and over their seeds."""

import math

import pandas as pd
import pytest

from nnlab.analysis.groups import grouped
from nnlab.analysis.ranking import METRIC, order_key, outcome_of, over_seeds, ranked, value_of
from nnlab.jobs.run import Job, Run, RunState


def run(lr, seed, accuracy=None, outcome="learned", status="FINISHED"):
    metrics = {} if accuracy is None else {METRIC: accuracy}
    state = RunState(outcome=outcome, status=status, metrics=metrics)
    return Run(Job(None, (f"lr={lr}", f"+seed={seed}"), ""), 0, None, "", state)


def test_runs_without_a_final_accuracy_come_last():
    runs = [run(1, 0, None, "diverged"), run(1, 1, 0.3), run(1, 2, 0.8)]
    assert ranked(runs) == [runs[2], runs[1], runs[0]]


def test_the_value_of_a_field_is_what_the_override_says():
    assert value_of(run(0.5, 3), "lr") == "0.5"
    assert value_of(run(0.5, 3), "seed") == "3"
    assert value_of(run(0.5, 3), "epochs") == ""


def test_seeds_of_one_configuration_become_one_row():
    runs = [run(0.1, 0, 0.6), run(0.5, 0, 0.9), run(0.1, 1, 0.8), run(0.5, 1, 0.7)]
    first, second = over_seeds(runs, ("lr", "seed"))
    assert first.settings == {"lr": "0.5"}
    assert first.mean == pytest.approx(0.8)
    assert second.mean == pytest.approx(0.7)
    assert second.results == [0.6, 0.8]
    assert second.outcomes == "2 learned"


def test_lucky_survivors_do_not_beat_a_configuration_that_always_learns():
    lucky = [run(0.9, 0, 0.95), run(0.9, 1, None, "diverged"), run(0.9, 2, None, "diverged")]
    steady = [run(0.1, seed, 0.8) for seed in range(3)]
    first, second = over_seeds([*lucky, *steady], ("lr", "seed"))
    assert first.settings == {"lr": "0.1"}
    assert second.mean == pytest.approx(0.95 / 3)  # a diverged run counts as accuracy 0
    assert second.outcomes == "2 diverged, 1 learned"


def test_runs_without_a_result_are_not_in_the_mean_but_count_as_0_in_the_order():
    pruned = [run(0.9, 0, 0.95), run(0.9, 1, None, "pruned"), run(0.9, 2, None, None, "KILLED")]
    steady = [run(0.1, seed, 0.8) for seed in range(3)]
    first, second = over_seeds([*pruned, *steady], ("lr", "seed"))
    assert first.settings == {"lr": "0.1"}
    assert second.mean == 0.95
    assert second.known == [0.95]


def test_the_table_at_a_sweeps_end_and_the_comparison_from_the_store_agree():
    runs = [
        run(0.9, 0, 0.95), run(0.9, 1, None, "diverged"), run(0.9, 2, None, "diverged"),
        run(0.1, 0, 0.8), run(0.1, 1, None, "pruned"), run(0.1, 2, None, None, "FAILED"),
        run(0.5, 0, 0.3), run(0.5, 1, 0.2), run(0.5, 2, 0.4),
    ]  # fmt: skip
    stored = pd.DataFrame(
        {
            "lr": [float(value_of(each, "lr")) for each in runs],
            "seed": [int(value_of(each, "seed")) for each in runs],
            "outcome": [each.state.outcome for each in runs],
            "status": [each.state.status for each in runs],
            METRIC: [each.state.metrics.get(METRIC, math.nan) for each in runs],
        }
    )
    at_the_end = over_seeds(runs, ("lr", "seed"))
    compared = grouped(stored, ["lr"], METRIC)
    assert [float(each.settings["lr"]) for each in at_the_end] == [0.9, 0.5, 0.1]
    assert [each.settings["lr"] for each in compared] == [0.9, 0.5, 0.1]
    assert [each.mean for each in at_the_end] == pytest.approx([0.95 / 3, 0.3, 0.8])
    assert [each.summary.mean for each in compared] == pytest.approx([0.95 / 3, 0.3, 0.8])


def test_of_equal_means_in_the_order_the_higher_known_mean_is_ahead():
    assert order_key([0.8, math.nan], METRIC) < order_key([0.4, 0.4], METRIC)
    loss = "final_val_loss"
    assert order_key([0.5, math.nan], loss) < order_key([math.inf, math.inf], loss)


def test_where_nothing_but_the_seed_varies_there_is_one_row():
    (group,) = over_seeds([run(0.1, seed, 0.5) for seed in range(4)], ("seed",))
    assert group.settings == {}
    assert len(group.runs) == 4


def test_a_group_without_any_result_has_no_mean():
    (group,) = over_seeds([run(1, 0, None, None, "FAILED"), run(1, 1, None, None, None)], ("lr",))
    assert group.mean is None
    assert group.outcomes == "1 FAILED, 1 not started"


def test_a_runs_ending_is_its_outcome_or_else_its_status():
    assert outcome_of(run(1, 0, 0.5, "stalled")) == "stalled"
    assert outcome_of(run(1, 0, None, None, "KILLED")) == "KILLED"
