"""The type of an array of any dtype and shape; docstrings say which they are."""

from typing import Any, TypeAlias

from numpy.typing import NDArray

Array: TypeAlias = NDArray[Any]
