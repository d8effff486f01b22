"""Reading what is stored: a file that is damaged, or holds something else, ends in one sentence.

What the files hold may come from elsewhere, in an archive: depth and size are limited.
"""

import csv
import io
import json
import struct
import tokenize
import zipfile
import zlib
from collections.abc import Collection, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn, TypeVar

import numpy as np

from nnlab.arrays import Array
from nnlab.errors import StoredFileError

if TYPE_CHECKING:
    import pandas as pd

Content = TypeVar("Content")

LARGEST_TEXT = 512 * 2**20  # bytes; the plan of 100,000 runs has 150 MB
LARGEST_YAML = 2**20  # of a config
MOST_COLUMNS = 1000  # of a table
DEEPEST = 64  # brackets within brackets
REMEDY = "it was changed or damaged: take it from a copy, or train the run again"

# What NumPy raises, beside OSError, of a broken .npy or .npz file; its headers are Python text.
NUMPY_ERRORS = (
    ValueError, LookupError, TypeError, ArithmeticError, EOFError, SyntaxError,
    RecursionError, MemoryError, NotImplementedError, zipfile.BadZipFile, zlib.error, struct.error,
    tokenize.TokenError,
)  # fmt: skip


@contextmanager
def _sentences(where: object, *kinds: type[Exception]) -> Iterator[None]:
    """Turn the errors of these kinds, and those of the file system, into a StoredFileError."""
    try:
        yield
    except FileNotFoundError as error:
        raise StoredFileError(f"{where} cannot be read: there is no such file.") from error
    except OSError as error:
        raise StoredFileError(f"{where} cannot be read: {error.strerror or error}.") from error
    except kinds as error:
        reason = " ".join((str(error) or type(error).__name__).split())[:200]
        raise StoredFileError(f"{where} cannot be read ({reason}); {REMEDY}.") from error


def _refuse(where: object, found: str, allowed: str) -> NoReturn:
    raise StoredFileError(f"{where} has {found}, expected {allowed}; {REMEDY}.")


def read_text(path: Path, largest: int = LARGEST_TEXT) -> str:
    """Read a text.

    Parameters
    ----------
    path : Path
    largest : int
        Bytes that are read at most.

    Raises
    ------
    StoredFileError
        Where it is missing, too large or no UTF-8.
    """
    with _sentences(path, UnicodeDecodeError, MemoryError):
        size = path.stat().st_size
        if size > largest:
            _refuse(path, f"{size:,} bytes", f"at most {largest:,}")
        return path.read_text(encoding="utf-8")


def read_json(path: Path, model: type[Content]) -> Content:
    """Read JSON as a pydantic model, or any type that pydantic can check.

    Raises
    ------
    StoredFileError
        Where it is missing or damaged, or has other fields or values.
    """
    return parse_json(read_text(path), model, path)


def parse_json(text: str, model: type[Content], where: object) -> Content:
    """Check JSON as ``read_json`` does.

    Parameters
    ----------
    text : str
    model : type
        What it should hold.
    where : object
        The file's name, for messages.

    Raises
    ------
    StoredFileError
        Where it holds something else.
    """
    from pydantic import TypeAdapter, ValidationError

    with _sentences(where, ValueError, RecursionError, MemoryError):
        parsed = json.loads(text, parse_constant=_no_number, parse_float=_finite)
    if (depth := _depth(parsed)) > DEEPEST:
        _refuse(where, f"brackets {depth} deep", f"at most {DEEPEST}")
    try:
        content: Content = TypeAdapter(model).validate_json(text)
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        field = ".".join(map(str, first["loc"]))
        message = f"{field}: {first['msg']}" if field else first["msg"]
        raise StoredFileError(f"{where} cannot be read ({message}); {REMEDY}.") from error
    return content


def _no_number(constant: str) -> NoReturn:
    raise ValueError(f"{constant} is no number")


def _finite(digits: str) -> float:
    if abs(value := float(digits)) == float("inf"):
        raise ValueError(f"{digits[:20]} is too large a number")
    return value


def _depth(value: object) -> int:
    """Return how deep lists and dicts are nested."""
    depth, level = 0, [value]
    while inner := [item for item in level if isinstance(item, dict | list)]:
        depth += 1
        level = [
            part for item in inner for part in (item.values() if isinstance(item, dict) else item)
        ]
    return depth


def read_yaml(path: Path) -> dict[str, Any]:
    """Read a mapping from YAML.

    Raises
    ------
    StoredFileError
        Where it is missing or damaged, or no mapping of names.
    """
    content = parse_yaml(read_text(path, LARGEST_YAML), path)
    if not isinstance(content, dict) or not all(isinstance(name, str) for name in content):
        _refuse(path, f"a {type(content).__name__}", "a mapping of fields")
    return content


def parse_yaml(text: str, where: object) -> Any:  # noqa: ANN401 - any plain value
    """Return what YAML holds, as plain values.

    Raises
    ------
    StoredFileError
        Where it is damaged, or nested too deep.
    """
    import yaml

    kinds = (
        yaml.YAMLError, ValueError, TypeError, AttributeError, LookupError, ArithmeticError,
        RecursionError, MemoryError,
    )  # fmt: skip
    with _sentences(where, *kinds):
        depth = 0
        for event in yaml.parse(text, yaml.CSafeLoader):
            depth += isinstance(event, yaml.CollectionStartEvent)
            depth -= isinstance(event, yaml.CollectionEndEvent)
            if depth > DEEPEST or isinstance(event, yaml.AliasEvent):
                _refuse(where, f"references or brackets over {DEEPEST} deep", "a plain config")
        return yaml.load(text, yaml.CSafeLoader)


def parse_column(text: str, name: str, where: object) -> list[str]:
    """Return one column of a CSV table.

    Raises
    ------
    StoredFileError
        Where it is damaged, or has no such column.
    """
    with _sentences(where, csv.Error, ValueError, LookupError):
        head, *rows = csv.reader(io.StringIO(text, newline=""))
        column = head.index(name)
        return [row[column] for row in rows if row]


def parse_table(
    text: str, where: object, *, needed: Sequence[str], numbers: Collection[str]
) -> "pd.DataFrame":
    """Read a CSV table.

    Parameters
    ----------
    text : str
    where : object
        The file's name, for messages.
    needed : sequence of str
        Columns that must be there.
    numbers : collection of str
        Columns that hold numbers, where they are there.

    Raises
    ------
    StoredFileError
        Where it is damaged, or a column is missing or holds something else.
    """
    import pandas as pd

    with _sentences(where, csv.Error, ValueError, OverflowError, StopIteration, MemoryError):
        head = next(csv.reader(io.StringIO(text, newline="")))
        if len(head) > MOST_COLUMNS or len(set(head)) < len(head):
            _refuse(where, f"{len(head)} columns", f"at most {MOST_COLUMNS} with different names")
        table = pd.read_csv(io.StringIO(text), low_memory=False)
    if missing := [name for name in needed if name not in table]:
        _refuse(where, f"no column {missing[0]}", f"the columns {', '.join(needed)}")
    for name in numbers:
        if len(table) and name in table and table[name].dtype.kind not in "iuf":
            _refuse(where, f"text in {name}", "numbers")
    return table


def read_npz(path: Path, names: Sequence[str] = ()) -> dict[str, Array]:
    """Read the arrays of numbers in an .npz file.

    Parameters
    ----------
    path : Path
    names : sequence of str
        Those that are read, all of which must be there; all of the file by default.

    Raises
    ------
    StoredFileError
        Where it is missing or damaged, or one of them is.
    """
    # Opened here, since np.load leaves a file open that is no whole zip archive.
    with (
        _sentences(path, *NUMPY_ERRORS),
        path.open("rb") as file,
        np.load(file, allow_pickle=False) as stored,
    ):
        if missing := set(names) - set(stored.files):
            raise KeyError(f"there is no {', '.join(sorted(missing))}")
        arrays = {name: stored[name] for name in names or stored.files}
    for name, array in arrays.items():
        if not isinstance(array, np.ndarray) or array.dtype.kind not in "biuf":
            _refuse(path, f"{name} of another kind", "arrays of numbers")
    return arrays
