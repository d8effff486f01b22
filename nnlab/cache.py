"""The cache folder: what took long to fetch or to parse, kept in a form that loads quickly."""

import os
import tempfile
import zipfile
from collections.abc import Callable
from pathlib import Path

import numpy as np

from nnlab.network import Array


def cache_folder() -> Path:
    """Return ``$NNLAB_CACHE``, or the user's cache folder for nnlab."""
    from platformdirs import user_cache_dir

    return Path(os.environ.get("NNLAB_CACHE") or user_cache_dir("nnlab"))


def load_arrays(name: str) -> dict[str, Array] | None:
    """Return cached arrays; None where there are none, or the file does not pass its checksums."""
    try:
        with np.load(cache_folder() / f"{name}.npz", allow_pickle=False) as file:
            return dict(file)
    except (OSError, ValueError, EOFError, zipfile.BadZipFile):
        return None


def save_arrays(name: str, arrays: dict[str, Array]) -> None:
    """Cache arrays; where the folder cannot be written, they are simply not cached."""

    def write(path: Path) -> None:
        with path.open("wb") as file:
            np.savez(file, **arrays)  # type: ignore[arg-type]

    try:
        replace(cache_folder() / f"{name}.npz", write)
    except OSError:
        return


def replace(target: Path, write: Callable[[Path], None]) -> None:
    """Write a file beside its place and move it there whole, or leave nothing."""
    target.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=target.parent, prefix=".writing-") as folder:
        fresh = Path(folder) / target.name
        write(fresh)
        fresh.replace(target)
