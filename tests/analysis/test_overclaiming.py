"""Made-up sweeps without any difference: what a report says of them claims none."""

import re

import numpy as np
import pandas as pd
import pytest
from scipy import stats

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
from nnlab.analysis.ranking import METRIC
from nnlab.jobs.study import Reference

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
