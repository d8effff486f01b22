"""Whole files: read to the end, with errors that name them; written completely or not at all."""

import gzip
import io
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from nnlab.errors import DataError
from nnlab.system.temporary import WRITING, temporary_folder

if TYPE_CHECKING:
    from _typeshed import ReadableBuffer

GZIP_MAGIC = b"\x1f\x8b"
PIECE = 1 << 20  # bytes


def read_bytes(path: Path) -> tuple[bytes, bool]:
    """Return a file's bytes, decompressed if its content is gzipped, whatever its name is.

    Returns
    -------
    content : bytes
        Of a gzip file that is cut off, what could be decompressed.
    whole : bool
        False for a gzip file that is cut off. A caller who knows how long the content should be
        can then say how much is missing.

    Raises
    ------
    DataError
        Where the file cannot be read or its compression is broken.
    """
    if path.is_fifo() or path.is_socket() or path.is_char_device():
        raise DataError(
            f"{path}: found a pipe or a device, expected a file, which can be read again: write "
            "what comes from it to a file first."
        )
    with readable(path):
        raw = path.read_bytes()
    if not raw.startswith(GZIP_MAGIC):
        return raw, True
    content = bytearray()
    try:
        with gzip.GzipFile(fileobj=io.BytesIO(raw)) as file:
            while piece := file.read1(PIECE):  # read1 returns all that there is before it raises
                content += piece
    except EOFError:
        return bytes(content), False
    except (gzip.BadGzipFile, zlib.error) as error:
        raise DataError(
            f"{path}: the gzip file is broken ({error}), expected a whole one; fetch it again."
        ) from error
    return bytes(content), True


def read_whole(path: Path) -> bytes:
    """Return a file's bytes, decompressed if its content is gzipped; refuse one that is cut off.

    Raises
    ------
    DataError
        Where the file cannot be read, or is not whole.
    """
    content, whole = read_bytes(path)
    if not whole:
        raise cut_off(path, len(content))
    return content


def cut_off(path: Path, found: int) -> DataError:
    """Return the error for a gzip file of which only ``found`` bytes could be decompressed."""
    return DataError(
        f"{path}: the gzip file is cut off: it breaks off behind {found:,} decompressed bytes, "
        "expected its checksum at the end; fetch it again."
    )


def write_whole(path: Path, *pieces: "ReadableBuffer") -> None:
    """Write a file, completely or not at all, and the folder that holds it where there is none.

    It is written beside its place and moved there, so that nobody ever reads half a file, also
    where several processes write the same one.

    Raises
    ------
    OSError
        Where it cannot be written; an earlier file stays as it was.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    with temporary_folder(WRITING, path.parent) as folder:
        complete = folder / path.name
        with complete.open("wb") as file:
            for piece in pieces:
                file.write(piece)
        complete.replace(path)


@contextmanager
def readable(path: Path) -> Iterator[None]:
    """Raise a DataError that names the file or folder where the block raises an OSError."""
    try:
        yield
    except FileNotFoundError as error:
        raise DataError(f"{path}: there is no such file or folder.") from error
    except IsADirectoryError as error:
        raise DataError(f"{path}: found a folder, expected a file.") from error
    except NotADirectoryError as error:
        raise DataError(f"{path}: found a file where a folder was expected.") from error
    except PermissionError as error:
        raise DataError(f"{path}: no permission to read it.") from error
    except OSError as error:
        raise DataError(f"{path}: it cannot be read ({error.strerror or error}).") from error
