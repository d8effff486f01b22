"""Checkpoints: the state of each run on disk, so that a killed sweep loses only some seconds."""

import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import ArrayLike

from nnlab.arrays import Array
from nnlab.data.array_files import read_arrays, write_arrays
from nnlab.errors import StoredFileError, TrackingError, reason_of
from nnlab.system.stored_files import NUMPY_ERRORS
from nnlab.training.history import JUDGED
from nnlab.training.network import Params
from nnlab.training.outcomes import Curve

COST = 0.05  # share of the time that checkpoints may take


@dataclass(frozen=True)
class Checkpoint:
    """A run under way.

    Attributes
    ----------
    params : Params
        A stack of one.
    epoch : int
        The one it has reached.
    curve : Curve
        So far.
    direction : Array or None
        See ``State.directions``.
    """

    params: Params
    epoch: int
    curve: Curve
    direction: Array | None = None


class Checkpoints:
    """A folder with one file for each run, as ``array_files`` writes it.

    A damaged file, such as a power cut may leave, counts as no checkpoint.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._not_before = 0.0

    @property
    def due(self) -> bool:
        """Whether enough time has passed since the last checkpoints, by the time they took."""
        return time.monotonic() >= self._not_before

    def save(self, states: dict[int, Checkpoint]) -> None:
        """Write the checkpoints of some runs, by their index in the plan.

        Raises
        ------
        TrackingError
            Where the disk is full or cannot be written; earlier checkpoints stay as they were.
        """
        if not states:
            return
        begin = time.monotonic()
        with writing(self._folder):
            self._folder.mkdir(exist_ok=True)
            self._save(states)
        now = time.monotonic()
        self._not_before = now + (now - begin) / COST

    def _save(self, states: dict[int, Checkpoint]) -> None:
        for index, state in states.items():
            values = state.curve.values
            table = np.column_stack([state.curve.epochs, *values.values()])
            named: dict[str, ArrayLike] = {
                "epoch": state.epoch, "curve": table, "metrics": tuple(values)
            }  # fmt: skip
            if snapshots := state.curve.snapshots:
                named["snapshot_epochs"] = tuple(snapshots)
                named["snapshots"] = np.stack(list(snapshots.values()))
            if state.direction is not None:
                named["direction"] = state.direction
            write_arrays(self._path(index), named | state.params._asdict())

    def load(self, index: int) -> Checkpoint | None:
        """Read a run's checkpoint; None where there is none, or it is damaged.

        Raises
        ------
        StoredFileError
            Where the file cannot be opened, or is a folder.
        """
        try:
            arrays = read_arrays(self._path(index))
            if arrays is None:
                return None
            metrics = tuple(map(str, arrays["metrics"]))
            if not set(JUDGED) <= set(metrics):
                return None  # no version wrote it
            epochs, *columns = arrays["curve"].T
            values = dict(zip(metrics, columns, strict=True))
            taken = map(int, arrays.get("snapshot_epochs", ()))
            snapshots = dict(zip(taken, arrays.get("snapshots", ()), strict=True))
            return Checkpoint(
                Params(*(arrays[name] for name in Params._fields)),
                int(arrays["epoch"]),
                Curve(epochs.astype(np.int64), values, snapshots),
                arrays.get("direction"),
            )
        except FileNotFoundError:
            return None
        except OSError as error:
            raise StoredFileError(
                f"{self._path(index)} is no checkpoint ({error.strerror or error}): remove it to "
                "train its run from the beginning."
            ) from error
        except NUMPY_ERRORS:
            return None

    def discard(self, index: int) -> None:
        """Remove the checkpoint of a run that has ended."""
        self._path(index).unlink(missing_ok=True)

    def _path(self, index: int) -> Path:
        return self._folder / f"{index:06d}.state"


@contextmanager
def writing(folder: Path) -> Iterator[None]:
    """Raise a ``TrackingError`` where a folder of the ledger cannot be written.

    Raises
    ------
    TrackingError
        In place of an OSError.
    """
    try:
        yield
    except OSError as error:
        raise TrackingError(
            f"{folder} cannot be written: {reason_of(error)}. "
            "Check its permissions and free space; what was "
            "written before is complete."
        ) from error
