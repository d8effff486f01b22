"""The Digit Recognizer CSV of the notes: a header ``label,pixel0,…`` and an image a row."""

import csv
import hashlib
import io
import math
import re
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from nnlab.arrays import Array
from nnlab.data.cache import load_cached, save_cached
from nnlab.data.files import read_whole
from nnlab.errors import DataError

MAX_VALUE = 255  # of pixels and of labels
# A byte in decimal; spreadsheets and pandas write `7.0` for 7.
CELL = re.compile(r"[ \t]*\+?0*(?P<whole>[0-9]{1,3})(\.0*)?[ \t]*")
# Of these characters, pandas reads bytes correctly. All other files are read by the slow, strict
# reader, since pandas reads True as 1 and 1e2 as 100.
PLAIN = b'0123456789,\r\n" \t+.'
LABEL = "label"
VALUES = {str(value): value for value in range(MAX_VALUE + 1)}


def read_kaggle(path: Path) -> tuple[Array, Array, tuple[int, int]]:
    """Read a CSV, or its cached binary form if the same bytes were read before.

    Returns
    -------
    pixels : Array
        (images, pixels) uint8.
    labels : Array
        (images,) int64.
    image_shape : tuple of int
        Rows and columns: a square where the number of pixels is one, else a single row.

    Raises
    ------
    DataError
        Naming the line and the column of the first cell that is not what it should be.
    """
    content = read_whole(path)
    name = f"csv-{hashlib.sha256(content).hexdigest()}"
    table = load_cached(name)
    if table is None:
        table = _parse(content, path)
        save_cached(name, table)
    pixels = table["pixels"]
    side = math.isqrt(pixels.shape[1])
    shape = (side, side) if side * side == pixels.shape[1] else (1, pixels.shape[1])
    return pixels, table["labels"], shape


def read_images(path: Path) -> tuple[Array, Array | None]:
    """Read a CSV of images to classify: with or without a header, with or without labels.

    Returns
    -------
    pixels : Array
        (images, columns) uint8: all columns but the labels.
    labels : Array or None
        (images,) int64; None where no column is called ``label``.

    Raises
    ------
    DataError
        Naming the line and the column of the first cell that is not what it should be.
    """
    content = read_whole(path)
    columns, body = _first_line(content, path)
    if columns.count(LABEL) == 1:
        table = _parse(content, path)
        return table["pixels"], table["labels"]
    if _are_pixels(columns):
        columns, body = [str(place) for place in range(1, len(columns) + 1)], 0
    elif not content[body:].strip():
        raise DataError(f"{path}: found no rows below the header, expected an image a row.")
    return _rows(content, body, path, columns), None


def _parse(content: bytes, path: Path) -> dict[str, Array]:
    columns, body = _header(content, path)
    rows = _rows(content, body, path, columns)
    label = columns.index(LABEL)
    # pandas stores a table by columns; the cache stores an image in each row.
    pixels = np.ascontiguousarray(np.delete(rows, label, axis=1))
    return {"pixels": pixels, "labels": rows[:, label].astype(np.int64)}


def _are_pixels(cells: Sequence[str]) -> bool:
    """Tell whether a first line is an image and no header: numbers, but not 0, 1, 2 and so on."""
    try:
        numbers = [float(cell) for cell in cells]
    except ValueError:
        return False
    return numbers != [numbers[0] + place for place in range(len(numbers))]


def _first_line(content: bytes, path: Path) -> tuple[list[str], int]:
    """Return the cells of the first line, and where it ends."""
    if not content.strip():
        raise DataError(f"{path}: the file is empty, expected a header label,pixel0,….")
    if content.startswith(b"PK\x03\x04"):
        raise DataError(f"{path}: found a ZIP archive, expected the CSV file in it; unpack it.")
    line = re.match(rb"\s*[^\r\n]*", content)
    assert line is not None, "it matches anything"
    try:
        (columns,) = csv.reader([line[0].decode("utf-8-sig").strip()])
    except (UnicodeDecodeError, csv.Error, ValueError) as error:
        raise DataError(f"{path}: found bytes that are no text, expected a CSV file.") from error
    return columns, line.end()


def _header(content: bytes, path: Path) -> tuple[list[str], int]:
    """Return the names of the columns, one of which is ``label``, and where the rows begin."""
    columns, body = _first_line(content, path)
    if columns.count(LABEL) != 1:
        count = "no column" if LABEL not in columns else f"{columns.count(LABEL)} columns"
        raise DataError(
            f"{path}: found {count} `{LABEL}` in the header (it begins {','.join(columns[:3])!r}), "
            "expected label,pixel0,…; the competition's test.csv has no labels to train on."
        )
    if len(columns) == 1 or not content[body:].strip():
        missing = "pixel columns" if len(columns) == 1 else "rows below the header"
        raise DataError(f"{path}: found no {missing}, expected label,pixel0,… and an image a row.")
    return columns, body


def _rows(content: bytes, body: int, path: Path, columns: Sequence[str]) -> Array:
    """Return all cells from ``content[body:]``, (images, columns) uint8."""
    rows = _quick_rows(content[body:], len(columns))
    return _strict_rows(content, path, columns, header=body > 0) if rows is None else rows


def _quick_rows(body: bytes, columns: int) -> Array | None:
    """Return all cells, (images, columns) uint8; None where the strict reader is needed."""
    import pandas as pd

    if body.translate(None, PLAIN):
        return None
    try:
        table = pd.read_csv(io.BytesIO(body), header=None, dtype=np.uint8, na_filter=False)
    except (ValueError, OverflowError):  # pandas' parser errors are ValueErrors
        return None
    return table.to_numpy() if table.shape[1] == columns else None


def _strict_rows(
    content: bytes, path: Path, columns: Sequence[str], *, header: bool = True
) -> Array:
    """Return all cells, (images, columns) uint8, or name the first that is not a byte."""
    try:
        text = content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise DataError(f"{path}: found bytes that are no text, expected a CSV file.") from error
    reader = csv.reader(io.StringIO(text, newline=""), strict=True)
    filled = (row for row in reader if len(row) > 1 or any(cell.strip() for cell in row))
    rows = []
    try:
        if header:
            next(filled)
        for row in filled:
            if len(row) != len(columns):
                raise DataError(
                    f"{path}: line {reader.line_num} has a length of {len(row)}, expected "
                    f"{len(columns)} cells as in the {'header' if header else 'first'}."
                )
            try:
                rows.append(bytes(map(VALUES.__getitem__, row)))  # faster than ``_byte``
            except KeyError:
                cells = zip(row, columns, strict=True)
                rows.append(bytes(_byte(cell, path, reader.line_num, name) for cell, name in cells))
    except csv.Error as error:
        raise DataError(f"{path}: found no CSV in line {reader.line_num} ({error}).") from error
    return np.frombuffer(b"".join(rows), np.uint8).reshape(len(rows), len(columns))


def _byte(cell: str, path: Path, line: int, column: str) -> int:
    match = CELL.fullmatch(cell)
    if match is None or (value := int(match["whole"])) > MAX_VALUE:
        content = repr(cell) if cell.strip() else "an empty cell"
        raise DataError(
            f"{path}: found {content} in line {line}, column {column}, "
            f"expected a whole number from 0 to {MAX_VALUE}."
        )
    return value
