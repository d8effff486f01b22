"""Downloading MNIST: each file from the first public mirror that sends the right bytes."""

import gzip
import hashlib
import io
import sys
import zlib
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from nnlab.data.cache import cache_file
from nnlab.data.files import GZIP_MAGIC
from nnlab.errors import DataError

if TYPE_CHECKING:
    from _typeshed import ReadableBuffer

MIRRORS = (
    "https://ossci-datasets.s3.amazonaws.com/mnist/",
    "https://storage.googleapis.com/cvdf-datasets/mnist/",
    "https://raw.githubusercontent.com/fgnt/mnist/master/",
)
TIMEOUT = 30  # seconds without a byte, after which the next mirror is asked
MAX_BYTES = 64 << 20  # the largest file has 47 MB, 10 MB gzipped
PIECE = 1 << 16  # bytes between two steps of the progress bar

# SHA-256 of the *decompressed* files: the mirrors' gzip bytes differ.
DIGESTS = {
    "train-images-idx3-ubyte": "ba891046e6505d7aadcbbe25680a0738ad16aec93bde7f9b65e87a2fc25776db",
    "train-labels-idx1-ubyte": "65a50cbbf4e906d70832878ad85ccda5333a97f0f4c3dd2ef09a8a9eef7101c5",
    "t10k-images-idx3-ubyte": "0fa7898d509279e482958e8ce81c8e77db3f2f8254e26661ceb7762c4d494ce7",
    "t10k-labels-idx1-ubyte": "ff7bcfd416de33731a308c3f266cc351222c34898ecbeaf847f06e48f7ec33f2",
}


def fetch_mnist(folder: Path, mirrors: Sequence[str] = MIRRORS) -> dict[str, bytes]:
    """Return the four files of MNIST, decompressed, by name.

    Files that the folder holds intact are read; the others are downloaded and saved there, unless
    it cannot be written.

    Parameters
    ----------
    folder : Path
        Of earlier downloads.
    mirrors : sequence of str
        Addresses that end in ``/``, tried in this order.

    Raises
    ------
    DataError
        Where no mirror sends the right bytes of a file; nothing of that file is saved.
    """
    contents = {}
    for name in DIGESTS:
        content = _downloaded(folder / name)
        if content is None:
            content = _fetch(name, mirrors)
            cache_file(folder / name, content)
        contents[name] = content
    return contents


def _downloaded(path: Path) -> bytes | None:
    """Return an earlier download; None where there is none, or it is damaged."""
    try:
        content = path.read_bytes()
    except OSError:
        return None
    return content if _is_authentic(path.name, content) else None


def _is_authentic(name: str, content: bytes) -> bool:
    return hashlib.sha256(content).hexdigest() == DIGESTS[name]


class _Received(io.BytesIO):
    """What a mirror sends, in memory, so that an interrupted download leaves nothing behind."""

    def write(self, piece: "ReadableBuffer", /) -> int:
        if self.tell() + memoryview(piece).nbytes > MAX_BYTES:
            raise gzip.BadGzipFile("longer than any file of MNIST")
        return super().write(piece)

    def content(self) -> bytes:
        """Return the bytes, decompressed unless the server has decompressed them."""
        sent = self.getvalue()
        return gzip.decompress(sent) if sent.startswith(GZIP_MAGIC) else sent


def _fetch(name: str, mirrors: Sequence[str]) -> bytes:
    """Return a file's bytes from the first mirror that sends the right ones."""
    import pooch
    import requests

    failures = []
    for mirror in mirrors:
        download = pooch.HTTPDownloader(
            progressbar=sys.stderr.isatty(), chunk_size=PIECE, timeout=TIMEOUT
        )
        received = _Received()
        try:
            download(f"{mirror}{name}.gz", received, None)
            content = received.content()
        except requests.RequestException as error:
            failures.append(f"{mirror} ({_reason(error)})")
        except (gzip.BadGzipFile, EOFError, zlib.error):
            failures.append(f"{mirror} (a broken or foreign file)")
        else:
            if _is_authentic(name, content):
                return content
            failures.append(f"{mirror} (other bytes than the original's)")
    raise DataError(
        f"MNIST could not be downloaded: {name} failed at {', '.join(failures)}. Fetch the four "
        "files yourself and name their folder with data.dir=…, or use data=mnist_sample, which "
        "needs no network."
    )


def _reason(error: Exception) -> str:
    """Say in a few words why a request failed; the texts of requests have several lines."""
    import requests

    match error:
        case requests.HTTPError(response=requests.Response(status_code=status)):
            return f"HTTP status {status}"
        case requests.Timeout():
            return f"no answer for {TIMEOUT} s"
        case requests.exceptions.ChunkedEncodingError():
            return "the connection broke off"
        case requests.ConnectionError():
            return "no connection"
        case _:
            return type(error).__name__
