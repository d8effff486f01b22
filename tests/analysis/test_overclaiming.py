"""Made-up sweeps without any difference: what a report says of them claims none."""

import re

import numpy as np
import pandas as pd
import pytest
from scipy import stats
from support.made_sweeps import write_sweep

from nnlab.analysis.best_configuration import about_the_best
from nnlab.analysis.comparison import compare
from nnlab.analysis.comparison_tables import as_text
from nnlab.analysis.conclusions import conclusions
from nnlab.analysis.explanations import (
    BestValue,
    against_reference,
    best_across,
    best_value_trend,
    candidates_across,
)
from nnlab.analysis.figure_groups import rows_of
from nnlab.analysis.groups import grouped
from nnlab.analysis.paired import pair
from nnlab.analysis.ranking import METRIC
from nnlab.jobs.study import Reference
from nnlab.tracking.frames import read_runs

TRUTH = 0.9
CLAIM = re.compile(r"is better|(?:better|worse) than the reference|(?:rises|falls) with")
DRAWS = {
    "normal": lambda rng, size: rng.normal(size=size),
    "skewed": lambda rng, size: 1 - rng.exponential(size=size),
    "heavy tails": lambda rng, size: rng.standard_t(3, size=size),
}


def sweep(rng, rates, scales, seeds, shape):
    """A grid of runs that differ by chance alone: a seed's luck, and the run's own."""
    luck = DRAWS[shape](rng, seeds)
    noise = DRAWS[shape](rng, (rates, scales, seeds))
    return pd.DataFrame(
        {"run_id": f"{lr}-{scale}-{seed}", "name": f"lr={lr}", "status": "FINISHED",
         "outcome": "learned", "lr": 0.1 * (1 + lr), "init.scale": 1.0 + scale, "seed": seed,
         METRIC: TRUTH + 0.01 * (luck[seed] + noise[lr, scale, seed])}
        for lr in range(rates) for scale in range(scales) for seed in range(seeds)
    )  # fmt: skip


def said(runs):
    """All sentences of the verdict that compare, apart from those on a reference."""
    groups = grouped(runs, ["lr", "init.scale"], METRIC)
    rows = [
        BestValue(
            members[0].settings["init.scale"],
            best_across(members, "lr"),
            candidates_across(members, "lr"),
        )
        for members in rows_of(groups, "lr").values()
    ]
    trend = best_value_trend(rows, "init.scale", "lr")
    return [*conclusions(groups, runs, planned=len(runs), target=0.8), *filter(None, [trend])]


@pytest.mark.long
def test_sweeps_without_a_difference_are_said_to_have_one_in_at_most_five_of_a_hundred():
    rng = np.random.default_rng(13)
    claims, count = [], 60
    for _ in range(count):
        seeds = int(rng.integers(2, 21))
        shape = str(rng.choice(list(DRAWS)))
        runs = sweep(rng, int(rng.integers(2, 4)), int(rng.choice([1, 2, 5])), seeds, shape)
        found = [sentence for sentence in said(runs) if CLAIM.search(sentence)]
        assert not (found and seeds < 5), found
        claims += found[:1]
    assert len(claims) <= stats.binom.ppf(0.99, count, 0.05), claims


def test_a_reference_that_is_the_truth_is_beaten_in_at_most_five_of_a_hundred():
    rng = np.random.default_rng(3)
    reference = Reference(METRIC, "the truth", {("lr=0.1",): TRUTH})
    wrong, count = 0, 100
    for _ in range(count):
        runs = sweep(rng, 1, 1, int(rng.integers(2, 21)), str(rng.choice(list(DRAWS))))
        _, sentence = against_reference(grouped(runs, ["lr"], METRIC), reference)
        wrong += bool(CLAIM.search(sentence))
    assert wrong <= stats.binom.ppf(0.99, count, 0.05)


def test_runs_chosen_by_their_results_and_the_best_of_a_part_are_said_to_be_so(tracker):
    """Above 0.9 both rates are as good; only among all runs 0.5 is better."""
    rates = [({"lr": 0.1}, [0.7, 0.95] * 5), ({"lr": 0.5}, [0.94, 0.95] * 5)]
    sweep, uri = write_sweep(tracker, rates), tracker.store.uri
    chosen = "--where chooses runs by what became of them (late_val_accuracy): means, intervals"
    best = "The best mean is optimistic: of 2 it was selected by these very runs."
    for condition, notes in (("late_val_accuracy > 0.9", {chosen, best}), ("seed < 5", {best})):
        said = compare([sweep], uri, where=condition).attrs["notes"]
        assert {note[: len(chosen)] for note in said if "optim" in note or "became" in note} == {
            note[: len(chosen)] for note in notes
        }
    one, two = (read_runs(uri, [sweep]).groupby("lr")["run_id"].first()[lr] for lr in (0.1, 0.5))
    said = pair(one, two, uri, where="val_accuracy > 0.9").attrs["notes"]
    assert any("became of them (val/accuracy)" in note for note in said)


def test_a_difference_that_is_better_is_never_0_0000(tracker):
    """B is ahead by 0.00001, and by next to nothing more or less, on each of 20 seeds."""
    luck = np.random.default_rng(7).normal(size=20)
    results = 0.9 + 0.01 * luck, 0.9 + 0.01 * luck + 1e-5 + 5e-6 * np.roll(luck, 1)
    rates = [({"lr": lr}, list(found)) for lr, found in zip((0.1, 0.5), results, strict=True)]
    sweep, uri = write_sweep(tracker, rates), tracker.store.uri
    runs = read_runs(uri, [sweep])
    told = " ".join(about_the_best(grouped(runs, ["lr"], METRIC)))
    assert "better than lr=0.1" in told
    assert re.search(r"ahead by \d\.\de-0[56] \[\d\.\de-0[56], \d\.\de-0[56]\]", told)
    table = pair(*runs.groupby("lr")["run_id"].first(), uri)
    (row,) = as_text(table).to_dict(orient="records")
    assert re.fullmatch(r"-\d\.\de-0[56]", row["A - B"])
    assert "0.0000" not in row["95 % interval"]
