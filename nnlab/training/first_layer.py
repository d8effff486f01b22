"""The first layer of a stack, where nearly all the arithmetic is: ``W1 X + b1`` and ``dZ1 Xᵀ``.

All runs share one product with the images, with a row for each hidden unit of each run
(see ``row_layout``). The bias is a column of the weights, which meets a column of ones behind the
pixels: ``[W1 b1] [X; 1]``, and its gradient comes out of the same product as that of the weights.
"""

from collections.abc import Iterable

import numpy as np
from numpy.typing import NDArray

from nnlab.arrays import Array
from nnlab.training.arithmetic import Arithmetic
from nnlab.training.blocks import Panel, up_to_tile
from nnlab.training.network import PackedParams, Params
from nnlab.training.row_layout import RowLayout, arrange, row_layout, stacks_exactly
from nnlab.training.workspace import Workspace


def layout_of(params: Params, arithmetic: Arithmetic) -> RowLayout:
    """Return the rows of this stack's products."""
    runs, hidden, _ = params.w1.shape
    if arithmetic.exact:
        return arrange(runs, hidden, (0,))
    return row_layout(runs, hidden, params.w1.dtype)


def may_share(params: Params, shapes: Iterable[tuple[int, ...]], arithmetic: Arithmetic) -> bool:
    """Tell whether the runs keep their bits in common products with images of these shapes.

    Where they do not, each run has to train by its own products.
    """
    runs, hidden, _ = params.w1.shape
    return arithmetic.exact or all(
        stacks_exactly(runs, hidden, *shape, params.w1.dtype) for shape in shapes
    )


def unpack(packed: PackedParams, layout: RowLayout, pixels: int) -> Params:
    """Return parameters or gradients run by run; they may be views."""
    return Params(*layout.unpack(packed.w1_b1, pixels), packed.w2, packed.b2)


class PanelInput:
    """A panel's images as the input of ``network.forward`` and ``network.backward``.

    The parameters' ``w1_b1`` is ``[W1 b1]ᵀ``, (pixels + 1, rows): a block picks its own pixels as
    whole rows, at a sixth of the cost of columns. The gradient's is (rows, pixels + 1).
    """

    def __init__(self, panel: Panel, layout: RowLayout, work: Workspace) -> None:
        self.panel, self.layout, self.work = panel, layout, work
        self.arithmetic = panel.arithmetic
        self.pixels = panel.blocks[0].pixels

    @staticmethod
    def pack(params: Params, layout: RowLayout, arithmetic: Arithmetic) -> PackedParams:
        """Bring a stack's parameters into the form that ``forward`` takes."""
        packed = arithmetic.weights(layout.pack(params.w1, params.b1, params.w1.shape[2] + 1))
        return PackedParams(np.ascontiguousarray(packed.T), params.w2, params.b2)

    def forward(self, params: PackedParams) -> Array:
        """Compute ``Z1 = W1 X + b1``, over each block's own pixels only."""
        layout, work, dtype = self.layout, self.work, params.w2.dtype
        z1 = work.array("z1", (layout.rows, self.panel.rows), dtype)
        for samples, block in self.panel.slices:
            w1_b1 = work.array("w1_b1", (len(block.columns), layout.rows), dtype)
            np.take(params.w1_b1, block.columns, axis=0, out=w1_b1, mode="clip")
            self.arithmetic.forward(w1_b1.T, block.x, z1[:, samples], work)
        return layout.from_rows(z1, work)

    def backward(self, dz1: Array) -> tuple[Array]:
        """Sum ``[dW1 db1] = dZ1 [X; 1]ᵀ`` over the blocks, each into its own pixels' columns.

        Returns
        -------
        tuple of Array
            One, freshly allocated.
        """
        layout, work, dtype = self.layout, self.work, dz1.dtype
        most = max(len(block.x) for block in self.panel.blocks)
        dz1 = self.arithmetic.errors(layout.to_rows(dz1, work), most, work)
        total = np.zeros((layout.rows, self.pixels + 1), dtype)
        spread = work.array("spread", total.shape, dtype)
        for samples, block in self.panel.slices:
            width = len(block.columns)
            dw1_db1 = work.array("dw1_db1", (layout.rows, width + 1), dtype)
            dw1_db1[:, width] = 0  # what a pixel without a column gets
            self.arithmetic.backward(dz1[:, samples], block.x, dw1_db1[:, :width])
            np.take(dw1_db1, block.column_of_pixel, axis=1, out=spread, mode="clip")
            np.add(total, spread, out=total)
        return (total,)


class BatchInput:
    """A mini-batch as the input of ``network.forward`` and ``network.backward``.

    The parameters' and the gradient's ``w1_b1`` is ``[W1 b1]``, (rows, columns): the pixels, the
    bias, and zeros up to a multiple of 16.
    """

    def __init__(
        self, layout: RowLayout, pixels: int, arithmetic: Arithmetic, work: Workspace
    ) -> None:
        self.layout, self.pixels, self.arithmetic, self.work = layout, pixels, arithmetic, work

    @staticmethod
    def shape(samples: int, pixels: int) -> tuple[int, int]:
        """Return the shape of a batch with the column of ones, and padded as kernels like it."""
        return up_to_tile(samples), up_to_tile(pixels + 1)

    def load(self, images: NDArray[np.uint8]) -> None:
        """Take over the next batch's images, (samples, pixels)."""
        samples, dtype = len(images), self.arithmetic.dtype
        x = self.x = self.work.array("x", self.shape(samples, self.pixels), dtype)
        self.arithmetic.images(images, out=x[:samples, : self.pixels])
        x[:samples, self.pixels :] = 0
        x[:samples, self.pixels] = self.arithmetic.one
        x[samples:] = 0

    def forward(self, params: PackedParams) -> Array:
        """Compute ``Z1 = W1 X + b1``."""
        z1 = self.work.array("z1", (self.layout.rows, len(self.x)), self.x.dtype)
        weights = self.arithmetic.weights(params.w1_b1)
        return self.layout.from_rows(
            self.arithmetic.forward(weights, self.x, z1, self.work), self.work
        )

    def backward(self, dz1: Array) -> tuple[Array]:
        """Compute ``[dW1 db1] = dZ1 [X; 1]ᵀ``."""
        dw1_db1 = self.work.array("dw1_db1", (self.layout.rows, self.x.shape[1]), self.x.dtype)
        dz1 = self.arithmetic.errors(self.layout.to_rows(dz1, self.work), len(self.x), self.work)
        return (self.arithmetic.backward(dz1, self.x, dw1_db1),)
