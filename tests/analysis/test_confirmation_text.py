"""What new seeds make of a sweep's best configuration: sentences on runs that failed or turned."""

import pytest
from support.made_sweeps import NEVER, write_sweep

from nnlab.analysis.comparison import compare
from nnlab.analysis.confirmation import read_confirmation
from nnlab.analysis.confirmation_text import about_confirmation
from nnlab.analysis.groups import grouped
from nnlab.analysis.ranking import METRIC
from nnlab.jobs.tags import Tag
from nnlab.tracking.frames import read_runs

SECOND = [0.93, 0.94, 0.93, 0.94, 0.935]


@pytest.fixture
def confirmed(tracker):
    """A sweep whose best rate is 0.1; call it with the new results of the rates 0.1 and 0.2."""

    def confirm(first, second):
        rates = [({"lr": 0.1}, [0.94, 0.95, 0.93, 0.94, 0.95]), ({"lr": 0.2}, [0.92] * 5)]
        sweep = write_sweep(tracker, rates)
        tags = {Tag.CONFIRMS: sweep}
        new = [({"lr": 0.1}, first), ({"lr": 0.2}, second)]
        write_sweep(tracker, new, seeds=[10, 11, 12, 13, 14], tags=tags)
        uri = tracker.store.uri
        groups = grouped(read_runs(uri, [sweep]), ["lr"], METRIC)
        found = read_confirmation(uri, sweep, ["lr"], METRIC)
        notes = compare([sweep], uri).attrs["notes"]
        sentences = list(about_confirmation(groups, found, sweep))
        assert sentences[0].replace("`", "") in notes
        return sentences

    return confirm


def test_new_runs_that_all_failed_are_said_to_confirm_nothing(confirmed):
    (line,) = confirmed([NEVER] * 5, SECOND)
    assert line.startswith("The best mean is optimistic: of 2 it was selected by these very runs,")
    assert "of 5 new runs of lr=0.1" in line
    assert line.endswith("none has a result (5 FAILED).")


def test_new_runs_that_failed_are_counted_and_the_order_of_the_others_rests_on_them(confirmed):
    """Two of five are left, with the higher mean of the two."""
    first, order, missing, _ = confirmed([NEVER, NEVER, NEVER, 0.95, 0.96], SECOND)
    assert "On 2 new seeds" in first
    assert first.endswith("3 of 5 new runs have no result (3 FAILED).")
    assert "lr=0.2 comes first of the 2 candidates" in order
    assert "rests on missing runs" in missing
    assert "By the known results alone lr=0.1 is ahead" in missing


def test_new_seeds_of_which_some_did_not_learn_say_how_many(confirmed):
    first, *_ = confirmed(["diverged", "diverged", 0.93, 0.935, 0.94], SECOND)
    assert "3 of its 5 runs learned, with a mean of 0.9350" in first


def test_new_seeds_that_beat_the_best_of_the_sweep_say_so(confirmed):
    first, *_ = confirmed([0.90, 0.91, 0.90, 0.91, 0.90], SECOND)
    assert first.endswith("Seed by seed, they show that it is not the best.")
    first, *_ = confirmed([0.93, 0.935, 0.94, 0.93, 0.94], SECOND)
    assert first.endswith("in the sweep that selected it.")
