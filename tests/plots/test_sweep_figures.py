"""The figures of a sweep: what they draw is what was measured, and all of it is legible."""

from collections import Counter
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from matplotlib.colors import to_rgba
from matplotlib.patches import Rectangle
from support.legible import assert_legible, words

from nnlab.plots.against import MetricCurve, metric_against_parameter
from nnlab.plots.best_and_worst import RunFilters, best_and_worst_filters
from nnlab.plots.hidden_units import HiddenUnitCurves, hidden_unit_curves
from nnlab.plots.labels import shorten, text_width
from nnlab.plots.learning_curves import LearningCurve, learning_curves
from nnlab.plots.outcome_marks import OUTCOME_STYLES
from nnlab.plots.phase import PhaseMap, phase_diagram
from nnlab.plots.stability import StabilityPoint, stable_learning_rates
from nnlab.plots.style import INK, save

LONG = "init=randn_minus_half,init.bias=same,lr=0.0625,hidden_size=300,data.seed=12345"
OUTCOMES = ["learned", "stalled", "dead", "diverged", "pruned"]


def drawn(axes, gid):
    """The lines and collections that a figure marks with this id."""
    return [artist for artist in (*axes.lines, *axes.collections) if artist.get_gid() == gid]


# --- the plane


def plane(ny, nx, seeds, *, words=False):
    """A region of learning whose edge the seeds disagree about, with every outcome and a gap."""
    rng = np.random.default_rng(0)
    y, x = np.arange(ny)[:, None, None], np.arange(nx)[None, :, None]
    far = x / nx + y / ny + rng.normal(0, 0.1, (ny, nx, seeds))
    place = np.digitize(far, [0.6, 0.9, 1.2, 1.5])
    accuracy = np.array([0.9, 0.6, 0.1, np.nan, 0.3])[place] + rng.normal(0, 0.01, far.shape)
    outcome = np.array(OUTCOMES, dtype=object)[place]
    if nx > 3:
        accuracy[0, -1], outcome[0, -1] = np.nan, ""
        accuracy[1, -1, 1:], outcome[1, -1, 1:] = np.nan, ""
    values = tuple(np.geomspace(1e-4, 3, nx).tolist())
    names = tuple(f"{LONG}{row}" if words else float(row) for row in range(1, ny + 1))
    xs = tuple(f"randn_minus_half_{column}" for column in range(nx)) if words else values
    return PhaseMap("init.scale", xs, "lr", names, accuracy, outcome)


def small(accuracy, outcome, y=(1.0, 2.0)):
    accuracy = np.asarray(accuracy, float)
    x = tuple(float(column) for column in range(1, accuracy.shape[1] + 1))
    return PhaseMap("lr", x, "scale", y, accuracy, np.asarray(outcome, dtype=object))


@pytest.mark.parametrize("words", [False, True])
@pytest.mark.parametrize("shape", [(1, 1, 1), (3, 12, 5), (16, 16, 5)])
def test_a_plane_of_any_size_is_legible(shape, words):
    figure = phase_diagram(plane(*shape, words=words), LONG)
    assert_legible(figure)
    figure.canvas.draw()


def test_a_cells_colour_is_its_mean_and_its_foot_the_seeds_in_order():
    accuracy = [[[0.9, 0.3, 0.6], [0.5, np.nan, 0.1]], [[0.1] * 3, [0.2] * 3]]
    axes = phase_diagram(small(accuracy, np.full((2, 2, 3), "learned")), "map").axes[0]
    (mesh,) = [mesh for mesh in axes.collections if mesh.get_array() is not None]
    fields = np.ma.filled(mesh.get_array(), np.nan)  # a row of feet, a row of bodies, upwards
    np.testing.assert_allclose(fields[0], [0.3, 0.6, 0.9, 0.1, 0.5, np.nan])
    np.testing.assert_allclose(fields[1], [0.6] * 3 + [0.3] * 3)
    np.testing.assert_allclose(fields[3], [0.1] * 3 + [0.2] * 3)
    assert mesh.get_clim() == (0.1, 0.9)


def test_numbers_go_upwards_and_words_are_read_from_the_top():
    accuracy = [[[0.1]], [[0.9]]]
    for y, lowest in (((1.0, 2.0), "0.100"), (("he", "randn"), "0.900")):
        axes = phase_diagram(small(accuracy, np.full((2, 1, 1), "dead"), y), "map").axes[0]
        assert axes.get_ylim() == (0, 2)
        text = {text.get_position()[1] // 1: text.get_text() for text in axes.texts}
        assert text[0] == lowest


def test_one_mark_says_that_all_seeds_agree_and_else_each_run_has_its_own():
    outcome = [
        [["learned"] * 3, ["learned", "dead", "stalled"], ["learned", "", "learned"]],
        [["pruned"] * 3, ["", "", ""], ["diverged"] * 3],
    ]
    accuracy = [
        [[0.9] * 3, [0.9, 0.1, 0.5], [0.8, np.nan, 0.9]],
        [[np.nan] * 3, [np.nan] * 3, [np.nan] * 3],
    ]
    axes = phase_diagram(small(accuracy, outcome), "map").axes[0]
    marks = [
        (line.get_gid(), int(x), int(y))
        for line in axes.lines
        for x, y in zip(*line.get_data(), strict=True)
    ]
    assert Counter(marks) == {
        ("learned", 0, 0): 1,
        ("learned", 1, 0): 1,
        ("dead", 1, 0): 1,
        ("stalled", 1, 0): 1,
        ("learned", 2, 0): 2,  # one of three is missing
        ("pruned", 0, 1): 1,
        ("diverged", 2, 1): 1,
    }
    for line in axes.lines:
        assert line.get_marker() == OUTCOME_STYLES[line.get_gid()].mark
    across = {line.get_gid(): line.get_xdata() % 1 for line in axes.lines}
    assert across["dead"] < across["stalled"] < across["learned"].max()  # above its own field


def test_the_marks_of_outcomes_differ_and_only_those_that_occur_are_explained():
    assert len({style.mark for style in OUTCOME_STYLES.values()}) == len(OUTCOME_STYLES)
    text = words(phase_diagram(small([[[0.9], [0.8]]], [[["learned"], ["dead"]]], (1.0,)), "map"))
    assert "1 learned" in text
    assert "1 dead" in text
    assert not any(word in text for word in ("stalled", "diverged", "pruned", "no result"))


def framed(axes):
    return sorted(
        (int(patch.get_x()), int(patch.get_y()))
        for patch in axes.patches
        if isinstance(patch, Rectangle) and patch.get_edgecolor() == to_rgba(INK)
    )


def test_the_best_x_of_each_row_is_framed_and_none_where_there_is_no_choice():
    accuracy = [
        [[0.5], [0.9], [0.7]],
        [[0.8], [0.8], [0.2]],  # two best
        [[0.1], [0.1], [0.1]],  # nothing to choose
        [[np.nan], [0.6], [np.nan]],  # nothing to compare with
        [[np.nan], [0.6], [0.7]],
    ]
    outcome = np.where(np.isnan(accuracy), "", "learned")
    axes = phase_diagram(small(accuracy, outcome, (1.0, 2.0, 3.0, 4.0, 5.0)), "map").axes[0]
    assert framed(axes) == [(0, 1), (1, 0), (1, 1), (2, 4)]


def test_a_cell_without_a_result_is_hatched_and_one_of_accuracy_0_is_not():
    accuracy = [[[0.0], [np.nan], [0.9]]]
    figure = phase_diagram(small(accuracy, [[["dead"], [""], ["learned"]]], (1.0,)), "map")
    hatched = [int(patch.get_x()) for patch in figure.axes[0].patches if patch.get_hatch()]
    assert hatched == [1]
    assert "no result" in words(figure)
    assert "2 of 3 configurations" in words(figure)


def test_a_run_that_diverged_counts_as_accuracy_0():
    figure = phase_diagram(small([[[0.8, np.nan]]], [[["learned", "diverged"]]], (1.0,)), "map")
    assert "0.400" in words(figure)


def test_the_subtitle_says_how_many_seeds_there_are_at_fewest_and_at_most():
    assert "1 to 5 seeds" in words(phase_diagram(plane(6, 6, 5), "map"))
    assert "no spread is known" in words(phase_diagram(plane(2, 2, 1), "map"))


# --- learning curves


def seed_curves(count, seeds, rows=41, label=LONG):
    rng = np.random.default_rng(1)
    epochs = np.arange(rows) * 5
    curves = []
    for place in range(count):
        height = 0.9 - 0.8 * place / count
        rising = 0.1 + (height - 0.1) * (1 - np.exp(-epochs / 30))
        values = rising + rng.normal(0, 0.01, (seeds, rows))
        outcome = OUTCOMES[place % 5]
        if outcome in ("diverged", "pruned"):
            values[:, rows // 3 + 1 :] = np.nan
        curves.append(LearningCurve(f"{place} {label}", epochs, values, outcome))
    return curves


@pytest.mark.parametrize(("count", "seeds"), [(1, 1), (20, 1), (60, 5)])
@pytest.mark.parametrize("metric", ["val/accuracy", "val/loss"])
def test_learning_curves_of_any_number_are_legible_and_all_drawn(count, seeds, metric):
    figure = learning_curves(seed_curves(count, seeds), LONG, metric, 0.8, count * seeds + 1)
    assert_legible(figure)
    (axes,) = [axes for axes in figure.axes if axes.axison]
    named = min(count, 7) if count < 18 else 3
    assert len(drawn(axes, "median")) == named
    assert len(drawn(axes, "pale")) == count - named
    assert f"{count * seeds:,} of {count * seeds + 1:,} runs" in words(figure)


def test_a_band_goes_from_the_lowest_to_the_highest_seed_and_its_line_is_the_median():
    values = np.array([[0.05, 0.5, 0.9], [0.2, 0.3, 0.7], [0.0, 0.45, np.nan]])
    band = LearningCurve("he", np.array([0, 5, 10]), values, "learned")
    axes = learning_curves([band], "run", "val/accuracy", None, 3).axes[0]
    (filled,) = axes.collections
    corners = {tuple(corner.round(6)) for corner in filled.get_paths()[0].vertices}
    assert corners >= {(0, 0), (0, 0.2), (5, 0.3), (5, 0.5), (10, 0.7), (10, 0.9)}
    (line,) = drawn(axes, "median")
    np.testing.assert_allclose(line.get_ydata(), [0.05, 0.45, 0.8])
    (whole,) = drawn(axes, "whole")  # solid only as far as all seeds go
    np.testing.assert_allclose(whole.get_ydata(), [0.05, 0.45, np.nan])


def test_the_best_six_and_the_worst_have_names_with_outcomes_unless_they_learned():
    curves = [
        LearningCurve(f"n{place}.", np.arange(2), np.full((1, 2), 0.9 - place / 20), "stalled")
        for place in range(10)
    ]
    text = words(learning_curves(curves, "run", "val/accuracy", 0.8, 10))
    assert [place for place in range(10) if f"n{place}." in text] == [0, 1, 2, 3, 4, 5, 9]
    assert "0.900 stalled: n0." in text
    assert "0.450 worst, stalled: n9." in text
    assert "Others, pale:" in text
    assert "3 stalled" in text
    learned = [LearningCurve("he", np.arange(2), np.full((1, 2), 0.9), "learned")]
    assert "0.900 he" in words(learning_curves(learned, "run", "val/accuracy", None, 1))


def test_of_18_configurations_the_best_the_median_and_the_worst_have_bands():
    values = np.linspace(0.9, 0.05, 18)
    curves = [
        LearningCurve(f"n{place}.", np.arange(2), np.full((2, 2), value), "learned")
        for place, value in enumerate(values)
    ]
    figure = learning_curves(curves, "run", "val/accuracy", 0.8, 36)
    text = words(figure)
    assert [place for place in range(18) if f"n{place}." in text] == [0, 8, 17]
    assert all(
        f"{rank}: n{place}." in text for rank, place in (("best", 0), ("median", 8), ("worst", 17))
    )
    assert len(figure.axes[0].collections) == 3


def is_from_dark_to_bright(colours):
    luma = np.array([to_rgba(colour)[:3] for colour in colours]) @ [0.3, 0.59, 0.11]
    return bool((np.diff(luma) > 0).all())


def test_colours_are_in_the_order_of_a_number_and_distinct_for_words():
    sizes = [30.0, 10.0, 20.0]
    flat = np.full((1, 2), 0.5)
    epochs = np.arange(2)
    by_number = [LearningCurve(f"{n}", epochs, flat, "learned", n) for n in sizes]
    lines = drawn(learning_curves(by_number, "run", "val/accuracy", None, 3).axes[0], "median")
    colours = dict(zip(sizes[::-1], (line.get_color() for line in lines), strict=True))
    assert is_from_dark_to_bright([colours[size] for size in sorted(sizes)])
    by_word = [replace(curve, order=None) for curve in metric_curves(4, 3, 2)]
    by_order = [replace(curve, order=rank / 2) for rank, curve in enumerate(by_word)]
    for curves, ordered in ((by_word, False), (by_order, True)):
        means = drawn(accuracy_against_lr(curves).axes[0], "means")
        assert is_from_dark_to_bright([line.get_color() for line in means]) == ordered
        assert len({line.get_color() for line in means}) == 4
    for order in ((0, 1, 2, 3), (0, 0, 1, 1)):  # of equal ones the first is the darker
        groups = zip(unit_groups(4, 2, 5), order, strict=True)
        units = [replace(group, order=number) for group, number in groups]
        lines = drawn(hidden_unit_curves(units, "run", 4).axes[0], "median")
        assert is_from_dark_to_bright([line.get_color() for line in lines])


def test_a_curve_that_is_alone_has_no_name_and_configurations_without_a_result_are_counted():
    nothing = np.array([0.9, np.nan, np.nan])
    values = [np.array([0.9]), np.empty(0), np.empty(0)]
    curve = MetricCurve("", np.array([0.1, 0.5, 30]), nothing, nothing, nothing, values)
    figure = accuracy_against_lr([curve])
    assert not figure.axes[0].texts
    assert figure.axes[0].get_xlabel() == "learning rate (log scale)"
    assert "1 of 3 configurations with a result, one seed each" in words(figure)


def test_axes_fit_what_is_drawn_and_say_where_they_begin_above_0():
    curve = LearningCurve("he", np.arange(3), np.array([[0.9, 0.92, 0.94]]), "learned")
    axes = learning_curves([curve], "run", "val/accuracy", None, 1).axes[0]
    low, high = axes.get_ylim()
    assert 0.88 < low < 0.9
    assert 0.94 < high < 0.96
    assert "axis not from 0" in axes.get_ylabel()
    axes = learning_curves([curve], "run", "val/accuracy", 0.8, 1).axes[0]
    assert axes.get_ylim()[0] < 0.8  # the target


def test_a_zero_that_a_logarithmic_axis_cannot_show_is_said():
    values = np.array([[1.0, 0.05, 0.0]])
    curve = LearningCurve("he", np.arange(3), values, "learned")
    said = "0 is below this axis"
    assert said in words(learning_curves([curve], "run", "train/loss", None, 1))
    positive = replace(curve, values=values + 0.01)
    assert said not in words(learning_curves([positive], "run", "train/loss", None, 1))


def test_a_title_says_in_words_what_is_drawn_and_the_name_stands_below():
    figure = accuracy_against_lr(metric_curves(2, 3, 2))
    title, name, _ = (text.get_text() for text in figure.texts)
    assert title == "Validation accuracy by learning rate"
    assert name == "run"


@pytest.mark.parametrize("height", [0.0, 1.0])
def test_labels_of_curves_at_an_edge_stay_beside_the_axes_without_moving_others(height):
    edge = [
        LearningCurve(f"{n}", np.arange(2), np.full((1, 2), height), "learned") for n in range(6)
    ]
    other = LearningCurve("other", np.arange(2), np.full((1, 2), 1 - height), "learned")
    axes = learning_curves([*edge, other], "run", "val/accuracy", None, 7).axes[0]
    at = {text.get_text(): text.get_position()[1] for text in axes.texts}
    assert min(at.values()) >= 0
    assert max(at.values()) <= 1
    low, high = axes.get_ylim()
    (alone,) = [y for text, y in at.items() if "other" in text]
    assert alone == pytest.approx((1 - height - low) / (high - low))


def test_one_seed_has_a_line_without_a_band_and_the_picture_says_so():
    figure = learning_curves(seed_curves(3, 1), "run", "val/accuracy", 0.8, 3)
    assert not figure.axes[0].collections
    assert "no spread is known" in words(figure)


@pytest.mark.parametrize(
    ("metric", "values", "log", "scale"),
    [
        ("val/accuracy", [0.01, 0.9], None, "linear"),
        ("val/loss", [2.3, 0.4], None, "linear"),
        ("val/loss", [2.3, 0.1], None, "log"),
        ("val/loss", [2.3, 0.1], False, "linear"),
        ("val/loss", [2.3, 0.4], True, "log"),
        ("val/accuracy", [0.01, 0.9], True, "log"),
    ],
)
def test_the_axis_is_logarithmic_for_losses_over_more_than_a_decade_or_as_asked(
    metric, values, log, scale
):
    curves = [LearningCurve("he", np.arange(2), np.array([values]), "learned")]
    assert learning_curves(curves, "run", metric, None, 1, log=log).axes[0].get_yscale() == scale


def test_a_loss_that_explodes_leaves_through_the_top_and_keeps_the_others_legible():
    epochs = np.arange(4)
    curves = [
        LearningCurve("calm", epochs, np.array([[2.3, 1.0, 0.5, 0.4]]), "learned"),
        LearningCurve("wild", epochs, np.array([[2.3, 1e8, 1e300, np.inf]]), "diverged"),
    ]
    figure = learning_curves(curves, "run", "val/loss", None, 2)
    assert figure.axes[0].get_ylim()[1] < 10
    assert_legible(figure)
    figure.canvas.draw()


# --- against a hyper-parameter


def metric_curves(count, points, seeds, label=LONG):
    """Curves with a maximum at 0.1; each is 0.01 lower than the one before it."""
    rng = np.random.default_rng(2)
    x = np.geomspace(1e-3, 3, points)
    curves = []
    for place in range(count):
        values = [
            0.9 - 0.01 * place - 0.05 * (np.log10(rate) + 1) ** 2 + rng.normal(0, 0.01, seeds)
            for rate in x
        ]
        mean = np.array([seed_values.mean() for seed_values in values])
        half = 0.02 if seeds > 1 else np.nan
        curves.append(MetricCurve(f"{place} {label}", x, mean, mean - half, mean + half, values))
    return curves


def accuracy_against_lr(curves, **options):
    return metric_against_parameter(curves, "run", "lr", "val/accuracy", log_x=True, **options)


@pytest.mark.parametrize("metric", ["val/accuracy", "final_val_loss"])
@pytest.mark.parametrize(("count", "points", "seeds"), [(1, 1, 1), (6, 3, 5), (20, 15, 5)])
def test_a_metric_against_a_rate_is_legible_at_any_size(count, points, seeds, metric):
    curves = metric_curves(count, points, seeds)
    target = (0.8, "target 0.8")
    for log in (True, False):
        assert_legible(
            metric_against_parameter(curves, LONG, "lr", metric, log_x=log, reference=target)
        )


def test_means_intervals_and_every_seed_are_drawn_as_given():
    curve = MetricCurve(
        "he",
        x=np.array([0.1, 1.0]),
        mean=np.array([0.8, 0.9]),
        low=np.array([0.75, np.nan]),
        high=np.array([0.85, np.nan]),
        values=[np.array([0.7, 0.9]), np.array([0.9])],
    )
    figure = accuracy_against_lr([curve])
    axes = figure.axes[0]
    np.testing.assert_allclose(drawn(axes, "means")[0].get_xdata(), curve.x)
    np.testing.assert_allclose(drawn(axes, "means")[0].get_ydata(), [0.8, 0.9])
    np.testing.assert_allclose(drawn(axes, "seeds")[0].get_ydata(), [0.7, 0.9, 0.9])
    intervals = drawn(axes, "interval")[0].get_segments()
    assert np.asarray(intervals[0])[:, 1].tolist() == [0.75, 0.85]
    assert sum(len(interval) for interval in intervals) == 2  # the second has none
    assert "1 to 2 seeds" in words(figure)


def test_everything_stands_at_its_value_of_the_parameter_however_many_curves_there_are():
    curves = metric_curves(8, 5, 3)
    axes = accuracy_against_lr(curves).axes[0]
    for gid in ("means", "line"):
        for line in drawn(axes, gid):
            np.testing.assert_array_equal(line.get_xdata(), curves[0].x)
    for line in drawn(axes, "seeds"):
        np.testing.assert_array_equal(line.get_xdata(), np.repeat(curves[0].x, 3))
    for bars in drawn(axes, "interval"):
        np.testing.assert_array_equal([bar[0, 0] for bar in bars.get_segments()], curves[0].x)
    widths = [bars.get_linewidth()[0] for bars in drawn(axes, "interval")]
    assert (np.diff(widths) < 0).all()  # those in front leave the ones behind visible


def test_of_many_curves_the_eight_of_the_highest_mean_are_named():
    figure = accuracy_against_lr(metric_curves(11, 3, 2, "x")[::-1])
    text = words(figure)
    named = [place for place in range(11) if f"\n{place} x" in text]
    assert named == list(range(8))
    assert len(drawn(figure.axes[0], "pale")) == 3
    assert "the 8 best of 11 series named" in text


def test_an_axis_that_does_not_begin_at_0_says_so_and_holds_all_that_is_drawn():
    axes = accuracy_against_lr(metric_curves(2, 3, 3), reference=(0.5, "r")).axes[0]
    low, high = axes.get_ylim()
    assert low < 0.5
    assert low > 0
    assert "axis not from 0" in axes.get_ylabel()
    values = np.concatenate([line.get_ydata() for line in drawn(axes, "seeds")])
    assert low < values.min()
    assert values.max() < high
    unknown = np.full(2, np.nan)
    near_zero = MetricCurve(
        "a", np.ones(2), np.array([0.1, 0.9]), unknown, unknown, [np.ones(1)] * 2
    )
    assert "axis not from 0" not in accuracy_against_lr([near_zero]).axes[0].get_ylabel()


def test_a_scale_of_0_makes_the_axis_linear():
    curve = metric_curves(1, 3, 1)[0]
    curve.x[0] = 0.0
    axes = metric_against_parameter([curve], "run", "scale", "val/loss", log_x=True).axes[0]
    assert axes.get_xscale() == "linear"


# --- hidden units


def unit_groups(count, seeds, rows, label=LONG):
    rng = np.random.default_rng(3)
    shape = (seeds, rows)
    groups = []
    for place in range(count):
        gradient = 10.0 ** -rng.uniform(0, 4, shape)
        gradient[:, -1] = np.nan if rows > 1 else 1.0  # no step follows the last epoch
        dead = np.full(shape, float(place == 0))
        arrays = np.arange(rows), dead, gradient, 0 * gradient
        groups.append(HiddenUnitCurves(f"{label}{place}", *arrays))
    return groups


@pytest.mark.parametrize(("count", "seeds", "rows"), [(1, 1, 1), (3, 5, 2), (8, 5, 101)])
def test_the_hidden_units_of_any_number_of_groups_are_legible(count, seeds, rows):
    figure = hidden_unit_curves(unit_groups(count, seeds, rows), LONG, 8)
    assert_legible(figure)
    assert f"{count} of 8 configurations" in words(figure) or count == 8
    assert [len(drawn(axes, "median")) for axes in figure.axes] == [count] * 3


def test_every_panel_has_its_medians_bands_and_letters_and_the_last_one_the_names():
    gradient = np.array([[1.0, 2.0], [3.0, 8.0], [2.0, np.nan]])
    group = HiddenUnitCurves("he", np.array([0, 5]), gradient / 10, gradient, 2 * gradient)
    figure = hidden_unit_curves([group, group], "run", 2)
    for axes, factor in zip(figure.axes, (0.1, 1, 2), strict=True):
        np.testing.assert_allclose(drawn(axes, "median")[0].get_ydata(), [2 * factor, 5 * factor])
        corners = drawn(axes, "band")[0].get_paths()[0].vertices
        assert {(x, round(y / factor, 6)) for x, y in corners} >= {(0, 1), (0, 3), (5, 2), (5, 8)}
    text = [[text.get_text() for text in axes.texts] for axes in figure.axes]
    assert [set(names) for names in text] == [{"A", "B"}, {"A", "B"}, {"A he", "B he"}]
    assert [axes.get_yscale() for axes in figure.axes] == ["linear", "log", "log"]


def test_more_groups_than_there_are_looks_are_refused():
    with pytest.raises(ValueError, match="at most 8"):
        hidden_unit_curves(unit_groups(9, 1, 2), "run", 9)


# --- best and worst


@pytest.mark.parametrize(
    ("hidden", "shape"), [(1, (28, 28)), (300, (28, 28)), (10, (1, 784)), (10, (784, 1))]
)
def test_the_filters_of_two_runs_are_legible_at_any_size(hidden, shape):
    w1 = np.random.default_rng(4).standard_normal((hidden, 784))
    best = RunFilters(LONG, 0.9, w1, np.arange(hidden) % 2 == 0)
    figure = best_and_worst_filters(best, RunFilters("x", np.nan, 1e-5 * w1[:1], None), shape, LONG)
    assert_legible(figure)
    panels = [axes for axes in figure.axes if not axes.axison]
    assert [len(axes.images) for axes in panels] == [min(hidden, 20), 1]


def test_each_run_has_its_own_symmetric_scale_and_what_is_cut_or_dead_is_said():
    w1 = np.linspace(1, 2, 30)[:, None] * np.ones((30, 4))
    dead = np.arange(30) == 29
    figure = best_and_worst_filters(
        RunFilters("a", 0.9, w1, dead), RunFilters("b", 0.1, w1[:2] / 10, None), (2, 2), ""
    )
    best, worst = [axes for axes in figure.axes if not axes.axison]
    assert {image.get_clim() for image in best.images} == {(-2, 2)}
    assert [text.get_text() for text in best.texts] == [str(unit) for unit in range(10, 30)]
    np.testing.assert_allclose([image.get_clim()[1] for image in worst.images], w1[1, 0] / 10)
    assert (len(best.lines), len(worst.lines)) == (2, 0)
    text = words(figure)
    assert "the 20 of 30 units of largest norm" in text
    assert "1 of 30 dead (crossed out)" in text
    assert "from -2 to 2" in text
    assert "worst: 0.100 b" in text


# --- the edge of stability


def points(values, seeds):
    rng = np.random.default_rng(5)
    networks = []
    for place, value in enumerate(values):
        for seed in range(seeds):
            rate = 1 / (place + 1) * rng.uniform(0.8, 1.2)
            largest = np.nan if place == 1 else 2 * rate
            networks.append(
                StabilityPoint(value, rate, 0.9 * rate, 0.5 * rate, 1.1 * rate, largest, seed)
            )
    return networks


@pytest.mark.parametrize(
    ("values", "seeds"),
    [
        ([300.0], 1),
        ([0.01, 0.1, 1.0], 3),
        (list(np.geomspace(1e-4, 1, 16)), 5),
        (["he"], 1),
        ([f"{place} {LONG}" for place in range(6)], 5),
    ],
)
def test_stable_learning_rates_are_legible_with_numbers_and_words(values, seeds):
    assert_legible(stable_learning_rates(points(values, seeds), LONG, "hidden_size"))


def test_predicted_and_found_rates_are_geometric_means_and_their_ratio_stands_below():
    networks = [
        StabilityPoint(10.0, 1.0, *[np.nan] * 2, 2.0, np.nan, 0),
        StabilityPoint(10.0, 4.0, 1.0, 0.5, 2.0, np.nan, 1),
        StabilityPoint(100.0, 0.5, *[np.nan] * 2, 0.5, 2.0, 0),
        StabilityPoint(100.0, np.inf, *[np.nan] * 2, 0.5, 2.0, 1),  # the prediction is not known
    ]
    upper, lower = stable_learning_rates(networks, "study", "hidden_size").axes
    means = {name: drawn(upper, name)[0].get_ydata() for name in ("predicted", "stable", "largest")}
    np.testing.assert_allclose(means["predicted"], [2, 0.5])
    np.testing.assert_allclose(means["stable"], [2, 0.5])
    np.testing.assert_allclose(means["largest"], [2])
    np.testing.assert_allclose(drawn(lower, "stable")[0].get_ydata(), [1, 1])
    np.testing.assert_allclose(drawn(lower, "monotone_10")[0].get_ydata(), [1 / 4])
    np.testing.assert_allclose(drawn(lower, "monotone_100")[0].get_ydata(), [1 / 8])
    np.testing.assert_allclose(drawn(lower, "stable seeds")[0].get_ydata(), [2, 0.5, 1])
    np.testing.assert_allclose(drawn(lower, "largest")[0].get_ydata(), [4])
    assert drawn(lower, "one")[0].get_ydata() == [1, 1]
    assert (upper.get_xscale(), upper.get_yscale()) == ("log", "log")


# --- all of them


NOTHING = np.full((2, 3), np.nan)
EMPTY = {
    "phase": lambda: phase_diagram(small(NOTHING[..., None], np.full((2, 3, 1), "")), "run"),
    "learning curve": lambda: learning_curves(
        [LearningCurve("a", np.arange(3), NOTHING, "diverged")], "run", "val/loss", 0.8, 2
    ),
    "no learning curve": lambda: learning_curves([], "run", "val/loss", 0.8, 2),
    "rates": lambda: accuracy_against_lr(
        [MetricCurve("a", np.ones(3), *[NOTHING[0]] * 3, [np.empty(0)] * 3)]
    ),
    "no rates": lambda: accuracy_against_lr([], reference=(0.8, "target")),
    "hidden units": lambda: hidden_unit_curves(
        [HiddenUnitCurves("a", np.arange(3), NOTHING, NOTHING, NOTHING)], "run", 1
    ),
    "no hidden units": lambda: hidden_unit_curves([], "run", 0),
    "stability": lambda: stable_learning_rates(
        [StabilityPoint("he", *[np.nan] * 5, 0)], "run", "init"
    ),
    "no stability": lambda: stable_learning_rates([], "run", "init"),
}


@pytest.mark.parametrize("name", EMPTY)
def test_where_there_is_nothing_to_draw_a_sentence_says_so(name):
    figure = EMPTY[name]()
    assert_legible(figure)
    text = words(figure)
    assert any(start in text for start in ("No configuration", "No run", "No learning rate"))


def test_weights_that_are_not_finite_are_said():
    bad = RunFilters("a", np.nan, np.full((2, 4), np.nan), np.zeros(2, bool))
    figure = best_and_worst_filters(bad, bad, (2, 2), "run")
    assert_legible(figure)
    assert "2 not finite (grey)" in words(figure)


def test_labels_that_are_the_same_are_all_drawn():
    band = seed_curves(1, 2)[0]
    text = words(learning_curves([band, band, band], "run", "val/accuracy", None, 6))
    assert sum("0 init=" in line for line in text.splitlines()) == 3


SAMPLES = {
    "phase": lambda: phase_diagram(plane(4, 4, 3), "run"),
    "learning curves": lambda: learning_curves(seed_curves(9, 3), "run", "val/accuracy", 0.8, 27),
    "rates": lambda: accuracy_against_lr(metric_curves(3, 3, 3)),
    "stability": lambda: stable_learning_rates(points([1.0, 2.0], 2), "run", "hidden_size"),
}


@pytest.mark.parametrize("name", SAMPLES)
def test_the_same_arrays_make_the_same_bytes(tmp_path: Path, name):
    first, second = tmp_path / "first.png", tmp_path / "second.png"
    for path in (first, second):
        save(SAMPLES[name](), path)
    assert first.read_bytes() == second.read_bytes()


@pytest.mark.parametrize("inches", [0.5, 1.0, 2.0, 4.0])
def test_a_long_name_is_cut_in_its_middle_to_the_width_that_there_is(inches):
    short = shorten(LONG, inches)
    assert text_width(short) <= inches
    head, tail = short.split("…")
    assert LONG.startswith(head)
    assert LONG.endswith(tail)
    assert shorten("he", inches) == "he"
