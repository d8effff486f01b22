"""Training as a pure function: ``train_segment(state, data, epochs) -> (state, history)``.

A state is a stack of runs; a long training is several segments, one after the other. A run's
weights are the same bits whether it trains alone or in any stack, in one segment or in many, with
any number of threads. That rests on four rules, kept here:

- the order of summation is fixed: each block of samples is computed by one thread, with one BLAS
  thread, and the blocks' results are added in the blocks' order;
- runs share a product only where a probe shows that it leaves their bits alone
  (:func:`nnlab.blas.stacks_exactly`);
- everything else works on each run separately;
- what is random (the order of mini-batches) is derived from a seed and the epoch, never from
  what was drawn before.
"""

from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from threading import local
from typing import NamedTuple, TypeAlias

import numpy as np
from numpy.typing import DTypeLike, NDArray

from nnlab import network
from nnlab.blas import one_thread, stacks_exactly
from nnlab.blocks import Block, make_blocks, scaled, up_to_tile
from nnlab.data import Dataset, Split, batch_order
from nnlab.network import Array, Params, Workspace

LAYERS = ("w1", "w2")
SCORES = ("train/loss", "train/accuracy", "val/loss", "val/accuracy", "dead_fraction")
STEPS = tuple(f"{what}/{layer}" for what in ("grad_norm", "update_ratio") for layer in LAYERS)
METRICS = SCORES + STEPS

Record: TypeAlias = dict[str, NDArray[np.float64]]  # metric -> (runs,)
Mapper: TypeAlias = Callable[[Callable[[Block], "Part"], Iterable[Block]], Iterable["Part"]]


@dataclass(frozen=True)
class State:
    """A stack of runs in training.

    Attributes
    ----------
    params : Params
        Of each run, as of the last epoch at which all of it was finite.
    lr : (runs,)
        Learning rates, in the parameters' dtype.
    epoch : int
        Updates by the whole training set that the runs have had.
    diverged_at : (runs,) int64
        The first epoch at which a loss or a weight was not finite; -1 for a run that is alive.
    """

    params: Params
    lr: Array
    epoch: int
    diverged_at: NDArray[np.int64]

    @classmethod
    def start(cls, params: Params, lr: Iterable[float]) -> "State":
        """Return the untrained stack."""
        rates = np.array(list(lr), params.w1.dtype)
        return cls(params, rates, 0, np.full(len(rates), -1))

    @property
    def runs(self) -> int:
        """Number of runs in the stack."""
        return len(self.lr)

    def select(self, runs: Array) -> "State":
        """Return the stack of those runs alone that a mask or an index array picks."""
        return State(self.params.select(runs), self.lr[runs], self.epoch, self.diverged_at[runs])


@dataclass(frozen=True)
class History:
    """What was measured in a segment.

    Attributes
    ----------
    epochs : (rows,) int64
        A row at epoch ``e`` describes the network after ``e`` epochs; gradient norms and update
        ratios describe the step from ``e`` to ``e + 1``.
    values : metric -> (runs, rows) float64
        NaN where nothing was measured, as after a run diverged. Losses in nats, norms Euclidean.
    """

    epochs: NDArray[np.int64]
    values: dict[str, NDArray[np.float64]]

    def then(self, later: "History") -> "History":
        """Return this history with a later one behind it."""
        return History(
            np.concatenate((self.epochs, later.epochs)),
            {name: np.hstack((self.values[name], later.values[name])) for name in METRICS},
        )


@dataclass(frozen=True)
class Batches:
    """Mini-batches: the training samples in an order of their own for every epoch.

    Attributes
    ----------
    pixels : (samples, pixels) uint8
    labels : (samples,) int64
    size : samples in a batch; the last one may be smaller
    seed : ``data.seed``, which together with the epoch decides the order
    """

    pixels: NDArray[np.uint8]
    labels: NDArray[np.int64]
    size: int
    seed: int

    def of_epoch(self, epoch: int) -> Iterator[tuple[NDArray[np.uint8], NDArray[np.int64]]]:
        """Yield ``(pixels, labels)`` batch by batch, every training sample once."""
        order = batch_order(self.seed, epoch, len(self.labels))
        for start in range(0, len(order), self.size):
            chosen = order[start : start + self.size]
            yield self.pixels[chosen], self.labels[chosen]


@dataclass(frozen=True)
class TrainingData:
    """All that training reads, prepared once per dataset, split and dtype.

    ``batches`` is None for full-batch gradient descent.
    """

    train: tuple[Block, ...]
    val: tuple[Block, ...]
    batches: Batches | None = None

    @classmethod
    def prepare(
        cls, dataset: Dataset, split: Split, dtype: DTypeLike, batch_size: int | None, seed: int
    ) -> "TrainingData":
        """Cut a dataset into blocks, and keep its rows too where there are mini-batches."""

        def blocks(members: NDArray[np.int64]) -> tuple[Block, ...]:
            return make_blocks(
                dataset.pixels[members], dataset.labels[members], dataset.image_shape, dtype
            )

        batches = None
        if batch_size is not None:
            labels = dataset.labels[split.train].astype(np.int64)
            batches = Batches(dataset.pixels[split.train], labels, batch_size, seed)
        return cls(blocks(split.train), blocks(split.val), batches)


class Part(NamedTuple):
    """What one block contributes: sums over its samples, for each run."""

    loss: NDArray[np.float64]  # (runs,), nats
    correct: NDArray[np.int64]  # (runs,)
    active: NDArray[np.bool_]  # (runs, hidden): which units let any sample through
    gradients: Params | None


def train_segment(
    state: State, data: TrainingData, epochs: int, *, threads: int = 1
) -> tuple[State, History]:
    """Train every living run of a stack for some more epochs.

    Parameters
    ----------
    state : State
        Not changed.
    data : TrainingData
    epochs : int
        Rows of the history: it begins at ``state.epoch`` and ends before the new state's epoch.
    threads : int
        Threads over blocks; the result does not depend on it.

    Returns
    -------
    State
        ``epochs`` later. A run that diverged keeps its last finite parameters.
    History
    """
    rows = np.arange(state.epoch, state.epoch + epochs)
    values = {name: np.full((state.runs, epochs), np.nan) for name in METRICS}
    params, diverged_at = state.params, state.diverged_at.copy()
    alive = np.flatnonzero(diverged_at < 0)
    living = params.select(alive)
    final = Params(*(array.copy() for array in params))

    with _mapper(threads) as mapper:
        for row, epoch in enumerate(rows):
            if alive.size == 0:
                break
            stepped, record = _epoch(living, state.lr[alive], data, int(epoch), mapper)
            for name, measured in record.items():
                values[name][alive, row] = measured

            finite_now = np.isfinite(record["train/loss"] + record["val/loss"])
            finite_next = finite_now & _finite(stepped)
            if finite_next.all():
                living = stepped
                continue
            diverged_at[alive[~finite_next]] = epoch + 1
            diverged_at[alive[~finite_now]] = epoch
            _put(final, alive[~finite_next], living.select(~finite_next))
            alive, living = alive[finite_next], stepped.select(finite_next)

    _put(final, alive, living)
    return State(final, state.lr, state.epoch + epochs, diverged_at), History(rows, values)


def measure(state: State, data: TrainingData, *, threads: int = 1) -> History:
    """Measure a stack as it stands, without training: the row at ``state.epoch``."""
    values = {name: np.full((state.runs, 1), np.nan) for name in METRICS}
    alive = np.flatnonzero(state.diverged_at < 0)
    if alive.size:
        with _mapper(threads) as mapper:
            record = _scores(state.params.select(alive), data, mapper)
        for name, measured in record.items():
            values[name][alive, 0] = measured
    return History(np.array([state.epoch]), values)


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
        return ~np.any([visit(block).active for block in blocks], axis=0)


def _epoch(
    params: Params, lr: Array, data: TrainingData, epoch: int, mapper: Mapper
) -> tuple[Params, Record]:
    """Go once through the training samples; measure the parameters as they were before."""
    if data.batches is None:
        record, gradients = _full_gradient(params, data, mapper)
        stepped = network.descend(params, gradients, lr)
        norms = {layer: _norm(getattr(gradients, layer)) for layer in LAYERS}
    else:
        record = _scores(params, data, mapper)
        stepped, norms = _mini_batches(params, lr, data.batches, epoch)

    for layer in LAYERS:
        before, after = getattr(params, layer), getattr(stepped, layer)
        with np.errstate(all="ignore"):  # a network of zeros has no ratio: NaN
            ratio = _norm(after - before) / _norm(before)
        record[f"grad_norm/{layer}"] = norms[layer]
        record[f"update_ratio/{layer}"] = ratio
    return stepped, record


def _full_gradient(params: Params, data: TrainingData, mapper: Mapper) -> tuple[Record, Params]:
    """Measure, and average the gradient over all training samples."""
    total = Params(*(np.zeros_like(array) for array in params))
    blocks = (*data.train, *data.val)
    tasks = _visitor(params, with_gradients={id(block) for block in data.train})
    parts = []
    for block, part in zip(blocks, mapper(tasks, blocks), strict=True):
        if part.gradients is not None:
            w1, b1, w2, b2 = part.gradients
            total.w1[:, :, block.columns[: block.used]] += w1[:, :, : block.used]
            for sum_, term in ((total.b1, b1), (total.w2, w2), (total.b2, b2)):
                sum_ += term
        parts.append(part._replace(gradients=None))

    samples = sum(block.samples for block in data.train)
    for array in total:
        array /= samples
    return _summary(parts, data), total


def _scores(params: Params, data: TrainingData, mapper: Mapper) -> Record:
    """Measure loss, accuracy and dead units on the training and the validation samples."""
    blocks = (*data.train, *data.val)
    return _summary(list(mapper(_visitor(params, with_gradients=set()), blocks)), data)


def _mini_batches(
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
            gradients = Params(*(array / np.asarray(samples, dtype) for array in sums))
            params = network.descend(params, gradients, lr)
            for layer in LAYERS:
                norms[layer] += _norm(getattr(gradients, layer))
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
        passed[real].any(axis=-1),
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


def _norm(array: Array) -> NDArray[np.float64]:
    """Return each run's Euclidean norm over all entries."""
    flat = array.reshape(len(array), -1).astype(np.float64)
    return np.asarray(np.sqrt(np.square(flat).sum(axis=1)))


def _finite(params: Params) -> NDArray[np.bool_]:
    """Tell which runs have only finite parameters."""
    return np.logical_and.reduce(
        [np.isfinite(array).all(axis=(1, 2)) for array in params], dtype=bool
    )


def _put(target: Params, runs: Array, source: Params) -> None:
    for into, array in zip(target, source, strict=True):
        into[runs] = array


@contextmanager
def _mapper(threads: int) -> Iterator[Mapper]:
    """Provide a ``map`` over blocks that keeps their order, on this many threads."""
    with one_thread():
        if threads == 1:
            yield map
        else:
            with ThreadPoolExecutor(threads, thread_name_prefix="nnlab-block") as pool:
                yield pool.map
