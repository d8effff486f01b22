"""The cache folder: what took long to download or to parse, in a form that loads quickly."""

import contextlib
import os
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from numpy.typing import ArrayLike

from nnlab.arrays import Array
from nnlab.data.array_files import read_arrays, write_arrays
from nnlab.data.files import write_whole

if TYPE_CHECKING:
    from _typeshed import ReadableBuffer


def cache_folder() -> Path:
    """Return ``$NNLAB_CACHE``, or the user's cache folder for nnlab."""
    from platformdirs import user_cache_dir

    return Path(os.environ.get("NNLAB_CACHE") or user_cache_dir("nnlab"))


def load_cached(name: str) -> dict[str, Array] | None:
    """Return arrays from the cache; None where there are none, or their file is damaged."""
    try:
        return read_arrays(_path(name))
    except OSError:
        return None


def save_cached(name: str, arrays: Mapping[str, ArrayLike]) -> None:
    """Save arrays in the cache; where its folder cannot be written, they are not cached."""
    with contextlib.suppress(OSError):
        write_arrays(_path(name), arrays)


def cache_file(path: Path, content: "ReadableBuffer") -> None:
    """Write a file of the cache; where its folder cannot be written, it is not cached."""
    with contextlib.suppress(OSError):
        write_whole(path, content)


def _path(name: str) -> Path:
    return cache_folder() / f"{name}.arrays"
