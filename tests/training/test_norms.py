"""Norms of gradients, at numbers that float32 cannot square."""

import numpy as np

from nnlab.training.network import Params
from nnlab.training.norms import layer_norms


def norm(array):
    """The norms of a (runs, rows, columns) array, which stands for both layers."""
    norms = layer_norms(Params(array, array, array, array))
    np.testing.assert_array_equal(norms[:, 0], norms[:, 1])
    return norms[:, 0]


def test_a_norm_is_right_where_float32_cannot_square():
    values = np.array([[1e-30, 2e-30], [3e25, 4e25], [3.0, 4.0], [0.0, 0.0]], np.float32)
    expected = [np.hypot(*row.astype(np.float64)) for row in values]
    values = values[:, None]
    np.testing.assert_allclose(norm(values), expected, rtol=1e-6)
    np.testing.assert_array_equal(norm(values[1:2]), norm(values)[1:2])  # whoever its neighbours
