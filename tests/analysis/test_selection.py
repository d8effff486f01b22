"""A comparison that rests on runs which selected one of its sides says so."""

import pytest
from support.made_sweeps import write_sweep

from nnlab.analysis.paired import pair
from nnlab.tracking.frames import read_runs

BEST, SECOND = [0.93, 0.92, 0.94, 0.93, 0.95], [0.91, 0.92, 0.90, 0.92, 0.91]


def rate(uri, sweep, lr):
    runs = read_runs(uri, [sweep])
    return runs[runs["lr"] == lr]["run_id"].iloc[0]


@pytest.fixture
def swept(tracker):
    """The store, and a sweep of three rates, of which 0.5 is the best."""
    rates = [({"lr": 0.5}, BEST), ({"lr": 0.2}, SECOND), ({"lr": 0.1}, [0.85] * 5)]
    return tracker.store.uri, write_sweep(tracker, rates)


def test_the_best_of_many_is_said_to_be_favoured_by_the_runs_that_selected_it(swept):
    uri, sweep = swept
    notes = pair(rate(uri, sweep, 0.2), rate(uri, sweep, 0.5), uri).attrs["notes"]
    (note,) = [note for note in notes if "favours" in note]
    assert note == (
        f"B is the best of the 3 configurations of sweep {sweep[:8]} by runs that are compared "
        f"here, which favours it: nnlab report {sweep[:8]} judges all its pairs together, and "
        f"nnlab confirm {sweep[:8]} trains new seeds."
    )


def test_new_seeds_are_quoted_apart_from_those_that_selected_it(swept, tracker):
    """B is ahead by 0.022 on the seeds that selected it, and by 0.01 on others."""
    uri, sweep = swept
    new = [({"lr": 0.5}, [0.92, 0.93, 0.91]), ({"lr": 0.2}, [0.91, 0.92, 0.90])]
    write_sweep(tracker, new, seeds=[5, 6, 7], tags={"confirms": sweep})
    table = pair(rate(uri, sweep, 0.2), rate(uri, sweep, 0.5), uri)
    assert table["seeds"].tolist() == [8]
    assert any(
        note.endswith("favours it; by the other 3 common seeds alone, A - B is -0.0100.")
        for note in table.attrs["notes"]
    )


def test_a_pair_without_the_best_and_a_sweep_of_two_are_not_favoured(swept, tracker):
    uri, sweep = swept
    two = write_sweep(tracker, [({"lr": 0.7}, BEST), ({"lr": 0.9}, SECOND)])
    for one, other in ((0.1, 0.2), (0.7, 0.9)):
        head = sweep if one < 0.5 else two
        notes = pair(rate(uri, head, one), rate(uri, head, other), uri).attrs["notes"]
        assert not any("favours" in note for note in notes)
