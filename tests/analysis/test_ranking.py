"""Runs in order, one by one and over their seeds."""

import math

import pandas as pd
import pytest
from scipy import stats

from nnlab.analysis.groups import grouped
from nnlab.analysis.ranking import (
    METRIC,
    LearnedShare,
    order_key,
    outcome_of,
    over_seeds,
    ranked,
    value_of,
)
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


@pytest.mark.parametrize(("learned", "ended"), [(0, 5), (3, 3), (4, 5), (19, 20), (500, 1000)])
def test_the_share_that_learned_has_scipys_wilson_interval(learned, ended):
    outcomes = ["learned"] * learned + ["dead"] * (ended - learned) + ["pruned", None]
    share = LearnedShare.of([0.9] * len(outcomes), outcomes)
    expected = stats.binomtest(learned, ended).proportion_ci(method="wilson")
    assert (share.learned, share.ended) == (learned, ended)
    assert share.interval == pytest.approx((expected.low, expected.high), abs=1e-12)


def test_the_mean_of_those_that_learned_leaves_the_others_out():
    share = LearnedShare.of([0.9, 0.95, 0.1, 0.0], ["learned", "learned", "stalled", "diverged"])
    assert share.mean == pytest.approx(0.925)
    assert str(share) == "2 of 4 [15%, 85%]"


def test_the_mean_at_a_sweeps_end_is_the_one_of_comparisons():
    """0.95 and two that diverged: 0.317, not 0.95."""
    runs = [run(1, 0, 0.95), run(1, 1, None, "diverged"), run(1, 2, None, "diverged")]
    (configuration,) = over_seeds(runs, ("lr", "seed"))
    frame = pd.DataFrame(
        {"seed": [0, 1, 2], "outcome": ["learned", "diverged", "diverged"], "status": "FINISHED",
         METRIC: [0.95, math.nan, math.nan]}
    )  # fmt: skip
    (group,) = grouped(frame, [], METRIC)
    assert configuration.mean == group.summary.mean == pytest.approx(0.95 / 3)
    assert str(configuration.share) == str(group.learned) == "1 of 3 [6%, 79%]"
