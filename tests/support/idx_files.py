"""IDX files made byte by byte, as LeCun's page describes them."""

import struct

import numpy as np


def idx_bytes(array):
    """The bytes of an IDX file: magic number, one big-endian size a dimension, the data."""
    array = np.asarray(array, np.uint8)
    return struct.pack(f">BBBB{array.ndim}I", 0, 0, 8, array.ndim, *array.shape) + array.tobytes()


def random_images(count, rows=3, columns=2, seed=0):
    """(count, rows, columns) bytes."""
    return np.random.default_rng(seed).integers(0, 256, (count, rows, columns), np.uint8)


def write_idx_files(folder, *, train=6, test=2, classes=3, prefix="", images=random_images):
    """Write the files of a small dataset, whose labels are 0, 1, … in turn; return their arrays."""
    arrays = {}
    for part, count in (("train", train), ("t10k", test)):
        if count:
            arrays[f"{part}-images-idx3-ubyte"] = images(count, seed=count)
            arrays[f"{part}-labels-idx1-ubyte"] = np.arange(count) % classes
    folder.mkdir(exist_ok=True)
    for name, array in arrays.items():
        (folder / f"{prefix}{name}").write_bytes(idx_bytes(array))
    return arrays
