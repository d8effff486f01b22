"""The edges of stability, where they are known: by formula, from a paper, by plain simulation."""

import math

import numpy as np
import pytest

from nnlab.training.stability_search import LARGEST, SMALLEST, Bracket, Course, Edges, Trial, search

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
        1, lambda wanted: [Course(losses_at(lr)) for _, lr in wanted], tolerance=tolerance
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
        return [Course(quadratic(curvatures[network], lr)) for network, lr in wanted]

    together = search(3, train, tolerance=0.02)
    for curvature, trials in zip(curvatures, together, strict=True):
        (alone,) = search(
            1, lambda wanted, of=curvature: [Course(quadratic(of, lr)) for _, lr in wanted], 0.02
        )
        assert trials == alone
    assert len(sizes) <= 4  # a few rounds, of all networks each


def test_no_learning_rate_is_tried_twice():
    seen = []

    def train(wanted):
        seen.extend(wanted)
        return [Course(two_layers(lr)) for _, lr in wanted]

    search(1, train, tolerance=0.01)
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
    assert Trial.of(0.1, Course(np.array(losses), killed)).phase == phase


def trials(phases):
    """Trials at learning rates 1, 2, 3, … that are in these phases."""
    shapes = {"s": ([2, 1, 1], False), "c": ([2] + [3] * 5 + [1] * 5, False), "d": ([2, 3], False),
              "k": ([2, 1], True)}  # fmt: skip
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
        ("skkcd", (1, 2), (4, 5), 2),
        ("ss", (2, math.inf), (2, math.inf), 0),
        ("cd", (0, 1), (1, 2), 0),
        ("dd", (0, 1), (0, 1), 0),
    ],
)
def test_edges_are_read_off_the_phases(phases, stable, largest, holes):
    found = Edges.of(trials(phases))
    assert found == Edges(Bracket(*map(float, stable)), Bracket(*map(float, largest)), holes)


@pytest.mark.parametrize(("start", "end"), [(1.0, 0.5), (0.5, 1.0)])
def test_a_search_without_an_edge_ends_and_says_so(start, end):
    (found,) = search(
        1, lambda wanted: [Course(np.array([start, end])) for _ in wanted], tolerance=0.01
    )
    edges = Edges.of(found)
    rates = [trial.lr for trial in found]
    assert edges.stable.is_open
    assert edges.largest.is_open
    assert min(rates) >= SMALLEST
    assert max(rates) <= LARGEST
    assert (max(rates) == LARGEST) == (end < start)
    assert (min(rates) == SMALLEST) == (end > start)
