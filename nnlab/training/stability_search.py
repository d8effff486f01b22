"""The search for the learning rates at which the phases of training end.

It trains, and looks at the losses; what theory predicts is not used.
"""

import math
from collections.abc import Callable, Mapping, Sequence
from typing import TypeAlias

import numpy as np

from nnlab.training.stability_edges import EDGES, HORIZONS, Bracket, Course, Edges, Trial

POINTS = 7  # learning rates that a round tries within an interval: it becomes 8 times narrower
FIRST = tuple(4.0**power for power in range(-5, 4))  # learning rates of the first round
SMALLEST, LARGEST = 4.0**-20, 4.0**20  # learning rates where the search ends

Train: TypeAlias = Callable[[Sequence[tuple[int, float, int]]], Sequence[Course]]


def search(epochs: Sequence[int], train: Train, tolerance: float) -> list[list[Trial]]:
    """Find the edges of networks, by dividing intervals of learning rates again and again.

    Each round tries ``POINTS`` rates within every interval that is still too wide, all of them
    in one call, so that they can train as stacks. A rate that only the first steps ask for trains
    no longer than these.

    Parameters
    ----------
    epochs : sequence of int
        How long each network trains.
    train : Train
        Takes triples of a network, a learning rate and a number of epochs, and returns how each
        training went.
    tolerance : float
        Relative width of an interval that is narrow enough.

    Returns
    -------
    list of list of Trial
        All trials of each network, by learning rate, for ``Edges.of``.
    """
    tried: list[dict[float, Trial]] = [{} for _ in epochs]
    while True:
        wanted = [
            (network, lr, length)
            for network, trials in enumerate(tried)
            for lr, length in _next_rates(trials, epochs[network], tolerance).items()
        ]
        if not wanted:
            return [[trials[lr] for lr in sorted(trials)] for trials in tried]
        for (network, lr, _), course in zip(wanted, train(wanted), strict=True):
            tried[network][lr] = Trial.of(lr, course)


def _next_rates(trials: Mapping[float, Trial], epochs: int, tolerance: float) -> dict[float, int]:
    """Return the untried rates that make the intervals narrower, and how long each trains."""
    if not trials:
        return dict.fromkeys(FIRST, epochs)
    edges = Edges.of(trials.values())
    rates: dict[float, int] = {}
    for name in EDGES:
        bracket: Bracket | None = getattr(edges, name)
        if bracket is not None and not bracket.within(tolerance):
            length = HORIZONS[0] if name == EDGES[0] else epochs
            rates.update({lr: max(length, rates.get(lr, 0)) for lr in _inside(bracket)})
    return {
        lr: length
        for lr, length in sorted(rates.items())
        if lr not in trials or trials[lr].epochs < length
    }


def _inside(bracket: Bracket) -> list[float]:
    """Return the rates to try next: evenly on a log axis, or by factors of 4 to an open end."""
    steps = 4.0 ** np.arange(1, POINTS + 1)
    if bracket.lower == 0:
        return [float(rate) for rate in bracket.upper / steps if rate >= SMALLEST]
    if math.isinf(bracket.upper):
        return [float(rate) for rate in bracket.lower * steps if rate <= LARGEST]
    return [float(rate) for rate in np.geomspace(bracket.lower, bracket.upper, POINTS + 2)[1:-1]]
