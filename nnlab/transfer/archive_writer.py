"""Writing an archive of runs: whole or not at all, and with the same bytes for the same runs."""

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
from nnlab.errors import ArchiveError
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

PIECE = 1 << 20  # bytes that are read at a time
ALWAYS = (1980, 1, 1, 0, 0, 0)  # the date of every file


@contextmanager
def create_archive(out: Path, limits: ArchiveLimits | None = None) -> Iterator["ArchiveWriter"]:
    """Write an archive: beside its place at first, and there only when it is whole.

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
            f"{out} cannot be written: {error}. Check the folder, its permissions and free space."
        ) from error


def _refuse_existing(out: Path) -> None:
    if out.exists() or out.is_symlink():
        raise ArchiveError(f"{out} is there already: name another file, or move it away.")


class ArchiveWriter:
    """An archive that is being written; as a context manager, it ends with the manifest.

    Runs go in by their ids' order, so that the same runs give the same bytes.
    """

    def __init__(self, file: IO[bytes], limits: ArchiveLimits) -> None:
        self.files: dict[str, FileEntry] = {}
        self.size = 0  # bytes of all files so far
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
            self._add(MANIFEST, io.BytesIO(to_json(manifest)))
        self._zip.close()

    def add_run(self, run: ArchivedRun, metrics: Iterable[Measurement], artifacts: Path) -> None:
        """Add a run with its metrics and the files below a folder, which need not exist.

        Raises
        ------
        ArchiveError
            Where a file's name is not fit for every system, a file is a link or no file at all,
            or the archive becomes too large.
        """
        for path, name in _below(artifacts):
            with path.open("rb") as file:
                self._keep(member_name(run.run_id, ARTIFACTS, name), file)
        self._keep(member_name(run.run_id, METRICS), io.BytesIO(to_csv(metrics)))
        self._keep(member_name(run.run_id, RUN), io.BytesIO(to_json(run)))

    def _keep(self, name: str, source: IO[bytes]) -> None:
        wrong = name_error(name)
        if wrong is not None:
            raise ArchiveError(f"{name!r} cannot go into an archive: {wrong}. Rename that file.")
        self.files[name] = entry = self._add(name, source)
        self.size += entry.size
        if len(self.files) > self._limits.files or self.size > self._limits.size:
            raise ArchiveError(
                f"These runs are too large for an archive, which holds {self._limits.files:,} "
                f"files and {self._limits.size:,} bytes at most: export fewer runs at a time."
            )

    def _add(self, name: str, source: IO[bytes]) -> FileEntry:
        info = zipfile.ZipInfo(name, ALWAYS)
        info.create_system = 3  # Unix, on every system
        info.external_attr = 0o100644 << 16
        info.compress_type = self._method(source)
        info.file_size = source.seek(0, os.SEEK_END)
        source.seek(0)
        digest, size = hashlib.sha256(), 0
        with self._zip.open(info, "w") as target:
            while piece := source.read(PIECE):
                digest.update(piece)
                size += len(piece)
                target.write(piece)
        return FileEntry(sha256=digest.hexdigest(), size=size)

    def _method(self, source: IO[bytes]) -> int:
        """Deflate, unless that shrinks a file by more than a reader will believe."""
        deflate, before, after = zlib.compressobj(), 0, 0
        while piece := source.read(PIECE):
            before += len(piece)
            after += len(deflate.compress(piece))
        after += len(deflate.flush())
        believable = after < before <= self._limits.ratio * after
        return zipfile.ZIP_DEFLATED if believable else zipfile.ZIP_STORED


def _below(folder: Path) -> list[tuple[Path, str]]:
    """List the files below a folder with their names, sorted by these."""
    found = []
    for path in folder.rglob("*"):
        if path.is_symlink() or not (path.is_file() or path.is_dir()):
            raise ArchiveError(f"{path} is a link or no file at all: an archive holds files only.")
        if path.is_file():
            found.append((path, path.relative_to(folder).as_posix()))
    return sorted(found, key=lambda each: each[1])
