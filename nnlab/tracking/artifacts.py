"""The files that a run leaves behind: weights, split, history, config, environment."""

import csv
import hashlib
import io
import json
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from nnlab.arrays import Array
from nnlab.errors import StoredFileError
from nnlab.jobs.config import RunConfig, to_yaml
from nnlab.jobs.provenance import Provenance
from nnlab.safe_text import masked
from nnlab.system.stored_files import REMEDY, read_npz, read_text
from nnlab.training.history import CURVES, JUDGED, METRICS, SCORES, Snapshots
from nnlab.training.network import Params
from nnlab.training.outcomes import Curve
from nnlab.training.snapshots import EDGES, QUANTITIES

PATCH = "code.patch"
ENVIRONMENT = "environment.json"
WEIGHTS, INITIAL = "weights.npz", "weights_initial.npz"
SNAPSHOTS = "snapshots.npz"


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
    np.savez(folder / WEIGHTS, **in_notes_shapes(final))  # type: ignore[arg-type]
    np.savez(folder / INITIAL, **in_notes_shapes(initial))  # type: ignore[arg-type]
    write_history(folder / "history.csv", curve)
    # A stack takes those of all its runs, which may differ in their epochs.
    snapshots = {e: curve.snapshots[e] for e in config.snapshot_epochs & curve.snapshots.keys()}
    if snapshots:
        write_snapshots(folder / SNAPSHOTS, snapshots)
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


def read_weights(folder: Path, file: str = WEIGHTS) -> Params:
    """Read a run's weights, the final ones or ``INITIAL``: a stack of one.

    Raises
    ------
    StoredFileError
        Where the file is missing or damaged, or its arrays do not fit each other.
    """
    arrays = read_npz(folder / file, ("W1", "b1", "W2", "b2"))
    shapes = [array.shape for array in arrays.values()]
    hidden, classes = shapes[1][:1], shapes[3][:1]
    fits = shapes[0][:1] == hidden and shapes[1:] == [(*hidden, 1), classes + hidden, (*classes, 1)]
    dtypes = {array.dtype for array in arrays.values()}
    if not fits or len(shapes[0]) != 2 or len(dtypes) > 1 or dtypes.pop().kind != "f":  # noqa: PLR2004 - axes
        raise StoredFileError(
            f"{folder / file} cannot be read (the shapes {shapes} are no network's); {REMEDY}."
        )
    return Params(*(array[None] for array in arrays.values()))


def read_history(folder: Path) -> Curve:
    """Read a run's curve as ``write_history`` wrote it, to the last bit.

    Another version of nnlab may have written it: metrics that it lacks are missing in the curve,
    and columns that this version does not know are left out.

    Raises
    ------
    StoredFileError
        Where the file is missing or damaged, or of another kind.
    """
    path = folder / "history.csv"
    try:
        head, *rows = csv.reader(io.StringIO(read_text(path), newline=""))
        epochs = np.array([int(row[0]) for row in rows], np.int64)
        names = [name for name in head[1:] if name in CURVES]
        cells = [dict(zip(head, row, strict=True)) for row in rows]
        values = np.array([[float(row[name] or "nan") for name in names] for row in cells])
        columns = values.reshape(len(rows), len(names)).T
    except (ValueError, LookupError, OverflowError, csv.Error) as error:
        raise StoredFileError(f"{path} cannot be read ({error}); {REMEDY}.") from error
    if head[0] != "epoch" or len(set(head)) < len(head) or not set(JUDGED) <= set(names):
        raise StoredFileError(f"{path} has the columns {head}, expected epoch and {METRICS}.")
    return Curve(epochs, dict(zip(names, map(np.ascontiguousarray, columns), strict=True)))


def write_history(path: Path, curve: Curve) -> None:
    """Write a curve as CSV: a row for each epoch, floats to the last bit, missing values empty."""
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        writer.writerow(["epoch", *curve.values])
        columns = [values.tolist() for values in curve.values.values()]
        for epoch, *row in zip(curve.epochs.tolist(), *columns, strict=True):
            cells = [
                "" if name not in SCORES and value != value else repr(value)  # noqa: PLR0124 - NaN
                for name, value in zip(curve.values, row, strict=True)
            ]
            writer.writerow([epoch, *cells])


def write_snapshots(path: Path, snapshots: Snapshots) -> None:
    """Write a run's snapshots.

    ``epochs (snapshots,)``, ``edges (bins - 1,)`` and the counts of ``QUANTITIES``, (snapshots,
    bins) each; the first and the last bin are open.
    """
    epochs = sorted(snapshots)
    counts = np.stack([snapshots[epoch] for epoch in epochs], axis=1)
    arrays = dict(zip(QUANTITIES, counts, strict=True))
    np.savez_compressed(path, epochs=np.array(epochs), edges=EDGES, **arrays)


def read_snapshots(folder: Path) -> Snapshots:
    """Read a run's snapshots; there are none where it took none.

    Raises
    ------
    StoredFileError
        Where the file is damaged, or has other bins.
    """
    path = folder / SNAPSHOTS
    if not path.is_file():
        return {}
    epochs, edges, *counts = read_npz(path, ("epochs", "edges", *QUANTITIES)).values()
    shape = (len(epochs), len(EDGES) + 1)
    if not np.array_equal(edges, EDGES) or any(table.shape != shape for table in counts):
        raise StoredFileError(f"{path} has other bins than this version of nnlab; {REMEDY}.")
    table = np.stack(counts, axis=1).astype(np.int64)
    return dict(zip(map(int, epochs), table, strict=True))
