"""An epoch of mini-batches: one step a batch, all runs of a stack on the same batch at once."""

import numpy as np
from numpy.typing import NDArray

from nnlab.arrays import Array
from nnlab.training import network
from nnlab.training.blas import one_thread
from nnlab.training.blocks import up_to_tile
from nnlab.training.full_batch import norm
from nnlab.training.history import LAYERS
from nnlab.training.network import Params
from nnlab.training.row_layout import layout, stacks_exactly
from nnlab.training.training_data import Batches
from nnlab.training.workspace import Workspace

Norms = dict[str, NDArray[np.float64]]


def mini_batches(params: Params, lr: Array, batches: Batches, epoch: int) -> tuple[Params, Norms]:
    """Take one step a batch; return the mean gradient norms too."""
    runs, hidden, pixels = params.w1.shape
    shapes = {up_to_tile(size) for size in (batches.size, len(batches.labels) % batches.size)}
    with one_thread(), np.errstate(over="ignore", under="ignore", invalid="ignore"):
        if all(
            stacks_exactly(runs, hidden, samples, up_to_tile(pixels + 1), params.w1.dtype)
            for samples in shapes - {0}
        ):
            return _epoch(params, lr, batches, epoch)
        alone = [
            _epoch(params.select(run), lr[run], batches, epoch)
            for run in np.arange(runs).reshape(runs, 1)
        ]
    stepped = Params(*map(np.concatenate, zip(*(each for each, _ in alone), strict=True)))
    return stepped, {name: np.concatenate([norms[name] for _, norms in alone]) for name in LAYERS}


def _epoch(params: Params, lr: Array, batches: Batches, epoch: int) -> tuple[Params, Norms]:
    runs, hidden, pixels = params.w1.shape
    classes, dtype, its = (
        params.w2.shape[1],
        params.w1.dtype,
        layout(*params.w1.shape[:2], params.w1.dtype),
    )
    # As in the full batch, the bias is a column of the weights, and meets a column of ones.
    w1 = its.pack(params.w1, params.b1, up_to_tile(pixels + 1))
    w1_rate, rate = np.zeros((its.rows, 1), dtype), lr[:, None, None]
    w1_rate[its.index, 0] = lr[:, None]
    w2, b2 = params.w2.copy(), params.b2.copy()
    own = params._replace(w2=w2, b2=b2)
    norms, count, work = {layer: np.zeros(runs) for layer in LAYERS}, 0, Workspace()
    for images, labels in batches.of_epoch(epoch):
        samples, padded = labels.size, up_to_tile(labels.size)
        x = work.array("x", (padded, w1.shape[1]), dtype)
        np.divide(images, dtype.type(255), out=x[:samples, :pixels], dtype=dtype)
        x[:samples, pixels:] = 0
        x[:samples, pixels] = 1
        x[samples:] = 0
        z1 = np.matmul(w1, x.T, out=work.array("z1", (its.rows, padded), dtype))
        a1 = work.array("a1", (runs, hidden, padded), dtype)
        network.relu(np.take(z1, its.index, axis=0, out=a1, mode="clip"), out=a1)
        z2 = work.array("z2", (runs, classes, padded), dtype)
        dz2, _ = network.softmax(network.output_layer(own, a1, z2))
        dz2 -= network.one_hot(labels, work.array("y", (classes, padded), dtype))
        dz2[..., samples:] = 0
        dw2, db2 = network.output_gradients(a1, dz2)
        error = network.error_before(own, dz2, out=work.array("error", a1.shape, dtype))
        active = np.greater(a1, 0, out=work.array("active", a1.shape, bool))
        dz1 = work.array("dz1", z1.shape, dtype)
        dz1[its.filler] = 0
        dz1[its.index] = np.multiply(error, active, out=error)
        dw1 = np.matmul(dz1, x, out=work.array("dw1", w1.shape, dtype))
        for slope in (dw1, dw2, db2):
            np.divide(slope, dtype.type(samples), out=slope)
        norms["w1"] += norm(its.unpack(dw1, pixels)[0])
        norms["w2"] += norm(dw2)
        for value, slope, step in ((w1, dw1, w1_rate), (w2, dw2, rate), (b2, db2, rate)):
            np.multiply(slope, step, out=slope)
            np.subtract(value, slope, out=value)  # W := W − lr · dW
        count += 1
    ended = map(np.ascontiguousarray, (*its.unpack(w1, pixels), w2, b2))
    stepped = Params(*ended)
    return stepped, {layer: total / count for layer, total in norms.items()}
