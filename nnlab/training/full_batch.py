"""One pass over the data: every panel of blocks visited, and what they contribute added up.

The order of summation is fixed. Each panel is computed by one thread, with one BLAS thread, and
the panels' contributions are added in the panels' order, however many threads there are.
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
from nnlab.training.first_layer import FirstLayer
from nnlab.training.history import Scores
from nnlab.training.network import Params
from nnlab.training.training_data import TrainingData
from nnlab.training.workspace import Workspace

Mapper: TypeAlias = Callable[[Callable[[Panel], "Part"], Iterable[Panel]], Iterable["Part"]]

SAFE = 1e-24  # of a sum of squares, and its reciprocal: far from float32's limits
CACHED = 1 << 20  # bytes of a layer's activations: more calls would cost more than the cache gives


class Part(NamedTuple):
    """What one panel contributes: sums over its samples, for each run."""

    loss: NDArray[np.float64]  # (runs,), nats
    correct: NDArray[np.int64]  # (runs,)
    active: NDArray[np.bool_]  # (runs, hidden): which units let any sample through
    gradients: Params | None


def predict(params: Params, blocks: Sequence[Block]) -> Array:
    """Return the class probabilities of every sample, as one run alone has them.

    Parameters
    ----------
    params : of a single run
    blocks : of samples

    Returns
    -------
    (classes, samples)
        The samples in the blocks' order.
    """
    (classes, hidden), dtype = params.w2.shape[1:], params.w1.dtype
    layer, work, parts = FirstLayer(params), Workspace(), []
    with one_thread(), np.errstate(over="ignore", invalid="ignore"):
        for panel in make_panels(tuple(blocks)):
            a1 = work.array("a1", (1, hidden, panel.rows), dtype)
            layer.activate(layer.forward(panel, work), slice(None), a1)
            z2 = work.array("z2", (1, classes, panel.rows), dtype)
            probs, _ = network.softmax(network.output_layer(params, a1, z2))
            parts.append(probs[0, :, : panel.samples].copy())
    return np.concatenate(parts, axis=-1)


def dead_units(params: Params, blocks: Sequence[Block]) -> NDArray[np.bool_]:
    """Tell which hidden units are inactive on all samples.

    Returns
    -------
    (runs, hidden)
    """
    visit = _visitor(params, with_gradients=frozenset())
    with one_thread():
        return np.asarray(~np.any([visit(each).active for each in make_panels(tuple(blocks))], 0))


def full_gradient(params: Params, data: TrainingData, mapper: Mapper) -> tuple[Scores, Params]:
    """Measure, and average the gradient over all training samples."""
    panels = (*data.train_panels, *data.val_panels)
    visit = _visitor(params, with_gradients=frozenset(map(id, data.train_panels)))
    total = Params(*(np.zeros_like(array) for array in params))
    parts = []
    for part in mapper(visit, panels):  # in the panels' order
        if part.gradients is not None:
            for whole, share in zip(total, part.gradients, strict=True):
                np.add(whole, share, out=whole)
        parts.append(part._replace(gradients=None))
    samples = params.w1.dtype.type(sum(panel.samples for panel in data.train_panels))
    for whole in total:
        np.divide(whole, samples, out=whole)
    return _summary(parts, data), total


def scores(params: Params, data: TrainingData, mapper: Mapper) -> Scores:
    """Measure loss, accuracy and dead units on the training and the validation samples."""
    visit = _visitor(params, with_gradients=frozenset())
    return _summary(list(mapper(visit, (*data.train_panels, *data.val_panels))), data)


def _visitor(params: Params, with_gradients: frozenset[int]) -> Callable[[Panel], Part]:
    """Return the function that computes one panel's part; each thread gets its own buffers."""
    thread = local()
    stack = params, FirstLayer(params)

    @cache
    def alone() -> list[tuple[Params, FirstLayer]]:
        each = [params.select(np.array([run])) for run in range(len(params.w1))]
        return [(own, FirstLayer(own)) for own in each]

    def visit(panel: Panel) -> Part:
        if not hasattr(thread, "work"):
            thread.work = Workspace()
        gradients = id(panel) in with_gradients
        # NumPy's error state belongs to a thread: a diverging run overflows, and is caught later.
        with np.errstate(over="ignore", invalid="ignore"):
            if stack[1].exact(panel):
                return _visit(*stack, panel, thread.work, gradients=gradients)
            return _joined(
                [_visit(*own, panel, thread.work, gradients=gradients) for own in alone()]
            )

    return visit


def _visit(
    params: Params, layer: FirstLayer, panel: Panel, work: Workspace, *, gradients: bool
) -> Part:
    """Go forward block by block, through the small layers at once, and back block by block."""
    runs, hidden, _ = params.w1.shape
    classes, samples, dtype = params.w2.shape[1], panel.rows, params.w1.dtype
    z1 = layer.forward(panel, work)
    dz1 = work.array("dz1", z1.shape, dtype)
    dz1[layer.layout.filler] = 0
    y = network.one_hot(panel.labels, work.array("y", (classes, samples), dtype))
    real = np.s_[..., : panel.samples]  # the others are padding

    loss, correct = np.empty(runs), np.empty(runs, np.int64)
    active = np.empty((runs, hidden), bool)
    dw2, db2 = np.empty_like(params.w2), np.empty_like(params.b2)
    # A few runs at a time, so that what passes from call to call stays in cache.
    step = max(1, CACHED // (hidden * samples * dtype.itemsize))
    for first in range(0, runs, step):
        some = slice(first, min(runs, first + step))
        own = Params(*(array[some] for array in params))
        a1 = work.array("a1", (len(own.w2), hidden, samples), dtype)
        z2 = work.array("z2", (len(own.w2), classes, samples), dtype)
        layer.activate(z1, some, a1)
        network.output_layer(own, a1, z2)
        label_logits = z2.reshape(len(z2), -1).take(panel.flat_labels, axis=1)
        largest = z2.max(axis=1, keepdims=True)
        right = network.correct(z2[real], panel.labels, label_logits, largest[real])
        correct[some] = right.sum(axis=-1)
        probs, log_partition = network.softmax(z2, largest)
        loss[some] = network.cross_entropy(label_logits, log_partition[real]).sum(axis=-1)
        passed = np.greater(a1, 0, out=work.array("active", a1.shape, bool))
        active[some] = passed[real].any(axis=-1)
        if gradients:
            dz2 = np.subtract(probs, y, out=probs)
            dz2[..., panel.samples :] = 0
            dw2[some], db2[some] = network.output_gradients(a1, dz2)
            error = network.error_before(own, dz2, out=work.array("error", a1.shape, dtype))
            layer.put_back(error, passed, some, dz1)
    if not gradients:
        return Part(loss, correct, active, None)
    return Part(loss, correct, active, Params(*layer.backward(dz1, panel, work), dw2, db2))


def _joined(parts: Sequence[Part]) -> Part:
    """Make one part of those of single runs, for blocks at which a stack would change the bits."""
    loss, correct, active, gradients = zip(*parts, strict=True)
    sums = (
        None if gradients[0] is None else Params(*map(np.concatenate, zip(*gradients, strict=True)))
    )
    return Part(np.concatenate(loss), np.concatenate(correct), np.concatenate(active), sums)


def _summary(parts: list[Part], data: TrainingData) -> Scores:
    """Add up the parts of the training and of the validation samples, in the blocks' order."""
    record: Scores = {}
    of_train = len(data.train_panels)
    train, val = parts[:of_train], parts[of_train:]
    for name, panels, its in (("train", data.train_panels, train), ("val", data.val_panels, val)):
        samples = sum(panel.samples for panel in panels)
        # One panel after the other: np.sum would add a stack of one in another order.
        record[f"{name}/loss"] = sum((part.loss for part in its), np.zeros(1)) / samples
        record[f"{name}/accuracy"] = sum((part.correct for part in its), np.zeros(1)) / samples
    active = np.any([part.active for part in train], axis=0)
    record["dead_fraction"] = 1 - active.mean(axis=-1)
    return record


def norm(array: Array) -> NDArray[np.float64]:
    """Return each run's Euclidean norm over all entries of a (runs, rows, columns) array."""
    with np.errstate(over="ignore", under="ignore", invalid="ignore"):
        squares = np.asarray(np.vecdot(array, array), np.float64)
    # What float32 cannot square, or only roughly, is squared in float64.
    for run in np.flatnonzero(~((squares > SAFE) & (squares < 1 / SAFE)).all(axis=-1)):
        squares[run] = np.square(array[run].astype(np.float64)).sum(axis=-1)
    return np.asarray(np.sqrt(squares.sum(axis=-1)))


@contextmanager
def block_mapper(threads: int) -> Iterator[Mapper]:
    """Provide a ``map`` over blocks that keeps their order, on this many threads."""
    with one_thread():
        if threads == 1:
            yield map
        else:
            with ThreadPoolExecutor(threads, thread_name_prefix="nnlab-block") as pool:
                yield pool.map
