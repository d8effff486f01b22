"""Buffers that are used again, because fresh memory is slow."""

import math
from typing import Any

import numpy as np
from numpy.typing import DTypeLike, NDArray


class Workspace:
    """Buffers of one thread, by name.

    A fresh array of a megabyte costs more in page faults than the arithmetic done on it. An array
    that ``array`` returns may be overwritten after the next call with the same name.
    """

    def __init__(self) -> None:
        self._flat: dict[str, NDArray[Any]] = {}
        self._arrays: dict[tuple[str, tuple[int, ...], DTypeLike], NDArray[Any]] = {}

    def array(self, name: str, shape: tuple[int, ...], dtype: DTypeLike) -> NDArray[Any]:
        """Return a C-contiguous array of this shape, with arbitrary contents."""
        array = self._arrays.get((name, shape, dtype))
        if array is None:
            size = math.prod(shape)
            flat = self._flat.get(name)
            if flat is None or flat.size < size or flat.dtype != dtype:
                flat = self._flat[name] = np.zeros(size, dtype)
                self._arrays.clear()  # of smaller buffers
            array = self._arrays[name, shape, dtype] = flat[:size].reshape(shape)
        return array
