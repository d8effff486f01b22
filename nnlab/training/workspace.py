"""Buffers that are used again and again."""

import math
from typing import Any

import numpy as np
from numpy.typing import DTypeLike, NDArray


class Workspace:
    """Buffers that one thread reuses from panel to panel.

    A fresh array of a megabyte costs more in page faults than the arithmetic done on it. An array
    that ``array`` returned is overwritten by the next call under the same name.
    """

    def __init__(self) -> None:
        self._flat: dict[str, NDArray[Any]] = {}

    def array(self, name: str, shape: tuple[int, ...], dtype: DTypeLike) -> NDArray[Any]:
        """Return a C-contiguous array of this shape, with arbitrary contents."""
        size = math.prod(shape)
        flat = self._flat.get(name)
        if flat is None or flat.size < size or flat.dtype != dtype:
            flat = self._flat[name] = np.zeros(size, dtype)
        return flat[:size].reshape(shape)
