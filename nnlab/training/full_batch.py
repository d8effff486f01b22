"""One pass over the data: every panel of blocks visited, and its results added up.

The order of summation is fixed. Each panel is computed by one thread, with one BLAS thread, and
the panels' results are added in the panels' order, however many threads there are.
"""

from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from functools import cache, partial
from threading import local
from typing import NamedTuple, TypeAlias

import numpy as np
from numpy.typing import NDArray

from nnlab.arrays import Array
from nnlab.training import network
from nnlab.training.arithmetic import Arithmetic
from nnlab.training.blas import one_thread
from nnlab.training.blocks import Block, Panel, make_panels
from nnlab.training.first_layer import PanelInput, layout_of, may_share, unpack
from nnlab.training.history import Scores
from nnlab.training.network import PackedParams, Params
from nnlab.training.row_layout import RowLayout
from nnlab.training.training_data import TrainingData
from nnlab.training.workspace import Workspace

Mapper: TypeAlias = Callable[
    [Callable[[Panel], "PanelResult"], Iterable[Panel]], Iterable["PanelResult"]
]


class PanelResult(NamedTuple):
    """What one panel contributes: sums over its samples, for each run.

    Attributes
    ----------
    loss : NDArray[np.float64]
        Cross-entropy, (runs,), in nats.
    correct : NDArray[np.int64]
        Samples that the network gets right, (runs,).
    active : NDArray[np.bool_]
        Which hidden units let any sample through, (runs, hidden).
    gradients : Params or None
        Not divided by the number of samples; None where they are not wanted.
    """

    loss: NDArray[np.float64]
    correct: NDArray[np.int64]
    active: NDArray[np.bool_]
    gradients: Params | None


def predict(params: Params, blocks: Sequence[Block]) -> Array:
    """Return the class probabilities of every sample, as one run alone has them.

    Parameters
    ----------
    params : Params
        Of a single run.
    blocks : sequence of Block

    Returns
    -------
    Array
        (classes, samples), the samples in the blocks' order.
    """
    panels, work, probs = make_panels(tuple(blocks)), Workspace(), []
    arithmetic = panels[0].arithmetic
    layout = layout_of(params, arithmetic)
    packed = PanelInput.pack(params, layout, arithmetic)
    with one_thread(), np.errstate(over="ignore", invalid="ignore"):
        for panel in panels:
            _, z2 = network.forward(packed, PanelInput(panel, layout, work))
            a2, _ = network.softmax(z2, arithmetic=arithmetic)
            probs.append(a2[0, :, : panel.samples].copy())
    return np.concatenate(probs, axis=-1)


def dead_units(params: Params, blocks: Sequence[Block]) -> NDArray[np.bool_]:
    """Tell which hidden units are inactive on all samples, (runs, hidden)."""
    panels = make_panels(tuple(blocks))
    visit = _visitor(params, panels[0].arithmetic)
    with one_thread():
        return np.asarray(~np.any([visit(panel).active for panel in panels], 0))


def full_gradient(params: Params, data: TrainingData, mapper: Mapper) -> tuple[Scores, Params]:
    """Measure, and average the gradient over all training samples."""
    visit = _visitor(params, data.arithmetic)
    train = mapper(partial(visit, with_gradients=True), data.train_panels)
    val = mapper(visit, data.val_panels)
    total = Params(*(np.zeros_like(array) for array in params))
    results = []
    for result in train:  # in the panels' order
        for whole, share in zip(total, result.gradients or (), strict=True):
            np.add(whole, share, out=whole)
        results.append(result._replace(gradients=None))
    samples = params.w1.dtype.type(sum(panel.samples for panel in data.train_panels))
    for whole in total:
        np.divide(whole, samples, out=whole)
    return _summary(results, val, data), total


def scores(params: Params, data: TrainingData, mapper: Mapper) -> Scores:
    """Measure loss, accuracy and dead units on the training and the validation samples."""
    visit = _visitor(params, data.arithmetic)
    return _summary(mapper(visit, data.train_panels), mapper(visit, data.val_panels), data)


def _visitor(params: Params, arithmetic: Arithmetic) -> Callable[..., PanelResult]:
    """Return the function that computes one panel's result; each thread gets its own buffers."""
    thread = local()

    def pack(params: Params) -> tuple[PackedParams, RowLayout]:
        layout = layout_of(params, arithmetic)
        return PanelInput.pack(params, layout, arithmetic), layout

    packed = pack(params)

    @cache
    def packed_alone() -> list[tuple[PackedParams, RowLayout]]:
        return [pack(params.select(np.array([run]))) for run in range(len(params.w1))]

    def visit(panel: Panel, *, with_gradients: bool = False) -> PanelResult:
        if not hasattr(thread, "work"):
            thread.work = Workspace()
        # NumPy's error state belongs to a thread: a diverging run overflows, and is caught later.
        with np.errstate(over="ignore", invalid="ignore"):
            arithmetic.settle()
            if may_share(params, (block.x.shape for block in panel.blocks), arithmetic):
                return _visit(*packed, panel, thread.work, with_gradients)
            return network.stack(
                [_visit(*run, panel, thread.work, with_gradients) for run in packed_alone()]
            )

    return visit


def _visit(
    params: PackedParams, layout: RowLayout, panel: Panel, work: Workspace, with_gradients: bool
) -> PanelResult:
    x = PanelInput(panel, layout, work)
    a1, z2 = network.forward(params, x)
    # A NaN is not active: fmax passes over it.
    active = np.fmax.reduce(a1[..., : panel.samples], axis=-1) > 0
    a2, losses, correct = network.evaluate(z2, panel.labels, x.arithmetic)
    loss = x.arithmetic.sum(losses).astype(np.float64)
    gradients = None
    if with_gradients:
        dz2 = network.output_error(a2, panel.labels, work)
        gradients = unpack(network.backward(params, x, a1, dz2), layout, x.pixels)
    return PanelResult(loss, correct.sum(axis=-1), active, gradients)


def _summary(
    train: Iterable[PanelResult], val: Iterable[PanelResult], data: TrainingData
) -> Scores:
    """Average over the training and over the validation samples, in the panels' order."""
    record: Scores = {}
    parts = {"train": (data.train_panels, list(train)), "val": (data.val_panels, list(val))}
    for name, (panels, results) in parts.items():
        samples = sum(panel.samples for panel in panels)
        # One panel after the other: np.sum would add a stack of one in another order.
        record[f"{name}/loss"] = sum((result.loss for result in results), np.zeros(1)) / samples
        right = sum((result.correct for result in results), np.zeros(1))
        record[f"{name}/accuracy"] = right / samples
    active = np.any([result.active for result in parts["train"][1]], axis=0)
    record["dead_fraction"] = 1 - active.mean(axis=-1)
    return record


@contextmanager
def block_mapper(threads: int) -> Iterator[Mapper]:
    """Provide a ``map`` over blocks that keeps their order, on this many threads."""
    with one_thread():
        if threads == 1:
            yield map
        else:
            with ThreadPoolExecutor(threads, thread_name_prefix="nnlab-block") as pool:
                yield pool.map
