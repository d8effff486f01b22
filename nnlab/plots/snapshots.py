"""A run's snapshots: how the values of each layer are distributed, epoch by epoch."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from numpy.typing import NDArray

from nnlab.plots.style import INK, WIDTH, add_axes, format_number, in_shared_style, new_figure

NAMES = {
    "W1": "W1, weights of hidden units",
    "Z1": "Z1, hidden pre-activations",
    "W2": "W2, weights of outputs",
    "Z2": "Z2, logits",
}
MAX_TICKS = 7


@dataclass(frozen=True)
class SnapshotHistograms:
    """A run's snapshots.

    Attributes
    ----------
    epochs : sequence of int
        At which they were taken, at least one.
    edges : NDArray[np.float64]
        Between the bins, (bins - 1,), 0 among them; the first and the last bin are open.
    counts : Mapping of str to NDArray[np.int64]
        (epochs, bins) for each of ``NAMES``.
    """

    epochs: Sequence[int]
    edges: NDArray[np.float64]
    counts: Mapping[str, NDArray[np.int64]]


@in_shared_style
def snapshot_histograms(snapshots: SnapshotHistograms, title: str) -> Figure:
    """Draw the share of a layer's values in each bin, for weights and pre-activations."""
    figure, top = new_figure(
        "Weights and pre-activations over the epochs",
        title,
        "the darker, the more of the values  ·  a hidden unit is dead where nothing of its Z1 is "
        "above 0",
    )
    width, height = WIDTH / 2 - 1.1, (top - 2.0) / 2
    for place, name in enumerate(NAMES):
        row, column = divmod(place, 2)
        left = 0.85 + column * WIDTH / 2
        axes = add_axes(figure, left, 0.7 + (1 - row) * (height + 0.95), width, height)
        _draw(axes, name, snapshots)
    return figure


def _draw(axes: Axes, name: str, snapshots: SnapshotHistograms) -> None:
    counts, epochs, edges = snapshots.counts[name].T, snapshots.epochs, snapshots.edges
    share = counts / counts.sum(axis=0).clip(1)
    zero = int(np.flatnonzero(edges == 0)[0])
    above = share[zero + 1 :].sum(axis=0)
    change = f"{above[0]:.0%}" if len(epochs) == 1 else f"{above[0]:.0%} to {above[-1]:.0%}"
    axes.set_title(f"{NAMES[name]}: {change} above 0", size=12)
    used = np.flatnonzero(share.any(axis=1))
    low, high = (int(used[0]), int(used[-1])) if used.size else (0, len(edges))
    axes.grid(visible=False)
    axes.pcolormesh(
        np.arange(len(epochs) + 1), np.arange(low, high + 2), share[low : high + 1],
        cmap="Blues", vmin=0, gid="shares",
    )  # fmt: skip
    if low <= zero < high:
        axes.axhline(zero + 1, color=INK, linewidth=1)
    powers = np.log10(np.abs(edges), where=edges != 0, out=np.zeros(len(edges)))
    whole = np.flatnonzero(np.isclose(powers, powers.round()))  # 0, and the powers of ten
    ticks = whole[(whole + 1 >= low) & (whole <= high)]
    every = max(1, -(-len(ticks) // MAX_TICKS))
    ticks = ticks[(np.arange(len(ticks)) - np.searchsorted(ticks, zero)) % every == 0]
    axes.set_yticks(ticks + 1, [format_number(float(edges[tick])) for tick in ticks])
    every = -(-len(epochs) // MAX_TICKS)
    axes.set_xticks(
        np.arange(len(epochs))[::every] + 0.5, [f"{epoch:,}" for epoch in epochs[::every]]
    )
    axes.set_xlabel("epochs")
