"""What a file is, told by its content: its name is not asked."""

import bz2
import gzip
import io
import lzma
import re
import zipfile
import zlib
from pathlib import Path
from typing import Literal, NamedTuple, NoReturn, TypeAlias

from nnlab.data.files import GZIP_MAGIC, cut_off, read_bytes
from nnlab.errors import DataError
from nnlab.wording import counted

Kind: TypeAlias = Literal["idx", "npy", "npz", "picture", "arff", "table"]

ZIP_MAGIC = b"PK\x03\x04"
NPY_MAGIC = b"\x93NUMPY"
IDX_MAGIC = re.compile(rb"\x00\x00[\x08\x09\x0b-\x0e][\x01-\x04]", re.DOTALL)
MAGIC: dict[bytes, Kind] = {
    NPY_MAGIC: "npy", ZIP_MAGIC: "npz", b"\x89PNG\r\n\x1a\n": "picture", b"\xff\xd8\xff": "picture",
}  # fmt: skip
ARFF = re.compile(rb"(\s*%[^\n]*\n|\s)*@relation\b", re.IGNORECASE)
PICKLE = re.compile(
    rb"\x80[\x02-\x05]|[(\[\]}lt]*"
    rb"(c(numpy|copy_reg|copyreg|__builtin__|builtins|_codecs|torch)[\w.]*\n|[ld]p\d+\n)",
    re.DOTALL,
)
HTML = re.compile(rb"\s*(<!doctype html|<html|<head|<body)", re.IGNORECASE)
WEB_ERROR = re.compile(
    rb"\s*(<\?xml|<Error>|40[0-9]\b[: ]|Not Found|Access Denied|Forbidden"
    rb'|\{\s*"(message|error|errors|code|detail)")',
    re.IGNORECASE,
)
JSON = re.compile(rb"\s*(\{\s*\"|\[\s*[\[{])")
POINTER = re.compile(rb"version https://git-lfs")
POINTS = "a Git LFS pointer, not the file itself: fetch that with `git lfs pull`"
PAGE = (
    "an HTML page: the download gave a web page, such as a login or an error, not the file; "
    "fetch it again"
)
UNPICKLED = (
    "a Python pickle, which can run any code when it is read, so nnlab does not read it. Where "
    "you trust its source, load it in Python, and save the arrays with numpy.savez('mnist.npz', "
    "x_train=…, y_train=…, x_test=…, y_test=…): data.path=mnist.npz"
)
AS_JSON = "JSON: write its pixels as a CSV, or as arrays with numpy.savez"
# The first bytes of other formats, and what to do with them.
FOREIGN = {
    b"PAR1": "a Parquet file: write its pixels as a CSV, or as arrays with numpy.savez",
    b"ARROW1": "a Feather file: write its pixels as a CSV, or as arrays with numpy.savez",
    b"\x89HDF": "an HDF5 file: save its arrays with numpy.savez",
    b"MATLAB 5.0 MAT-file": "a MATLAB file: read it with scipy.io.loadmat, and save the arrays "
    "with numpy.savez",
    b"7z\xbc\xaf\x27\x1c": "a 7z archive: unpack it",
    b"Rar!": "a RAR archive: unpack it",
    b"(\xb5/\xfd": "a file packed with zstd: unpack it",
    b"SQLite format 3": "an SQLite database: write its pixels as a CSV",
    b"%PDF": "a PDF document",
    b"GIF8": "a GIF picture: save it as PNG",
    b"BM": "a BMP picture: save it as PNG",
    b"II*\x00": "a TIFF picture: save it as PNG",
    b"MM\x00*": "a TIFF picture: save it as PNG",
}
# Suffixes of files that are no tables -> what one is that has not their first bytes.
BINARY = {
    ".npy": "no array of numbers as numpy.save writes it",
    ".npz": "no arrays of numbers as numpy.savez writes them",
    **dict.fromkeys((".png", ".jpg", ".jpeg"), "no whole PNG or JPEG picture"),
}
TAR_MAGIC, TAR_PLACE = b"ustar", 257
UNPACK = {GZIP_MAGIC: gzip.decompress, b"BZh": bz2.decompress, b"\xfd7zXZ\x00": lzma.decompress}
DEPTH = 3  # of files packed in files


class Content(NamedTuple):
    """A file's content, unpacked.

    Attributes
    ----------
    data : bytes
    kind : Kind
    whole : bool
        False for a gzip file that is cut off.
    """

    data: bytes
    kind: Kind
    whole: bool


def read_content(path: Path) -> Content:
    """Read a file, unpack it, and tell what it is.

    Raises
    ------
    DataError
        Where it cannot be read, is not whole, or is of a kind that is not read here.
    """
    data, whole = unpacked(path)
    kind = kind_of(data, path)
    if not whole and kind != "idx":  # whose reader says how much is missing
        raise cut_off(path, len(data))
    return Content(data, kind, whole)


def unpacked(path: Path) -> tuple[bytes, bool]:
    """Return a file's content, unpacked if it is gzipped or such, or a zip archive of one file.

    Returns
    -------
    content : bytes
        Of a gzip file that is cut off, what could be unpacked.
    whole : bool
        False for a gzip file that is cut off.

    Raises
    ------
    DataError
        Where the file cannot be read or unpacked.
    """
    data, whole = read_bytes(path)
    for _ in range(DEPTH):
        if data.startswith(ZIP_MAGIC) and not _is_npz(data, path):
            data = _only_member(data, path)
        elif unpack := next((UNPACK[magic] for magic in UNPACK if data.startswith(magic)), None):
            try:
                data = unpack(data)
            except (OSError, EOFError, ValueError, zlib.error, lzma.LZMAError) as error:
                raise DataError(
                    f"{path}: it cannot be unpacked ({error}); fetch it again."
                ) from error
        else:
            break
    return data, whole


def kind_of(data: bytes, path: Path) -> Kind:
    """Tell what unpacked content is.

    Parameters
    ----------
    data : bytes
        Of the file, or its first few thousand.
    path : Path
        For messages.

    Raises
    ------
    DataError
        Where it is of a kind that is not read here; the message says what it is.
    """
    head = data[:4096]
    if IDX_MAGIC.match(head):
        return "idx"
    for magic, kind in MAGIC.items():
        if head.startswith(magic):
            return kind
    if not data.strip():
        raise DataError(f"{path}: the file is empty; fetch it again.")
    if description := _foreign(head):
        _refuse(path, description)
    if ARFF.match(head):
        return "arff"
    if path.suffix.lower() in BINARY:
        raise DataError(
            f"{path}: found {BINARY[path.suffix.lower()]}, expected what its name says."
        )
    return "table"


def _foreign(head: bytes) -> str | None:
    """Describe a format that is not read here, and say what to do with it; None for text."""
    if WEB_ERROR.match(head) and not HTML.match(head):
        text = " ".join(head[:80].decode(errors="replace").split())
        return f"a web server's error ({text}), not the file; fetch it again"
    for pattern, description in (
        (PICKLE, UNPICKLED),
        (POINTER, POINTS),
        (HTML, PAGE),
        (JSON, AS_JSON),
    ):
        if pattern.match(head):
            return description
    if head[TAR_PLACE:].startswith(TAR_MAGIC):
        return "a tar archive: unpack it"
    return next((text for magic, text in FOREIGN.items() if head.startswith(magic)), None)


def _refuse(path: Path, description: str) -> NoReturn:
    raise DataError(f"{path}: found {description}.")


def _names(data: bytes, path: Path) -> list[str]:
    """Return the names of a zip archive's files, without those that macOS adds."""
    try:
        with zipfile.ZipFile(io.BytesIO(data)) as archive:
            names = archive.namelist()
    except (zipfile.BadZipFile, OSError, ValueError, NotImplementedError) as error:
        raise DataError(f"{path}: the zip archive is broken ({error}); fetch it again.") from error
    return [
        name
        for name in names
        if not name.endswith("/")
        and not name.startswith("__MACOSX/")
        and not Path(name).name.startswith(".")
    ]


def _is_npz(data: bytes, path: Path) -> bool:
    names = _names(data, path)
    return bool(names) and all(name.endswith(".npy") for name in names)


def _only_member(data: bytes, path: Path) -> bytes:
    """Return the one file of a zip archive."""
    names = _names(data, path)
    if any(name.endswith("data.pkl") for name in names):
        _refuse(path, UNPICKLED)
    if "xl/workbook.xml" in names:
        _refuse(path, "an Excel workbook: save the sheet as CSV")
    if len(names) != 1:
        shown = ", ".join(names[:4]) + (", …" if len(names) > 4 else "")  # noqa: PLR2004
        count = counted(len(names), "file")
        _refuse(path, f"a zip archive of {count} ({shown}), expected one: unpack it, "
                "and give the folder or one of the files")  # fmt: skip
    try:
        with zipfile.ZipFile(io.BytesIO(data)) as archive:
            return archive.read(names[0])
    except (zipfile.BadZipFile, OSError, RuntimeError, NotImplementedError, zlib.error) as error:
        raise DataError(
            f"{path}: {names[0]} in the zip archive cannot be read ({error})."
        ) from error
