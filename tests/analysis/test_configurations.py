"""What varies between runs, and what each run counts as."""

import math

import pandas as pd
import pytest

from nnlab.analysis.configurations import (
    endings,
    metric_of,
    one_run_per_seed,
    run_results,
    value_key,
    varying_fields,
)
from nnlab.analysis.ranking import lower_is_better, tally
from nnlab.errors import ComparisonError


def made(params, outcome=None, **columns):
    columns["outcome"] = outcome
    runs = pd.DataFrame({"data_digest": "d", **params, **columns})
    runs.attrs.update(params=list(params), metrics=[name for name in columns if "final" in name])
    return runs


def test_what_an_inits_name_decides_does_not_vary_of_itself():
    fixed = made(
        {
            "lr": 0.1,
            "init.name": ["he", "randn", "randn_minus_half"],
            "init.draw": "normal",
            "init.scale": ["he", 1.0, 1.0],
            "init.shift": [0.0, 0.0, -0.5],
            "seed": [0, 1, 2],
        }
    )
    assert varying_fields(fixed) == ["init.name"]


def test_the_scale_of_an_init_that_leaves_it_free_varies():
    named = {"init.name": ["he", "normal"], "init.draw": ["n", "u"], "init.scale": ["he", 0.1]}
    assert varying_fields(made(named)) == ["init.name", "init.scale"]
    scales = {"init.name": "normal", "init.draw": "normal", "init.scale": [0.1, 0.2]}
    assert varying_fields(made(scales)) == ["init.scale"]


def test_other_data_under_the_same_name_is_another_configuration():
    about = {"data.name": "mine", "data.seed": [0, 0, 1]}
    assert varying_fields(made(about, data_digest=["a", "a", "b"])) == []  # another split repeats
    assert varying_fields(made(about, data_digest=["a", "c", "b"])) == ["data_digest"]


def test_only_what_diverged_has_a_result_without_a_value():
    outcome = ["learned", "diverged", "pruned", None]
    given = [0.5, math.nan, math.nan, math.nan]
    runs = made(
        {"lr": 0.1}, outcome=outcome, final_val_accuracy=given, final_val_loss=given,
        epochs_to_target=given, dead_fraction=given,
    )  # fmt: skip

    def found(metric):
        return [None if math.isnan(each) else each for each in run_results(runs, metric)]

    assert found("final_val_accuracy") == [0.5, 0, None, None]
    assert found("final_val_loss") == [0.5, math.inf, None, None]
    assert found("epochs_to_target") == [0.5, math.inf, None, None]
    assert found("dead_fraction") == [0.5, None, None, None]


@pytest.mark.parametrize("metric", ["val/accuracy", "train/accuracy", "final_val_accuracy"])
def test_a_curves_last_value_before_a_run_diverged_or_was_pruned_is_not_its_result(metric):
    runs = made({"lr": 0.1}, outcome=["learned", "diverged", "pruned", None], **{metric: 0.7})
    assert run_results(runs, metric).fillna(-1).tolist() == [0.7, 0, -1, -1]
    best = made({"lr": 0.1}, outcome=["diverged", "pruned", None], best_val_accuracy=0.7)
    assert run_results(best, "best_val_accuracy").tolist() == [0.7, 0.7, 0.7]


def test_of_runs_that_all_diverged_the_final_accuracy_is_known_without_a_value():
    runs = made({"lr": [0.1, 0.2]}, outcome="diverged", best_val_accuracy=0.1)
    assert metric_of(runs, "final_val_accuracy") == "final_val_accuracy"
    assert run_results(runs, "final_val_accuracy").tolist() == [0, 0]


def test_a_run_that_is_complete_stands_for_its_repetitions_and_of_those_the_newest():
    runs = made(
        {"lr": [0.1, 0.1, 0.1, 0.2, 0.1], "seed": [0, 0, 0, 0, 1]},
        run_id=list("abcde"),
        start_time=pd.to_datetime([5, 4, 3, 2, 1], unit="s", utc=True),
        outcome=[None, "stalled", "stalled", None, "pruned"],
    )
    assert one_run_per_seed(runs, ["lr"])["run_id"].tolist() == ["b", "d", "e"]


def test_an_ending_is_the_outcome_or_else_the_status():
    runs = pd.DataFrame({"outcome": ["dead", None, "dead"], "status": ["FINISHED", "FAILED", "F"]})
    assert endings(runs).tolist() == ["dead", "FAILED", "dead"]
    assert tally(endings(runs)) == "2 dead, 1 FAILED"


def test_accuracies_are_better_the_higher_and_all_else_the_lower():
    assert not lower_is_better("test/accuracy")
    assert lower_is_better("final_val_loss")
    assert lower_is_better("epochs_to_target")


def test_numbers_come_before_words_and_by_size():
    assert sorted(["he", 10, 0.5, "glorot", 2], key=value_key) == [0.5, 2, 10, "glorot", "he"]


@pytest.mark.parametrize(
    ("columns", "metric", "sentence"),
    [
        ({}, "final_val_accuracy", "None of these 2 runs has a result yet"),
        ({"final_val_loss": 1.0}, "epochs_to_target", "has reached its target accuracy"),
        ({"final_val_loss": 1.0}, "final_val_los", "did you mean final_val_loss"),
    ],
)
def test_a_metric_that_no_run_has_is_refused(columns, metric, sentence):
    with pytest.raises(ComparisonError, match=sentence):
        metric_of(made({"lr": [0.1, 0.2]}, **columns), metric)


def test_where_no_run_has_come_to_its_end_the_sentence_says_so_and_what_there_is():
    runs = made({"lr": [0.1, 0.2]})
    runs.attrs["metrics"] = ["val/accuracy"]
    with pytest.raises(ComparisonError, match=r"come to its end.*nnlab resume.*val/accuracy"):
        metric_of(runs, "late_val_accuracy")
