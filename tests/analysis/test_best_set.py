"""The configurations that may be the best: how often the truly best is among them, and how many."""

import math

import numpy as np
import pandas as pd
import pytest

from nnlab.analysis.best_set import may_be_best
from nnlab.analysis.groups import RunGroup
from nnlab.analysis.mean_test import ALPHA, p_values
from nnlab.analysis.ranking import METRIC

SHAPES = {
    "normal": lambda rng, shape: rng.standard_normal(shape),
    "skewed": lambda rng, shape: 1 - rng.exponential(size=shape),
    "heavy tails": lambda rng, shape: rng.standard_t(3, shape) / math.sqrt(3),
    "unequal": lambda rng, shape: rng.standard_normal(shape) * spreads(rng, shape),
    "unequal and skewed": lambda rng, shape: (
        (1 - rng.exponential(size=shape)) * spreads(rng, shape)
    ),
}
TRUTHS = {
    "all equal": np.zeros,
    "a third near": lambda count: np.r_[0, np.full(count // 3, -0.3), np.full(count, -6)][:count],
    "graded": lambda count: -np.linspace(0, 6, count),
}


def spreads(rng, shape):
    return rng.lognormal(0, 0.7, (shape[0], 1))


def swept(rng, shape, truth, seeds):
    """Results, a row a configuration, the best one first; a seed's luck is common to all."""
    count = len(truth)
    return truth[:, None] + SHAPES[shape](rng, (count, seeds)) + rng.standard_normal(seeds)


def groups_of(results):
    """As ``grouped`` returns them: the best mean first."""
    order = np.argsort(-np.nanmean(results, axis=1), kind="stable")
    return [
        RunGroup(
            {"lr": int(place)},
            pd.DataFrame(
                {"seed": range(results.shape[1]), "outcome": "learned", METRIC: results[place]}
            ),
            METRIC,
        )
        for place in order
    ]


def held(results):
    return {group.settings["lr"] for group in may_be_best(groups_of(results))}


def all_pairs(results):
    """The set by Holm over all pairs, each against the apparent best."""
    best = results[results.mean(axis=1).argmax()]
    p = np.sort([p_values(best - other) for other in results if other is not best])
    pairs, size = len(results) * (len(results) - 1) // 2, len(results)
    for value in p:
        if value > ALPHA / pairs:
            break
        pairs, size = pairs - 1, size - 1
    return size


def missed(shape, truth, count, seeds, draws):
    rng = np.random.default_rng([count, seeds])
    return sum(0 not in held(swept(rng, shape, TRUTHS[truth](count), seeds)) for _ in range(draws))


@pytest.mark.parametrize("shape", SHAPES)
def test_the_truly_best_is_missed_in_at_most_five_of_a_hundred_sweeps(shape):
    assert missed(shape, "all equal", 6, 8, 60) <= 3 + 3 * math.sqrt(3 * 0.95)


@pytest.mark.long
@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize(
    ("count", "seeds", "draws"),
    [(3, 5, 60), (3, 20, 60), (18, 5, 20), (153, 5, 2)],
)
def test_the_truly_best_is_missed_as_rarely_among_few_and_many(shape, count, seeds, draws):
    for truth in TRUTHS:
        wrong = missed(shape, truth, count, seeds, draws)
        assert wrong <= 0.05 * draws + 3 * math.sqrt(0.05 * 0.95 * draws)


@pytest.mark.parametrize(("truth", "most"), [("a third near", 11), ("graded", 15)])
def test_the_set_is_smaller_than_that_by_all_pairs(truth, most):
    """Of 18 configurations with 5 seeds, a third near the best, Holm over all pairs keeps 17."""
    rng, draws = np.random.default_rng(5), 20
    sweeps = [swept(rng, "normal", TRUTHS[truth](18), 5) for _ in range(draws)]
    size = np.mean([len(held(results)) for results in sweeps])
    assert size < most < np.mean([all_pairs(results) for results in sweeps])


def test_each_pair_is_tested_over_the_seeds_that_both_have():
    """By hand: one and two have four seeds in common, and are tested against two others each."""
    rng = np.random.default_rng(2)
    for _ in range(20):
        results = swept(rng, "normal", np.array([0.0, -1, -2, -6]), 9)
        results[1, :3], results[2, 7:], results[3, :2] = np.nan, np.nan, np.nan
        expected = {int(np.nanmean(results, axis=1).argmax())}
        for one, others in enumerate([(1, 2, 3), (0, 3), (0, 3), (0, 1, 2)]):
            leads = [results[other] - results[one] for other in others]
            leads = [known[~np.isnan(known)] for known in leads]
            if not any(d.mean() > 0 and p_values(d) <= ALPHA / len(others) for d in leads):
                expected.add(one)
        assert held(results) == expected


def test_a_configuration_that_was_compared_with_none_may_be_the_best():
    results = np.array([[0.9, 0.91, 0.92, 0.91, 0.9], [0.1, 0.11, 0.1, 0.12, 0.1], [0.5] * 5])
    results[2, 3:] = np.nan
    assert held(results) == {0, 2}
