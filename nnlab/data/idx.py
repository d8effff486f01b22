"""The IDX format of LeCun's MNIST files: arrays of numbers behind a short header, packed or not."""

import hashlib
import re
from math import prod
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from nnlab.arrays import Array
from nnlab.data.content import kind_of, unpacked
from nnlab.data.files import cut_off, readable
from nnlab.errors import DataError
from nnlab.wording import counted

UNSIGNED_BYTES = 0x08
DTYPES = {
    UNSIGNED_BYTES: "u1", 0x09: "i1", 0x0B: ">i2", 0x0C: ">i4", 0x0D: ">f4", 0x0E: ">f8",
}  # fmt: skip
QMNIST_LABELS = b"\0\0\x0c\x02"  # int32, a row of 8 numbers an image
PACKED = (".gz", ".zip", ".bz2", ".xz")
NAME = re.compile(
    r"(?P<prefix>.*?)(?P<part>train|t10k|test)-(?P<kind>images|labels)[-.]idx[1-4]-(ubyte|int)"
    r"(?P<packed>\.(gz|zip|bz2|xz))?",
    re.IGNORECASE,
)


def read_idx(path: Path, dimensions: int) -> Array:
    """Read an IDX file, packed or not.

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
    content, whole = unpacked(path)
    if content:
        kind_of(content, path)  # its errors name pages, pointers and pickles
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


def parse_idx(content: bytes, path: Path, dimensions: int) -> Array:
    """Return the array that an IDX file holds.

    Parameters
    ----------
    content : bytes
        Of the file, unpacked.
    path : Path
        For messages.
    dimensions : int
        3 for images, 1 for labels. Of QMNIST's labels, which have several columns, the first one
        is returned: the class.

    Raises
    ------
    DataError
        Where the header is not that of an IDX file, or the length is not what the header says.
    """
    if not content:
        raise DataError(f"{path}: the file is empty, expected an IDX header.")
    expected = bytes([0, 0, UNSIGNED_BYTES, dimensions])
    several = dimensions == 1 and content[:4] == QMNIST_LABELS
    magic = content[:4].ljust(len(expected), b"\xff")  # a file may be shorter
    dtype = DTYPES.get(magic[2]) if magic[:2] == b"\0\0" else None
    sizes = magic[3]
    if dtype is None or (sizes != dimensions and not several):
        raise DataError(
            f"{path}: found the magic number 0x{content[:4].hex()}, expected 0x{expected.hex()} "
            f"(IDX, unsigned bytes, {counted(dimensions, 'dimension')})."
        )
    header = 4 + 4 * sizes
    if len(content) < header:
        raise DataError(f"{path}: the header is cut off after {len(content)} of {header} bytes.")
    shape = tuple(int(size) for size in np.frombuffer(content, ">u4", sizes, 4))
    found, promised = len(content) - header, prod(shape) * np.dtype(dtype).itemsize
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
    array = np.frombuffer(content, dtype, offset=header).reshape(shape)
    return array[:, 0] if several else array


def find_files(folder: Path, prefix: str | None = None) -> dict[tuple[str, str], Path]:
    """Find the IDX files of one dataset.

    Parameters
    ----------
    folder : Path
        It may hold folders that are named like the files and hold one each, as Kaggle's do.
    prefix : str or None
        What the names begin with, such as ``emnist-letters-``; None where one dataset is there.

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
    # Files before folders, and uncompressed files before compressed ones.
    order = [(path.is_dir(), path.suffix in PACKED, path) for path in map(folder.joinpath, names)]
    for is_folder, _, path in sorted(order):
        match = NAME.fullmatch(path.name)
        if match is None or (prefix is not None and match["prefix"] != prefix):
            continue
        file = _inside(path) if is_folder else path
        if file is None:
            continue
        prefixes.add(match["prefix"])
        part = "train" if match["part"].lower() == "train" else "test"
        found.setdefault((part, match["kind"].lower()), file)
    if len(prefixes) > 1:
        raise DataError(
            f"{folder}: found the files of {len(prefixes)} datasets "
            f"({', '.join(sorted(prefix or 'without a prefix' for prefix in prefixes))}), expected "
            f"one; name one of its files: data=file data.path={next(iter(found.values()))}."
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


def _inside(folder: Path) -> Path | None:
    """Return the file of a folder that is named like an IDX file."""
    with readable(folder):
        files = sorted(path for path in folder.iterdir() if NAME.fullmatch(path.name))
    return next((path for path in files if path.is_file()), None)
