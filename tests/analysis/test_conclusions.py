"""Sentences that follow from numbers: each against numbers worked out by hand."""

import re

import numpy as np
import pandas as pd
import pytest
from scipy import stats

from nnlab.analysis.best_configuration import about_the_best, lead
from nnlab.analysis.conclusions import conclusions, late_notes
from nnlab.analysis.configurations import metric_of, one_run_per_seed
from nnlab.analysis.confirmation import Confirmation
from nnlab.analysis.confirmation_text import about_confirmation
from nnlab.analysis.explanations import (
    BestValue,
    InitialState,
    against_reference,
    best_across,
    best_value_trend,
    candidates_across,
    dead_on_arrival,
    learned_between,
    rank_correlation,
    variation_shares,
)
from nnlab.analysis.groups import RunGroup, following_levels, grouped, levels
from nnlab.analysis.mean_test import p_values
from nnlab.analysis.paired_statistics import further_text
from nnlab.jobs.study import Reference

ACCURACY, LATE = "final_val_accuracy", "late_val_accuracy"


def made(accuracies, outcomes=None, field="init.name", **columns):
    """Runs whose configurations differ in one field: value -> accuracies, a seed each."""
    rows = []
    for value, found in accuracies.items():
        for seed, accuracy in enumerate(found):
            outcome = (outcomes or {}).get(value, "learned")
            rows.append(
                {
                    "run_id": f"{value}-{seed}", "name": f"{field}={value} seed={seed}",
                    "status": "FINISHED", "outcome": outcome, field: value, "seed": seed,
                    ACCURACY: accuracy, **columns,
                }
            )  # fmt: skip
    return pd.DataFrame(rows)


def said(runs, field="init.name", planned=None, target=0.8):
    groups = grouped(runs, [field] if field else [], ACCURACY)
    return conclusions(groups, runs, planned=planned or len(runs), target=target)


def test_the_best_is_named_with_its_mean_interval_and_range():
    lines = said(made({"he": [0.90, 0.92, 0.91, 0.905, 0.915], "randn": [0.40] * 5}))
    assert lines[0].startswith(
        "Best of 2 configurations: **init=he**, with a mean final validation accuracy of 0.9100 "
        "(95 % interval ["
    )
    assert "5 seeds); the seeds lie between 0.9000 and 0.9200. 5 of its 5 runs learned" in lines[0]


def test_fewer_than_five_seeds_have_no_interval():
    (line, *_) = said(made({"he": [0.90, 0.92, 0.91], "randn": [0.40, 0.50, 0.45]}))
    assert "0.9100 (3 seeds: no interval); the seeds lie" in line


def test_what_every_paired_seed_decides_is_called_better():
    lines = said(made({"he": [0.90, 0.92, 0.91, 0.9, 0.91], "randn": [0.4, 0.5, 0.45, 0.4, 0.5]}))
    assert lines[1].startswith(
        "It is better than init=randn, seed by seed, by a test that errs in 5 of 100 sweeps: ahead "
        "by 0.4580 ["
    )
    assert lines[1].endswith("], 5 seeds in common.")


def test_a_pair_between_the_levels_of_one_look_and_of_many_says_so():
    """Differences of p = 0.03: enough for one look at 5 %, not for the first of several."""
    base, drop = np.array([0.90, 0.92, 0.91, 0.9, 0.91]), np.array([0.02, 0.03, 0.01, 0.02, 0.05])
    drop = next(d for d in (drop + shift for shift in np.arange(0, 0.05, 0.0005))
                if 0.025 < p_values(d) < 0.05)  # fmt: skip
    line = said(made({"he": base, "randn": base - drop}))[1]
    assert line.startswith("It is better than init=randn, seed by seed")
    assert re.search(
        r"`nnlab compare`, which allows for further looks, decides up to p = 0.025; here it is "
        r"0.0[2-4]\d\.", line
    )  # fmt: skip


def test_of_configurations_that_are_all_equal_none_is_the_best():
    """Nor is a mean that was not selected an optimistic one."""
    runs = made({"he": [0.1] * 5, "randn": [0.1] * 5}, {"he": "dead", "randn": "dead"})
    first, second, *_ = said(runs)
    assert first == (
        "None of 2 configurations is the best: each has a mean final validation accuracy of "
        "0.1000 (5 seeds, all equal: no interval)."
    )
    assert second.startswith("0 of 10 runs learned")
    groups = grouped(runs, ["init.name"], ACCURACY)
    assert list(about_confirmation(groups, None, "a" * 32)) == []


def test_a_tie_with_the_best_is_told():
    runs = made({"he": [0.8, 0.9, 0.85] * 2, "glorot": [0.9, 0.8, 0.85] * 2, "bad": [0.1] * 6})
    first, second, *_ = said(runs)
    assert "seeds lie between 0.8000 and 0.9000. So has init=he. 6 of its 6 runs" in first
    assert "**init=glorot**" in first
    assert "init=he (equal in the mean)" in second
    same = grouped(made({"a": [0.8, 0.9], "b": [0.8, 0.9]}), ["init.name"], ACCURACY)
    assert lead(same[0].against(same[1]), ACCURACY) == "equal in 2 common seeds"


def test_one_configuration_is_the_best_of_nothing():
    (line, *_) = said(made({"he": [0.9] * 4 + [0.91]}).drop(columns="init.name"), field=None)
    assert line.startswith("There is one configuration, with a mean final validation accuracy of")


@pytest.mark.parametrize(
    ("ending", "step"),
    [
        (("learned", "FINISHED"), "Add `'seed=range(0,5)' reuse=true`, which trains only what is"),
        ((None, "FAILED"), "`nnlab resume` completes the runs that failed."),
        (("pruned", "FINISHED"), "Pruned runs have no result: leave `prune` out."),
    ],
)
def test_too_few_common_seeds_come_with_the_next_step(ending, step):
    runs = made({"he": [0.9, 0.8, 0.9], "randn": [0.4, 0.5, 0.4]})
    runs.loc[5, ["outcome", "status"]] = ending
    (line,) = [line for line in said(runs) if "told from chance: it takes 5. " in line]
    assert step in line


def test_a_difference_of_accuracies_lies_between_minus_1_and_1():
    best, other = grouped(
        made({"a": [0.9] * 5, "b": [0.9, 0.1, 0.9, 0.1, 0.9]}), ["init.name"], ACCURACY
    )
    assert best.against(other).interval.high == 1.0


def test_what_the_seeds_do_not_tell_apart_is_not_called_better():
    lines = said(
        made({"he": [0.90, 0.92, 0.80] * 2, "glorot": [0.91, 0.85, 0.85] * 2, "bad": [0.1] * 6})
    )
    assert lines[1] == (
        "2 of 3 may be the best; in 95 of 100 sweeps such a set holds the truly best one. Besides "
        "it: init=glorot (behind by 0.0033)."
    )


def test_one_seed_tells_no_difference():
    lines = said(made({"he": [0.9], "randn": [0.4]}))
    assert "(one seed: no interval)" in lines[0]
    assert "no difference between configurations can be told from chance" in lines[1]


def test_without_a_seed_in_common_it_is_said_that_there_is_none():
    runs = made({"he": [0.9, 0.8], "randn": [0.4, 0.3]}).assign(seed=[0, 1, 2, 3])
    assert said(runs)[1].startswith("With no seed in common, no difference between config")


def test_a_loss_that_is_lower_is_ahead_by_a_positive_number():
    """0.30, 0.32 and 0.34 against 0.31, 0.33 and 0.33: ahead by 0.01, 0.01 and −0.01."""
    runs = made({"he": [0.30, 0.32, 0.34] * 2, "randn": [0.31, 0.33, 0.33] * 2})
    runs = runs.rename(columns={ACCURACY: "final_val_loss"})
    groups = grouped(runs, ["init.name"], "final_val_loss")
    line = conclusions(groups, runs, planned=12, target=0.8)[1]
    low, high = re.search(r"init=randn: ahead by 0.0033 \[(\S+), (\S+)\], 6 seeds", line).groups()
    assert float(low) < 0 < float(high)
    best, other = groups
    assert lead(other.against(best), "final_val_loss") == "behind by 0.0033"
    assert lead(best.against(other), ACCURACY) == "behind by 0.0033"


def test_a_rank_that_rests_on_other_seeds_is_no_verdict():
    """B wins every seed that both have; A has five more, and a higher mean."""
    jitter = [0.0, 0.002, -0.001, 0.001, -0.002]
    a = made({"a": [0.90 + x for x in jitter] + [0.97 - x for x in jitter]})
    runs = pd.concat([a, made({"b": [0.92 + 2 * x for x in jitter]})], ignore_index=True)
    text = " ".join(said(runs))
    assert "better than each" not in text
    assert (
        "On the 5 seeds that both have, init=a is behind by 0.0200, and init=b is better: the "
        "first place rests on seeds that init=b does not have." in text
    )


def test_missing_runs_are_told_where_the_order_rests_on_them():
    runs = made({"a": [0.90, 0.91, 0.92, 0.91, 0.9], "b": [0.95, 0.96, 0.95, 0.96, np.nan]})
    runs.loc[9, ["outcome", "status"]] = [None, "FAILED"]
    text = " ".join(said(runs))
    assert "**init=a**" in text
    assert (
        "The order rests on missing runs: 1 of 2 configurations lack results (1 FAILED), each of "
        "which counts as the worst result. By the known results alone init=b is ahead, with a mean "
        "of 0.9550 over 4 of 5 runs." in text
    )
    assert "better than" not in text


def test_a_lead_of_the_mean_alone_reads_as_what_it_is():
    """One bad seed of b: b wins four of five, and leads in median and interquartile mean."""
    a = [0.917, 0.918, 0.9175, 0.918, 0.918]
    b = [0.922, 0.923, 0.9225, 0.8866, 0.9225]
    text = " ".join(said(made({"a": a, "b": b})))
    assert "**init=a**" in text
    assert (
        "The mean is not all: init=b is ahead in 4 of 5 common seeds, in the median (0.9225 "
        "against 0.9180) and in the interquartile mean (0.9223 against 0.9178); its worst seed has "
        "0.8866." in text
    )


def test_what_always_learned_and_what_never_did_is_named():
    runs = made(
        {"he": [0.9] * 2, "randn": [0.5] * 2, "half": [0.1] * 2},
        {"randn": "stalled", "half": "dead"},
    )
    lines = said(runs)
    assert (
        "2 of 6 runs learned, that is, reached a validation accuracy of 0.8; 2 stalled, 2 dead."
        in lines
    )
    assert "Nothing learned with init = half or randn (4 runs), whatever the rest." in lines
    assert "Every run learned with init = he (2 runs)." in lines


@pytest.mark.parametrize("ending", ["pruned", None])
def test_of_runs_that_were_pruned_or_failed_it_is_not_said_that_nothing_learned(ending):
    runs = made({"he": [0.9] * 3, "randn": [0.5] * 3}, {"randn": "stalled"})
    runs.loc[5, ["outcome", "status", ACCURACY]] = ending, "FAILED", np.nan
    lines = said(runs)
    assert not any("Nothing learned" in line for line in lines)
    assert "Every run learned with init = he (3 runs)." in lines


def test_many_neighbouring_numbers_are_said_as_ranges():
    rates = [0.001, 0.01, 0.1, 1.0, 2.0, 3.0, 4.0]
    outcomes = {rate: "learned" if rate == 0.1 else "stalled" for rate in rates}
    lines = said(made({rate: [rate / 10] * 2 for rate in rates}, outcomes, field="lr"), field="lr")
    assert "Nothing learned with lr = 0.001 … 0.01 or 1 … 4 (12 runs), whatever the rest." in lines


def test_where_the_last_accuracy_parts_from_the_late_one_it_is_said():
    runs = made({"he": [0.82, 0.90], "randn": [0.5, 0.4]}).rename(columns={ACCURACY: LATE})
    runs[ACCURACY] = [0.73, 0.91, 0.5, 0.4]
    (line,) = late_notes(runs, LATE)
    assert line.startswith(
        "In 1 of 4 runs the last validation accuracy is more than 0.02 from the mean over the last "
        "tenth of the epochs, most of all in init.name=he seed=0 (0.7300, and 0.8200 in the mean)"
    )
    runs[ACCURACY] = runs[LATE]
    assert list(late_notes(runs, LATE)) == []


def test_where_one_run_has_no_late_accuracy_all_are_compared_by_the_last_one():
    runs = made({"he": [0.82, 0.90]}).rename(columns={ACCURACY: LATE})
    runs.attrs = {"metrics": [LATE, ACCURACY]}
    runs[ACCURACY] = [0.73, np.nan]  # the second one diverged, say
    assert metric_of(runs, LATE) == LATE
    runs.loc[0, LATE] = np.nan
    assert metric_of(runs, LATE) == ACCURACY
    assert "1 of 2 runs, of an older version, has no history" in next(late_notes(runs, ACCURACY))


def test_a_sweep_that_is_not_complete_says_so_first():
    runs = made({"he": [0.9, 0.8]}).assign(outcome=["learned", None])
    assert said(runs, planned=5)[0].startswith("**Not complete:** 1 of 5 runs")


def test_runs_without_a_result_are_nothing_to_judge():
    runs = made({"he": [np.nan], "randn": [np.nan]}).assign(outcome=None)
    assert said(runs, planned=2)[-1].endswith("there is nothing to judge.")


def confirmed(accuracies, settings, **columns):
    """A confirmation of one configuration."""
    runs = made({settings: accuracies}).assign(seed=lambda runs: runs["seed"] + 100, **columns)
    return Confirmation(["c" * 32], grouped(runs, ["init.name"], ACCURACY))


def test_without_new_seeds_the_best_of_several_is_called_optimistic_and_no_test_error_told():
    runs = made({"he": [0.9, 0.91], "randn": [0.4, 0.5]}).assign(**{"test/accuracy": 0.9})
    groups = grouped(runs, ["init.name"], ACCURACY)
    (line,) = about_confirmation(groups, None, "a" * 32)
    assert line == (
        "The best mean is optimistic: of 2 it was selected by these very runs. "
        "`nnlab confirm aaaaaaaa` trains the candidates for the best again, on new seeds."
    )
    assert not any("test images" in line for line in said(runs))


def test_the_range_of_a_loss_begins_with_the_lowest():
    runs = made({"he": [0.4, 0.3], "glorot": [0.6, 0.7]}).rename(columns={ACCURACY: "final_loss"})
    groups = grouped(runs, ["init.name"], "final_loss")
    assert "lie between 0.3000 and 0.4000" in next(about_the_best(groups))


def test_new_seeds_give_the_figure_before_and_after_and_the_test_error():
    """A test error of (0.12 + 0.10) / 2, by the new runs."""
    runs = made({"he": [0.9, 0.91], "randn": [0.4, 0.5]}).assign(**{"test/accuracy": 0.99})
    groups = grouped(runs, ["init.name"], ACCURACY)
    new = confirmed([0.87, 0.89], "he", **{"test/accuracy": [0.88, 0.90]})
    first, test = about_confirmation(groups, new, "a" * 32)
    assert "On 2 new seeds, which did not select it (sweep `cccccccc`), init=he has a" in first
    assert "has a mean of 0.8800, after" in first  # no interval: two seeds are too few
    assert first.endswith("after 0.9050 in the sweep that selected it.")
    assert test == (
        "On the test images init=he errs in 11.00% (2 seeds): the sweep chose it by final "
        "validation accuracy, and neither by these images nor by these runs."
    )


def test_one_configuration_was_chosen_from_nothing_and_says_so_of_its_test_error():
    runs = made({"he": [0.9, 0.91]}).assign(**{"test/accuracy": [0.88, 0.90]})
    (line,) = about_confirmation(grouped(runs, ["init.name"], ACCURACY), None, "a" * 32)
    assert line == (
        "On the test images init=he errs in 11.00% (2 seeds): the sweep has no other "
        "configuration to choose from."
    )


def test_the_shares_of_a_decomposition_are_said_with_what_is_beyond_chance():
    effects = pd.DataFrame(
        {"cause": ["init.name", "init.name × lr", "seed"], "eta_squared": [0.9, 0.06, 0.04],
         "omega_squared": [0.89, 0.0, np.nan], "shown": [True, False, False]}
    )  # fmt: skip
    assert variation_shares(effects, ACCURACY) == (
        "The variation of final validation accuracy over this grid is accounted for by init 90.0% "
        "(89.0% beyond chance), init × lr 6.0% (not told from chance) and the seed 4.0%."
    )


def test_the_p_value_of_few_ranks_counts_their_orders():
    """5 values in order are one of 120, and the reverse another; SciPy's own p is 0."""
    assert rank_correlation([1, 2, 3, 4, 5], [5, 4, 3, 2, 1]) == pytest.approx((-1, 2 / 120))
    values = np.random.default_rng(1).normal(size=(2, 30))
    assert rank_correlation(*values) == pytest.approx(stats.spearmanr(*values))


@pytest.mark.parametrize(
    ("further", "n", "text"),
    [
        (None, 5, "open: no difference to go by"),
        (4, 1, "open: 4 more seeds at least"),
        (1, 9, "open: about 1 more seed (chance 70%)"),
        (5000, 9, "open: more than 1000 more seeds"),
    ],
)
def test_an_open_pair_says_what_more_seeds_may_do(further, n, text):
    assert further_text(further, n, 0.7) == text


def rows(values, bests, candidates=None):
    """One row for each value, in which nothing else may be the best unless it is given."""
    candidates = candidates or [(best,) for best in bests]
    return list(map(BestValue, values, bests, candidates))


def test_a_trend_of_the_best_value_is_scipys_rank_correlation():
    scales, best = [0.001, 0.01, 0.1, 1.0, 3.0], [3.0, 1.6, 0.8, 0.4, 0.2]
    line = best_value_trend(rows(scales, best), "init.scale", "lr")
    found = stats.spearmanr(scales, best)
    assert found.statistic == pytest.approx(-1)
    assert "The best lr lies between 0.2 and 3 (0.001: 3, 0.01: 1.6, " in line
    assert "it falls with init.scale (Spearman's ρ = -1.00" in line


def test_no_trend_is_claimed_where_the_best_goes_up_and_down():
    line = best_value_trend(rows([1, 2, 3, 4, 5], [1.0, 3.0, 2.0, 3.0, 1.0]), "x", "lr")
    assert "no one-way trend is shown" in line


def test_no_trend_is_claimed_where_one_value_may_be_the_best_in_every_row():
    candidates = [(1.0, 3.0), (1.0, 2.0), (0.5, 1.0), (0.4, 1.0), (0.3, 1.0)]
    line = best_value_trend(rows([1, 2, 3, 4, 5], [3.0, 2.0, 0.5, 0.4, 0.3], candidates), "x", "lr")
    assert line.endswith(
        "; in 5 of 5 the seeds do not tell it from other values, and 1 may be the best everywhere: "
        "no change is shown."
    )


def test_of_the_values_that_may_be_the_best_everywhere_the_one_that_is_most_often_is_named():
    line = best_value_trend(rows([1, 2, 3], [0.5, 0.5, 0.8], [(0.1, 0.5, 0.8)] * 3), "x", "lr")
    assert line.endswith("and 0.5 may be the best everywhere: no change is shown.")


def test_how_many_best_values_are_uncertain_is_said():
    candidates = [(3.0,), (1.0, 2.0), (0.5,), (0.3, 0.4), (0.3,)]
    line = best_value_trend(rows([1, 2, 3, 4, 5], [3.0, 2.0, 0.5, 0.4, 0.3], candidates), "x", "lr")
    assert "; in 2 of 5 the seeds do not tell it from other values: it falls with x" in line


def test_rows_in_which_nothing_learned_do_not_enter_the_trend():
    line = best_value_trend(rows([1, 2, 3, 4, 5], [3.0, 2.0, 1.0, 0.5, None]), "x", "lr")
    assert "(1: 3, 2: 2, 3: 1, 4: 0.5), where anything learned (4 of 5 values of x)" in line
    assert "Spearman" not in line
    line = best_value_trend(rows(["he", "randn", "dead"], [0.5, 0.5, None]), "init.name", "lr")
    assert line == "The best lr is 0.5 at every init at which anything learned (2 of 3)."
    dead = grouped(made({0.1: [0.1], 0.5: [0.2]}, {0.1: "dead", 0.5: "stalled"}, field="lr"),
                   ["lr"], ACCURACY)  # fmt: skip
    assert best_across(dead, "lr") is None


def test_of_few_or_of_words_no_trend_is_told():
    words = rows(["he", "randn"], [0.5, 0.1])
    assert "Spearman" not in best_value_trend(words, "init.name", "lr")
    assert best_value_trend(rows(["he", "randn"], [0.5, None]), "init.name", "lr") is None
    assert best_value_trend(rows(["he", "lecun"], [0.5, 0.5]), "init.name", "lr") == (
        "The best lr is 0.5 at every init."
    )


def test_what_may_be_the_best_of_a_row_is_what_the_seeds_do_not_tell_from_it():
    """0.5 leads 0.1 by 0.02 ± 0.001 on each of 6 seeds, and 1 by 0.001 ± 0.02."""
    jitter = np.array([0.001, -0.001] * 3)
    best = 0.9 + np.array([0.01, -0.01, 0.005, 0, 0.003, -0.008])
    runs = made({0.1: best - 0.02 + jitter, 0.5: best, 1.0: best - 0.001 + 20 * jitter}, field="lr")
    assert candidates_across(grouped(runs, ["lr"], ACCURACY), "lr") == (0.5, 1.0)


def test_units_that_are_dead_at_first_are_explained_by_the_mean_weights_sign():
    dead, rest = dead_on_arrival(
        [
            InitialState("init=he", 0.0, 0.0),
            InitialState("init=half", 0.98, -0.5),
            InitialState("init=u", 0.1, 0.0),
        ]
    )
    assert dead.startswith("init=half is dead on arrival: 98% of its hidden units are silent")
    assert "its mean weight is -0.50, and pixels are never negative" in dead
    assert rest == "All others begin with at most 10.0% of their units dead."
    assert list(dead_on_arrival([InitialState("init=he", 0.0, 0.0)])) == []


def test_reference_figures_count_as_met_within_the_seeds_range():
    groups = grouped(made({"he": [0.88, 0.92], "randn": [0.40, 0.44]}), ["init.name"], ACCURACY)
    reference = Reference(
        ACCURACY, "somebody", {("init=he",): 0.91, ("init=randn",): 0.6, ("init=none",): 1.0}
    )
    rows, line = against_reference(groups, reference)
    assert [row[0] for row in rows] == ["init=he", "init=randn"]
    assert rows[0][1:] == pytest.approx((0.91, 0.90, 0.88, 0.92))
    assert rows[0].difference == pytest.approx(-0.01)
    assert line == (
        "1 of 2 reference figures (somebody) lie within the range of our seeds; the mean "
        "deviation is 0.095, the largest -0.180 (init=randn)."
    )


FIVE = [0.970, 0.974, 0.975, 0.976, 0.980]  # mean 0.975; t interval ± 2.776 · 0.00361 / √5


@pytest.mark.parametrize(
    ("accuracies", "value", "words"),
    [
        (FIVE, 0.953, "over 5 seeds, better than the reference's 0.9530 (paper)"),
        (FIVE, 0.99, "over 5 seeds, worse than the reference's 0.9900 (paper)"),
        (FIVE, 0.9745, "over 5 seeds, which 5 seeds do not tell from the reference's 0.9745"),
        ([0.97], 0.953, "over 1 seed, which 1 seed does not tell from the reference's 0.9530"),
    ],
)
def test_a_single_reference_is_beaten_only_where_the_seeds_tell(accuracies, value, words):
    groups = grouped(made({300: accuracies}, field="hidden_size"), ["hidden_size"], ACCURACY)
    _, line = against_reference(groups, Reference(ACCURACY, "paper", {("hidden_size=300",): value}))
    assert f"a mean final validation accuracy of {np.mean(accuracies):.4f}" in line
    assert words in line


def test_a_group_without_some_results_ranks_as_if_they_were_the_worst():
    runs = made({"he": [0.9, 0.9], "randn": [0.95, np.nan]})
    runs.loc[3, "outcome"] = None
    best, second = grouped(runs, ["init.name"], ACCURACY)
    assert (best.label, second.label) == ("init=he", "init=randn")
    assert second.summary.mean == 0.95


def test_paired_differences_use_the_seeds_that_both_have():
    runs = made({"he": [0.9, 0.8, 0.7], "randn": [0.5, 0.6]})
    he, randn = grouped(runs, ["init.name"], ACCURACY)
    found = he.against(randn)
    assert (found.n, found.a_beats_b) == (2, 1)
    assert found.mean == pytest.approx(0.3)


def test_the_best_value_across_is_none_where_all_are_equal():
    equal = [
        RunGroup({"lr": rate}, made({rate: [0.1]}, field="lr"), ACCURACY) for rate in (0.1, 0.5)
    ]
    assert best_across(equal, "lr") is None
    assert best_across(equal[1:], "lr") == 0.5


def test_the_range_that_learns_is_that_of_most_seeds():
    groups = grouped(
        made({0.1: [0.9] * 2, 0.5: [0.9] * 2, 1.0: [0.1] * 2}, {1.0: "dead"}, field="lr"),
        ["lr"], ACCURACY,
    )  # fmt: skip
    assert learned_between(groups, "lr") == "0.1 … 0.5"
    assert learned_between(groups[:1], "lr") in ("0.1", "0.5")
    assert learned_between([groups[-1]], "lr") == "nowhere"


def test_runs_that_were_pruned_do_not_count_where_a_rate_learns():
    runs = made({0.1: [0.9] * 4}, field="lr")
    runs.loc[1:, ["outcome", "status"]] = "pruned", "KILLED"
    assert learned_between(grouped(runs, ["lr"], ACCURACY), "lr") == "0.1"
    assert learned_between(grouped(runs[1:], ["lr"], ACCURACY), "lr") == "not known"


def test_levels_are_in_the_order_of_numbers():
    groups = grouped(made({10: [0.1], 9: [0.2], 100: [0.3]}, field="hidden_size"),
                     ["hidden_size"], ACCURACY)  # fmt: skip
    assert levels(groups, "hidden_size") == [9, 10, 100]


def test_one_run_a_configuration_and_seed_is_what_groups_are_made_of():
    runs = made({"he": [0.9, 0.9]}).assign(seed=0, start_time=[1, 2])
    assert len(one_run_per_seed(runs, ["init.name"])) == 1


def test_the_values_of_a_field_that_follows_are_in_the_order_of_the_field_that_it_follows():
    runs = made({300: [0.9, 0.9], 5: [0.5, 0.5], 50: [0.7, 0.7]}, field="hidden_size")
    runs["epochs"] = [40, 40, 222, 222, 131, 131]
    groups = grouped(runs, ["hidden_size"], ACCURACY)
    assert following_levels(groups, "epochs") == [222, 131, 40]
