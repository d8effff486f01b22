"""The decomposition of variance, against SciPy's and least squares, and truths that are known."""

from itertools import combinations, product

import numpy as np
import pandas as pd
import pytest
from scipy import stats

from nnlab.analysis.mean_test import holm
from nnlab.analysis.variance import DesignError, decompose, levels_that_learned


def grid(seeds=3, noise=0.1, random=0, **effects):
    """Runs on a full grid: each factor's effects add up, with an interaction of a and b."""
    rng = np.random.default_rng(random)
    names = list(effects)
    rows = [
        dict(zip(names, levels, strict=True), seed=seed)
        for levels in product(*(range(len(each)) for each in effects.values()))
        for seed in range(seeds)
    ]
    runs = pd.DataFrame(rows)
    runs["y"] = sum(runs[name].map(dict(enumerate(each))) for name, each in effects.items())
    runs["y"] += noise * rng.normal(size=len(runs))
    return runs


def least_squares(runs, factors):
    """Sums of squares as drops of the residuals when a term is added: no group mean is taken."""
    y = runs["y"].to_numpy()

    def coded(chosen):
        columns = [np.ones(len(runs))[:, None]]
        for name in chosen:
            one_hot = pd.get_dummies(runs[name]).to_numpy(float)
            contrast = one_hot[:, 1:] - one_hot[:, :1]
            columns.append(np.hstack([left * contrast for left in columns[-1].T[:, :, None]]))
        return columns[-1]

    terms = [each for n in range(len(factors) + 1) for each in combinations(factors, n)]
    matrix, before, found = np.empty((len(runs), 0)), float(y @ y), {}
    for term in terms:
        matrix = np.hstack([matrix, coded(term)])
        fit = matrix @ np.linalg.lstsq(matrix, y)[0]
        left = float(((y - fit) ** 2).sum())
        found[term] = before - left
        before = left
    return found, before


def test_with_one_factor_it_is_scipys_one_way_analysis():
    runs = grid(seeds=6, lr=[0, 0.1, 0.3, 0.35])
    expected = stats.f_oneway(*(group["y"] for _, group in runs.groupby("lr")))
    effect, seed = decompose(runs, ["lr"], "y")
    f = (effect.sum_of_squares / effect.df) / (seed.sum_of_squares / seed.df)
    assert f == pytest.approx(expected.statistic)
    assert (effect.df, seed.df) == (3, 20)


def test_with_three_factors_it_is_what_least_squares_finds():
    runs = grid(seeds=2, noise=1.0, a=[0, 1], b=[0, 0.5, 2], c=[0, -1, 0, 1])
    runs["y"] += 0.7 * runs["a"] * runs["b"]
    *effects, seed = decompose(runs, ["a", "b", "c"], "y")
    expected, residual = least_squares(runs, ["a", "b", "c"])
    assert [effect.factors for effect in effects] == list(expected)[1:]
    for effect in effects:
        assert effect.sum_of_squares == pytest.approx(expected[effect.factors])
    assert seed.sum_of_squares == pytest.approx(residual)
    assert sum(effect.eta for effect in effects) + seed.eta == pytest.approx(1)
    assert sum(effect.df for effect in effects) + seed.df == len(runs) - 1


def test_a_two_by_two_grid_worked_by_hand():
    runs = pd.DataFrame(
        {"lr": [1, 1, 1, 1, 2, 2, 2, 2], "init": list("hhrrhhrr"), "y": [1, 3, 5, 7, 2, 2, 9, 11]}
    )
    found = {effect.factors: effect for effect in decompose(runs, ["lr", "init"], "y")}
    # Cell means 2, 6, 2, 10; mean 5: lr 4 and 6, init 2 and 8.
    assert found["lr",].sum_of_squares == pytest.approx(8 * 1)
    assert found["init",].sum_of_squares == pytest.approx(8 * 9)
    assert found["lr", "init"].sum_of_squares == pytest.approx(8 * 1)
    assert found["seed",].sum_of_squares == pytest.approx(2 + 2 + 0 + 2)
    assert found["init",].eta == pytest.approx(72 / 94)
    assert found["init",].omega == pytest.approx((72 - 6 / 4) / (94 + 6 / 4))
    assert found["seed",].omega is None


def test_omega_finds_nothing_where_there_is_nothing_but_chance():
    omegas, etas = [], []
    for random in range(40):
        effect, *_ = decompose(grid(seeds=3, random=random, a=[0] * 6, b=[0, 0]), ["a", "b"], "y")
        omegas.append(effect.omega)
        etas.append(effect.eta)
    assert np.mean(etas) == pytest.approx(5 / 35, abs=0.04)  # by degrees of freedom alone
    assert np.mean(omegas) < 0.05


def test_the_p_value_of_a_single_factor_is_that_of_scipys_one_way_analysis():
    runs = grid(seeds=4, noise=1.0, a=[0, 1, 3])
    effect, seed = decompose(runs, ["a"], "y")
    samples = [values.to_numpy() for _, values in runs.groupby("a")["y"]]
    assert effect.p_value == pytest.approx(stats.f_oneway(*samples).pvalue)
    assert seed.p_value == 1


@pytest.mark.parametrize("seeds", [2, 5])
def test_noise_alone_is_shown_to_matter_in_at_most_five_of_a_hundred_grids(seeds):
    """Of two fields and their interaction; a seed's luck is the same in all configurations."""
    rng, wrong, count = np.random.default_rng(seeds), 0, 60
    runs = grid(seeds=seeds, a=[0, 1, 2], b=[0, 1])
    for _ in range(count):
        luck = rng.standard_t(3, seeds)
        runs["y"] = luck[runs["seed"]] + rng.standard_t(3, len(runs))
        p = [effect.p_value for effect in decompose(runs, ["a", "b"], "y")[:-1]]
        wrong += any(value <= 0.05 / divisor for value, divisor in zip(p, holm(p), strict=True))
    assert wrong <= stats.binom.ppf(0.99, count, 0.05)


def test_the_shares_are_the_known_ones_where_the_noise_is_small():
    effects = decompose(grid(seeds=2, noise=1e-6, a=[0, 1], b=[0, 3]), ["a", "b"], "y")
    assert [effect.eta for effect in effects] == pytest.approx([0.1, 0.9, 0, 0], abs=1e-5)


@pytest.mark.parametrize(
    ("change", "factors", "sentence"),
    [
        (lambda runs: runs, [], "no hyper-parameter varies"),
        (lambda runs: runs[(runs.a > 0) | (runs.b > 0)], ["a", "b"],
         "the grid is not full: 2 a × 3 b are 6 configurations, and 5 were run"),
        (lambda runs: runs[1:], ["a", "b"],
         "the grid is not balanced: its configurations have 2 to 3 seeds"),
        (lambda runs: runs[runs.seed == 0], ["a", "b"], "each configuration has one seed"),
        (lambda runs: runs.assign(y=0.098), ["a", "b"], "every run has the same y"),
        (lambda runs: runs.assign(y=np.where(runs.a > 0, np.inf, 1)), ["a", "b"],
         "9 of the 18 runs have no finite y"),
    ],
)  # fmt: skip
def test_what_the_design_does_not_support_is_not_said(change, factors, sentence):
    with pytest.raises(DesignError, match=sentence):
        decompose(change(grid(a=[0, 1], b=[0, 1, 2])), factors, "y")


def test_an_importance_that_a_hopeless_level_makes_is_another_one_without_it():
    """By hand, without the dead init, of 8 values: lr 8 · 0.05², init and the seed 8 · 0.01²."""
    means = {("he", 0.1): 0.80, ("he", 0.5): 0.90, ("glorot", 0.1): 0.78, ("glorot", 0.5): 0.88,
             ("half", 0.1): 0.10, ("half", 0.5): 0.10}  # fmt: skip
    runs = pd.DataFrame(
        {
            "init": init,
            "lr": lr,
            "outcome": "dead" if init == "half" else "learned",
            "y": mean + off,
        }
        for (init, lr), mean in means.items()
        for off in (-0.01, 0.01)
    )
    whole = {effect.factors: effect.eta for effect in decompose(runs, ["init", "lr"], "y")}
    assert whole["init",] > 0.95
    rest = levels_that_learned(runs, ["init", "lr"])
    assert set(rest["init"]) == {"he", "glorot"}
    found = {effect.factors: effect.eta for effect in decompose(rest, ["init", "lr"], "y")}
    assert found["lr",] == pytest.approx(0.02 / 0.0216)
    assert found["init",] == pytest.approx(0.0008 / 0.0216)
    assert found["seed",] == pytest.approx(0.0008 / 0.0216)
