"""Successive halving keeps the best, in the numbers that its paper gives."""

import pytest

from nnlab.execution.pruning import Halving


def test_a_third_goes_on_at_each_rung():
    rule = Halving((20, 60, 180), 3, planned=27)
    assert [rule.places(rung) for rung in rule.rungs] == [9, 3, 1]


def test_places_are_rounded_up_and_never_none():
    rule = Halving((1, 2, 3, 4), 2, planned=5)
    assert [rule.places(rung) for rung in rule.rungs] == [3, 2, 1, 1]


def test_the_next_rung_is_the_first_behind_the_epoch():
    rule = Halving((20, 60), 3, planned=9)
    assert [rule.next_rung(epoch) for epoch in (0, 19, 20, 59, 60, 99)] == [
        20, 20, 60, 60, None, None,
    ]  # fmt: skip


def test_the_worst_are_dropped_and_told_their_place():
    rule = Halving((10,), 2, planned=4)
    dropped = rule.dropped(10, {0: 0.2, 1: 0.9, 2: 0.5, 3: 0.1}, past=0)
    assert dropped == {
        0: "pruned at epoch 10: place 3 of 4, 2 go on",
        3: "pruned at epoch 10: place 4 of 4, 2 go on",
    }


def test_of_equal_runs_the_first_planned_goes_on():
    assert set(Halving((10,), 3, planned=3).dropped(10, {2: 0.5, 0: 0.5, 1: 0.5}, past=0)) == {
        1, 2,
    }  # fmt: skip


def test_runs_that_are_past_the_rung_hold_their_places():
    rule = Halving((10,), 2, planned=6)
    assert set(rule.dropped(10, {4: 0.9, 5: 0.8}, past=2)) == {5}
    assert set(rule.dropped(10, {4: 0.9, 5: 0.8}, past=3)) == {4, 5}


def test_runs_that_diverged_before_count_as_dropped():
    # Of nine, seven diverged: the two that are left hold two of the three places.
    assert Halving((10,), 3, planned=9).dropped(10, {3: 0.1, 8: 0.2}, past=0) == {}


@pytest.mark.parametrize("workers_order", [[0, 1, 2, 3], [3, 1, 0, 2]])
def test_the_decision_does_not_depend_on_who_came_first(workers_order):
    accuracy = {0: 0.3, 1: 0.4, 2: 0.4, 3: 0.1}
    shuffled = {run: accuracy[run] for run in workers_order}
    assert set(Halving((5,), 2, planned=4).dropped(5, shuffled, past=0)) == {0, 3}
