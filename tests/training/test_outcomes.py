"""The rule of outcomes, case by case, and the figures that sum a run up."""

import numpy as np
import pytest
from support.digits import training_data, untrained

from nnlab.training.engine import measure, train_segment
from nnlab.training.history import METRICS, History
from nnlab.training.outcomes import Curve, late_mean, summarise


def curve(accuracy, loss=None, dead=0.0):
    rows = len(accuracy)
    values = {name: np.full(rows, 0.5) for name in METRICS}
    values["val/accuracy"] = np.array(accuracy, float)
    values["val/loss"] = np.array(loss if loss is not None else [1.0] * rows)
    values["dead_fraction"] = np.full(rows, dead)
    return Curve(np.arange(rows), values)


@pytest.mark.parametrize(
    ("outcome", "accuracy", "dead", "diverged_at"),
    [
        ("learned", [0.1, 0.7, 0.85], 0.0, -1),
        ("learned", [0.1, 0.9, 0.7], 0.0, -1),  # it reached the target, once
        ("learned", [0.1, 0.8], 0.9, -1),  # the target itself counts; one unit lives
        ("stalled", [0.1, 0.3, 0.79], 0.0, -1),
        ("dead", [0.1, 0.1, 0.1], 1.0, -1),
        ("dead", [0.1, 0.9, 0.1], 1.0, -1),  # what it once was does not count
        ("diverged", [0.1, 0.9], 1.0, 2),  # before everything else
    ],
)
def test_the_first_rule_that_holds_decides_the_outcome(outcome, accuracy, dead, diverged_at):
    assert summarise(curve(accuracy, dead=dead), diverged_at, 0.8).outcome == outcome


def test_the_best_epoch_is_the_first_of_the_highest_accuracy():
    metrics = summarise(curve([0.1, 0.6, 0.9, 0.9, 0.8]), -1, 0.6).metrics
    assert metrics["best_val_accuracy"] == 0.9
    assert metrics["best_epoch"] == 2
    assert metrics["final_val_accuracy"] == 0.8
    assert metrics["epochs_to_target"] == 1


@pytest.mark.parametrize(
    ("epochs", "rows"), [(0, 1), (1, 1), (9, 1), (19, 1), (20, 2), (39, 3), (500, 50)]
)
def test_the_late_accuracy_is_the_mean_over_the_last_tenth_of_the_epochs(epochs, rows):
    accuracy = np.random.default_rng(epochs).random(epochs + 1)
    metrics = summarise(curve(accuracy), -1, 0.8).metrics
    assert metrics["late_val_accuracy"] == pytest.approx(sum(accuracy.tolist()[-rows:]) / rows)
    assert metrics["final_val_accuracy"] == accuracy[-1]


def test_an_oscillation_parts_the_last_accuracy_from_the_late_one():
    metrics = summarise(curve([0.7, 0.9] * 50), -1, 0.8).metrics
    assert metrics["final_val_accuracy"] == 0.9
    assert metrics["late_val_accuracy"] == pytest.approx((4 * 0.7 + 5 * 0.9) / 9)


def test_a_target_that_was_not_reached_has_no_epoch():
    assert "epochs_to_target" not in summarise(curve([0.1, 0.2]), -1, 0.8).metrics


def test_a_diverged_run_has_no_final_figures_and_no_figure_that_is_not_finite():
    summary = summarise(curve([0.1, 0.5, 0.1], loss=[2.0, 1.0, np.inf]), 2, 0.8)
    assert summary.metrics == {"best_val_accuracy": 0.5, "best_epoch": 1, "diverged_at": 2}


def test_a_run_that_was_never_finite_is_summed_up_too():
    summary = summarise(curve([0.1], loss=[np.nan]), 0, 0.8)
    assert summary.outcome == "diverged"
    assert summary.metrics == {"diverged_at": 0}


def test_a_curve_ends_with_the_last_row_that_was_measured():
    values = {name: np.array([[1.0, 2.0, np.nan, np.nan]]) for name in METRICS}
    values["val/loss"] = np.array([[1.0, np.inf, np.nan, np.nan]])
    cut = Curve.of(History(np.arange(4, 8), values), 0)
    assert cut.epochs.tolist() == [4, 5]
    assert cut.values["val/loss"].tolist() == [1.0, np.inf]


@pytest.mark.parametrize(
    ("outcome", "options", "epochs"),
    [
        ("learned", {"lr": [0.5]}, 60),
        ("stalled", {"lr": [0.001]}, 5),
        ("dead", {"init": "randn_minus_half", "lr": [0.1]}, 5),
        ("diverged", {"lr": [1e30]}, 5),
    ],
)
def test_real_training_reaches_each_outcome(outcome, options, epochs):
    data = training_data()
    state, history = train_segment(untrained(1, **options), data, epochs)
    history = history.then(measure(state, data))
    assert summarise(Curve.of(history, 0), int(state.diverged_at[0]), 0.7).outcome == outcome


def test_the_late_mean_is_numpys_mean_to_the_last_bit():
    for rows in (5, 25, 300, 1400, 3333):
        values, epochs = np.random.default_rng(rows).random(rows), np.arange(rows)
        late = values[epochs > rows - 1 - max(1, (rows - 1) // 10)]
        assert late_mean(epochs, values) == late.mean()
