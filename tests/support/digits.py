"""A few real digits to train on, and untrained networks."""

from functools import cache

import numpy as np

from nnlab.data.dataset import Split
from nnlab.data.sources import load_mnist_sample
from nnlab.training.engine import State
from nnlab.training.initializers import draw_params, named
from nnlab.training.network import stack
from nnlab.training.training_data import TrainingData


@cache
def training_data(dtype="float32", batch_size=None, train=640, val=100):
    """Prepared training data: ``train`` and ``val`` images of the sample, shuffled."""
    dataset = load_mnist_sample()
    order = np.random.default_rng(0).permutation(len(dataset.labels))
    split = Split(order[:train], order[train : train + val])
    return TrainingData.prepare(dataset, split, dtype, batch_size, 0)


def rows_and_labels(data, which="train"):
    """The images of prepared data as plain rows, in the order of its blocks, and their labels."""
    rows, labels = [], []
    for block in getattr(data, which):
        full = np.zeros((block.samples, 784), block.x.dtype)
        full[:, block.columns[: block.used]] = block.x[: block.samples, : block.used]
        rows.append(full)
        labels.append(block.labels)
    return np.concatenate(rows), np.concatenate(labels)


def untrained(runs=1, hidden=10, dtype="float32", init="he", lr=None, classes=10):
    """A stack of untrained runs that differ in seed and learning rate."""
    params = [
        draw_params(
            named(init), seed, pixels=784, hidden=hidden, classes=classes, dtype=np.dtype(dtype)
        )
        for seed in range(runs)
    ]
    rates = [0.05 * (run + 1) for run in range(runs)] if lr is None else lr
    return State.start(stack(params), rates)


def assert_same_bits(one, other):
    """Check that parameters are equal to the last bit."""
    for left, right in zip(one, other, strict=True):
        np.testing.assert_array_equal(left, right)
