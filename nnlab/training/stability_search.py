"""The largest stable learning rate: what stable means, and the search for where it ends.

Gradient descent on a quadratic loss converges where the learning rate is below 2 over the largest
eigenvalue of the Hessian, and diverges above. A network's loss is quadratic only near a point.
Above that rate a training may *catapult*: its loss rises until it reaches a place of less
curvature, and then falls (Lewkowycz et al. 2020, "The large learning rate phase of deep learning:
the catapult mechanism"); or large steps switch off every hidden unit. Below that rate, the
curvature may grow during training, up to 2 over the learning rate (Cohen et al. 2021, "Gradient
descent on neural networks typically occurs at the edge of stability"). So there are phases, as in
Lewkowycz et al., and two learning rates at which one ends and the next begins. The search does not
use this theory: it trains, and looks at the losses.
"""

import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from statistics import median
from typing import Literal, TypeAlias

import numpy as np
from numpy.typing import NDArray

Phase = Literal["stable", "catapult", "divergent", "killed"]
FAILED = ("divergent", "killed")

EDGES = ("stable", "largest")
AGREEMENT = 0.1  # relative difference up to which the theory is said to agree
ROUNDING = 1e-5  # relative: a loss that float32 shows so much higher has not risen
SETTLED = 0.1  # share of the epochs, the last ones, in which a training must stay down
POINTS = 7  # learning rates that a round tries within an interval: it becomes 8 times narrower
FIRST = tuple(4.0**power for power in range(-5, 4))  # learning rates of the first round
SMALLEST, LARGEST = 4.0**-20, 4.0**20  # learning rates where the search ends


@dataclass(frozen=True)
class Course:
    """How a training went.

    Attributes
    ----------
    losses : NDArray[np.float64]
        Training loss after 0, 1, … epochs, (epochs + 1,), in nats; NaN after it diverged.
    killed : bool
        Whether every hidden unit is inactive at the end, and was not at the start.
    """

    losses: NDArray[np.float64]
    killed: bool = False


Train: TypeAlias = Callable[[Sequence[tuple[int, float]]], Sequence[Course]]


@dataclass(frozen=True)
class Trial:
    """Summary of one training at one learning rate.

    Attributes
    ----------
    initial : float
        Loss of the untrained network, in nats.
    highest, settled : float
        Largest loss after that, and in the last tenth of the epochs; infinite where one was not
        finite.
    """

    lr: float
    initial: float
    highest: float
    settled: float
    killed: bool

    @classmethod
    def of(cls, lr: float, course: Course) -> "Trial":
        """Summarise a training."""
        initial, after = course.losses[0], course.losses[1:]
        after = np.where(np.isfinite(after), after, np.inf)
        last = after[-max(1, round(SETTLED * after.size)) :]
        return cls(lr, float(initial), float(after.max()), float(last.max()), course.killed)

    @property
    def phase(self) -> Phase:
        """Which phase the training was in; the first rule that holds decides.

        1. ``divergent``: a loss in the last tenth of the epochs was above the initial one, or not
           finite. It may have come down later.
        2. ``killed``: at the end every hidden unit is inactive on all samples, and was not at the
           start. The network then guesses the same for all images, and its loss may well be below
           the initial one.
        3. ``catapult``: an earlier loss was above the initial one.
        4. ``stable``: none was. The loss need not fall at every step.
        """
        limit = self.initial * (1 + ROUNDING)
        if not self.settled <= limit:
            return "divergent"
        if self.killed:
            return "killed"
        return "stable" if self.highest <= limit else "catapult"


@dataclass(frozen=True)
class Bracket:
    """An interval of learning rates in which a phase ends.

    Attributes
    ----------
    lower : float
        The highest rate that is known to be inside the phase; 0 if none is.
    upper : float
        The lowest rate above it that is known to be outside; infinite if none is.
    """

    lower: float
    upper: float

    @property
    def middle(self) -> float:
        """The geometric mean of both ends."""
        return math.sqrt(self.lower) * math.sqrt(self.upper)

    @property
    def is_open(self) -> bool:
        """Whether one of the ends is not known."""
        return self.lower == 0 or math.isinf(self.upper)

    def within(self, tolerance: float) -> bool:
        """Tell whether it is no wider than ``tolerance`` times its lower end."""
        return self.upper <= (1 + tolerance) * self.lower

    def inside(self) -> list[float]:
        """Return the rates to try next: evenly on a log axis, or by factors of 4 to an open end."""
        steps = 4.0 ** np.arange(1, POINTS + 1)
        if self.lower == 0:
            return [float(rate) for rate in self.upper / steps if rate >= SMALLEST]
        if math.isinf(self.upper):
            return [float(rate) for rate in self.lower * steps if rate <= LARGEST]
        return [float(rate) for rate in np.geomspace(self.lower, self.upper, POINTS + 2)[1:-1]]


@dataclass(frozen=True)
class Edges:
    """Where the phases of one network's training end.

    Attributes
    ----------
    stable : Bracket
        Holds the end of the stable phase: the lowest rate at which the loss rises above its
        initial value.
    largest : Bracket
        Holds the end of all training: the highest rate at which hidden units stay active and the
        loss settles below its initial value.
    holes : int
        Number of lower rates at which that failed: the boundary is fractal (Sohl-Dickstein 2024,
        "The boundary of neural network trainability is fractal").
    """

    stable: Bracket
    largest: Bracket
    holes: int

    @classmethod
    def of(cls, trials: Iterable[Trial]) -> "Edges":
        """Determine them from the trials of one network."""
        phases = {trial.lr: trial.phase for trial in trials}
        rises = min((lr for lr, phase in phases.items() if phase != "stable"), default=math.inf)
        settles = max((lr for lr, phase in phases.items() if phase not in FAILED), default=0.0)
        calm = max((lr for lr in phases if lr < rises), default=0.0)
        fails = min((lr for lr in phases if lr > settles), default=math.inf)
        holes = sum(phase in FAILED for lr, phase in phases.items() if lr < settles)
        return cls(Bracket(calm, rises), Bracket(settles, fails), holes)


def search(count: int, train: Train, tolerance: float) -> list[list[Trial]]:
    """Find the edges of networks, by dividing intervals of learning rates again and again.

    Each round tries ``POINTS`` rates within every interval that is still too wide, all of them
    in one call, so that they can train as stacks.

    Parameters
    ----------
    count : int
        Of networks.
    train : Train
        Takes pairs of a network and a learning rate, and returns how each training went.
    tolerance : float
        Relative width of an interval that is narrow enough.

    Returns
    -------
    list of list of Trial
        All trials of each network, by learning rate, for ``Edges.of``.
    """
    tried: list[dict[float, Trial]] = [{} for _ in range(count)]
    while True:
        wanted = [
            (network, lr)
            for network, trials in enumerate(tried)
            for lr in _next_rates(trials, tolerance)
        ]
        if not wanted:
            return [[trials[lr] for lr in sorted(trials)] for trials in tried]
        for (network, lr), course in zip(wanted, train(wanted), strict=True):
            tried[network][lr] = Trial.of(lr, course)


def _next_rates(trials: Mapping[float, Trial], tolerance: float) -> list[float]:
    """Return the untried rates that make the intervals narrower."""
    if not trials:
        return list(FIRST)
    edges = Edges.of(trials.values())
    wide = [edge for edge in (edges.stable, edges.largest) if not edge.within(tolerance)]
    return sorted({lr for bracket in wide for lr in bracket.inside()} - set(trials))


def agreement_with_theory(
    stable: Sequence[float], largest: Sequence[float], networks: int, holes: int
) -> str:
    """Say how well 2 over the sharpness predicts the edges that were found.

    Parameters
    ----------
    stable, largest : sequence of float
        Found over predicted rate, for the networks of which both are known.
    networks, holes : int
        How many networks there are, and how many of them do not settle at some rate below the
        largest.
    """
    lines = []
    if stable:
        agree = sum(abs(ratio - 1) <= AGREEMENT for ratio in stable)
        above = sum(ratio > 1 + AGREEMENT for ratio in stable)
        below = len(stable) - agree - above
        lines.append(
            f"The loss begins to rise above its initial value at {_range(stable)} times "
            f"2/sharpness: within {AGREEMENT:.0%} of it in {agree} of {len(stable)} networks, "
            f"above in {above}, below in {below}."
        )
    if largest:
        lines.append(
            f"Up to {_range(largest)} times 2/sharpness, it still settles below its initial value."
        )
    if holes:
        lines.append(f"In {holes} of {networks} networks it does not at some lower rate.")
    if unknown := 2 * networks - len(stable) - len(largest):
        lines.append(f"{unknown} edges were not found in the range that was searched.")
    return " ".join(lines)


def _range(values: Sequence[float]) -> str:
    return f"{min(values):.3g} to {max(values):.3g} (median {median(values):.3g})"
