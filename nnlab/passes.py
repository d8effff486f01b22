"""One pass over the data: every panel of blocks visited, and what they contribute added up.

The order of summation is fixed. Each panel is computed by one thread, with one BLAS thread, and
the panels' contributions are added in the panels' order, however many threads there are.
"""

from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from threading import local
from typing import NamedTuple, TypeAlias

import numpy as np
from numpy.typing import NDArray

from nnlab import network
from nnlab.blas import one_thread, rows_a_run, stacks_exactly
from nnlab.blocks import Block, Panel, make_panels
from nnlab.history import Record
from nnlab.network import Array, Params, Workspace
from nnlab.training_data import TrainingData

Mapper: TypeAlias = Callable[[Callable[[Panel], "Part"], Iterable[Panel]], Iterable["Part"]]

SAFE = 1e-24  # of a sum of squares, and its reciprocal: far from float32's limits
CACHED = 1 << 19  # bytes of a layer's activations that should stay in a core's own cache


class Part(NamedTuple):
    """What one panel contributes: sums over its samples, for each run."""

    loss: NDArray[np.float64]  # (runs,), nats
    correct: NDArray[np.int64]  # (runs,)
    active: NDArray[np.bool_]  # (runs, hidden): which units let any sample through
    gradients: Params | None


def predict(params: Params, blocks: Iterable[Block]) -> Array:
    """Return the class probabilities of every sample, block by block.

    Returns
    -------
    (runs, classes, samples)
        The samples in the blocks' order.
    """
    parts, work = [], Workspace()
    with one_thread(), np.errstate(over="ignore", invalid="ignore"):
        for block in blocks:
            x = block.x.T
            wide = stacks_exactly(*params.w1.shape[:2], *block.x.shape, block.x.dtype)
            _, z2 = network.forward(_at(params, block), x, work, wide=wide)
            parts.append(network.softmax(z2)[0][..., : block.samples].copy())
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


def full_gradient(params: Params, data: TrainingData, mapper: Mapper) -> tuple[Record, Params]:
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


def scores(params: Params, data: TrainingData, mapper: Mapper) -> Record:
    """Measure loss, accuracy and dead units on the training and the validation samples."""
    visit = _visitor(params, with_gradients=frozenset())
    return _summary(list(mapper(visit, (*data.train_panels, *data.val_panels))), data)


def _visitor(params: Params, with_gradients: frozenset[int]) -> Callable[[Panel], Part]:
    """Return the function that computes one panel's part; each thread gets its own buffers."""
    thread = local()
    runs, hidden, pixels = params.w1.shape
    rows = rows_a_run(hidden, params.w1.dtype)
    # Pixels as rows: a block picks its own as whole rows, which costs a sixth of picking columns.
    w1t = np.zeros((pixels, runs, rows), params.w1.dtype)
    w1t[:, :, :hidden] = params.w1.transpose(2, 0, 1)

    def visit(panel: Panel) -> Part:
        if not hasattr(thread, "work"):
            thread.work = Workspace()
        # NumPy's error state belongs to a thread: a diverging run overflows, and is caught later.
        with np.errstate(over="ignore", invalid="ignore"):
            return _visit(params, w1t, panel, thread.work, gradients=id(panel) in with_gradients)

    return visit


def _visit(params: Params, w1t: Array, panel: Panel, work: Workspace, *, gradients: bool) -> Part:
    """Go forward block by block, through the small layers at once, and back block by block."""
    runs, hidden, pixels = params.w1.shape
    classes, samples, dtype = params.w2.shape[1], panel.rows, params.w1.dtype
    rows = w1t.shape[2]
    z1 = work.array("z1", (runs, rows, samples), dtype)
    _multiply(w1t, panel, z1, work)

    dz1 = work.array("dz1", z1.shape, dtype)
    dz1[:, hidden:] = 0
    loss, correct = np.empty(runs), np.empty(runs, np.int64)
    active = np.empty((runs, hidden), bool)
    sums = Params(*(np.empty_like(array) for array in params)) if gradients else None
    # A few runs at a time, so that what passes from call to call stays in cache.
    step = max(1, CACHED // (hidden * samples * dtype.itemsize))
    for first in range(0, runs, step):
        some = slice(first, min(runs, first + step))
        own = Params(*(array[some] for array in params))
        a1 = z1[some, :hidden]
        z2 = work.array("z2", (len(a1), classes, samples), dtype)
        network.output_layer(own, a1, z2)
        label_logits = z2.reshape(len(z2), -1).take(panel.flat_labels, axis=1)
        largest = z2.max(axis=1, keepdims=True)
        real = np.s_[..., : panel.samples]
        correct[some] = network.correct(z2[real], panel.labels, label_logits, largest[real]).sum(
            axis=-1
        )
        dz2, log_partition = network.softmax(z2, largest)
        loss[some] = network.cross_entropy(label_logits, log_partition[real]).sum(axis=-1)
        if sums is None:
            active[some] = (a1[real] > 0).any(axis=-1)
            continue
        network.subtract_one_hot(dz2, panel.labels)
        passed = work.array("active", a1.shape, bool)
        sums.b1[some], sums.w2[some], sums.b2[some] = network.hidden_gradients(
            own, a1, dz2, dz1[some, :hidden], passed
        )
        active[some] = passed[real].any(axis=-1)
    if sums is not None:
        sums = sums._replace(w1=_multiply_back(dz1, panel, pixels, work)[:, :hidden])
    return Part(loss, correct, active, sums)


def _multiply(w1t: Array, panel: Panel, z1: Array, work: Workspace) -> None:
    """Compute ``W1 X`` over each block's own pixels, all runs in one product where bits allow."""
    runs, rows, samples = z1.shape
    flat, w1t = z1.reshape(runs * rows, samples), w1t.reshape(-1, runs * rows)
    at = 0
    for block in panel.blocks:
        own = work.array("w1t", (len(block.columns), runs * rows), z1.dtype)
        np.take(w1t, block.columns, axis=0, out=own, mode="clip")
        here = slice(at, at + len(block.x))
        for some in together(runs, rows, block.x):
            np.matmul(own[:, some].T, block.x.T, out=flat[some, here])
        at = here.stop


def _multiply_back(dz1: Array, panel: Panel, pixels: int, work: Workspace) -> Array:
    """Sum ``dZ1 Xᵀ`` over the blocks, each into the columns of its own pixels.

    Returns
    -------
    (runs, rows, pixels)
        Freshly allocated.
    """
    runs, rows, samples = dz1.shape
    flat = dz1.reshape(runs * rows, samples)
    total = np.zeros((runs * rows, pixels), dz1.dtype)
    spread = work.array("spread", total.shape, dz1.dtype)
    at = 0
    for block in panel.blocks:
        width = len(block.columns)
        own = work.array("dw1", (runs * rows, width + 1), dz1.dtype)
        own[:, width] = 0  # what a pixel without a column gets
        here = slice(at, at + len(block.x))
        for some in together(runs, rows, block.x):
            np.matmul(flat[some, here], block.x, out=own[some, :width])
        np.take(own, block.places, axis=1, out=spread, mode="clip")
        np.add(total, spread, out=total)
        at = here.stop
    return total.reshape(runs, rows, pixels)


def merged(array: Array) -> Array:
    """Merge the axes of runs and rows, without a copy."""
    return array.reshape(-1, array.shape[2])


def together(runs: int, rows: int, x: Array) -> Iterator[slice]:
    """Yield the rows that go into one product: of all runs, or of one after another."""
    if stacks_exactly(runs, rows, *x.shape, x.dtype):
        yield slice(0, runs * rows)
        return
    for first in range(0, runs * rows, rows):
        yield slice(first, first + rows)


def _at(params: Params, block: Block) -> Params:
    """Return the parameters with only those columns of ``W1`` that a block uses."""
    return params._replace(w1=np.take(params.w1, block.columns, axis=2))


def _summary(parts: list[Part], data: TrainingData) -> Record:
    """Add up the parts of the training and of the validation samples, in the blocks' order."""
    record: Record = {}
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
    """Return each run's Euclidean norm over all entries."""
    flat = array.reshape(len(array), -1)
    with np.errstate(over="ignore", under="ignore", invalid="ignore"):
        squares = np.asarray(np.vecdot(flat, flat), np.float64)
    # What float32 cannot square, or only roughly, is squared in float64.
    for run in np.flatnonzero(~((squares > SAFE) & (squares < 1 / SAFE))):
        squares[run] = np.square(flat[run].astype(np.float64)).sum()
    return np.asarray(np.sqrt(squares))


@contextmanager
def block_mapper(threads: int) -> Iterator[Mapper]:
    """Provide a ``map`` over blocks that keeps their order, on this many threads."""
    with one_thread():
        if threads == 1:
            yield map
        else:
            with ThreadPoolExecutor(threads, thread_name_prefix="nnlab-block") as pool:
                yield pool.map
