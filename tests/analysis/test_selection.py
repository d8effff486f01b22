"""What its own runs may have suggested is decided as one of many comparisons, or by other seeds."""

import numpy as np
import pytest
from support.made_sweeps import write_sweep

from nnlab.analysis.looks import look_level
from nnlab.analysis.mean_test import p_values
from nnlab.analysis.paired import compare_pairs, pair
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


def test_two_of_three_are_decided_as_one_of_three_pairs(swept):
    uri, sweep = swept
    compared = compare_pairs(rate(uri, sweep, 0.2), rate(uri, sweep, 0.5), uri)
    (found,) = compared.pairs
    assert found.difference.level == pytest.approx(0.025 / 3)
    assert compared.notes[0] == (
        f"Seeds of sweep {sweep[:8]} (3 configurations) may have suggested this comparison: it "
        "is decided as one of 3 pairs, until 5 or more other common seeds decide alone (--until "
        "trains them)."
    )
    assert (found.further, found.chance) == (max(5, 5 + found.next_look.further), None)


def test_the_sides_are_named_by_the_beginnings_of_their_ids(swept):
    """As ``--until`` names them by whole ids, of all their runs."""
    uri, sweep = swept
    one, two = rate(uri, sweep, 0.2), rate(uri, sweep, 0.5)
    compared = pair(f"{one},{one}", two, uri).attrs["compared"]
    assert compared.startswith(f"A = {one[:8]},{one[:8]} and B = {two[:8]}, seed by seed: 1 pair")


def test_from_five_other_seeds_on_these_alone_count_and_the_looks_go_on(swept, tracker):
    """B is ahead by 0.022 on the seeds that suggested it, and by 0.01 on others."""
    uri, sweep = swept
    sides = rate(uri, sweep, 0.2), rate(uri, sweep, 0.5)
    new = [({"lr": 0.5}, [0.92, 0.93, 0.91]), ({"lr": 0.2}, [0.91, 0.92, 0.90])]
    write_sweep(tracker, new, seeds=[5, 6, 7])
    before = pair(*sides, uri).iloc[0]
    assert (before["seeds"], before["look"], before["further"] >= 2) == (8, 1, True)
    write_sweep(tracker, [({"lr": 0.5}, [0.92] * 3), ({"lr": 0.2}, [0.91] * 3)], seeds=[8, 9, 10])
    table = pair(*sides, uri)
    after = table.iloc[0]
    assert (after["seeds"], after["look"]) == (6, 2)
    assert after["difference"] == pytest.approx(-0.01)
    assert table.attrs["notes"][0] == (
        f"Seeds of sweep {sweep[:8]} (3 configurations) may have suggested this comparison, and "
        "are left out."
    )


def test_two_of_two_and_all_matched_with_one_other_each_were_not_chosen(swept, tracker):
    uri, _ = swept
    two = write_sweep(tracker, [({"lr": 0.7}, BEST), ({"lr": 0.9}, SECOND)])
    sizes = [
        write_sweep(tracker, [({"lr": lr, "hidden_size": size}, BEST) for lr in (0.5, 0.2, 0.1)])
        for size in (20, 30)
    ]
    for sides in ((rate(uri, two, 0.7), rate(uri, two, 0.9)), sizes):
        compared = compare_pairs(*sides, uri)
        assert [found.pairs for found in compared.pairs] == [1] * len(compared.pairs)
        assert not any("suggested" in note for note in compared.notes)


@pytest.mark.parametrize("rival", [1, 7])
def test_the_best_of_eight_equals_beats_another_in_at_most_five_of_a_hundred(rival):
    """Looks at the seeds that chose it, as one of 28 pairs, and five at fresh ones, doubled."""
    rng, draws, wrong = np.random.default_rng(rival), 4000, 0
    results = rng.standard_normal((draws, 8, 8)) + rng.standard_normal((draws, 1, 8))
    order = np.argsort(-results.mean(axis=2), axis=1)
    at = np.arange(draws)
    chosen = results[at, order[:, 0]] - results[at, order[:, rival]]
    wrong = p_values(chosen) <= look_level(1) / 28
    fresh = rng.standard_normal((draws, 80)) * np.sqrt(2)
    for look, seeds in enumerate((5, 10, 20, 40, 80), start=2):
        wrong |= p_values(fresh[:, :seeds]) <= look_level(look)
    assert wrong.mean() <= 0.05
