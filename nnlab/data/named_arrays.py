"""NumPy's files: one array (``.npy``) or several by name (``.npz``); never a pickle."""

import io
from collections.abc import Mapping
from pathlib import Path

import numpy as np

from nnlab.arrays import Array
from nnlab.errors import DataError
from nnlab.system.stored_files import NUMPY_ERRORS

# What images and labels are called, in files of Keras, torchvision, MedMNIST and scikit-learn.
NAMES = {
    ("train", "images"): ("x_train", "train_images", "train_x", "x", "images", "data", "arr_0"),
    ("train", "labels"): ("y_train", "train_labels", "train_y", "y", "labels", "target", "arr_1"),
    ("test", "images"): ("x_test", "test_images", "test_x", "arr_2"),
    ("test", "labels"): ("y_test", "test_labels", "test_y", "arr_3"),
}


def read_array(source: Path | io.BytesIO, path: Path) -> Array:
    """Read what ``numpy.save`` wrote; a file is opened as a memory map.

    Raises
    ------
    DataError
        Where it is no array of numbers.
    """
    try:
        mapped = "r" if isinstance(source, Path) else None
        array = np.load(source, mmap_mode=mapped, allow_pickle=False)  # type: ignore[arg-type]
    except NUMPY_ERRORS as error:
        reason = (str(error).strip() or type(error).__name__).splitlines()[0]
        raise DataError(
            f"{path}: found no array of numbers as numpy.save writes it ({reason})."
        ) from error
    assert isinstance(array, np.ndarray), "archives are told apart by their content"
    return array


def read_arrays(content: bytes, path: Path) -> dict[str, Array]:
    """Read what ``numpy.savez`` wrote.

    Raises
    ------
    DataError
        Where an array cannot be read, or is a pickle.
    """
    try:
        with np.load(io.BytesIO(content), allow_pickle=False) as file:
            return {name: file[name] for name in file.files}
    except (*NUMPY_ERRORS, OSError) as error:
        reason = (str(error).strip() or type(error).__name__).splitlines()[0]
        raise DataError(
            f"{path}: found arrays that cannot be read ({reason}). Pickled objects are not read: "
            "they can run any code."
        ) from error


def by_part(
    arrays: Mapping[str, Array], path: Path, *, needed: bool = True
) -> dict[tuple[str, str], str]:
    """Return the name of each part's images and labels: ``("train", "images")`` and so on.

    Parameters
    ----------
    arrays : Mapping of str to Array
    path : Path
        For messages.
    needed : bool
        Whether there must be training images and labels.

    Raises
    ------
    DataError
        Where there are no training images or no labels.
    """
    lowered = {name.lower(): name for name in arrays}
    found = {}
    for key, names in NAMES.items():
        name = next((lowered[name] for name in names if name in lowered), None)
        if name is not None:
            found[key] = name
    for kind in ("images", "labels"):
        if needed and ("train", kind) not in found:
            listed = ", ".join(list(arrays)[:6])
            raise DataError(
                f"{path}: found the arrays {listed}, but no training {kind}, expected "
                f"{NAMES['train', kind][0]}: numpy.savez('mnist.npz', x_train=…, y_train=…, "
                "x_test=…, y_test=…), of which the test set may be left out."
            )
    return found
