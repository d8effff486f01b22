"""Runs in order, one by one and over their seeds."""

import pytest

from nnlab.runs.ranking import over_seeds, ranked, value_of, verdict
from nnlab.runs.run import Job, Run, RunState


def run(lr, seed, accuracy=None, outcome="learned", status="FINISHED"):
    metrics = {} if accuracy is None else {"final_val_accuracy": accuracy}
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
    assert first.values == ("0.5",)
    assert first.mean == pytest.approx(0.8)
    assert second.mean == pytest.approx(0.7)
    assert second.accuracies == [0.6, 0.8]
    assert second.verdicts == "2 learned"


def test_lucky_survivors_do_not_beat_a_configuration_that_always_learns():
    lucky = [run(0.9, 0, 0.95), run(0.9, 1, None, "diverged"), run(0.9, 2, None, "diverged")]
    steady = [run(0.1, seed, 0.8) for seed in range(3)]
    first, second = over_seeds([*lucky, *steady], ("lr", "seed"))
    assert first.values == ("0.1",)
    assert second.mean == pytest.approx(0.95)  # said as it is, with what became of the others
    assert second.verdicts == "2 diverged, 1 learned"


def test_where_nothing_but_the_seed_varies_there_is_one_row():
    (group,) = over_seeds([run(0.1, seed, 0.5) for seed in range(4)], ("seed",))
    assert group.values == ()
    assert len(group.runs) == 4


def test_a_group_without_any_result_has_no_mean():
    (group,) = over_seeds([run(1, 0, None, None, "FAILED"), run(1, 1, None, None, None)], ("lr",))
    assert group.mean is None
    assert group.verdicts == "1 FAILED, 1 not started"


def test_a_runs_verdict_is_its_outcome_or_else_its_status():
    assert verdict(run(1, 0, 0.5, "stalled")) == "stalled"
    assert verdict(run(1, 0, None, None, "KILLED")) == "KILLED"
