"""One pass over the data: every panel of blocks visited, and its results added up.

The order of summation is fixed. Each panel is computed by one thread, with one BLAS thread, and
the panels' results are added in the panels' order, however many threads there are.
"""

from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from functools import cache
from threading import local
from typing import NamedTuple, TypeAlias

import numpy as np
from numpy.typing import NDArray

from nnlab.arrays import Array
from nnlab.training import network
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
    packed, layout, work, probs = PanelInput.pack(params), layout_of(params), Workspace(), []
    with one_thread(), np.errstate(over="ignore", invalid="ignore"):
        for panel in make_panels(tuple(blocks)):
            _, z2 = network.forward(packed, PanelInput(panel, layout, work))
            a2, _ = network.softmax(z2)
            probs.append(a2[0, :, : panel.samples].copy())
    return np.concatenate(probs, axis=-1)


def dead_units(params: Params, blocks: Sequence[Block]) -> NDArray[np.bool_]:
    """Tell which hidden units are inactive on all samples, (runs, hidden)."""
    visit = _visitor(params, with_gradients=frozenset())
    with one_thread():
        return np.asarray(~np.any([visit(panel).active for panel in make_panels(tuple(blocks))], 0))


def full_gradient(params: Params, data: TrainingData, mapper: Mapper) -> tuple[Scores, Params]:
    """Measure, and average the gradient over all training samples."""
    panels = (*data.train_panels, *data.val_panels)
    visit = _visitor(params, with_gradients=frozenset(map(id, data.train_panels)))
    total = Params(*(np.zeros_like(array) for array in params))
    results = []
    for result in mapper(visit, panels):  # in the panels' order
        if result.gradients is not None:
            for whole, share in zip(total, result.gradients, strict=True):
                np.add(whole, share, out=whole)
        results.append(result._replace(gradients=None))
    samples = params.w1.dtype.type(sum(panel.samples for panel in data.train_panels))
    for whole in total:
        np.divide(whole, samples, out=whole)
    return _summary(results, data), total


def scores(params: Params, data: TrainingData, mapper: Mapper) -> Scores:
    """Measure loss, accuracy and dead units on the training and the validation samples."""
    visit = _visitor(params, with_gradients=frozenset())
    return _summary(list(mapper(visit, (*data.train_panels, *data.val_panels))), data)


def _visitor(params: Params, with_gradients: frozenset[int]) -> Callable[[Panel], PanelResult]:
    """Return the function that computes one panel's result; each thread gets its own buffers."""
    thread = local()
    packed = PanelInput.pack(params), layout_of(params)

    @cache
    def packed_alone() -> list[tuple[PackedParams, RowLayout]]:
        runs = [params.select(np.array([run])) for run in range(len(params.w1))]
        return [(PanelInput.pack(run), layout_of(run)) for run in runs]

    def visit(panel: Panel) -> PanelResult:
        if not hasattr(thread, "work"):
            thread.work = Workspace()
        gradients = id(panel) in with_gradients
        # NumPy's error state belongs to a thread: a diverging run overflows, and is caught later.
        with np.errstate(over="ignore", invalid="ignore"):
            if may_share(params, (block.x.shape for block in panel.blocks)):
                return _visit(*packed, panel, thread.work, gradients=gradients)
            return network.stack(
                [_visit(*run, panel, thread.work, gradients=gradients) for run in packed_alone()]
            )

    return visit


def _visit(
    params: PackedParams, layout: RowLayout, panel: Panel, work: Workspace, *, gradients: bool
) -> PanelResult:
    x = PanelInput(panel, layout, work)
    a1, z2 = network.forward(params, x)
    # A NaN is not active: fmax passes over it.
    active = np.fmax.reduce(a1[..., : panel.samples], axis=-1) > 0
    a2, losses, correct = network.evaluate(z2, panel.labels)
    loss = losses.sum(axis=-1).astype(np.float64)
    slopes = None
    if gradients:
        dz2 = network.output_error(a2, panel.labels, work)
        slopes = unpack(network.backward(params, x, a1, dz2), layout, x.pixels)
    return PanelResult(loss, correct.sum(axis=-1), active, slopes)


def _summary(results: list[PanelResult], data: TrainingData) -> Scores:
    """Average over the training and over the validation samples, in the panels' order."""
    record: Scores = {}
    train, val = results[: len(data.train_panels)], results[len(data.train_panels) :]
    for name, panels, part in (("train", data.train_panels, train), ("val", data.val_panels, val)):
        samples = sum(panel.samples for panel in panels)
        # One panel after the other: np.sum would add a stack of one in another order.
        record[f"{name}/loss"] = sum((each.loss for each in part), np.zeros(1)) / samples
        record[f"{name}/accuracy"] = sum((each.correct for each in part), np.zeros(1)) / samples
    active = np.any([result.active for result in train], axis=0)
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
