"""The first layer of a stack, where nearly all the arithmetic is: ``W1 X + b1`` and ``dZ1 Xᵀ``.

All runs share one product with each block, as wide as the stack. The bias is a column of the
weights, which meets a column of ones in the block: ``[W1 b1] [X; 1]``, and its gradient comes out
of the same product as that of the weights.
"""

import numpy as np

from nnlab.arrays import Array
from nnlab.training import network
from nnlab.training.blocks import Panel
from nnlab.training.network import Params
from nnlab.training.row_layout import layout, stacks_exactly
from nnlab.training.workspace import Workspace


class FirstLayer:
    """``[W1 b1]`` of a stack of runs, laid out for its products with blocks."""

    def __init__(self, params: Params) -> None:
        self._runs, self._hidden, self._pixels = params.w1.shape
        self._dtype = params.w1.dtype
        self.layout = layout(self._runs, self._hidden, self._dtype)
        packed = self.layout.pack(params.w1, params.b1, self._pixels + 1)
        # Pixels as rows: a block picks its own as whole rows, at a sixth of the cost of columns.
        self._transposed = np.ascontiguousarray(packed.T)

    def exact(self, panel: Panel) -> bool:
        """Tell whether the stack may share its products with all the panel's blocks."""
        return all(
            stacks_exactly(self._runs, self._hidden, *block.x.shape, self._dtype)
            for block in panel.blocks
        )

    def forward(self, panel: Panel, work: Workspace) -> Array:
        """Compute ``Z1 = W1 X + b1``, over each block's own pixels only.

        Returns
        -------
        (rows, samples)
            As the layout has them.
        """
        z1 = work.array("z1", (self.layout.rows, panel.rows), self._dtype)
        at = 0
        for block in panel.blocks:
            own = work.array("w1t", (len(block.columns), self.layout.rows), self._dtype)
            np.take(self._transposed, block.columns, axis=0, out=own, mode="clip")
            np.matmul(own.T, block.x.T, out=z1[:, at : at + len(block.x)])
            at += len(block.x)
        return z1

    def backward(self, dz1: Array, panel: Panel, work: Workspace) -> tuple[Array, Array]:
        """Sum ``dW1 = dZ1 Xᵀ`` and ``db1`` over the blocks, each into its own pixels' columns.

        Returns
        -------
        dw1 : (runs, hidden, pixels)
        db1 : (runs, hidden, 1)
            Freshly allocated.
        """
        total = np.zeros((self.layout.rows, self._pixels + 1), self._dtype)
        spread = work.array("spread", total.shape, self._dtype)
        at = 0
        for block in panel.blocks:
            width = len(block.columns)
            own = work.array("dw1", (self.layout.rows, width + 1), self._dtype)
            own[:, width] = 0  # what a pixel without a column gets
            np.matmul(dz1[:, at : at + len(block.x)], block.x, out=own[:, :width])
            np.take(own, block.places, axis=1, out=spread, mode="clip")
            np.add(total, spread, out=total)
            at += len(block.x)
        return self.layout.unpack(total, self._pixels)

    def activate(self, z1: Array, runs: slice, a1: Array) -> None:
        """Compute ``A1 = ReLU(Z1)`` of some runs: from their rows, to an array of their own.

        Parameters
        ----------
        z1 : (rows, samples)
        a1 : (some runs, hidden, samples)
            Written to.
        """
        np.take(z1, self.layout.index[runs], axis=0, out=a1, mode="clip")
        network.relu(a1, out=a1)

    def put_back(self, error: Array, active: Array, runs: slice, dz1: Array) -> None:
        """Compute ``dZ1 = W2ᵀ dZ2 ∗ ReLU′(Z1)`` of some runs, and put it into their rows.

        Parameters
        ----------
        error : (some runs, hidden, samples)
            ``W2ᵀ dZ2``; overwritten.
        active : likewise, bool
            ``ReLU′(Z1)``.
        dz1 : (rows, samples)
            Written to.
        """
        np.multiply(error, active, out=error)
        dz1[self.layout.index[runs]] = error
