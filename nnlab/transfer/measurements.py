"""A run's metrics in an archive: a line for each value, to the last bit."""

import csv
import io
import math
from collections.abc import Iterable, Iterator
from pathlib import Path

from pydantic import TypeAdapter, ValidationError

from nnlab.errors import ArchiveError
from nnlab.tracking.records import Measurement
from nnlab.transfer.archive import LARGEST_INTEGER, Key, first_error

COLUMNS = ("key", "value", "timestamp", "step")


def to_csv(metrics: Iterable[Measurement]) -> bytes:
    """Write measurements, sorted, their values to the last bit."""
    text = io.StringIO(newline="")
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(COLUMNS)
    rows = [(each.key, each.step, each.timestamp, repr(each.value)) for each in metrics]
    for key, step, timestamp, value in sorted(rows):
        writer.writerow((key, value, timestamp, step))
    return text.getvalue().encode()


def read_csv(path: Path, name: str) -> Iterator[Measurement]:
    """Yield the measurements of a file.

    Parameters
    ----------
    path : Path
    name : str
        The file's name in the archive, for messages.

    Raises
    ------
    ArchiveError
        Where it holds something else.
    """
    known: set[str] = set()
    with path.open(newline="", encoding="utf-8") as file:
        rows = csv.reader(file, strict=True)
        try:
            if next(rows, None) != list(COLUMNS):
                raise ArchiveError(f"{name!r} does not begin with {','.join(COLUMNS)}.")
            for row in rows:
                yield _measurement(row, known)
        except (csv.Error, ValueError) as error:
            reason = first_error(error) if isinstance(error, ValidationError) else error
            raise ArchiveError(f"{name!r}, line {rows.line_num}: {reason}.") from error


def _measurement(row: list[str], known: set[str]) -> Measurement:
    """Read a line; ``known`` collects the keys that were checked."""
    if len(row) != len(COLUMNS):
        raise ValueError(f"found {len(row)} cells, expected {len(COLUMNS)}")
    key, value, timestamp, step = row
    if key not in known:
        known.add(TypeAdapter(Key).validate_python(key))
    measurement = Measurement(key, float(value), int(timestamp), int(step))
    if math.isinf(measurement.value):
        raise ValueError("an infinite value, which no store can hold")
    if not (
        0 <= measurement.timestamp <= LARGEST_INTEGER and abs(measurement.step) <= LARGEST_INTEGER
    ):
        raise ValueError("a time or a step beyond all bounds")
    return measurement
