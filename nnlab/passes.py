"""One pass over the data: every block of samples visited, and what the blocks contribute added up.

The order of summation is fixed. Each block is computed by one thread, with one BLAS thread, and
the blocks' contributions are added in the blocks' order, however many threads there are.
"""

from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from threading import local
from typing import NamedTuple, TypeAlias

import numpy as np
from numpy.typing import NDArray

from nnlab import network
from nnlab.blas import one_thread, stacks_exactly
from nnlab.blocks import Block, scaled, up_to_tile
from nnlab.history import LAYERS, Record
from nnlab.network import Array, Params, Workspace
from nnlab.training_data import Batches, TrainingData

Mapper: TypeAlias = Callable[[Callable[[Block], "Part"], Iterable[Block]], Iterable["Part"]]


class Part(NamedTuple):
    """What one block contributes: sums over its samples, for each run."""

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


def dead_units(params: Params, blocks: Iterable[Block]) -> NDArray[np.bool_]:
    """Tell which hidden units are inactive on all samples.

    Returns
    -------
    (runs, hidden)
    """
    visit = _visitor(params, with_gradients=set())
    with one_thread():
        return np.asarray(~np.any([visit(block).active for block in blocks], axis=0))


def full_gradient(params: Params, data: TrainingData, mapper: Mapper) -> tuple[Record, Params]:
    """Measure, and average the gradient over all training samples."""
    total = Params(*(np.zeros_like(array) for array in params))
    blocks = (*data.train, *data.val)
    tasks = _visitor(params, with_gradients={id(block) for block in data.train})
    parts = []
    for block, part in zip(blocks, mapper(tasks, blocks), strict=True):
        if part.gradients is not None:
            w1, b1, w2, b2 = part.gradients
            total.w1[:, :, block.columns[: block.used]] += w1[:, :, : block.used]
            np.add(total.b1, b1, out=total.b1)
            np.add(total.w2, w2, out=total.w2)
            np.add(total.b2, b2, out=total.b2)
        parts.append(part._replace(gradients=None))

    samples = sum(block.samples for block in data.train)
    return _summary(parts, data), Params(*(array / array.dtype.type(samples) for array in total))


def scores(params: Params, data: TrainingData, mapper: Mapper) -> Record:
    """Measure loss, accuracy and dead units on the training and the validation samples."""
    blocks = (*data.train, *data.val)
    return _summary(list(mapper(_visitor(params, with_gradients=set()), blocks)), data)


def mini_batches(
    params: Params, lr: Array, batches: Batches, epoch: int
) -> tuple[Params, dict[str, NDArray[np.float64]]]:
    """Take one step a batch; return the mean gradient norms too."""
    runs, hidden, pixels = params.w1.shape
    dtype = params.w1.dtype
    norms = {layer: np.zeros(runs) for layer in LAYERS}
    work, count = Workspace(), 0
    with one_thread(), np.errstate(over="ignore", invalid="ignore"):
        for images, labels in batches.of_epoch(epoch):
            samples = labels.size
            x = np.zeros((up_to_tile(samples), pixels), dtype)
            x[:samples] = scaled(images, dtype)
            wide = stacks_exactly(runs, hidden, *x.shape, dtype)
            a1, z2 = network.forward(params, x.T, work, wide=wide)
            dz2, _ = network.softmax(z2)
            _subtract_one_hot(dz2, labels)
            sums, _ = network.backward(params, x.T, a1, dz2, work, wide=wide)
            gradients = Params(*(array / dtype.type(samples) for array in sums))
            params = network.descend(params, gradients, lr)
            for layer in LAYERS:
                norms[layer] += norm(getattr(gradients, layer))
            count += 1
    return params, {layer: norm / count for layer, norm in norms.items()}


def _visitor(params: Params, with_gradients: set[int]) -> Callable[[Block], Part]:
    """Return the function that computes one block's part; each thread gets its own buffers."""
    thread = local()
    runs, hidden = params.w1.shape[:2]

    def visit(block: Block) -> Part:
        if not hasattr(thread, "work"):
            thread.work = Workspace()
        wide = stacks_exactly(runs, hidden, *block.x.shape, block.x.dtype)
        # NumPy's error state belongs to a thread: a diverging run overflows, and is caught later.
        with np.errstate(over="ignore", invalid="ignore"):
            return _visit(
                _at(params, block), block, thread.work, wide, gradients=id(block) in with_gradients
            )

    return visit


def _visit(params: Params, block: Block, work: Workspace, wide: bool, *, gradients: bool) -> Part:
    x, samples = block.x.T, block.samples
    a1, z2 = network.forward(params, x, work, wide=wide)
    real = np.s_[..., :samples]
    logits = np.ascontiguousarray(z2[real])
    label_logits = network.at_label(logits, block.labels)
    correct = network.correct(logits, block.labels, label_logits)
    dz2, log_partition = network.softmax(z2)
    loss = network.cross_entropy(label_logits, log_partition[real])
    if gradients:
        _subtract_one_hot(dz2, block.labels)
        sums, passed = network.backward(params, x, a1, dz2, work, wide=wide)
    else:
        sums, passed = None, a1 > 0
    return Part(
        loss.sum(axis=-1).astype(np.float64),
        correct.sum(axis=-1),
        np.asarray(passed[real].any(axis=-1)),
        sums,
    )


def _subtract_one_hot(dz2: Array, labels: NDArray[np.int64]) -> None:
    """Turn ``A2`` into ``dZ2 = A2 − Y`` in place, and silence the columns that are padding."""
    dz2[:, labels, np.arange(labels.size)] -= 1
    dz2[..., labels.size :] = 0


def _at(params: Params, block: Block) -> Params:
    """Return the parameters with only those columns of ``W1`` that a block uses."""
    return params._replace(w1=np.take(params.w1, block.columns, axis=2))


def _summary(parts: list[Part], data: TrainingData) -> Record:
    """Add up the parts of the training and of the validation samples, in the blocks' order."""
    record: Record = {}
    train, val = parts[: len(data.train)], parts[len(data.train) :]
    for name, blocks, its in (("train", data.train, train), ("val", data.val, val)):
        samples = sum(block.samples for block in blocks)
        # One block after the other: np.sum would add a stack of one in another order.
        record[f"{name}/loss"] = sum((part.loss for part in its), np.zeros(1)) / samples
        record[f"{name}/accuracy"] = sum((part.correct for part in its), np.zeros(1)) / samples
    active = np.any([part.active for part in train], axis=0)
    record["dead_fraction"] = 1 - active.mean(axis=-1)
    return record


def norm(array: Array) -> NDArray[np.float64]:
    """Return each run's Euclidean norm over all entries."""
    flat = array.reshape(len(array), -1).astype(np.float64)
    return np.asarray(np.sqrt(np.square(flat).sum(axis=1)))


@contextmanager
def block_mapper(threads: int) -> Iterator[Mapper]:
    """Provide a ``map`` over blocks that keeps their order, on this many threads."""
    with one_thread():
        if threads == 1:
            yield map
        else:
            with ThreadPoolExecutor(threads, thread_name_prefix="nnlab-block") as pool:
                yield pool.map
