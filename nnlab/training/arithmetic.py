"""The arithmetic behind the equations: NumPy's own in a dtype, or one with the same bits anywhere.

The equations (``network``), the first layer's products (``first_layer``) and the metrics call what
is named here, and do not know which arithmetic they have. Everything that is not named here, such
as ``W − lr · dW`` or ReLU, works on each element for itself, and IEEE 754 prescribes its bits.
"""

from dataclasses import dataclass
from typing import ClassVar

import numpy as np
from numpy.typing import DTypeLike, NDArray

from nnlab.arrays import Array
from nnlab.training import elementary, exact_draws, exact_sums
from nnlab.training.workspace import Workspace

EXACT = "exact"  # the dtype of a config that asks for it; its arrays are float64
BUFFER = 512  # numbers; at NumPy's 8,192, operations on shorter rows take twice as long
SAFE = 1e-24  # of a sum of squares, and its reciprocal: far from float32's limits


@dataclass(frozen=True)
class Arithmetic:
    """NumPy's: as fast as the machine allows, and rounded as its BLAS and its processor round.

    Attributes
    ----------
    dtype : np.dtype
        Of all arrays.
    """

    dtype: "np.dtype[np.floating]"
    exact: ClassVar[bool] = False  # whether sums have the same bits in any order
    one: ClassVar[float] = 1.0  # what stands for 1 among the images: a white pixel, and ones

    def settle(self) -> None:
        """Change NumPy's settings for this thread, up to the end of an ``errstate``."""

    def uniform(
        self, sequence: np.random.SeedSequence, shape: tuple[int, ...]
    ) -> NDArray[np.float64]:
        """Draw from U(0, 1)."""
        return np.random.Generator(np.random.PCG64(sequence)).random(shape)

    def normal(
        self, sequence: np.random.SeedSequence, shape: tuple[int, ...]
    ) -> NDArray[np.float64]:
        """Draw from N(0, 1)."""
        return np.random.Generator(np.random.PCG64(sequence)).standard_normal(shape)

    def images(self, pixels: NDArray[np.uint8], out: Array | None = None) -> Array:
        """Turn bytes into the notes' ``X``: pixels / 255."""
        return np.divide(pixels, self.dtype.type(255), out=out, dtype=self.dtype)

    def weights(self, w1_b1: Array) -> Array:
        """Return ``[W1 b1]``, one row a hidden unit, ready to be multiplied with images."""
        return w1_b1

    def forward(self, w1_b1: Array, x: Array, out: Array, work: Workspace) -> Array:  # noqa: ARG002
        """Compute ``W1 X + b1`` for what ``weights`` returned; images are rows of ``x``."""
        return np.matmul(w1_b1, x.T, out=out)

    def errors(self, dz1: Array, samples: int, work: Workspace) -> Array:  # noqa: ARG002
        """Return ``dZ1``, one row a hidden unit, ready for products over so many images each."""
        return dz1

    def backward(self, dz1: Array, x: Array, out: Array) -> Array:
        """Compute ``[dW1 db1] = dZ1 Xᵀ`` for what ``errors`` returned."""
        return np.matmul(dz1, x, out=out)

    def matmul(self, a: Array, b: Array, out: Array, work: Workspace) -> Array:  # noqa: ARG002
        """Compute ``A B`` run by run, over units or classes."""
        return np.matmul(a, b, out=out)

    def over_samples(self, a: Array, b: Array, work: Workspace) -> Array:  # noqa: ARG002
        """Compute ``A Bᵀ`` run by run, over samples."""
        return np.asarray(np.matmul(a, b.transpose(0, 2, 1)))

    def sum(self, array: Array, axis: int = -1) -> Array:
        """Add up along an axis."""
        return np.asarray(array.sum(axis=axis))

    def exp(self, array: Array) -> Array:
        """Replace numbers by their exponentials, in place."""
        return np.exp(array, out=array)

    def log(self, array: Array) -> Array:
        """Return natural logarithms."""
        return np.asarray(np.log(array))

    def norms(self, array: Array) -> NDArray[np.float64]:
        """Return each run's Euclidean norm, (runs,), of an array (runs, rows, columns)."""
        squares = np.asarray(np.vecdot(array, array), np.float64)
        if not (squares.min() > SAFE and squares.max() < 1 / SAFE):
            # What float32 cannot square, or only roughly, is squared in float64.
            for run in np.flatnonzero(~((squares > SAFE) & (squares < 1 / SAFE)).all(axis=-1)):
                squares[run] = np.square(array[run].astype(np.float64)).sum(axis=-1)
        return np.asarray(np.sqrt(squares.sum(axis=-1)))


@dataclass(frozen=True)
class ExactArithmetic(Arithmetic):
    """Float64 with the same bits on every IEEE machine; see ``exact_sums`` and ``elementary``.

    Images stay whole numbers, 255 times the notes' ``X``, and the column of ones is one of 255:
    ``W1 X + b1 = [W1 b1] / 255 · [255 X; 255]``.
    """

    exact: ClassVar[bool] = True
    one: ClassVar[float] = float(exact_sums.WHITE)

    def settle(self) -> None:
        """Make NumPy's buffers so small that it adds a column to rows without copying it."""
        np.setbufsize(BUFFER)

    def uniform(
        self, sequence: np.random.SeedSequence, shape: tuple[int, ...]
    ) -> NDArray[np.float64]:
        """Draw from U(0, 1), the numbers that the other arithmetic draws too."""
        return exact_draws.uniform(sequence, shape)

    def normal(
        self, sequence: np.random.SeedSequence, shape: tuple[int, ...]
    ) -> NDArray[np.float64]:
        """Draw from N(0, 1)."""
        return exact_draws.normal(sequence, shape)

    def images(self, pixels: NDArray[np.uint8], out: Array | None = None) -> Array:
        """Turn bytes into float64, 255 times the notes' ``X``."""
        return np.multiply(pixels, 1.0, out=out, dtype=self.dtype)

    def weights(self, w1_b1: Array) -> Array:
        """Round ``[W1 b1] / 255`` such that its products with images add up exactly."""
        bits = exact_sums.bits_beside_pixels(w1_b1.shape[-1])
        scaled = w1_b1 / self.one
        return exact_sums.rounded(scaled, bits, out=scaled)

    def forward(self, w1_b1: Array, x: Array, out: Array, work: Workspace) -> Array:
        """Compute ``W1 X + b1``; of large images in parts."""
        part = exact_sums.PART
        np.matmul(w1_b1[:, :part], x[:, :part].T, out=out)
        for start in range(part, x.shape[1], part):
            columns = slice(start, start + part)
            more = work.array("more", out.shape, self.dtype)
            np.add(out, np.matmul(w1_b1[:, columns], x[:, columns].T, out=more), out=out)
        return _with_nan_rows(out, w1_b1)

    def errors(self, dz1: Array, samples: int, work: Workspace) -> Array:
        """Round ``dZ1`` such that its products with images add up exactly."""
        out = work.array("errors", dz1.shape, self.dtype)
        return exact_sums.rounded(dz1, exact_sums.bits_beside_pixels(samples), out=out)

    def backward(self, dz1: Array, x: Array, out: Array) -> Array:
        """Compute ``[dW1 db1] = dZ1 Xᵀ``; of large batches in parts."""
        part = exact_sums.PART
        np.matmul(dz1[:, :part], x[:part], out=out)
        for start in range(part, len(x), part):
            samples = slice(start, start + part)
            np.add(out, np.matmul(dz1[:, samples], x[samples]), out=out)
        return _with_nan_rows(np.divide(out, self.one, out=out), dz1)

    def matmul(self, a: Array, b: Array, out: Array, work: Workspace) -> Array:
        """Compute ``A B`` of sliced operands."""
        return exact_sums.product(a, b, out, work)

    def over_samples(self, a: Array, b: Array, work: Workspace) -> Array:
        """Compute ``A Bᵀ`` of sliced operands."""
        return exact_sums.product_over_samples(a, b, work)

    def sum(self, array: Array, axis: int = -1) -> Array:
        """Add up along an axis, in a fixed order."""
        return exact_sums.ordered_sum(array, axis)

    def exp(self, array: Array) -> Array:
        """Replace numbers by their exponentials, in place."""
        return elementary.exp(array)

    def log(self, array: Array) -> Array:
        """Return natural logarithms."""
        return elementary.log(array)

    def norms(self, array: Array) -> NDArray[np.float64]:
        """Return each run's Euclidean norm, from sums in a fixed order."""
        squares = exact_sums.ordered_sum(np.square(array))
        return np.asarray(np.sqrt(exact_sums.ordered_sum(squares)))


def _with_nan_rows(product: Array, rounded: Array) -> Array:
    """Make those rows NaN that are NaN in the left operand, whatever the BLAS has made of them."""
    bad = np.isnan(rounded[:, 0])
    if bad.any():
        product[bad] = np.nan
    return product


NUMPY = Arithmetic(np.dtype(np.float64))


def arithmetic_of(dtype: DTypeLike) -> Arithmetic:
    """Return the arithmetic of a config's ``dtype``: float32, float64 or exact."""
    if isinstance(dtype, str) and dtype == EXACT:
        return ExactArithmetic(np.dtype(np.float64))
    return Arithmetic(np.dtype(dtype))  # type: ignore[arg-type]
