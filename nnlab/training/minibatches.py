"""An epoch of mini-batches: one step a batch, all runs of a stack on the same batch at once."""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from nnlab.arrays import Array
from nnlab.training import network
from nnlab.training.blas import one_thread
from nnlab.training.first_layer import BatchInput, layout_of, may_share, unpack
from nnlab.training.network import PackedParams, Params
from nnlab.training.norms import layer_norms
from nnlab.training.training_data import Batches
from nnlab.training.workspace import Workspace


class Steps(NamedTuple):
    """The result of an epoch's steps.

    Attributes
    ----------
    params : Params
        After the last step.
    grad_norms : NDArray[np.float64]
        Mean over the steps of each layer's Euclidean gradient norm, (runs, 2).
    """

    params: Params
    grad_norms: NDArray[np.float64]


def mini_batches(params: Params, lr: Array, batches: Batches, epoch: int) -> Steps:
    """Take one step a batch.

    Parameters
    ----------
    params : Params
        Not changed.
    lr : Array
        Learning rates, (runs,).
    batches : Batches
    epoch : int
        Decides the order of the samples.
    """
    runs, _, pixels = params.w1.shape
    sizes = {batches.size, len(batches.labels) % batches.size} - {0}
    with one_thread(), np.errstate(over="ignore", under="ignore", invalid="ignore"):
        batches.arithmetic.settle()
        shapes = {BatchInput.shape(size, pixels) for size in sizes}
        if may_share(params, shapes, batches.arithmetic):
            return _epoch(params, lr, batches, epoch)
        each_run = np.arange(runs).reshape(runs, 1)
        return network.stack(
            [_epoch(params.select(run), lr[run], batches, epoch) for run in each_run]
        )


def _epoch(params: Params, lr: Array, batches: Batches, epoch: int) -> Steps:
    runs, _, pixels = params.w1.shape
    dtype, arithmetic = params.w1.dtype, batches.arithmetic
    layout = layout_of(params, arithmetic)
    x = BatchInput(layout, pixels, arithmetic, Workspace())
    w1_b1 = layout.pack(params.w1, params.b1, x.shape(1, pixels)[1])
    packed = PackedParams(w1_b1, params.w2.copy(), params.b2.copy())
    lr_of_rows = np.zeros((layout.rows, 1), dtype)
    lr_of_rows[layout.index, 0] = lr[:, None]
    rates = PackedParams(lr_of_rows, lr[:, None, None], lr[:, None, None])
    norms, count = np.zeros((runs, 2)), 0
    for images, labels in batches.of_epoch(epoch):
        x.load(images)
        a1, z2 = network.forward(packed, x)
        a2, _ = network.softmax(z2, arithmetic=arithmetic)
        gradients = network.backward(packed, x, a1, network.output_error(a2, labels, x.work))
        for gradient in gradients:
            np.divide(gradient, dtype.type(labels.size), out=gradient)
        norms += layer_norms(unpack(gradients, layout, pixels), arithmetic)
        network.update(packed, gradients, rates, out=packed)
        count += 1
    params = Params(*map(np.ascontiguousarray, unpack(packed, layout, pixels)))
    return Steps(params, norms / count)
