"""Snapshots: histograms of weights and pre-activations at some epochs, layer by layer.

They show how weights grow and why units die: a hidden unit is dead where all its pre-activations
are at most 0. They are observations: no weight changes, and a run's identity leaves them out.

The edges of the bins are fixed, so that any two snapshots can be compared: 0 and, on both sides,
1, 1.6, 2.5, 4 and 6.3 times each power of ten from 10⁻⁴ on, up to 10⁴. A bin holds its lower edge.
The first bin reaches down to -∞, and the last up to ∞.
"""

from collections.abc import Iterable
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from nnlab.arrays import Array
from nnlab.training import network
from nnlab.training.blocks import Panel
from nnlab.training.curvature import Mapper
from nnlab.training.first_layer import PanelInput, layout_of
from nnlab.training.network import Params
from nnlab.training.workspace import Workspace

QUANTITIES = ("W1", "Z1", "W2", "Z2")  # the notes' names; Z over all training samples
_POSITIVE = [float(f"{step}e{power}") for power in range(-4, 4) for step in (1, 1.6, 2.5, 4, 6.3)]
_POSITIVE += [1e4]
EDGES: NDArray[np.float64] = np.array([-edge for edge in _POSITIVE[::-1]] + [0.0] + _POSITIVE)
BINS = len(EDGES) + 1

Counts: TypeAlias = NDArray[np.int64]  # (…, quantities, bins)


def observe(params: Params, panels: Iterable[Panel], mapper: Mapper) -> Counts:
    """Count the weights and pre-activations of a stack's runs, each run alone.

    Parameters
    ----------
    params : Params
        Not changed.
    panels : iterable of Panel
        The training samples.
    mapper : callable
        A ``map`` over panels that keeps their order.

    Returns
    -------
    Counts
        (runs, quantities, bins). What is not a number is in no bin.
    """
    panels = tuple(panels)
    runs = [params.select(np.array([run])) for run in range(len(params.w1))]
    return np.stack([_observe_run(run, panels, mapper) for run in runs])


def _observe_run(params: Params, panels: tuple[Panel, ...], mapper: Mapper) -> Counts:
    arithmetic = panels[0].arithmetic
    layout = layout_of(params, arithmetic)
    packed = PanelInput.pack(params, layout, arithmetic)

    def visit(panel: Panel) -> tuple[Counts, Counts]:
        x = PanelInput(panel, layout, Workspace())
        with np.errstate(over="ignore", invalid="ignore"):
            z1 = _counts(x.forward(packed)[..., : panel.samples])
            _, z2 = network.forward(packed, x)
        return z1, _counts(z2[..., : panel.samples])

    z1, z2 = np.sum(list(mapper(visit, panels)), axis=0)
    return np.array([_counts(params.w1), z1, _counts(params.w2), z2])


def _counts(values: Array) -> Counts:
    return np.histogram(values, np.concatenate(([-np.inf], EDGES, [np.inf])))[0]
