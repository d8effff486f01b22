"""W1 before the first step: what the notes print of it."""

import json
from contextlib import suppress
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from pydantic import TypeAdapter

from nnlab.analysis.formatting import json_value
from nnlab.arrays import Array
from nnlab.errors import StoredFileError, TrackingError
from nnlab.system.stored_files import read_npz
from nnlab.tracking.artifacts import INITIAL
from nnlab.tracking.readers import Reader
from nnlab.tracking.records import RunRecord
from nnlab.training.initializers import Initializer, draw_params

MOST_WEIGHTS = 10**8  # that are drawn: a store may say anything


@dataclass(frozen=True)
class FirstWeights:
    """W1 before the first step.

    Attributes
    ----------
    shape : tuple of int
        ``(hidden, pixels)``.
    mean, standard_deviation, lowest, highest : float
    """

    shape: tuple[int, ...]
    mean: float
    standard_deviation: float
    lowest: float
    highest: float

    @classmethod
    def of(cls, w1: Array) -> "FirstWeights":
        """Summarise an array.

        Raises
        ------
        ValueError
            Where it is not one of weights.
        """
        if w1.ndim != 2 or not w1.size:  # noqa: PLR2004 - axes
            raise ValueError(f"the shape {w1.shape} is no layer's")
        wide = w1.astype(np.float64)
        numbers = (wide.mean(), wide.std(), wide.min(), wide.max())
        return cls(w1.shape, *map(float, numbers))

    def as_dict(self) -> dict[str, object]:
        """Return the fields as plain values; numbers that are not finite become None."""
        return {name: json_value(value) for name, value in asdict(self).items()}

    def __str__(self) -> str:
        return (
            f"shape {self.shape}, mean {self.mean:.4g}, standard deviation "
            f"{self.standard_deviation:.4g}, from {self.lowest:.4g} to {self.highest:.4g}"
        )


def first_weights(store: Reader, record: RunRecord) -> FirstWeights | None:
    """Return W1 as the run recorded it, or else drawn again from its seed and its parameters.

    Returns
    -------
    FirstWeights or None
        None where the record tells neither.
    """
    with (
        suppress(TrackingError, StoredFileError, OSError, ValueError),
        store.some_files(record.run_id, [INITIAL]) as folder,
    ):
        return FirstWeights.of(read_npz(folder / INITIAL, ("W1",))["W1"])
    with suppress(LookupError, ValueError, TypeError, TrackingError):
        return FirstWeights.of(_drawn(store, record))
    return None


def _drawn(store: Reader, record: RunRecord) -> Array:
    """Draw W1 again.

    Raises
    ------
    LookupError, ValueError, TypeError
        Where the record lacks something, or holds what no run has.
    """
    params = record.params
    hidden, dtype = int(params["hidden_size"]), np.dtype(params["dtype"])
    schema: Any = json.loads(store.dataset_schemas(record.run_id)[0])
    pixels, classes = int(schema["pixels"][1]), int(schema["classes"])
    if not 0 < hidden * (pixels + classes) < MOST_WEIGHTS or dtype.kind != "f":
        raise ValueError("no network of ours")
    family = {name: params[f"init.{name}"] for name in ("draw", "scale", "shift")}
    first: Array = draw_params(
        TypeAdapter(Initializer).validate_python(family), int(params["seed"]),
        pixels=pixels, hidden=hidden, classes=classes, dtype=dtype,
    ).w1[0]  # fmt: skip
    return first
