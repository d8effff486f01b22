"""The Digit Recognizer CSV of the notes: a header ``label,pixel0,…`` and an image a row."""

import hashlib
import math
import warnings
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from nnlab.cache import load_arrays, save_arrays
from nnlab.data import MAX_CLASSES
from nnlab.errors import DataError
from nnlab.idx import readable
from nnlab.network import Array

if TYPE_CHECKING:
    import pandas as pd

BRIGHTEST = 255


def read_kaggle(path: Path) -> tuple[Array, Array, tuple[int, int]]:
    """Read a CSV, or its cached binary form if the same bytes were read before.

    Returns
    -------
    pixels : (images, pixels) uint8
    labels : (images,) int64
    image_shape : rows and columns: a square where the pixels make one, else a single row

    Raises
    ------
    DataError
        Naming the row and the column of the first cell that is not what it should be.
    """
    with readable(path), path.open("rb") as file:
        digest = hashlib.file_digest(file, "sha256").hexdigest()
    table = load_arrays(f"csv-{digest}")
    if table is None:
        table = _parse(path)
        save_arrays(f"csv-{digest}", table)
    pixels = table["pixels"]
    side = math.isqrt(pixels.shape[1])
    shape = (side, side) if side * side == pixels.shape[1] else (1, pixels.shape[1])
    return pixels, table["labels"], shape


def _parse(path: Path) -> dict[str, Array]:
    import pandas as pd

    try:
        with warnings.catch_warnings(), readable(path):
            warnings.simplefilter("error", pd.errors.ParserWarning)  # a row longer than the header
            warnings.simplefilter("ignore", pd.errors.DtypeWarning)  # looked into below
            table = pd.read_csv(path, index_col=False)
    except pd.errors.EmptyDataError as error:
        raise DataError(f"{path}: the file is empty, expected a header label,pixel0,….") from error
    except (pd.errors.ParserError, pd.errors.ParserWarning) as error:
        reason = " ".join(str(error).removeprefix("Error tokenizing data. C error: ").split())
        raise DataError(
            f"{path}: the rows are not all as long as the header ({reason}); expected a label and "
            "as many pixels in every row."
        ) from error
    except UnicodeDecodeError as error:
        raise DataError(f"{path}: found bytes that are no text, expected a CSV file.") from error

    if "label" not in table.columns:
        raise DataError(
            f"{path}: found no column `label` in the header (it begins {list(table.columns)[:3]}), "
            "expected label,pixel0,…; the competition's test.csv has no labels to train on."
        )
    if table.shape[1] == 1 or table.empty:
        what = "pixel columns" if table.shape[1] == 1 else "rows below the header"
        raise DataError(f"{path}: found no {what}, expected label,pixel0,… and an image a row.")
    if not all(dtype.kind in "iu" for dtype in table.dtypes):
        raise _first_bad_cell(path, table)
    labels = table.pop("label")
    _check_range(path, labels.to_frame(), MAX_CLASSES - 1)
    _check_range(path, table, BRIGHTEST)
    return {"pixels": table.to_numpy(np.uint8), "labels": labels.to_numpy(np.int64)}


def _first_bad_cell(path: Path, table: "pd.DataFrame") -> DataError:
    """Find the first cell that is not a whole number."""
    import pandas as pd

    for name, column in table.items():
        if column.dtype.kind in "iu":
            continue
        numbers = pd.to_numeric(column, errors="coerce").to_numpy(np.float64)
        bad = np.flatnonzero(~(np.isfinite(numbers) & (numbers == np.round(numbers))))
        if bad.size:
            cell = column.iloc[bad[0]]
            found = "an empty cell" if pd.isna(cell) else repr(cell)
            return DataError(
                f"{path}: found {found} in line {bad[0] + 2}, column {name}, "
                "expected a whole number."
            )
    return DataError(f"{path}: found numbers with a decimal point, expected whole numbers.")


def _check_range(path: Path, table: "pd.DataFrame", largest: int) -> None:
    values = table.to_numpy()
    outside = (values < 0) | (values > largest)
    if outside.any():
        row, column = (int(index[0]) for index in np.nonzero(outside))
        raise DataError(
            f"{path}: found {values[row, column]} in line {row + 2}, column "
            f"{table.columns[column]}, expected 0 to {largest}."
        )
