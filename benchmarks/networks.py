"""Untrained networks for the benchmarks."""

from nnlab.training.initializers import draw_params, named
from nnlab.training.network import Params, stack


def untrained(hidden: int, runs: int, dtype: str = "float32") -> Params:
    """Return a stack of runs with He's initial weights, which differ in their seeds, from 0."""
    return stack(
        [
            draw_params(named("he"), seed, pixels=784, hidden=hidden, classes=10, dtype=dtype)
            for seed in range(runs)
        ]
    )
