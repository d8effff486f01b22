"""The edges of stability, where they are known: by formula, from a paper, by plain simulation."""

import math

import numpy as np
import pytest

from nnlab.training.stability_edges import Bracket, Course, Edges, Trial
from nnlab.training.stability_search import LARGEST, SMALLEST, search

EPOCHS = 100


def quadratic(curvature, lr):
    """Losses of gradient descent on curvature · x² / 2 from x = 1: x is multiplied each time."""
    with np.errstate(over="ignore"):
        return curvature / 2 * (1 - lr * curvature) ** (2 * np.arange(EPOCHS + 1.0))


def two_layers(lr, width=20, seed=0):
    """Losses of f = u · v / √n, the model of Lewkowycz et al. 2020, section 2: loss f² / 2."""
    rng = np.random.default_rng(seed)
    u, v = rng.standard_normal((2, width))
    losses = []
    with np.errstate(over="ignore", invalid="ignore"):
        for _ in range(EPOCHS + 1):
            f = u @ v / math.sqrt(width)
            losses.append(f**2 / 2)
            u, v = u - lr * f * v / math.sqrt(width), v - lr * f * u / math.sqrt(width)
    return np.array(losses)


def two_layers_curvature(width=20, seed=0):
    """The tangent kernel λ₀ = (|u|² + |v|²) / n of that model before training."""
    u, v = np.random.default_rng(seed).standard_normal((2, width))
    return (u @ u + v @ v) / width


def edges_of(losses_at, tolerance=0.01):
    """The edges of one network whose losses a function gives."""
    (trials,) = search(
        [EPOCHS],
        lambda wanted: [Course(losses_at(lr)[: epochs + 1]) for _, lr, epochs in wanted],
        tolerance=tolerance,
    )
    return Edges.of(trials)


@pytest.mark.parametrize("curvature", [0.003, 1.0, 123.0, 3e5])
def test_on_a_quadratic_loss_both_edges_are_2_over_the_curvature(curvature):
    edges = edges_of(lambda lr: quadratic(curvature, lr))
    for bracket in (edges.stable, edges.largest):
        assert bracket.lower <= 2 / curvature <= bracket.upper
        assert bracket.upper / bracket.lower <= 1.01
    assert edges.holes == 0


@pytest.mark.parametrize("seed", range(4))
def test_the_catapult_model_rises_from_2_over_its_curvature_and_settles_up_to_about_4(seed):
    # Lewkowycz et al. 2020: eq. 6 and after: λ falls while η λ < 4; the loss grows while η λ > 2,
    # up to terms of order 1/n.
    edges = edges_of(lambda lr: two_layers(lr, seed=seed))
    curvature = two_layers_curvature(seed=seed)
    assert edges.stable.middle * curvature == pytest.approx(2, rel=0.15)
    assert edges.largest.middle * curvature == pytest.approx(4, rel=0.25)


def test_networks_that_are_searched_together_do_not_see_each_other():
    curvatures = (0.5, 2.0, 70.0)
    sizes = []

    def train(wanted):
        sizes.append(len(wanted))
        return [Course(quadratic(curvatures[of], lr)[: epochs + 1]) for of, lr, epochs in wanted]

    together = search([EPOCHS] * 3, train, tolerance=0.02)
    for curvature, trials in zip(curvatures, together, strict=True):
        (alone,) = search(
            [EPOCHS],
            lambda wanted, of=curvature: [
                Course(quadratic(of, lr)[: epochs + 1]) for _, lr, epochs in wanted
            ],
            0.02,
        )
        assert trials == alone
    assert len(sizes) <= 4  # a few rounds, of all networks each


def test_no_training_is_made_twice():
    seen = []

    def train(wanted):
        seen.extend(wanted)
        return [Course(two_layers(lr)[: epochs + 1]) for _, lr, epochs in wanted]

    search([EPOCHS], train, tolerance=0.01)
    assert len(seen) == len(set(seen))


@pytest.mark.parametrize(
    ("losses", "killed", "phase"),
    [
        ([2.0] + [1.0] * 20, False, "stable"),
        ([2.0] + [2.0] * 20, False, "stable"),  # nothing moves: a rate far too small
        ([2.0] + [2.00001] * 20, False, "stable"),  # rounding, in float32
        ([2.0] + [1.9, 1.0, 1.8] * 7, False, "stable"),  # up and down, but never above its start
        ([2.0, 9.0] + [1.0] * 19, False, "catapult"),
        ([2.0] + [1.0] * 19 + [3.0], False, "divergent"),
        ([2.0] + [1.0] * 18 + [3.0, 1.0], False, "divergent"),  # not settled at the end
        ([2.0] + [1.0] * 17 + [3.0, 1.0, 1.0], False, "catapult"),
        ([2.0, 1.0] + [math.nan] * 19, False, "divergent"),
        ([2.0] + [1.9] * 20, True, "killed"),
        ([2.0] + [2.3] * 20, True, "divergent"),
        ([2.0, 1.0], False, "stable"),
        ([2.0, 3.0], False, "divergent"),
    ],
)
def test_a_training_is_in_the_phase_that_the_rule_says(losses, killed, phase):
    assert Trial.of(0.1, Course(np.array(losses), 1 if killed else None)).phase == phase


def trials(phases):
    """Trials at learning rates 1, 2, 3, … that are in these phases."""
    shapes = {"s": ([2] + [1] * 9, None), "c": ([2] + [3] * 5 + [1] * 4, None),
              "d": ([2] + [3] * 9, None), "k": ([2] + [1] * 9, 1)}  # fmt: skip
    return [
        Trial.of(float(lr), Course(np.array(shapes[phase][0], float), shapes[phase][1]))
        for lr, phase in enumerate(phases, start=1)
    ]


@pytest.mark.parametrize(
    ("phases", "stable", "largest", "holes"),
    [
        ("sscd", (2, 3), (3, 4), 0),
        ("ssd", (2, 3), (2, 3), 0),
        ("scdcd", (1, 2), (4, 5), 1),  # the largest rate that works, and one below it does not
        ("sdsd", (1, 2), (3, 4), 1),  # the first rate that rises ends the stable phase
        ("skkcd", (1, 2, True), (4, 5), 2),  # ended by the units, not by a rise
        ("ss", (2, math.inf), (2, math.inf), 0),
        ("cd", (0, 1), (1, 2), 0),
        ("dd", (0, 1), (0, 1), 0),
    ],
)
def test_edges_are_read_off_the_phases(phases, stable, largest, holes):
    found = Edges.of(trials(phases))
    assert found == Edges(Bracket(*stable), Bracket(*largest), holes)


def sharpening(lr, after=30):
    """Losses of gradient descent on a quadratic whose curvature grows from 1.1 to 4.4."""
    x, losses = 1.0, []
    for epoch in range(EPOCHS + 1):
        curvature = 1.1 if epoch < after else 4.4
        # Continuous where the curvature changes, as a network's loss is.
        x = x / 2 if epoch == after else x
        losses.append(curvature * x * x / 2)
        x -= lr * curvature * x
    return np.array(losses)


def test_sharpening_parts_the_edge_of_the_first_epochs_from_that_of_many():
    edges = edges_of(sharpening)
    assert edges.monotone_10.lower <= 2 / 1.1 <= edges.monotone_10.upper  # 2 / the first curvature
    assert edges.monotone_100.lower <= 2 / 4.4 <= edges.monotone_100.upper  # 2 / the last one
    assert edges.monotone_10.upper / edges.monotone_10.lower <= 1.01
    assert edges.monotone_100.upper / edges.monotone_100.lower <= 1.01


def test_a_loss_may_rise_at_steps_and_never_be_above_its_initial_value():
    trial = Trial.of(0.1, Course(np.array([2.0, 1.0, 1.5, 1.2, 1.4])))
    assert (trial.phase, trial.rises_at, trial.rising_steps) == ("stable", 2, 2)
    assert trial.monotone(1)
    assert not trial.monotone(2)


def test_units_that_are_killed_end_a_phase_without_a_rise():
    def train(wanted):
        return [
            Course(1 / np.arange(1.0, epochs + 2), 20 if lr > 3 and epochs > 10 else None)
            for _, lr, epochs in wanted
        ]

    (found,) = search([EPOCHS], train, tolerance=0.01)
    edges = Edges.of(found)
    assert edges.monotone_10.is_open  # killed later
    for bracket in (edges.monotone_100, edges.stable):
        assert bracket.killed
        assert bracket.lower <= 3 < bracket.upper
    assert not any(trial.rose(None) or trial.rose(100) for trial in found)


def test_the_edge_of_the_first_epochs_is_searched_by_short_trainings():
    lengths = []

    def train(wanted):
        lengths.extend(epochs for _, _, epochs in wanted)
        return [Course(sharpening(lr)[: epochs + 1]) for _, lr, epochs in wanted]

    search([EPOCHS], train, tolerance=0.01)
    assert lengths.count(10) >= 14
    assert set(lengths) == {10, EPOCHS}


@pytest.mark.parametrize(("start", "end"), [(1.0, 0.5), (0.5, 1.0)])
def test_a_search_without_an_edge_ends_and_says_so(start, end):
    (found,) = search(
        [1], lambda wanted: [Course(np.array([start, end])) for _ in wanted], tolerance=0.01
    )
    edges = Edges.of(found)
    rates = [trial.lr for trial in found]
    assert edges.stable.is_open
    assert edges.largest.is_open
    assert min(rates) >= SMALLEST
    assert max(rates) <= LARGEST
    assert (max(rates) == LARGEST) == (end < start)
    assert (min(rates) == SMALLEST) == (end > start)
