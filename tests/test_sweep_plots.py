"""The pictures of a sweep: what they draw is what was measured, and all of it is legible."""

import numpy as np
import pytest
from matplotlib.collections import QuadMesh
from matplotlib.colors import Normalize
from matplotlib.patches import Rectangle
from test_plots import LONG_TITLE, assert_legible, words

from nnlab.plots import (
    Band,
    EdgePoint,
    Filters,
    Health,
    PhaseMap,
    Series,
    against,
    extremes,
    health,
    learning_curves,
    phase_diagram,
    save,
    stability_edge,
)
from nnlab.plots.cells import MAP


def plane(rows, columns, seeds, *, worded=False):
    """A region of learning, at whose edge the seeds disagree."""
    rng = np.random.default_rng(0)
    y, x = np.mgrid[0 : 1 : rows * 1j, 0 : 1 : columns * 1j]
    chance = 1 / (1 + np.exp(-12 * (0.8 - x - 0.3 * y)))
    accuracy = np.clip(chance[:, :, None] + rng.normal(0, 0.1, (rows, columns, seeds)), 0.1, 0.93)
    outcome = np.where(accuracy > 0.8, "learned", np.where(accuracy > 0.15, "stalled", "dead"))
    names = tuple(f"randn_minus_{place}" for place in range(rows))
    scales = tuple(np.geomspace(1e-4, 3, rows).round(6).tolist())
    rates = tuple(np.geomspace(3e-3, 3, columns).round(5).tolist())
    return PhaseMap("lr", rates, "init", names if worded else scales, accuracy, outcome)


def band(count, seeds=3, rows=51, outcome="learned", label="lr=0.5 init=randn_minus_half"):
    epochs = np.arange(rows)
    return [
        Band(
            f"{label} {place}", epochs,
            (0.9 - place / (2 * count)) * (1 - np.exp(-epochs / 9))[None]
            + 0.01 * np.arange(seeds)[:, None],
            outcome,
        )
        for place in range(count)
    ]  # fmt: skip


def series(count, points=4):
    x = np.geomspace(0.01, 1, points)
    found = []
    for place in range(count):
        mean = 0.9 - place / (2 * count) - 0.1 * np.abs(np.log10(x) + 1)
        seeds = [value + np.array([-0.02, 0.0, 0.02]) for value in mean]
        found.append(Series(f"init={place}", x, mean, mean - 0.015, mean + 0.015, seeds))
    return found


@pytest.mark.parametrize("size", [(2, 2, 1), (6, 3, 5), (12, 12, 3), (16, 16, 5), (1, 1, 1)])
@pytest.mark.parametrize("worded", [False, True])
def test_a_map_of_any_size_is_legible(size, worded):
    figure = phase_diagram(plane(*size, worded=worded), LONG_TITLE)
    assert_legible(figure)
    figure.canvas.draw()


def test_a_cells_colour_is_the_mean_of_its_seeds_and_its_foot_each_seed_sorted():
    accuracy = np.array([[[0.2, 0.4, 0.3], [0.9, 0.8, 1.0]]])
    outcome = np.full((1, 2, 3), "stalled")
    figure = phase_diagram(PhaseMap("lr", (0.1, 1.0), "init", (1.0,), accuracy, outcome), "map")
    axes = figure.axes[0]
    (mesh,) = [each for each in axes.collections if isinstance(each, QuadMesh)]
    foot, body = np.asarray(mesh.get_array()).reshape(2, 6)
    np.testing.assert_allclose(foot, [0.2, 0.3, 0.4, 0.8, 0.9, 1.0])
    np.testing.assert_allclose(body, [0.3] * 3 + [0.9] * 3)
    figure.canvas.draw()
    limits = Normalize(0.2, 1.0)  # the data's, to the next 0.05
    np.testing.assert_allclose(
        mesh.get_facecolors().reshape(2, 6, 4)[1, 0], MAP(limits(0.3)), atol=0.01
    )


def test_the_frame_is_around_the_best_of_each_row():
    accuracy = np.array([[[0.2], [0.9], [0.5]], [[0.8], [0.1], [0.3]]])
    outcome = np.full(accuracy.shape, "stalled")
    figure = phase_diagram(PhaseMap("lr", (1.0, 2.0, 3.0), "s", (1.0, 2.0), accuracy, outcome), "m")
    frames = {
        (int(each.get_x()), int(each.get_y()))
        for each in figure.axes[0].patches
        if isinstance(each, Rectangle) and not each.get_fill()
    }
    assert frames == {(1, 0), (0, 1)}


def test_seeds_that_agree_share_a_mark_and_others_have_their_own():
    accuracy = np.full((1, 2, 3), 0.5)
    outcome = np.array([[["dead"] * 3, ["dead", "learned", "stalled"]]])
    figure = phase_diagram(PhaseMap("lr", (0.1, 1.0), "init", (1.0,), accuracy, outcome), "map")
    marks = {line.get_gid(): len(line.get_xdata()) for line in figure.axes[0].get_lines()}
    assert marks == {"dead": 2, "learned": 1, "stalled": 1}
    assert all(text in words(figure) for text in ("4 dead", "1 learned", "1 stalled"))


def test_what_has_no_result_does_not_look_like_accuracy_0():
    accuracy = np.array([[[np.nan], [0.5]]])
    outcome = np.array([[[""], ["stalled"]]])
    figure = phase_diagram(PhaseMap("lr", (0.1, 1.0), "init", (1.0,), accuracy, outcome), "map")
    assert "no result" in words(figure)
    assert any(each.get_hatch() for each in figure.axes[0].patches)
    nothing = PhaseMap(
        "lr", (0.1,), "init", (1.0,), np.full((1, 1, 1), np.nan), np.full((1, 1, 1), "")
    )
    assert "No configuration has a result." in words(phase_diagram(nothing, "map"))


@pytest.mark.parametrize("count", [1, 3, 20, 300])
@pytest.mark.parametrize("seeds", [1, 5])
def test_learning_curves_of_any_number_are_legible(count, seeds):
    figure = learning_curves(band(count, seeds), LONG_TITLE, "val/accuracy", 0.8, count * seeds)
    assert_legible(figure)
    figure.canvas.draw()
    assert len([line for line in figure.axes[0].get_lines() if line.get_gid() == "pale"]) == max(
        0, count - 7
    )


def test_a_bands_edges_are_the_lowest_and_the_highest_seed():
    values = np.array([[0.1, 0.5, 0.3], [0.2, 0.4, 0.9], [0.15, 0.6, np.nan]])
    one = Band("he", np.arange(3), values, "learned")
    epochs, low, middle, high = one.over_seeds()
    assert epochs.tolist() == [0, 1, 2]
    np.testing.assert_allclose([low, middle, high],
                               [[0.1, 0.4, 0.3], [0.15, 0.5, 0.6], [0.2, 0.6, 0.9]])  # fmt: skip
    axes = learning_curves([one], "t", "val/accuracy", None, 3).axes[0]
    drawn = np.concatenate([path.vertices for c in axes.collections for path in c.get_paths()])
    assert {(0.0, 0.1), (0.0, 0.2), (2.0, 0.3), (2.0, 0.9)} <= {
        (float(x), round(float(y), 9)) for x, y in drawn
    }


def test_curves_that_end_early_or_are_not_there_do_not_break_the_picture():
    short = Band("short", np.arange(3), np.array([[0.1, np.nan, np.nan]]), "pruned")
    gone = Band("gone", np.arange(3), np.full((2, 3), np.nan), "diverged")
    assert_legible(learning_curves([short, gone], "t", "val/accuracy", None, 3))
    assert "No run came far enough" in words(learning_curves([gone], "t", "val/accuracy", None, 2))


@pytest.mark.parametrize("count", [1, 3, 8, 20, 100])
def test_a_metric_against_a_rate_is_legible(count):
    figure = against(series(count), LONG_TITLE, "lr", "final_val_accuracy", log_x=True)
    assert_legible(figure)
    figure.canvas.draw()


def test_a_reference_is_a_line_with_its_name():
    figure = against(series(2), "t", "lr", "test/accuracy", log_x=True, reference=(0.953, "LeCun"))
    assert "LeCun" in words(figure)
    heights = [np.unique(line.get_ydata()) for line in figure.axes[0].get_lines()]
    assert any(each.tolist() == [0.953] for each in heights)


@pytest.mark.parametrize("count", [1, 3, 8])
def test_dead_units_and_gradients_are_legible(count):
    epochs = np.arange(51)
    groups = [
        Health(
            f"lr=0.5 init=randn_minus_{place}", epochs, np.full((3, 51), place / 10),
            np.exp(-epochs / 20)[None] * np.array([[1], [2], [3]]),
            np.full((3, 51), 0.0 if place == 0 else 0.1),
        )
        for place in range(count)
    ]  # fmt: skip
    figure = health(groups, LONG_TITLE)
    assert_legible(figure)
    figure.canvas.draw()


@pytest.mark.parametrize("hidden", [1, 10, 300])
def test_the_filters_of_two_runs_are_legible_and_each_on_its_own_scale(hidden):
    rng = np.random.default_rng(0)
    best = Filters("init=he lr=0.5", 0.92, rng.normal(size=(hidden, 784)), None)
    worst = Filters("init=randn_minus_half", 0.11, 9 * rng.normal(size=(hidden, 784)), None)
    figure = extremes(best, worst, (28, 28), LONG_TITLE)
    assert_legible(figure)
    largest = np.abs(best.w1).max()
    assert f"{largest:.3g}" in words(figure)


@pytest.mark.parametrize("worded", [False, True])
def test_the_edge_of_stability_is_legible(worded):
    points = []
    for place in range(5):
        x = f"init_{place}" if worded else 10.0 ** (place - 4)
        largest = np.nan if place else 9.0
        points += [EdgePoint(x, 2.0, 1.0 + seed / 9, largest, seed) for seed in range(3)]
    figure = stability_edge(points, LONG_TITLE, "init.scale")
    assert_legible(figure)
    figure.canvas.draw()


def test_the_same_arrays_make_the_same_bytes(tmp_path):
    for name in ("one.png", "two.png"):
        save(phase_diagram(plane(6, 3, 5), "map"), tmp_path / name)
    assert (tmp_path / "one.png").read_bytes() == (tmp_path / "two.png").read_bytes()
