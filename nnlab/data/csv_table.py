"""Tables of images in text: an image a row, with a header or without, in any usual notation."""

import csv
import hashlib
import io
import re
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np

from nnlab.arrays import Array
from nnlab.data.cache import load_cached, save_cached
from nnlab.data.columns import LABEL, Choice, Columns, named_columns, shown, unnamed_columns
from nnlab.data.pixel_values import FIELD, MAX_VALUE, OPTION, are_whole
from nnlab.errors import DataError

# A byte in decimal; spreadsheets and pandas write `7.0` for 7.
CELL = re.compile(r"[ \t]*\+?0*(?P<whole>[0-9]{1,3})(\.0*)?[ \t]*")
# Of these characters, pandas reads bytes correctly. All other files are read by the slow, strict
# reader, since pandas reads True as 1 and 1e2 as 100.
PLAIN = b'0123456789,;|\r\n" \t+.'
LONG_EXPONENT = re.compile(rb"\.\d{6,}e[+-]\d\d")  # as numpy.savetxt writes each number
VALUES = {str(value): value for value in range(MAX_VALUE + 1)}
SEPARATORS = {";": "semicolons", "\t": "tabs", ",": "commas", "|": "bars", " ": "blanks"}
RULES = 1  # of the cached form: raise it when the same text would be read as another table
BOM = b"\xef\xbb\xbf"


class Table(NamedTuple):
    """Images, one a row.

    Attributes
    ----------
    pixels : Array
        (images, pixels) uint8, or float64 where they are no bytes.
    labels : Array or None
        (images,) int64.
    said : str
        How it was read.
    """

    pixels: Array
    labels: Array | None
    said: str


class Body(NamedTuple):
    """The text of a table's rows.

    Attributes
    ----------
    text : bytes
        The whole file, so that errors can count its lines.
    start : int
        Where the rows begin.
    separator : str
    names : list of str
        Of the columns; their numbers where there is no header.
    header : bool
        Whether the names stand in the text.
    """

    text: bytes
    start: int
    separator: str
    names: list[str]
    header: bool


def read_table(
    content: bytes, path: Path, choice: Choice | None = None, *,
    pixels: int | None = None, numbers: bool = False, names: Sequence[str] | None = None,
) -> Table:  # fmt: skip
    """Read a table, or its cached binary form if the same bytes were read before.

    Parameters
    ----------
    content : bytes
        Text.
    path : Path
        For messages.
    choice : Choice or None
        What the user says of the columns.
    pixels : int or None
        The pixels of an image that a network takes, where images are to be classified: then
        labels need not be there.
    numbers : bool
        Whether any numbers are pixels, since the user gives their white.
    names : sequence of str or None
        Of the columns, where they do not stand in the text.

    Raises
    ------
    DataError
        Naming the line and the column of the first cell that is not what it should be.
    """
    choice = choice or Choice()
    options = f"{RULES} {choice} {pixels} {numbers} {names}".encode()
    name = f"table-{hashlib.sha256(content + options).hexdigest()}"
    cached = load_cached(name)
    if cached is None:
        table = _parse(content, path, choice, pixels, names, numbers=numbers)
        arrays = {"pixels": table.pixels, "said": np.array(table.said)}
        save_cached(name, arrays if table.labels is None else {**arrays, "labels": table.labels})
        return table
    return Table(cached["pixels"], cached.get("labels"), str(cached["said"]))


def _parse(
    content: bytes, path: Path, choice: Choice, pixels: int | None, names: Sequence[str] | None,
    *, numbers: bool,
) -> Table:  # fmt: skip
    body = _body(_as_utf8(content), path, names)
    if not body.text[body.start :].strip():
        expected = "label,pixel0,… and an image a row" if pixels is None else "an image a row"
        raise DataError(f"{path}: found no rows below the header, expected {expected}.")
    if body.header:
        columns = named_columns(body.names, choice, path, labelled=pixels is None)
        places = sorted([*columns.pixels, *([] if columns.label is None else [columns.label])])
        if not columns.pixels:
            raise DataError(
                f"{path}: found no pixel columns (separated by {SEPARATORS[body.separator]}), "
                "expected label,pixel0,… and an image a row."
            )
        cells = _cells(body, path, places)
        place = {column: index for index, column in enumerate(places)}
        columns = Columns(
            None if columns.label is None else place[columns.label],
            [place[column] for column in columns.pixels],
            columns.said,
        )
        if columns.label is not None and (name := body.names[places[columns.label]]) != LABEL:
            columns.said.insert(0, f"label in `{name[:20]}`")
    else:
        cells = _cells(body, path, range(len(body.names)))
        columns = unnamed_columns(cells.values, choice, path, pixels)
    cells.check(columns, numbers=numbers, option=FIELD if pixels is None else OPTION)
    values = cells.values
    # pandas stores a table by columns; the cache stores an image in each row.
    images = np.ascontiguousarray(values[:, columns.pixels])
    if are_whole(images) and images.max(initial=0) <= MAX_VALUE:
        images = images.astype(np.uint8)
    labels = None if columns.label is None else values[:, columns.label].astype(np.int64)
    header = "a header" if body.header else "no header"
    said = [f"CSV with {header}, separated by {SEPARATORS[body.separator]}", *columns.said]
    return Table(images, labels, "; ".join(said))


class _Cells(NamedTuple):
    """Cells as numbers; ``error`` is that of the strict reader, where they are not all bytes."""

    values: Array
    error: DataError | None
    exponents: bool  # whether there are numbers such as 1e2, which may be no numbers at all

    def check(self, columns: Columns, *, numbers: bool, option: str) -> None:
        """Raise the strict reader's error, where the numbers are not such as pixels are."""
        if self.error is None:
            return
        pixels = self.values[:, columns.pixels]
        labels = None if columns.label is None else self.values[:, columns.label]
        if labels is not None and not (are_whole(labels) and 0 <= labels.min() <= labels.max()
                                       <= MAX_VALUE):  # fmt: skip
            raise self.error
        low, high = pixels.min(), pixels.max()
        if low >= 0 and (
            numbers or high <= 1 or (are_whole(pixels) and high <= MAX_VALUE and not self.exponents)
        ):
            return
        if low >= 0 and high > 1 and not self.exponents:
            raise DataError(
                f"{str(self.error).removesuffix('.')}; where {high:g} is white, for one: "
                f"{option}{high:g}."
            )
        raise self.error


def _cells(body: Body, path: Path, places: Sequence[int]) -> _Cells:
    """Return the cells of some columns, (images, columns)."""
    text = body.text[body.start :]
    rows = _quick_rows(text, len(body.names), body.separator, places)
    if rows is not None:
        return _Cells(rows, None, exponents=False)
    try:
        return _Cells(_strict_rows(body, path, places), None, exponents=False)
    except DataError as error:
        numbers = _number_rows(text, len(body.names), body.separator, places)
        if numbers is None:
            raise
        exponents = text.lower().count(b"e") > len(LONG_EXPONENT.findall(text))
        return _Cells(numbers, error, exponents=exponents)


def _as_utf8(content: bytes) -> bytes:
    """Return text without a byte order mark; UTF-16, which Excel writes, as UTF-8."""
    if content.startswith((b"\xff\xfe", b"\xfe\xff")):
        try:
            return content.decode("utf-16").encode()
        except UnicodeDecodeError:
            return content
    return content.removeprefix(BOM)


def _body(content: bytes, path: Path, names: Sequence[str] | None) -> Body:
    """Find the separator, the names of the columns, and where the rows begin."""
    if not content.strip():
        raise DataError(f"{path}: the file is empty, expected a header label,pixel0,….")
    if names is not None:
        return Body(content, 0, ",", list(names), header=False)
    line = re.match(rb"\s*[^\r\n]*", content)
    assert line is not None, "it matches anything"
    try:
        first = re.split(r"[\r\n]", line[0].decode("utf-8"))[-1]
    except UnicodeDecodeError as error:
        raise _no_text(path) from error
    if re.fullmatch(r"\s*[\d.+-]+(\s+\d+:[\d.e+-]+)+\s*", first):
        raise DataError(
            f"{path}: found the sparse format of LIBSVM (label column:value …), expected an image "
            "a row: write it as a CSV, with all its zeros."
        )
    separator = _separator(first)
    if separator == " ":
        content = re.sub(rb"(?m)^[ \t]+|[ \t]+$", b"", content)
        content = re.sub(rb"[ \t]+", b" ", content)
        line = re.match(rb"\s*[^\r\n]*", content)
        assert line is not None, "it matches anything"
        first = re.sub(r"[ \t]+", " ", first.strip())
    try:
        (cells,) = csv.reader([first], delimiter=separator)
    except (csv.Error, ValueError) as error:
        raise _no_text(path) from error
    if _is_image(cells):
        numbers = [str(place) for place in range(1, len(cells) + 1)]
        return Body(content, 0, separator, numbers, header=False)
    return Body(content, line.end(), separator, [cell.strip() for cell in cells], header=True)


def _no_text(path: Path) -> DataError:
    return DataError(f"{path}: found bytes that are no text in UTF-8, expected a CSV file.")


def _separator(line: str) -> str:
    """Return the separator of a line: the most frequent one; blanks where there is no other."""
    plain = re.sub(r'"[^"]*"', "", line)
    best = max(";\t,|", key=plain.count)
    if plain.count(best):
        return ";" if plain.count(";") == plain.count(best) else best
    return " " if len(plain.split()) > 1 else ","


def _is_image(cells: Sequence[str]) -> bool:
    """Tell whether a first line is an image and no header: numbers, but not 0, 1, 2 and so on."""
    try:
        numbers = [float(cell.replace(",", ".")) for cell in cells]
    except ValueError:
        return False
    return numbers != [numbers[0] + place for place in range(len(numbers))]


def _quick_rows(
    text: bytes, columns: int, separator: str = ",", places: Sequence[int] | None = None
) -> Array | None:
    """Return the cells of some columns as uint8; None where the strict reader is needed."""
    return None if text.translate(None, PLAIN) else _pandas(text, columns, separator, places, "u1")


def _number_rows(text: bytes, columns: int, separator: str, places: Sequence[int]) -> Array | None:
    """Return the cells of some columns as float64; None where one is no finite number."""
    if text.translate(None, PLAIN + b"eE-"):
        return None  # pandas reads True as 1
    if separator == ";":
        text = text.replace(b",", b".")
    rows = _pandas(text, columns, separator, places, "f8")
    return rows if rows is not None and np.isfinite(rows).all() else None


def _pandas(
    text: bytes, columns: int, separator: str, places: Sequence[int] | None, dtype: str
) -> Array | None:
    import pandas as pd

    used = set(range(columns) if places is None else places)
    # All columns are read, for pandas does not count the cells of a row where some are not.
    types = {place: np.dtype(dtype) if place in used else np.dtype(object)
             for place in range(columns)}  # fmt: skip
    try:
        table = pd.read_csv(
            io.BytesIO(text), header=None, dtype=types, na_filter=False, sep=separator,
        )  # fmt: skip
    except (ValueError, OverflowError):  # pandas' parser errors are ValueErrors
        return None
    if table.shape[1] != columns:
        return None
    if len(used) < columns:
        last = table[columns - 1]
        if columns - 1 not in used and (last.isna() | (last == "")).any():
            return None  # a row may be too short
        return table[list(places or ())].to_numpy()
    rows = table.to_numpy()
    return rows if places is None else rows[:, list(places)]


def _strict_rows(body: Body, path: Path, places: Sequence[int]) -> Array:
    """Return the cells of some columns as uint8, or name the first that is not a byte."""
    try:
        text = body.text.decode("utf-8")
    except UnicodeDecodeError as error:
        raise _no_text(path) from error
    names = body.names
    separated = "" if body.separator == "," else f" (separated by {SEPARATORS[body.separator]})"
    reader = csv.reader(io.StringIO(text, newline=""), strict=True, delimiter=body.separator)
    filled = (row for row in reader if len(row) > 1 or any(cell.strip() for cell in row))
    every = list(places) == list(range(len(names)))
    rows = []
    try:
        if body.header:
            next(filled)
        for row in filled:
            if len(row) != len(names):
                raise DataError(
                    f"{path}: line {reader.line_num} has a length of {len(row)}, expected "
                    f"{len(names)} cells as in the {'header' if body.header else 'first'}"
                    f"{separated}."
                )
            used = row if every else [row[place] for place in places]
            try:
                rows.append(bytes(map(VALUES.__getitem__, used)))  # faster than ``_byte``
            except KeyError:
                rows.append(_bytes(used, path, reader.line_num, [names[p] for p in places]))
    except csv.Error as error:
        raise DataError(f"{path}: found no CSV in line {reader.line_num} ({error}).") from error
    return np.frombuffer(b"".join(rows), np.uint8).reshape(len(rows), len(places))


def _bytes(cells: Sequence[str], path: Path, line: int, names: Sequence[str]) -> bytes:
    return bytes(_byte(cell, path, line, name) for cell, name in zip(cells, names, strict=True))


def _byte(cell: str, path: Path, line: int, column: str) -> int:
    match = CELL.fullmatch(cell)
    if match is None or (value := int(match["whole"])) > MAX_VALUE:
        content = repr(cell[:60]) if cell.strip() else "an empty cell"
        raise DataError(
            f"{path}: found {content} in line {line}, column {shown([column])}, "
            f"expected a whole number from 0 to {MAX_VALUE}."
        )
    return value
