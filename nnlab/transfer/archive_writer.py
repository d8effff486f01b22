"""Writing an archive: whole or not at all, and the same bytes for the same runs."""

import hashlib
import io
import os
import zipfile
import zlib
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from types import TracebackType
from typing import IO, Self

from nnlab import __version__
from nnlab.errors import ArchiveError, reason_of
from nnlab.tracking.records import Measurement
from nnlab.transfer.archive import (
    ARTIFACTS,
    FORMAT,
    MANIFEST,
    METRICS,
    RUN,
    ArchivedRun,
    ArchiveLimits,
    FileEntry,
    Manifest,
    member_name,
    name_error,
    to_json,
)
from nnlab.transfer.measurements import to_csv

CHUNK = 1 << 20  # bytes that are read at a time
FIXED_DATE = (1980, 1, 1, 0, 0, 0)  # of every file, so that the bytes do not depend on the day


@contextmanager
def create_archive(out: Path, limits: ArchiveLimits | None = None) -> Iterator["ArchiveWriter"]:
    """Provide a writer of an archive, which appears under its name only when it is whole.

    Parameters
    ----------
    out : Path
        The zip file; it must not exist.
    limits : ArchiveLimits or None
        None takes the default ones.

    Raises
    ------
    ArchiveError
        Where something is there already, or it cannot be written.
    """
    fresh = out.with_name(f".{out.name}.{os.getpid()}.part")
    try:
        _refuse_existing(out)
        try:
            with fresh.open("xb") as file, ArchiveWriter(file, limits or ArchiveLimits()) as writer:
                yield writer
            _refuse_existing(out)
            fresh.rename(out)
        finally:
            fresh.unlink(missing_ok=True)
    except OSError as error:
        raise ArchiveError(
            f"{out} cannot be written: {reason_of(error)}. "
            "Check the folder, its permissions and free space."
        ) from error


def _refuse_existing(out: Path) -> None:
    if out.exists() or out.is_symlink():
        raise ArchiveError(f"{out} is there already: name another file, or move it away.")


class ArchiveWriter:
    """Writes the files of an archive, and at the end of its context the manifest.

    Add runs in the order of their ids: then the same runs give the same bytes.

    Attributes
    ----------
    files : dict of str to FileEntry
        All files so far, by their names.
    size : int
        Their bytes in all.
    """

    def __init__(self, file: IO[bytes], limits: ArchiveLimits) -> None:
        self.files: dict[str, FileEntry] = {}
        self.size = 0
        self._limits = limits
        self._zip = zipfile.ZipFile(file, "w")

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if error is None:
            manifest = Manifest(format=FORMAT, nnlab=__version__, files=self.files)
            self._compress(MANIFEST, io.BytesIO(to_json(manifest)))
        self._zip.close()

    def add_run(self, run: ArchivedRun, metrics: Iterable[Measurement], artifacts: Path) -> None:
        """Add a run with its metrics and the files below a folder, which need not exist.

        Raises
        ------
        ArchiveError
            Where a file's name is not safe on every system, a file is a link or a device, or the
            archive becomes too large.
        """
        for path, name in _files_below(artifacts):
            with path.open("rb") as file:
                self._add_file(member_name(run.run_id, ARTIFACTS, name), file)
        self._add_file(member_name(run.run_id, METRICS), io.BytesIO(to_csv(metrics)))
        self._add_file(member_name(run.run_id, RUN), io.BytesIO(to_json(run)))

    def _add_file(self, name: str, source: IO[bytes]) -> None:
        error = name_error(name)
        if error is not None:
            raise ArchiveError(f"{name!r} cannot go into an archive: {error}. Rename that file.")
        self.files[name] = entry = self._compress(name, source)
        self.size += entry.size
        if len(self.files) > self._limits.files or self.size > self._limits.size:
            raise ArchiveError(
                f"These runs are too large for an archive, which holds {self._limits.files:,} "
                f"files and {self._limits.size:,} bytes at most: export fewer runs at a time."
            )

    def _compress(self, name: str, source: IO[bytes]) -> FileEntry:
        info = zipfile.ZipInfo(name, FIXED_DATE)
        info.create_system = 3  # Unix, on every system
        info.external_attr = 0o100644 << 16
        info.compress_type = self._method(source)
        info.file_size = source.seek(0, os.SEEK_END)
        source.seek(0)
        digest, size = hashlib.sha256(), 0
        with self._zip.open(info, "w") as target:
            while chunk := source.read(CHUNK):
                digest.update(chunk)
                size += len(chunk)
                target.write(chunk)
        return FileEntry(sha256=digest.hexdigest(), size=size)

    def _method(self, source: IO[bytes]) -> int:
        """Choose to deflate a file, unless a reader would take the result for a zip bomb."""
        deflate, before, after = zlib.compressobj(), 0, 0
        while chunk := source.read(CHUNK):
            before += len(chunk)
            after += len(deflate.compress(chunk))
        after += len(deflate.flush())
        deflated = after < before <= self._limits.ratio * after
        return zipfile.ZIP_DEFLATED if deflated else zipfile.ZIP_STORED


def _files_below(folder: Path) -> list[tuple[Path, str]]:
    """Return the files below a folder with their names relative to it, sorted by name."""
    files = []
    for path in folder.rglob("*"):
        if path.is_symlink() or not (path.is_file() or path.is_dir()):
            raise ArchiveError(f"{path} is a link or no file at all: an archive holds files only.")
        if path.is_file():
            files.append((path, path.relative_to(folder).as_posix()))
    return sorted(files, key=lambda each: each[1])
