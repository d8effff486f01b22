"""Arrays in a file that tells when it is damaged: the SHA-256 of an npz archive, and the archive.

Of a damaged npz alone, NumPy raises a dozen kinds of exceptions, or reads wrong values.
"""

import hashlib
import io
from collections.abc import Mapping
from pathlib import Path

import numpy as np
from numpy.typing import ArrayLike

from nnlab.arrays import Array
from nnlab.data.files import write_whole

DIGEST_BYTES = hashlib.sha256().digest_size


def write_arrays(path: Path, arrays: Mapping[str, ArrayLike]) -> None:
    """Write arrays by name, all of them or nothing.

    Raises
    ------
    OSError
        Where the file cannot be written; an earlier file stays as it was.
    """
    content = io.BytesIO()
    np.savez(content, **arrays)  # type: ignore[arg-type]
    write_whole(path, hashlib.sha256(content.getbuffer()).digest(), content.getbuffer())


def read_arrays(path: Path) -> dict[str, Array] | None:
    """Read arrays by name.

    Returns
    -------
    dict of str to Array, or None
        None where the file is not as ``write_arrays`` wrote it.

    Raises
    ------
    OSError
        Where the file cannot be read.
    """
    content = memoryview(path.read_bytes())
    digest, archive = content[:DIGEST_BYTES], content[DIGEST_BYTES:]
    if hashlib.sha256(archive).digest() != digest:
        return None
    with np.load(io.BytesIO(archive), allow_pickle=False) as file:
        return dict(file)
