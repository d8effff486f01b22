"""Conditions on runs: what they mean, and that nothing in them is ever run."""

import numpy as np
import pandas as pd
import pytest

from nnlab.analysis.conditions import column, runs_where
from nnlab.errors import ComparisonError


@pytest.fixture
def runs():
    return pd.DataFrame(
        {
            "lr": [0.05, 0.1, 0.5, 0.5],
            "init.name": ["he", "normal", "normal", "he"],
            "init.scale": pd.Series(["he", 0.1, 1.0, "he"], dtype=object),
            "outcome": ["learned", None, "stalled", "learned"],
            "val/accuracy": [0.9, np.nan, 0.2, 0.85],
            "best": [0.9, 0.3, 0.4, 0.8],
        }
    )


@pytest.mark.parametrize(
    ("condition", "expected"),
    [
        ("lr>0.1 and outcome=='learned'", [3]),
        ("lr > 0.1 or lr < 0.1", [0, 2, 3]),
        ("not (lr > 0.1)", [0, 1]),
        ("0.05 < lr <= 0.5", [1, 2, 3]),
        ("init.name == 'he' and best > 0.85", [0]),
        ("init == 'he'", [0, 3]),
        ("init in ['he', 'glorot'] and lr in (0.5,)", [3]),
        ("init not in {'he'}", [1, 2]),
        ("init.scale < 0.5", [1]),  # a word is neither more nor less
        ("init.scale == 'he'", [0, 3]),
        ("outcome == None", [1]),
        ("outcome != 'learned'", [1, 2]),
        ("val_accuracy >= best", [0, 3]),
        ("best > -1", [0, 1, 2, 3]),
        ("0.3 == best", [1]),
        ("lr == 0.5 and not outcome == 'learned' or lr < 0.1", [0, 2]),
    ],
)
def test_a_condition_keeps_the_runs_that_meet_it(runs, condition, expected):
    assert runs_where(runs, condition).index.tolist() == expected


@pytest.mark.parametrize(
    "condition",
    [
        "__import__('os').system('true') == 0",
        "lr.__class__ == 1",
        "@lr > 1",
        "lr.max() == lr",
        "lr + 1 > 1",
        "lr",
        "'learned'",
        "lr > (lambda: 1)()",
        "lr > [x for x in (1,)]",
        "lr > outcome[0]",
        "(lr := 3) > 1",
        "f'{lr}' == 'a'",
        "lr > 0.1 if outcome else lr",
        "lr in outcome",
        "lr == True",
        "lr is None",
        "init in [he]",
        "lr > 0.1; lr",
        "lr >",
        "",
        "lr = 0.1",
        "(" * 500 + "lr" + ")" * 500,
        "lr & 1 == 1",
    ],
)
def test_whatever_is_not_a_plain_condition_is_refused_in_a_sentence(runs, condition):
    with pytest.raises(ComparisonError, match=r"--where|is no column"):
        runs_where(runs, condition)


def test_a_word_without_quotes_is_told_apart_from_a_column(runs):
    with pytest.raises(ComparisonError, match="he is no column of these runs"):
        runs_where(runs, "init == he")


def test_a_misspelt_column_gets_a_suggestion(runs):
    with pytest.raises(ComparisonError, match="outcom is no column of these runs: did you mean ou"):
        runs_where(runs, "outcom == 'learned'")


def test_a_condition_that_no_run_meets_says_so(runs):
    with pytest.raises(ComparisonError, match="None of the 4 runs meets --where 'lr > 7'"):
        runs_where(runs, "lr > 7")


def test_a_column_goes_by_its_own_name_before_any_shorter_one():
    assert column("init", ["init.name", "init"]) == "init"
    assert column("init", ["lr", "init.name"]) == "init.name"
    assert column("test_accuracy", ["test/accuracy"]) == "test/accuracy"
