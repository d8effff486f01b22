"""ARFF, the format of Weka and of OpenML's ``mnist_784``: named columns, then a table."""

import re
from pathlib import Path

from nnlab.errors import DataError

ATTRIBUTE = re.compile(
    r"@attribute\s+(?P<name>'[^']*'|\"[^\"]*\"|\S+)\s+(?P<type>.+?)\s*", re.IGNORECASE
)
DATA = re.compile(rb"^[ \t]*@data\b[^\r\n]*", re.IGNORECASE | re.MULTILINE)


def split_arff(content: bytes, path: Path) -> tuple[list[str], bytes]:
    """Return the names of the columns, and the table as CSV.

    Raises
    ------
    DataError
        Where the file has no data, or is sparse.
    """
    data = DATA.search(content)
    if data is None:
        raise DataError(f"{path}: found an ARFF file without @data, expected a whole one.")
    names = []
    for line in content[: data.start()].decode("utf-8", errors="replace").splitlines():
        match = ATTRIBUTE.fullmatch(line.strip())
        if match is not None:
            names.append(match["name"].strip("'\""))
    body = content[data.end() :]
    if b"%" in body:
        body = re.sub(rb"(?m)^[ \t]*%[^\r\n]*", b"", body)
    body = body.lstrip()
    if body.startswith(b"{"):
        raise DataError(f"{path}: found a sparse ARFF file, expected an image a row, zeros too.")
    return names, body.replace(b"'", b'"')
