"""Reading a file whole, with errors that name it."""

import gzip
import io
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from nnlab.errors import DataError

GZIP_MAGIC = b"\x1f\x8b"
PIECE = 1 << 20  # bytes


def read_bytes(path: Path) -> tuple[bytes, bool]:
    """Return a file's bytes, decompressed if it is gzipped (which its content tells).

    Returns
    -------
    content : bytes
    whole : bool
        False for a gzip file that is cut off: ``content`` is what could be decompressed. Those
        who know how long it should be can then say what is missing.

    Raises
    ------
    DataError
        Where the file cannot be read or its compression is broken.
    """
    with readable(path):
        raw = path.read_bytes()
    if not raw.startswith(GZIP_MAGIC):
        return raw, True
    content = bytearray()
    try:
        with gzip.GzipFile(fileobj=io.BytesIO(raw)) as file:
            while piece := file.read1(PIECE):  # read1 hands out all there is before it raises
                content += piece
    except EOFError:
        return bytes(content), False
    except (gzip.BadGzipFile, zlib.error) as error:
        raise DataError(
            f"{path}: the gzip file is broken ({error}), expected a whole one; fetch it again."
        ) from error
    return bytes(content), True


def read_whole(path: Path) -> bytes:
    """Return a file's bytes as ``read_bytes`` does, but refuse one that is cut off.

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
    """Return the error for a gzip file that ends too early."""
    return DataError(
        f"{path}: the gzip file is cut off: it breaks off behind {found:,} decompressed bytes, "
        "expected its checksum at the end; fetch it again."
    )


@contextmanager
def readable(path: Path) -> Iterator[None]:
    """Say in a sentence why a file or folder could not be read."""
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
