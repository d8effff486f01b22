"""The files that a run leaves behind: weights, split, history, config, environment."""

import csv
import hashlib
import json
import zipfile
import zlib
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from nnlab.arrays import Array
from nnlab.runs.config import RunConfig, to_yaml
from nnlab.runs.provenance import Provenance
from nnlab.safe_text import masked
from nnlab.training.history import METRICS, STEPS
from nnlab.training.network import Params
from nnlab.training.outcomes import Curve

PATCH = "code.patch"
ENVIRONMENT = "environment.json"

# What NumPy raises where a file is no .npz file, or was cut off.
NPZ_ERRORS = (OSError, ValueError, KeyError, EOFError, zipfile.BadZipFile, zlib.error)


def in_notes_shapes(params: Params, run: int = 0) -> dict[str, Array]:
    """Return one run's weights in the shapes of the notes.

    Parameters
    ----------
    params : Params
    run : int
        Its place in the stack.

    Returns
    -------
    dict
        ``W1 (hidden, pixels)``, ``b1 (hidden, 1)``, ``W2 (classes, hidden)``, ``b2 (classes, 1)``.
    """
    w1, b1, w2, b2 = (array[run] for array in params)
    return {"W1": w1, "b1": b1, "W2": w2, "b2": b2}


def weights_sha256(params: Params, run: int = 0) -> str:
    """Return the SHA-256, in hex, of one run's weights.

    It covers names, dtypes, shapes and little-endian bytes.
    """
    digest = hashlib.sha256()
    for name, array in in_notes_shapes(params, run).items():
        canonical = np.ascontiguousarray(array, array.dtype.newbyteorder("<"))
        digest.update(f"{name} {canonical.dtype.str} {canonical.shape}\n".encode())
        digest.update(canonical.tobytes())
    return digest.hexdigest()


def write(
    folder: Path,
    *,
    config: RunConfig,
    overrides: Sequence[str],
    initial: Params,
    final: Params,
    curve: Curve,
) -> None:
    """Write a run's own files, all but the figures, into a folder.

    Parameters
    ----------
    folder : Path
    config : RunConfig
    overrides : sequence of str
        What was given on the command line.
    initial, final : Params
        Stacks of one.
    curve : Curve
    """
    np.savez(folder / "weights.npz", **in_notes_shapes(final))  # type: ignore[arg-type]
    np.savez(folder / "weights_initial.npz", **in_notes_shapes(initial))  # type: ignore[arg-type]
    write_history(folder / "history.csv", curve)
    (folder / "config.yaml").write_text(to_yaml(config), encoding="utf-8")
    (folder / "overrides.yaml").write_text(
        "".join(f"- {json.dumps(masked(override))}\n" for override in overrides) or "[]\n",
        encoding="utf-8",
    )


def write_shared(folder: Path, split: dict[str, Array], origin: Provenance) -> None:
    """Write what all runs of a sweep share.

    Parameters
    ----------
    folder : Path
    split : dict of str to array
        ``train`` and ``val``: indices into the dataset's own order.
    origin : Provenance
        An empty patch makes no file.
    """
    if origin.patch:
        (folder / PATCH).write_bytes(origin.patch)
    np.savez(folder / "split.npz", **split)  # type: ignore[arg-type]
    (folder / ENVIRONMENT).write_text(
        json.dumps(origin.environment, indent=2) + "\n", encoding="utf-8"
    )


def read_weights(folder: Path) -> Params:
    """Read a run's final weights: a stack of one."""
    # Opened here, since np.load leaves a file open that is no whole zip archive.
    with (folder / "weights.npz").open("rb") as file, np.load(file, allow_pickle=False) as arrays:
        return Params(*(arrays[name][None] for name in ("W1", "b1", "W2", "b2")))


def read_history(folder: Path) -> Curve:
    """Read a run's curve as ``write_history`` wrote it, to the last bit.

    Raises
    ------
    OSError
        Where the file cannot be read.
    ValueError
        Where it is another kind of file.
    """
    with (folder / "history.csv").open(newline="", encoding="utf-8") as file:
        reader = csv.DictReader(file)
        if reader.fieldnames != ["epoch", *METRICS]:
            raise ValueError(f"history.csv has the columns {reader.fieldnames}.")
        rows = list(reader)
    epochs = np.array([int(row["epoch"]) for row in rows], np.int64)
    columns = {name: np.array([float(row[name] or "nan") for row in rows]) for name in METRICS}
    return Curve(epochs, columns)


def write_history(path: Path, curve: Curve) -> None:
    """Write a curve as CSV: a row for each epoch, floats to the last bit, missing values empty."""
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        writer.writerow(["epoch", *METRICS])
        columns = [curve.values[name].tolist() for name in METRICS]
        for epoch, *row in zip(curve.epochs.tolist(), *columns, strict=True):
            cells = [
                "" if name in STEPS and value != value else repr(value)  # noqa: PLR0124 - NaN
                for name, value in zip(METRICS, row, strict=True)
            ]
            writer.writerow([epoch, *cells])
