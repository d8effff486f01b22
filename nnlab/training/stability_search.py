"""The largest stable learning rate: what stable means, and the search for where it ends.

Gradient descent on a quadratic loss converges where the learning rate is below 2 over the largest
eigenvalue of the Hessian, and diverges above. A network's loss is quadratic only nearby. Above
that rate a training may *catapult*: its loss rises, until it has found a place of less curvature,
and then falls (Lewkowycz et al. 2020, "The large learning rate phase of deep learning: the
catapult mechanism"); or large steps switch off every hidden unit. Below that rate, the curvature
may grow as training goes on, up to 2 over the learning rate (Cohen et al. 2021, "Gradient descent
on neural networks typically occurs at the edge of stability"). So there are phases, as in
Lewkowycz et al., and two rates that part them.

The search knows nothing of the theory: it trains, and looks at the losses.
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
SMALLEST, LARGEST = 4.0**-20, 4.0**20  # beyond which nobody looks


@dataclass(frozen=True)
class Course:
    """How a training went.

    Attributes
    ----------
    losses : (epochs + 1,) float64
        Training loss after 0, 1, … epochs, in nats; NaN from where it diverged.
    killed : whether it switched off every hidden unit for good, of a network that had some
    """

    losses: NDArray[np.float64]
    killed: bool = False


Train: TypeAlias = Callable[[Sequence[tuple[int, float]]], Sequence[Course]]


@dataclass(frozen=True)
class Trial:
    """One training at one learning rate, summed up.

    Attributes
    ----------
    initial : loss of the untrained network, nats
    highest : largest loss after that; infinite where one was not finite
    settled : largest loss in the last tenth of the epochs, likewise
    killed : as in ``Course``
    """

    lr: float
    initial: float
    highest: float
    settled: float
    killed: bool

    @classmethod
    def of(cls, lr: float, course: Course) -> "Trial":
        """Sum up how a training went."""
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
           start. What is left is a constant guess, whose loss may well be below the initial one.
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
    lower : the highest rate that is known to be within; 0 if none is
    upper : the lowest one that is known to be beyond; infinite if none is
    """

    lower: float
    upper: float

    @property
    def middle(self) -> float:
        """The geometric mean of its ends."""
        return math.sqrt(self.lower) * math.sqrt(self.upper)

    @property
    def is_open(self) -> bool:
        """Whether one of its ends is not known."""
        return self.lower == 0 or math.isinf(self.upper)

    def within(self, tolerance: float) -> bool:
        """Tell whether it is as narrow as that, relative to its lower end."""
        return self.upper <= (1 + tolerance) * self.lower

    def inside(self) -> list[float]:
        """Return the rates to try next.

        Evenly on a log axis; towards an open end by factors of 4, as far as anybody looks.
        """
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
    stable : the end of the stable phase: the lowest rate at which the loss rises above its initial
        value is in here
    largest : the end of all training: the highest rate at which a network survives and its loss
        settles below its initial value is in here
    holes : number of lower rates at which that failed. The boundary is no clean line: neighbours
        differ at every scale (Sohl-Dickstein 2024, "The boundary of neural network trainability
        is fractal").
    """

    stable: Bracket
    largest: Bracket
    holes: int

    @classmethod
    def of(cls, trials: Iterable[Trial]) -> "Edges":
        """Read them off the trials of one network."""
        phases = {trial.lr: trial.phase for trial in trials}
        rises = min((lr for lr, phase in phases.items() if phase != "stable"), default=math.inf)
        settles = max((lr for lr, phase in phases.items() if phase not in FAILED), default=0.0)
        calm = max((lr for lr in phases if lr < rises), default=0.0)
        fails = min((lr for lr in phases if lr > settles), default=math.inf)
        holes = sum(phase in FAILED for lr, phase in phases.items() if lr < settles)
        return cls(Bracket(calm, rises), Bracket(settles, fails), holes)


def search(count: int, train: Train, tolerance: float) -> list[list[Trial]]:
    """Find the edges of some networks, by bisection in many sections at once.

    Each round tries ``POINTS`` rates within every interval that is still too wide, all of them
    in one call: they train as stacks.

    Parameters
    ----------
    count : of networks
    train : takes pairs of a network and a learning rate, and returns how each training went
    tolerance : relative width of an interval that is narrow enough

    Returns
    -------
    list of list of Trial
        All trials of each network, by learning rate; ``Edges.of`` reads them.
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
    """Return the rates that narrow the intervals down, each once."""
    if not trials:
        return list(FIRST)
    edges = Edges.of(trials.values())
    wide = [each for each in (edges.stable, edges.largest) if not each.within(tolerance)]
    return sorted({lr for bracket in wide for lr in bracket.inside()} - set(trials))


def judged(stable: Sequence[float], largest: Sequence[float], networks: int, holes: int) -> str:
    """Say how well 2 over the sharpness predicts the edges that were found.

    Parameters
    ----------
    stable, largest : found over predicted, of those networks of which both are known
    networks : how many there are
    holes : how many of them do not settle at some rate below the largest
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
    unknown = 2 * networks - len(stable) - len(largest)
    if unknown:
        lines.append(f"{unknown} edges were not found in the range that was searched.")
    return " ".join(lines)


def _range(values: Sequence[float]) -> str:
    return f"{min(values):.3g} to {max(values):.3g} (median {median(values):.3g})"
