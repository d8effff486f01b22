"""The cache folder: what took long to fetch or to parse, kept in a form that loads quickly."""

import hashlib
import io
import os
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from nnlab.arrays import Array

if TYPE_CHECKING:
    from _typeshed import ReadableBuffer as Buffer

# A file is the SHA-256 of an npz, and the npz: a changed bit anywhere makes the loading of an npz
# raise a dozen kinds of exception, or none.
DIGEST_BYTES = hashlib.sha256().digest_size


def cache_folder() -> Path:
    """Return ``$NNLAB_CACHE``, or the user's cache folder for nnlab."""
    from platformdirs import user_cache_dir

    return Path(os.environ.get("NNLAB_CACHE") or user_cache_dir("nnlab"))


def load_arrays(name: str) -> dict[str, Array] | None:
    """Return cached arrays; None where there are none, or the file is not as it was written."""
    try:
        content = memoryview(_path(name).read_bytes())
    except OSError:
        return None
    digest, arrays = content[:DIGEST_BYTES], content[DIGEST_BYTES:]
    if hashlib.sha256(arrays).digest() != digest:
        return None
    with np.load(io.BytesIO(arrays), allow_pickle=False) as file:
        return dict(file)


def save_arrays(name: str, arrays: dict[str, Array]) -> None:
    """Cache arrays; where the folder cannot be written, they are simply not cached."""
    content = io.BytesIO()
    np.savez(content, **arrays)  # type: ignore[arg-type]
    keep(_path(name), hashlib.sha256(content.getbuffer()).digest(), content.getbuffer())


def _path(name: str) -> Path:
    return cache_folder() / f"{name}.arrays"


def keep(target: Path, *pieces: "Buffer") -> None:
    """Write a file of the cache, whole or not at all; a cache that cannot be written is no error.

    It is written beside its place and moved there, so that nobody reads half a file.
    """
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=target.parent, prefix=".writing-") as folder:
            fresh = Path(folder) / target.name
            with fresh.open("wb") as file:
                for piece in pieces:
                    file.write(piece)
            fresh.replace(target)
    except OSError:
        return
