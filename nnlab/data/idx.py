"""The IDX format of LeCun's MNIST files: arrays of bytes behind a short header, gzipped or not."""

import hashlib
import re
from math import prod
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from nnlab.data.files import cut_off, read_bytes, readable
from nnlab.errors import DataError

UNSIGNED_BYTES = 0x08
NAME = re.compile(
    r"(?P<prefix>.*?)(?P<part>train|t10k|test)-(?P<kind>images|labels)[-.]idx[13]-ubyte"
    r"(?P<gz>\.gz)?"
)


def read_idx(path: Path, dimensions: int) -> NDArray[np.uint8]:
    """Read an IDX file, gzipped or not.

    Parameters
    ----------
    path : Path
        The file.
    dimensions : int
        3 for images, 1 for labels.

    Raises
    ------
    DataError
        Where the file cannot be read, is broken, or is not as long as its header says.
    """
    content, whole = read_bytes(path)
    array = parse_idx(content, path, dimensions)  # first: its error says how much is missing
    if not whole:
        raise cut_off(path, len(content))
    return array


def sha256_of(array: NDArray[np.uint8]) -> str:
    """Return the SHA-256, in hex, of the uncompressed IDX file that holds an array.

    The format has one encoding of an array, so this equals the digest of the file's bytes.
    """
    header = bytes([0, 0, UNSIGNED_BYTES, array.ndim]) + np.array(array.shape, ">u4").tobytes()
    digest = hashlib.sha256(header)
    digest.update(np.ascontiguousarray(array).data)
    return digest.hexdigest()


def parse_idx(content: bytes, path: Path, dimensions: int) -> NDArray[np.uint8]:
    """Return the array that an IDX file holds.

    Parameters
    ----------
    content : bytes
        Of the file, decompressed.
    path : Path
        For messages.
    dimensions : int
        3 for images, 1 for labels.

    Raises
    ------
    DataError
        Where the header is not that of an IDX file, or the length is not what the header says.
    """
    header = 4 + 4 * dimensions
    if not content:
        raise DataError(f"{path}: the file is empty, expected an IDX header.")
    expected = bytes([0, 0, UNSIGNED_BYTES, dimensions])
    if content[:4] != expected:
        raise DataError(
            f"{path}: found the magic number 0x{content[:4].hex()}, expected 0x{expected.hex()} "
            f"(IDX, unsigned bytes, {dimensions} dimension{'s' if dimensions > 1 else ''})."
        )
    if len(content) < header:
        raise DataError(f"{path}: the header is cut off after {len(content)} of {header} bytes.")
    shape = tuple(int(size) for size in np.frombuffer(content, ">u4", dimensions, 4))
    found, promised = len(content) - header, prod(shape)
    if found != promised:
        what = "cut off" if found < promised else "too long"
        raise DataError(
            f"{path}: the file is {what}: found {found:,} bytes of data, expected {promised:,} "
            f"({' × '.join(map(str, shape))}, as its header says; "
            f"{abs(promised - found):,} {'missing' if found < promised else 'too many'})."
        )
    if promised == 0:
        raise DataError(
            f"{path}: found no data ({' × '.join(map(str, shape))}, as its header says), "
            "expected at least one image."
        )
    return np.frombuffer(content, np.uint8, offset=header).reshape(shape)


def find_files(folder: Path) -> dict[tuple[str, str], Path]:
    """Find the IDX files of one dataset.

    Returns
    -------
    dict of tuple of str to Path
        The path of each part and kind: ``("train", "images")`` and so on. Of a file that is there
        compressed and uncompressed, the uncompressed one.

    Raises
    ------
    DataError
        Where training images or labels are missing, or files of several datasets are there.
    """
    with readable(folder):
        # Hidden files are left out: macOS writes a ._NAME beside a NAME.
        names = sorted(path.name for path in folder.iterdir() if not path.name.startswith("."))
    found: dict[tuple[str, str], Path] = {}
    prefixes = set()
    for name in sorted(names, key=lambda name: name.endswith(".gz")):  # uncompressed first
        match = NAME.fullmatch(name)
        if match is None:
            continue
        prefixes.add(match["prefix"])
        part = "train" if match["part"] == "train" else "test"
        found.setdefault((part, match["kind"]), folder / name)
    if len(prefixes) > 1:
        raise DataError(
            f"{folder}: found the files of {len(prefixes)} datasets "
            f"({', '.join(sorted(prefix or 'without a prefix' for prefix in prefixes))}), expected "
            "one; move them to folders of their own."
        )
    for kind, suffix in (("images", "idx3"), ("labels", "idx1")):
        if ("train", kind) not in found:
            raise DataError(
                f"{folder}: found no training {kind}, expected train-{kind}-{suffix}-ubyte "
                "(or with .gz)."
            )
    if (("test", "images") in found) != (("test", "labels") in found):
        present = next(path.name for (part, _), path in found.items() if part == "test")
        raise DataError(f"{folder}: found {present} but not its other half (images and labels).")
    return found
