"""The figures of a run: what they draw is what was measured, and all of it is legible."""

import threading
from dataclasses import replace
from pathlib import Path

import matplotlib as mpl
import numpy as np
import pytest
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from support.commands import python
from support.legible import assert_legible, words

from nnlab.arrays import Array
from nnlab.plots.confusion import confusion_matrix
from nnlab.plots.filters import MAX_FILTERS, unit_filters
from nnlab.plots.labels import spread_apart
from nnlab.plots.mistakes import MAX_MISTAKES, Mistakes, mistake_images, most_confident
from nnlab.plots.names import RUN_FIGURES
from nnlab.plots.run_curves import run_curves
from nnlab.plots.run_figures import RunFigureData, run_figure
from nnlab.plots.snapshots import SnapshotHistograms, snapshot_histograms
from nnlab.plots.style import DPI, save

LONG_TITLE = "init=randn_minus_half,init.bias=same,lr=0.0625,hidden_size=300,data.seed=12345 " * 3
SERIES = (
    "train/loss",
    "val/loss",
    "train/accuracy",
    "val/accuracy",
    "grad_norm/w1",
    "grad_norm/w2",
    "update_ratio/w1",
    "update_ratio/w2",
    "dead_fraction",
)


def learned(rows: int) -> dict[str, Array]:
    rng = np.random.default_rng(0)
    t = np.linspace(0, 1, rows)
    noisy = {key: np.exp(-4 * t) * rng.uniform(0.8, 1.2, rows) for key in SERIES}
    rising = {key: 1 - 0.9 * noisy[key].clip(0, 1) for key in ("train/accuracy", "val/accuracy")}
    return {"epoch": np.arange(rows), **noisy, **rising, "dead_fraction": np.full(rows, 0.1)}


def dead(rows: int) -> dict[str, Array]:
    flat = {"train/loss": 2.3026, "val/loss": 2.3026, "dead_fraction": 1.0}
    chance = {"train/accuracy": 0.1, "val/accuracy": 0.1}
    values = dict.fromkeys(SERIES, 0.0) | flat | chance
    return {"epoch": np.arange(rows)} | {key: np.full(rows, v) for key, v in values.items()}


def diverged(tail: float) -> dict[str, Array]:
    exploding = np.array([2.5, 40.0, 1e8, 1e30, 1e305, tail, tail, tail])
    history = dict.fromkeys(SERIES, exploding)
    chance = dict.fromkeys(("train/accuracy", "val/accuracy", "dead_fraction"), np.full(8, 0.1))
    return {"epoch": np.arange(8), **history, **chance}


HISTORIES = {
    "no epoch trained": learned(1),
    "2 rows": learned(2),
    "501 rows": learned(501),
    "50,001 rows": learned(50_001),
    "dead": dead(51),
    "dead at once": dead(1),
    "diverged to infinity": diverged(np.inf),
    "diverged to nan": diverged(np.nan),
    "nothing finite": {"epoch": np.arange(30)} | dict.fromkeys(SERIES, np.full(30, np.nan)),
    "infinite from the start": {"epoch": np.arange(1)} | dict.fromkeys(SERIES, np.array([np.inf])),
    "from one extreme to the other": {"epoch": np.arange(2)}
    | dict.fromkeys(SERIES[:2], np.array([5e-324, 1.7e308])),
    "loss alone": {"epoch": np.arange(4), "val/loss": np.array([3.0, 2.0, 0.0, 0.0])},
    "epochs only": {"epoch": np.arange(4)},
    "nothing": {},
}


def one_class_only(classes: int) -> Array:
    counts = np.zeros((classes, classes), int)
    counts[:, -1] = 1000
    return counts


def learned_counts(classes: int) -> Array:
    rng = np.random.default_rng(1)
    return rng.poisson(3, (classes, classes)) + np.diag(np.full(classes, 4000))


def panel(figure: Figure, title: str) -> Axes:
    return next(axes for axes in figure.axes if axes.get_title("left") == title)


# --- curves


@pytest.mark.parametrize("name", HISTORIES)
def test_curves_of_any_history_are_legible_and_draw_without_a_warning(name: str) -> None:
    figure = run_curves(HISTORIES[name], LONG_TITLE, 0.8)
    assert_legible(figure)
    figure.canvas.draw()  # the layout alone doesn't touch the lines


@pytest.mark.parametrize("title", ["", "$lr$ = 50 \\% of _what_", "x" * 500, "two\nlines"])
def test_a_title_is_taken_literally_and_stays_on_the_page(title: str) -> None:
    figure = run_curves(learned(3), title, None)
    assert_legible(figure)
    assert title.split("\n", maxsplit=1)[0][:40] in words(figure)


@pytest.mark.parametrize("name", ["2 rows", "501 rows", "dead", "diverged to nan"])
def test_the_drawn_lines_are_the_history(name: str) -> None:
    history = HISTORIES[name]
    figure = run_curves(history, "run", 0.8)
    for title, keys in {
        "loss (nats)": ["train/loss", "val/loss"],
        "accuracy": ["train/accuracy", "val/accuracy"],
        "gradient norm": ["grad_norm/w1", "grad_norm/w2"],
        "update / weight norm": ["update_ratio/w1", "update_ratio/w2"],
        "dead hidden units": ["dead_fraction"],
    }.items():
        lines = panel(figure, title).lines
        for key, line in zip(keys, lines, strict=False):
            rows = len(line.get_xdata())
            np.testing.assert_array_equal(line.get_xdata(), history["epoch"][:rows])
            np.testing.assert_array_equal(line.get_ydata(), history[key][:rows])
            assert not np.isfinite(history["train/loss"][rows:]).any()


def test_the_curves_name_each_series_with_its_last_value() -> None:
    history = learned(3) | {"val/loss": np.array([2.0, 1.0, 0.25]), "dead_fraction": np.zeros(3)}
    history["val/accuracy"] = np.array([0.1, 0.85, 0.912])
    text = words(run_curves(history, "run", 0.8))
    for label in ("validation 0.25", "validation 0.912", "dead 0%", "target 0.8"):
        assert label in text
    assert "validation accuracy 0.8 reached at epoch 1" in text
    assert "never reached" in words(run_curves(history, "run", 0.95))


def test_a_single_epoch_row_is_drawn_as_points_at_an_integer_epoch() -> None:
    axes = panel(run_curves(learned(1), "run", None), "loss (nats)")
    line = axes.lines[0]
    assert line.get_marker() == "o"
    assert line.get_markevery() is None
    ticks = [tick for tick in axes.get_xticks() if -0.5 <= tick <= 0.5]
    assert ticks == [0]


@pytest.mark.parametrize("tail", [np.nan, np.inf])
def test_a_diverged_run_tells_when_and_its_last_finite_loss_has_a_marker(tail: float) -> None:
    figure = run_curves(diverged(tail), "run", None)
    assert "loss not finite from epoch 5" in words(figure)
    assert f"train {tail:g}" in words(figure)
    long = {key: np.concatenate([v, np.full(92, tail)]) for key, v in diverged(tail).items()}
    long["epoch"] = np.arange(100)
    long |= {"val/accuracy": np.full(100, 0.1)}  # goes on, so the curves keep their length
    line = panel(run_curves(long, "run", None), "loss (nats)").lines[0]
    assert line.get_markevery() == [4]


@pytest.mark.parametrize(
    ("losses", "scale"),
    [([2.3, 0.4], "linear"), ([2.3, 0.2], "log"), ([2.3, 0.0], "linear"), ([9e29, 1e30], "log")],
)
def test_the_loss_is_logarithmic_when_it_spans_more_than_a_decade(
    losses: list[float], scale: str
) -> None:
    history = {"epoch": np.arange(2), "train/loss": np.array(losses)}
    assert panel(run_curves(history, "run", None), "loss (nats)").get_yscale() == scale


def test_a_gradient_that_dies_leaves_through_the_floor_of_its_log_axis() -> None:
    history = learned(9)
    history["grad_norm/w1"] = np.array([3.0, 1.0, 0.5, 0, 0, 0, 0, 0, 0])
    figure = run_curves(history, "run", None)
    axes = panel(figure, "gradient norm")
    assert axes.get_yscale() == "log"
    assert axes.get_ylim()[0] > 0
    assert "W1 0" in [text.get_text() for text in axes.texts]


def test_panels_of_missing_series_leave_their_place_to_the_others() -> None:
    figure = run_curves(HISTORIES["loss alone"], "run", 0.8)
    assert len(figure.axes) == 1
    assert "no epoch was recorded" in words(run_curves({}, "run", 0.8))


def test_labels_move_apart_no_more_than_needed() -> None:
    np.testing.assert_allclose(spread_apart([0.5, 0.5, 0.5], 0.1), [0.4, 0.5, 0.6])
    np.testing.assert_allclose(spread_apart([0.9, 0.1], 0.1), [0.9, 0.1])
    np.testing.assert_allclose(spread_apart([0.0, 0.08, 1.0], 0.1), [-0.01, 0.09, 1.0])


# --- confusion


@pytest.mark.parametrize(
    ("classes", "kind"),
    [
        *[(classes, "learned") for classes in (1, 2, 10, 12, 20, 24, 47)],
        (10, "one class only"),
        (2, "no samples"),
        (24, "some rows empty"),
        (47, "some rows empty"),
    ],
)
def test_a_confusion_matrix_of_any_size_is_legible(classes: int, kind: str) -> None:
    counts = {
        "learned": learned_counts(classes),
        "one class only": one_class_only(classes),
        "no samples": np.zeros((classes, classes), int),
        "some rows empty": learned_counts(classes) * (np.arange(classes) % 3 > 0)[:, None],
    }[kind]
    assert_legible(confusion_matrix(counts, LONG_TITLE))


def test_the_confusion_matrix_writes_its_counts_and_the_recall_of_each_class() -> None:
    figure = confusion_matrix(np.array([[45, 5], [2, 8]]), "run")
    matrix, recall, _ = figure.axes
    cells = {text.get_position(): text.get_text() for text in matrix.texts}
    assert cells == {(0, 0): "45", (1, 0): "5", (0, 1): "2", (1, 1): "8"}  # x is the prediction
    assert [text.get_text() for text in recall.texts] == ["0.90", "0.80"]
    assert "accuracy 0.883 on 60 samples" in words(figure)
    assert (matrix.get_xlabel(), matrix.get_ylabel()) == ("predicted", "truth")


def test_the_colours_of_errors_span_the_errors_alone() -> None:
    counts = np.array([[990, 10, 0], [5, 995, 0], [0, 0, 1000]])
    hits, errors = confusion_matrix(counts, "run").axes[0].images
    assert errors.get_clim() == (0, 0.01)
    assert hits.get_clim() == (0, 1)
    drawn = np.ma.filled(np.ma.asarray(errors.get_array()), np.nan)
    wanted = [[np.nan, 0.01, np.nan], [0.005, np.nan, np.nan], [np.nan] * 3]
    np.testing.assert_allclose(drawn, wanted)


def test_a_class_without_samples_has_no_recall() -> None:
    figure = confusion_matrix(np.array([[3, 1], [0, 0]]), "run")
    assert [text.get_text() for text in figure.axes[1].texts] == ["0.75", "none"]
    assert "grey: no samples" in words(figure)


def test_cells_hold_large_counts_in_four_characters() -> None:
    figure = confusion_matrix(np.array([[6_400_000, 12_345], [9_999, 1]]), "run")
    assert [text.get_text() for text in figure.axes[0].texts] == ["6M", "12k", "9999", "1"]


# --- filters


@pytest.mark.parametrize(
    ("hidden", "shape"),
    [
        (1, (28, 28)),
        (10, (28, 28)),
        (300, (28, 28)),
        (1, (1, 784)),
        (300, (1, 784)),
        (10, (784, 1)),
        (300, (784, 1)),
        (7, (8, 5)),
    ],
)
def test_filters_of_any_number_and_shape_are_legible_and_stay_on_the_page(
    hidden: int, shape: tuple[int, int]
) -> None:
    rng = np.random.default_rng(2)
    w1 = rng.standard_normal((hidden, shape[0] * shape[1]))
    figure = unit_filters(w1, shape, LONG_TITLE, np.ones(hidden, bool))
    assert_legible(figure)
    assert len(figure.axes[0].images) == min(hidden, MAX_FILTERS)
    for image in figure.axes[0].images:
        extent = image.get_window_extent()
        assert extent.x0 >= 0
        assert extent.y0 >= 0
        assert min(extent.width, extent.height) > 5


def test_each_filter_is_its_units_weights_on_one_symmetric_scale() -> None:
    w1 = np.random.default_rng(3).standard_normal((5, 12)).astype(np.float32)
    axes = unit_filters(w1, (3, 4), "run").axes[0]
    for weights, image in zip(w1, axes.images, strict=True):
        np.testing.assert_array_equal(image.get_array(), weights.reshape(3, 4))
        assert image.get_clim() == (-np.abs(w1).max(), np.abs(w1).max())


def test_of_many_units_those_of_largest_norm_are_shown_and_the_picture_says_so() -> None:
    w1 = np.tile(np.linspace(1, 2, 100)[:, None], (1, 4))
    figure = unit_filters(w1, (2, 2), "run")
    numbers = [text.get_text() for text in figure.axes[0].texts]
    assert numbers == [str(unit) for unit in range(100 - MAX_FILTERS, 100)]
    assert f"the {MAX_FILTERS} of 100 hidden units of largest norm" in words(figure)


def test_dead_units_are_crossed_out() -> None:
    w1 = np.ones((3, 4))
    figure = unit_filters(w1, (2, 2), "run", np.array([False, True, False]))
    assert len(figure.axes[0].lines) == 2
    assert "1 of 3 dead (crossed out)" in words(figure)
    assert "dead" not in words(unit_filters(w1, (2, 2), "run", np.zeros(3, bool)))


def test_one_unit_that_dwarfs_the_others_does_not_blank_them() -> None:
    w1 = np.array([[1.0, -1.0], [1e3, 0.0], [0.5, -2.0]])
    figure = unit_filters(w1, (1, 2), "run")
    drawn = [np.asarray(image.get_array()).ravel().tolist() for image in figure.axes[0].images]
    assert drawn == [[1, -1], [1, 0], [0.25, -1]]
    assert "weight / the unit's largest" in words(figure)


@pytest.mark.parametrize("value", [0.0, np.nan, np.inf, 1e300, 1e-300])
def test_extreme_weights_draw_without_a_warning(value: float, tmp_path: Path) -> None:
    w1 = np.full((4, 4), value)
    save(unit_filters(w1, (2, 2), "run"), tmp_path / "all.png")
    w1[1:] = [[1.0, -1.0, 0.5, 0.0]]
    figure = unit_filters(w1, (2, 2), "run")
    save(figure, tmp_path / "one.png")
    assert ("1 not finite (grey)" in words(figure)) == (not np.isfinite(value))


# --- mistakes


def test_the_most_confident_mistakes_come_first_and_ties_stay_in_order() -> None:
    probs = np.array([[0.9, 0.6, 0.2, 0.7, 0.1, 0.6], [0.1, 0.4, 0.8, 0.3, 0.9, 0.4]])
    labels = np.array([0, 1, 0, 1, 1, 1])  # wrong: 1 (0.6), 2 (0.8), 3 (0.7), 5 (0.6)
    assert most_confident(probs, labels, 24).tolist() == [2, 3, 1, 5]
    assert most_confident(probs, labels, 2).tolist() == [2, 3]
    assert most_confident(probs, probs.argmax(axis=0), 24).tolist() == []


def test_probabilities_that_are_not_numbers_come_last() -> None:
    probs = np.array([[np.nan, 0.3, 0.9], [np.nan, 0.7, 0.1]])
    assert most_confident(probs, np.array([1, 0, 1]), 24).tolist() == [2, 1, 0]


def test_the_selected_mistakes_carry_what_the_network_said() -> None:
    probs = np.array([[0.6, 0.2, 0.1], [0.3, 0.7, 0.1], [0.1, 0.1, 0.8]])
    pixels = np.arange(12, dtype=np.uint8).reshape(3, 4)
    chosen = Mistakes.select(probs, np.array([1, 1, 0]), pixels)
    assert chosen.pixels.tolist() == [[8, 9, 10, 11], [0, 1, 2, 3]]
    assert chosen.truth.tolist() == [0, 1]
    assert chosen.predicted.tolist() == [2, 0]
    assert chosen.probability.tolist() == [0.8, 0.6]


@pytest.mark.parametrize(
    ("n", "label", "shape"),
    [
        (0, 4, (28, 28)),
        (1, 4, (28, 28)),
        (24, 4, (28, 28)),
        (30, 46, (28, 28)),
        (24, 46, (1, 784)),
        (5, 4, (784, 1)),
    ],
)
def test_any_number_of_mistakes_is_legible(n: int, label: int, shape: tuple[int, int]) -> None:
    pixels = np.random.default_rng(4).integers(0, 256, (n, 784), dtype=np.uint8)
    labels = np.full(n, label)
    wrong = Mistakes(pixels, labels, labels + 1, np.full(n, 0.987))
    figure = mistake_images(wrong, shape, LONG_TITLE)
    assert_legible(figure)
    assert words(figure).count(f"{label} → {label + 1} (0.99)") == min(n, MAX_MISTAKES)
    for axes in figure.axes:
        for image, wanted in zip(axes.images, pixels, strict=False):
            np.testing.assert_array_equal(image.get_array(), wanted.reshape(shape))


def test_no_mistakes_are_a_sentence_and_not_a_blank_page() -> None:
    none = np.empty(0, int)
    figure = mistake_images(Mistakes(np.empty((0, 784)), none, none, none), (28, 28), "run")
    assert "no mistakes on the validation images" in words(figure)


# --- files


def run_data() -> RunFigureData:
    rng = np.random.default_rng(5)
    probs = rng.dirichlet(np.ones(10), 50).T
    labels = rng.integers(0, 10, 50)
    pixels = rng.integers(0, 256, (50, 784), dtype=np.uint8)
    return RunFigureData(
        title="run",
        history=learned(20),
        target=0.8,
        confusion_counts=learned_counts(10),
        w1=rng.standard_normal((10, 784)),
        image_shape=(28, 28),
        mistakes=Mistakes.select(probs, labels, pixels),
        dead=np.arange(10) == 3,
    )


@pytest.mark.parametrize("name", RUN_FIGURES)
def test_the_same_run_makes_the_same_bytes_whatever_the_users_matplotlib_settings(
    tmp_path: Path, name: str
) -> None:
    first, second = tmp_path / "first.png", tmp_path / "second.png"
    save(run_figure(name, run_data()), first)
    with mpl.rc_context({"font.size": 30, "axes.facecolor": "black", "lines.linewidth": 9}):
        save(run_figure(name, run_data()), second)
    assert first.read_bytes() == second.read_bytes()


def test_a_name_that_no_figure_of_a_run_has_is_refused_with_those_that_there_are() -> None:
    with pytest.raises(ValueError, match=r"weights: expected one of curves, confusion, filters, m"):
        run_figure("weights", run_data())


def test_the_names_of_a_runs_figures_are_known_without_matplotlib() -> None:
    code = "import sys, nnlab.plots.names; sys.exit('matplotlib' in sys.modules)"
    python("-c", code, check=True)


def test_a_picture_carries_neither_date_nor_software(tmp_path: Path) -> None:
    save(run_curves(learned(3), "run", None), tmp_path / "curves.png")
    data = (tmp_path / "curves.png").read_bytes()
    assert data.startswith(b"\x89PNG")
    for chunk in (b"tEXt", b"iTXt", b"tIME"):
        assert chunk not in data
    assert int.from_bytes(data[16:20], "big") == 12.8 * DPI


def test_threads_that_draw_at_once_make_the_same_bytes_and_leave_no_setting_behind(
    tmp_path: Path,
) -> None:
    before = dict(mpl.rcParams)
    paths = [tmp_path / f"{name}.png" for name in "abc"]

    def draw(path: Path) -> None:
        save(run_curves(learned(20), "run", 0.8), path)

    threads = [threading.Thread(target=draw, args=(path,)) for path in paths]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len({path.read_bytes() for path in paths}) == 1
    assert dict(mpl.rcParams) == before


def test_nothing_is_drawn_through_pyplot() -> None:
    code = "import sys, nnlab.plots.run_figures; sys.exit('matplotlib.pyplot' in sys.modules)"
    python("-c", code, check=True)


def test_a_step_that_was_not_taken_leaves_the_label_of_the_last_one():
    history = {
        "epoch": np.arange(3),
        "train/loss": np.array([3.0, 2.0, 1.0]),
        "grad_norm/w1": np.array([0.5, 0.25, np.nan]),
    }
    texts = [
        text.get_text() for axes in run_curves(history, "run", None).axes for text in axes.texts
    ]
    assert any("0.25" in text for text in texts)
    assert not any("nan" in text for text in texts)


def test_the_sharpness_is_drawn_where_it_was_measured_with_2_over_the_learning_rate():
    history = learned(30)
    epochs = history["epoch"].size
    values = np.full(epochs, np.nan)
    values[::10] = np.linspace(1, 9, values[::10].size)
    history = {**history, "sharpness": values, "gradient_alignment": values / 10}
    figure = run_curves(history, LONG_TITLE, 0.8, 0.5)
    assert_legible(figure)
    axes = panel(figure, "sharpness (largest eigenvalue of the Hessian)")
    np.testing.assert_array_equal(axes.lines[0].get_xdata(), history["epoch"][::10])
    np.testing.assert_array_equal(axes.lines[0].get_ydata(), values[::10])
    (edge,) = (line for line in axes.lines if line.get_gid() == "edge")
    assert edge.get_ydata() == [4, 4]
    assert axes.get_ylim()[1] > 4
    assert "2 / lr 4" in words(figure)


def test_letters_that_no_font_has_are_escaped_and_none_is_drawn_as_a_box(tmp_path: Path) -> None:
    figure = run_figure("curves", replace(run_data(), title="名 ü × 𐎀"))
    save(figure, tmp_path / "figure.png")  # a missing letter is a warning, and so an error
    assert r"ü × \U00010380" in words(figure)


def some_snapshots() -> SnapshotHistograms:
    rng = np.random.default_rng(0)
    positive = [float(f"1e{power}") for power in range(-4, 5)]
    edges = np.array([-edge for edge in positive[::-1]] + [0.0] + positive)
    weights = rng.integers(0, 50, (20, len(edges) + 1))
    dying = weights.copy()
    dying[-1, edges.searchsorted(0) + 1 :] = 0
    counts = {"W1": weights, "Z1": dying, "W2": weights, "Z2": weights}
    return SnapshotHistograms([0, *(2**place for place in range(19))], edges, counts)


def test_snapshots_show_the_share_of_each_bin_and_what_is_above_0() -> None:
    snapshots = some_snapshots()
    figure = snapshot_histograms(snapshots, "run")
    assert_legible(figure)
    for axes, (name, counts) in zip(figure.axes, snapshots.counts.items(), strict=True):
        (mesh,) = axes.collections
        share = counts / counts.sum(axis=1, keepdims=True)
        np.testing.assert_allclose(np.asarray(mesh.get_array()), share.T)
        above = share[:, 10:].sum(axis=1)  # behind 9 edges below 0, and 0 itself
        assert f"{name}, " in axes.get_title(loc="left")
        assert f"{above[0]:.0%} to {above[-1]:.0%} above 0" in axes.get_title(loc="left")
        assert [label.get_text() for label in axes.get_yticklabels()][2:5] == ["-0.01", "0", "0.01"]
    assert "to 0% above 0" in figure.axes[1].get_title(loc="left")
