"""The phases of training, from the losses of trials at many learning rates, and where each ends.

Gradient descent on a quadratic loss converges where the learning rate is below 2 over the largest
eigenvalue of the Hessian, and diverges above. A network's loss is quadratic only near a point.
Above that rate a training may *catapult*: its loss rises until it reaches a place of less
curvature, and then falls (Lewkowycz et al. 2020, "The large learning rate phase of deep learning:
the catapult mechanism"); or large steps switch off every hidden unit. Below that rate, the
curvature may grow during training, up to 2 over the learning rate (*progressive sharpening*); the
loss then falls over many epochs, but not at every step (Cohen et al. 2021, "Gradient descent on
neural networks typically occurs at the edge of stability"). So there are several edges: where the
loss stops falling at every step, of the first epochs or of many; where it rises above its initial
value; where it no longer settles below it. They are read off the losses, without this theory.
"""

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

Phase = Literal["stable", "catapult", "divergent", "killed"]
FAILED = ("divergent", "killed")

HORIZONS = (10, 100)  # epochs within which no step may raise the loss
EDGES = (*(f"monotone_{epochs}" for epochs in HORIZONS), "stable", "largest")
ROUNDING = 1e-5  # relative: a loss that float32 shows so much higher has not risen
SETTLED = 0.1  # share of the epochs, the last ones, in which a training must stay down


@dataclass(frozen=True)
class Course:
    """How a training went.

    Attributes
    ----------
    losses : NDArray[np.float64]
        Training loss after 0, 1, … epochs, (epochs + 1,), in nats; NaN after it diverged.
    killed_at : int or None
        The epoch from which every hidden unit is inactive; None where some are active at the end,
        and where none was at the start.
    """

    losses: NDArray[np.float64]
    killed_at: int | None = None


@dataclass(frozen=True)
class Trial:
    """Summary of one training at one learning rate.

    Attributes
    ----------
    epochs : int
        How long it trained.
    initial : float
        Loss of the untrained network, in nats.
    highest, settled : float
        Largest loss after that, and in the last tenth of the epochs; infinite where one was not
        finite.
    rises_at : int or None
        The first epoch after which the loss was higher than before; None where no step raised it.
    rising_steps : int
        Number of such epochs.
    killed_at : int or None
        See ``Course``.
    """

    lr: float
    epochs: int
    initial: float
    highest: float
    settled: float
    rises_at: int | None
    rising_steps: int
    killed_at: int | None

    @classmethod
    def of(cls, lr: float, course: Course) -> "Trial":
        """Summarise a training."""
        losses = np.where(np.isfinite(course.losses), course.losses, np.inf)
        after = losses[1:]
        last = after[-max(1, round(SETTLED * after.size)) :]
        rises = np.flatnonzero((after > losses[:-1] * (1 + ROUNDING)) | np.isinf(after))
        return cls(
            lr, after.size, float(course.losses[0]), float(after.max()), float(last.max()),
            int(rises[0]) + 1 if rises.size else None, int(rises.size), course.killed_at,
        )  # fmt: skip

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
        if self.killed_at is not None:
            return "killed"
        return "stable" if self.highest <= limit else "catapult"

    def monotone(self, horizon: int) -> bool:
        """Tell whether up to an epoch no step raised the loss, and hidden units stayed active."""
        return not self.rose(horizon) and (self.killed_at is None or self.killed_at > horizon)

    def rose(self, horizon: int | None = None) -> bool:
        """Tell whether the loss rose: at a step up to an epoch, or (None) above its first value."""
        if horizon is None:
            return self.highest > self.initial * (1 + ROUNDING)
        return self.rises_at is not None and self.rises_at <= horizon


@dataclass(frozen=True)
class Bracket:
    """An interval of learning rates in which a phase ends.

    Attributes
    ----------
    lower : float
        The highest rate that is known to be inside the phase; 0 if none is.
    upper : float
        The lowest rate above it that is known to be outside; infinite if none is.
    killed : bool
        Whether at ``upper`` the loss has not risen: the phase ends because no hidden unit is left.
    """

    lower: float
    upper: float
    killed: bool = False

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


@dataclass(frozen=True)
class Edges:
    """Where the phases of one network's training end.

    Attributes
    ----------
    stable : Bracket
        Holds the lowest rate at which the loss rises above its initial value, or every hidden
        unit is killed. Below it the loss may well rise at single steps.
    largest : Bracket
        Holds the end of all training: the highest rate at which hidden units stay active and the
        loss settles below its initial value.
    holes : int
        Number of lower rates at which that failed: the boundary is fractal (Sohl-Dickstein 2024,
        "The boundary of neural network trainability is fractal").
    monotone_10, monotone_100 : Bracket or None
        Holds the lowest rate at which a step within so many epochs raises the loss, or every
        hidden unit is killed. None where no training was as long.
    """

    stable: Bracket
    largest: Bracket
    holes: int
    monotone_10: Bracket | None = None
    monotone_100: Bracket | None = None

    @classmethod
    def of(cls, trials: Iterable[Trial]) -> "Edges":
        """Determine them from the trials of one network; its shorter ones tell of first steps."""
        trials = list(trials)
        epochs = max(trial.epochs for trial in trials)
        whole = [trial for trial in trials if trial.epochs == epochs]
        phases = {trial.lr: trial.phase for trial in whole}
        settles = max((lr for lr, phase in phases.items() if phase not in FAILED), default=0.0)
        fails = min((lr for lr in phases if lr > settles), default=math.inf)
        holes = sum(phase in FAILED for lr, phase in phases.items() if lr < settles)
        monotone = {
            f"monotone_{horizon}": _first_failure(
                [trial for trial in trials if trial.epochs >= horizon], horizon
            )
            for horizon in HORIZONS
            if horizon <= epochs
        }
        stable = _first_failure(whole, None)
        return cls(stable, Bracket(settles, fails), holes, **monotone)


def _first_failure(trials: Sequence[Trial], horizon: int | None) -> Bracket:
    """Return the interval below the lowest rate that is not monotone, or (None) not stable."""

    def holds(trial: Trial) -> bool:
        return trial.phase == "stable" if horizon is None else trial.monotone(horizon)

    failed = min((t for t in trials if not holds(t)), key=lambda t: t.lr, default=None)
    upper = math.inf if failed is None else failed.lr
    lower = max((trial.lr for trial in trials if trial.lr < upper), default=0.0)
    return Bracket(lower, upper, killed=failed is not None and not failed.rose(horizon))
