"""What each seed of a sweep makes of the variance, against hand calculations and known truths."""

from itertools import product

import numpy as np
import pandas as pd
import pytest
from scipy import stats

from nnlab.analysis.configurations import one_run_per_seed, varying_fields
from nnlab.analysis.groups import grouped
from nnlab.analysis.ranking import METRIC
from nnlab.analysis.seed_variance import seed_components, seed_sentences

TIED = [(seed, seed) for seed in range(3)]
CROSSED = list(product(range(3), range(2)))


def made(seeds, results=None, **columns):
    """Runs of two rates, of which each has these pairs of ``seed`` and ``data.seed``."""
    rows = [
        {"run_id": f"{lr}-{place}", "name": "a", "status": "FINISHED", "outcome": "learned",
         "lr": lr, "seed": seed, "data.seed": split, "data_digest": f"digest {split}",
         "start_time": 0, METRIC: results[place] if results is not None else 0.9, **columns}
        for lr in (0.1, 0.5)
        for place, (seed, split) in enumerate(seeds)
    ]  # fmt: skip
    runs = pd.DataFrame(rows)
    runs.attrs["params"] = ["lr", "seed", "data.seed", *columns]
    return runs


@pytest.mark.parametrize(
    ("seeds", "fields"),
    [
        (TIED, ["lr"]),  # data.seed=${seed}
        ([(0, 0), (0, 1), (0, 2)], ["lr"]),  # the split alone
        ([(0, 0), (1, 0), (2, 0)], ["lr"]),
        (CROSSED, ["lr"]),
    ],
)
def test_seeds_that_change_alone_or_together_repeat_a_configuration(seeds, fields):
    runs = made(seeds)
    assert varying_fields(runs) == fields
    assert len(one_run_per_seed(runs, fields)) == len(runs)


def test_seeds_that_change_together_are_paired_by_both():
    runs = made(TIED, [0.7, 0.8, 0.9])
    runs.loc[runs["lr"] == 0.5, METRIC] += [0.01, 0.02, 0.03]
    best, other = grouped(runs, ["lr"], METRIC)
    assert best.against(other).differences == pytest.approx([0.01, 0.02, 0.03])
    moved = runs.assign(**{"data.seed": runs["data.seed"] + (runs["lr"] == 0.5)})
    best, other = grouped(moved, ["lr"], METRIC)
    assert best.against(other).n == 0


def test_crossed_seeds_count_once_with_their_mean():
    runs = made(CROSSED, [0.1, 0.3, 0.4, 0.4, 0.5, 0.7])
    runs.loc[runs["lr"] == 0.5, METRIC] -= [0.1, 0.0, 0.1, 0.1, 0.0, 0.0]
    best, other = grouped(runs, ["lr"], METRIC)
    assert best.independent_results.tolist() == pytest.approx([0.2, 0.4, 0.6])
    assert best.summary.n == 3
    assert best.against(other).differences == pytest.approx([0.05, 0.1, 0.0])
    without = grouped(runs.drop(index=9), ["lr"], METRIC)  # lr=0.5, seed 1, split 1
    assert without[0].against(without[1]).differences == pytest.approx([0.05, 0.1, 0.0])


def test_crossed_seeds_decide_nothing_by_counting_a_seed_several_times():
    """Equal configurations whose difference is the seed's: 5 seeds, each with 4 splits."""
    rng, wrong, naive, draws = np.random.default_rng(5), 0, 0, 80
    seeds = list(product(range(5), range(4)))
    runs = made(seeds)
    for _ in range(draws):
        luck = rng.normal(size=(2, 5)).repeat(4, axis=1)
        runs[METRIC] = 0.9 + 0.01 * (luck + 0.1 * rng.normal(size=(2, 20))).ravel()
        best, other = grouped(runs, ["lr"], METRIC)
        wrong += best.against(other).decided
        values = runs[METRIC].to_numpy().reshape(2, 20)
        naive += stats.ttest_rel(*values).pvalue <= 0.05
    assert wrong <= stats.binom.ppf(0.99, draws, 0.05)
    assert naive > 0.2 * draws


def test_runs_on_different_splits_are_no_pairs():
    """Each has one split, and another one: its effect would pass for that of the rate."""
    runs = made([(0, 0), (1, 0), (2, 0)])
    runs.loc[runs["lr"] == 0.5, "data.seed"] = 7
    best, other = grouped(runs, ["lr"], METRIC)
    assert best.against(other).n == 0


def test_the_components_are_those_of_a_hand():
    """Rows are weights, columns splits: means 1, 3, 8 and 3, 5.

    In a grid of 3 × 2 around 4: SS of the weights 2 (9 + 1 + 16) = 52, of the splits
    3 (1 + 1) = 6, of the rest 0.25 · 4 + 1 · 2 … of [[0, 2], [2.5, 3.5], [6.5, 9.5]].
    """
    table = np.array([[0, 2], [2.5, 3.5], [6.5, 9.5]])
    residual = table - table.mean(1, keepdims=True) - table.mean(0) + table.mean()
    rest = (residual**2).sum() / 2  # (3 − 1) (2 − 1) degrees of freedom
    weights = (52 / 2 - rest) / 2
    splits = (6 / 1 - rest) / 3
    runs = made(CROSSED, table.ravel())
    found = seed_components(runs[runs["lr"] == 0.1], [], METRIC)
    assert found == pytest.approx({"seed": weights, "data.seed": splits, "": rest})
    assert seed_components(runs, ["lr"], METRIC) == pytest.approx(found)


def test_the_components_of_many_seeds_are_those_that_made_them():
    rng = np.random.default_rng(4)
    seeds = list(product(range(60), range(50)))
    weights, splits = 0.3 * rng.normal(size=60), 0.2 * rng.normal(size=50)
    results = [weights[a] + splits[b] + 0.1 * rng.normal() for a, b in seeds]
    found = seed_components(made(seeds, results), ["lr"], METRIC)
    assert found["seed"] == pytest.approx(np.var(weights, ddof=1), rel=0.02)
    assert found["data.seed"] == pytest.approx(np.var(splits, ddof=1), rel=0.02)
    assert found[""] == pytest.approx(0.01, rel=0.05)


@pytest.mark.parametrize("seeds", [TIED, CROSSED[:-1], [(0, 0), (1, 0)]])
def test_seeds_that_are_not_crossed_have_no_components(seeds):
    assert seed_components(made(seeds), ["lr"], METRIC) is None


@pytest.mark.parametrize(
    ("seeds", "columns", "expected"),
    [
        ([(0, 0), (1, 0)], {}, "vary the initial weights alone: the split is the same in all runs"),
        (
            [(0, 0), (1, 0)], {"batch_size": 64},
            "vary the initial weights alone: the split and the order of the mini-batches are the",
        ),
        (
            [(0, 0), (0, 1)], {"batch_size": 64},
            "vary the split and the order of the mini-batches alone: the initial weights are the",
        ),
        (
            [(0, 0), (0, 1)], {"batch_size": 64, "order_seed": 3.0},
            "vary the split alone: the initial weights and the order of the mini-batches are the",
        ),
    ],
)  # fmt: skip
def test_intervals_say_over_which_draws_they_are(seeds, columns, expected):
    (sentence,) = seed_sentences(made(seeds, **columns), ["lr"], METRIC)
    assert expected in sentence


def test_where_everything_is_drawn_again_nothing_has_to_be_said():
    assert list(seed_sentences(made(TIED, batch_size=64), ["lr"], METRIC)) == []
    crossed = made(CROSSED, [0.1, 0.1, 0.2, 0.2, 0.3, 0.3])
    averaged, sentence = seed_sentences(crossed, ["lr"], METRIC)
    assert averaged == (
        "The seeds are crossed: a `seed` counts once, with the mean over its 2 `data.seed`, and "
        "the intervals do not hold what another choice of the split would change. Shares that "
        "learned count every run: their intervals are too narrow."
    )
    assert (
        "standard deviation of 0.1000; its variance comes from the initial weights 100%, the"
        in sentence
    )
    assert sentence.endswith("3 values of `seed` and 2 values of `data.seed` say little of it.")
