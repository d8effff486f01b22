"""Fetching MNIST: from the first public mirror that delivers the right bytes, whole or not."""

import gzip
import hashlib
import logging
import sys
import tempfile
import zlib
from collections.abc import Sequence
from pathlib import Path

from nnlab.cache import replace
from nnlab.errors import DataError

MIRRORS = (
    "https://ossci-datasets.s3.amazonaws.com/mnist/",
    "https://storage.googleapis.com/cvdf-datasets/mnist/",
    "https://raw.githubusercontent.com/fgnt/mnist/master/",
)
SECONDS = 30  # without a byte, after which a mirror is given up

# SHA-256 of the *decompressed* files: the mirrors' gzip bytes differ.
DIGESTS = {
    "train-images-idx3-ubyte": "ba891046e6505d7aadcbbe25680a0738ad16aec93bde7f9b65e87a2fc25776db",
    "train-labels-idx1-ubyte": "65a50cbbf4e906d70832878ad85ccda5333a97f0f4c3dd2ef09a8a9eef7101c5",
    "t10k-images-idx3-ubyte": "0fa7898d509279e482958e8ce81c8e77db3f2f8254e26661ceb7762c4d494ce7",
    "t10k-labels-idx1-ubyte": "ff7bcfd416de33731a308c3f266cc351222c34898ecbeaf847f06e48f7ec33f2",
}


def is_authentic(name: str, content: bytes) -> bool:
    """Tell whether these are the bytes of the original file."""
    return hashlib.sha256(content).hexdigest() == DIGESTS[name]


def fetch_mnist(folder: Path, mirrors: Sequence[str] = MIRRORS) -> None:
    """Put the four files of MNIST, decompressed, into a folder; those that are there stay.

    Raises
    ------
    DataError
        Where no mirror delivers a file; nothing of that file is left behind.
    """
    for name in DIGESTS:
        target = folder / name
        if target.exists() and is_authentic(name, target.read_bytes()):
            continue
        content = _fetch(name, mirrors)
        try:
            replace(target, lambda path, content=content: path.write_bytes(content) and None)  # type: ignore[misc]
        except OSError as error:
            raise DataError(
                f"{folder}: the cache cannot be written ({error.strerror}); free some space, or "
                "set NNLAB_CACHE to another folder."
            ) from error


def _fetch(name: str, mirrors: Sequence[str]) -> bytes:
    """Return a file's bytes from the first mirror that delivers the right ones."""
    import pooch
    import requests

    logging.getLogger("pooch").setLevel(logging.WARNING)
    failures = []
    for mirror in mirrors:
        downloader = pooch.HTTPDownloader(progressbar=sys.stderr.isatty(), timeout=SECONDS)
        with tempfile.TemporaryDirectory(prefix="nnlab-") as scratch:
            file = Path(scratch) / f"{name}.gz"
            try:
                downloader(f"{mirror}{name}.gz", str(file), None)
                content = gzip.decompress(file.read_bytes())
            except (requests.RequestException, OSError, EOFError, zlib.error) as error:
                failures.append(f"{mirror} ({type(error).__name__})")
                continue
        if is_authentic(name, content):
            return content
        failures.append(f"{mirror} (other bytes than the original's)")
    raise DataError(
        f"MNIST could not be downloaded: {name} failed at {', '.join(failures)}. Fetch the four "
        "files yourself and name their folder with data.dir=…, or use data=mnist_sample, which "
        "needs no network."
    )
