"""An epoch of mini-batches: one step a batch, all runs of a stack on the same batch at once."""

import numpy as np
from numpy.typing import NDArray

from nnlab import network
from nnlab.blas import one_thread, rows_a_run
from nnlab.blocks import up_to_tile
from nnlab.history import LAYERS
from nnlab.network import Array, Params, Workspace
from nnlab.passes import merged, norm, together
from nnlab.training_data import Batches


def mini_batches(
    params: Params, lr: Array, batches: Batches, epoch: int
) -> tuple[Params, dict[str, NDArray[np.float64]]]:
    """Take one step a batch; return the mean gradient norms too."""
    runs, hidden, pixels = params.w1.shape
    dtype, classes = params.w1.dtype, params.w2.shape[1]
    rows, rate = rows_a_run(hidden, dtype), lr[:, None, None]
    w1 = np.zeros((runs, rows, pixels), dtype)  # rows beyond the hidden units stay zero
    w1[:, :hidden] = params.w1
    own = Params(w1[:, :hidden], *(array.copy() for array in params[1:]))
    norms = {layer: np.zeros(runs) for layer in LAYERS}
    work, count = Workspace(), 0
    with one_thread(), np.errstate(over="ignore", under="ignore", invalid="ignore"):
        for images, labels in batches.of_epoch(epoch):
            samples, padded = labels.size, up_to_tile(labels.size)
            x = work.array("x", (padded, pixels), dtype)
            np.divide(images, dtype.type(255), out=x[:samples], dtype=dtype)
            x[samples:] = 0
            products = tuple(together(runs, rows, x))
            z1 = work.array("z1", (runs, rows, padded), dtype)
            dz1 = work.array("dz1", z1.shape, dtype)
            dw1 = work.array("dw1", w1.shape, dtype)
            for some in products:
                np.matmul(merged(w1)[some], x.T, out=merged(z1)[some])
            a1 = z1[:, :hidden]
            z2 = work.array("z2", (runs, classes, padded), dtype)
            dz2, _ = network.softmax(network.output_layer(own, a1, z2))
            network.subtract_one_hot(dz2, labels)
            active = work.array("active", a1.shape, bool)
            dz1[:, hidden:] = 0
            db1, dw2, db2 = network.hidden_gradients(own, a1, dz2, dz1[:, :hidden], active)
            for some in products:
                np.matmul(merged(dz1)[some], x, out=merged(dw1)[some])
            slopes = (dw1, db1, dw2, db2)
            for slope in slopes:
                np.divide(slope, dtype.type(samples), out=slope)
            norms["w1"] += norm(dw1)
            norms["w2"] += norm(dw2)
            for value, slope in zip((w1, *own[1:]), slopes, strict=True):
                np.multiply(slope, rate, out=slope)
                np.subtract(value, slope, out=value)  # W := W − lr · dW
            count += 1
    ended = own._replace(w1=np.ascontiguousarray(own.w1))
    return ended, {layer: total / count for layer, total in norms.items()}
