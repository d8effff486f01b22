"""Reading an archive, whoever made it: everything is checked, nothing is executed or unpickled.

Its files are inflated into a temporary folder, none beyond the size that the manifest gives.
"""

import hashlib
import stat
import struct
import zipfile
import zlib
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from copy import copy
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from nnlab.errors import ArchiveError, reason_of
from nnlab.system.temporary import temporary_folder
from nnlab.tracking.records import Measurement
from nnlab.transfer.archive import (
    ARTIFACTS,
    LARGEST_INTEGER,
    MANIFEST,
    METRICS,
    RUN,
    ArchivedRun,
    ArchiveLimits,
    FileEntry,
    Manifest,
    canonical_name,
    member_name,
    name_error,
    parse_json,
    read_manifest,
)
from nnlab.transfer.measurements import read_csv

CHUNK = 1 << 20  # bytes that are inflated at a time
JSON_SIZE = 64 << 20  # bytes of a JSON file at most: it is read at once
ALWAYS_ALLOWED = 1 << 20  # bytes that a zip of any size may inflate to
ENCRYPTED = 0x1 | 0x40 | 0x2000  # flags: a password, strong encryption, a masked directory
METHODS = (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED)

ZIP_ERRORS = (  # what zipfile raises where a file is no zip, or a damaged one
    zipfile.BadZipFile, zlib.error, struct.error, EOFError, ValueError, OverflowError,
    NotImplementedError,
)  # fmt: skip


@dataclass(frozen=True)
class ExtractedRun:
    """A run of an archive, checked, and the folder that its files are in."""

    run: ArchivedRun
    folder: Path

    @property
    def artifacts(self) -> Path:
        """The folder of its artifacts; it does not exist where the run has none."""
        return self.folder / ARTIFACTS

    def metrics(self) -> Iterator[Measurement]:
        """Yield its measurements."""
        return read_csv(self.folder / METRICS, member_name(self.run.run_id, METRICS))


@contextmanager
def open_archive(path: Path, limits: ArchiveLimits | None = None) -> Iterator[list[ExtractedRun]]:
    """Check a whole archive, and provide its runs, in the order of their ids.

    Parameters
    ----------
    path : Path
    limits : ArchiveLimits or None
        None takes the default ones.

    Raises
    ------
    ArchiveError
        Where it is no archive, is damaged, is too large, or holds what the format does not allow.
    """
    with temporary_folder("nnlab-archive-") as folder:
        try:
            runs = _extract_all(path, folder, limits or ArchiveLimits())
        except ArchiveError as error:
            raise ArchiveError(f"{path} is refused: {error} Nothing was imported.") from error
        except ZIP_ERRORS as error:
            raise ArchiveError(
                f"{path} is no zip file, or a damaged one ({error}): fetch it again. Nothing was "
                "imported."
            ) from error
        except OSError as error:
            raise ArchiveError(f"{path} cannot be unpacked: {reason_of(error)}.") from error
        yield runs


def _extract_all(path: Path, folder: Path, limits: ArchiveLimits) -> list[ExtractedRun]:
    with path.open("rb") as file, zipfile.ZipFile(file) as archive:
        members = _members(archive, path.stat().st_size, limits)
        manifest = _read_manifest(archive, members.pop(MANIFEST, None))
        _check_listing(manifest, members)
        for name, info in members.items():
            _extract(archive, info, folder / name, manifest.files[name])
    ids = sorted({name.split("/")[1] for name in members})
    runs = [_read_run(folder / member_name(run_id), run_id, set(members)) for run_id in ids]
    if not runs:
        raise ArchiveError("it holds no runs.")
    _check_nesting({each.run.run_id: each.run.parent for each in runs})
    return runs


def _members(
    archive: zipfile.ZipFile, size: int, limits: ArchiveLimits
) -> dict[str, zipfile.ZipInfo]:
    """Return the files by name, after checking all that the zip's headers say of them.

    ``size`` is that of the zip itself, in bytes; unlike its headers, that can be trusted.
    """
    infos = archive.infolist()
    _check_sizes(infos, size, limits)
    members: dict[str, zipfile.ZipInfo] = {}
    names: dict[str, str] = {}  # what file systems make of a name -> that name
    for info in infos:
        name = info.orig_filename  # as it is in the zip; zipfile alters the attribute filename
        error = name_error(name) or _kind_error(info)
        if error is not None:
            raise ArchiveError(f"{name!r} may not be in an archive: {error}.")
        other = names.setdefault(canonical_name(name), name)
        if name in members:
            raise ArchiveError(f"{name!r} is there twice.")
        if other != name:
            raise ArchiveError(f"{other!r} and {name!r} are the same file to some systems.")
        members[name] = info
    for name in names:
        for parent in PurePosixPath(name).parents:
            if str(parent) in names:
                raise ArchiveError(f"{names[str(parent)]!r} is a file and a folder at once.")
    return members


def _check_sizes(infos: Sequence[zipfile.ZipInfo], size: int, limits: ArchiveLimits) -> None:
    if len(infos) > limits.files + 1:
        raise ArchiveError(f"it holds {len(infos):,} files, at most {limits.files:,} are allowed.")
    total = sum(info.file_size for info in infos)
    if total > limits.size:
        raise ArchiveError(f"it inflates to {total:,} bytes, at most {limits.size:,} are allowed.")
    if total > max(ALWAYS_ALLOWED, limits.ratio * size):
        raise ArchiveError(
            f"its {size:,} bytes inflate to {total:,}, more than {limits.ratio} times as many: "
            "a zip bomb."
        )


def _kind_error(info: zipfile.ZipInfo) -> str | None:
    """Say what is wrong with the kind of a member; None if it is a plain file."""
    kind = stat.S_IFMT(info.external_attr >> 16)
    folder = info.external_attr & stat.FILE_ATTRIBUTE_DIRECTORY
    if folder or kind not in (0, stat.S_IFREG):
        return "it is a link, a folder or a device, not a file"
    if info.flag_bits & ENCRYPTED:
        return "it is encrypted"
    if info.compress_type not in METHODS:
        return f"its compression method {info.compress_type} is neither stored nor deflated"
    return None


def _read_manifest(archive: zipfile.ZipFile, info: zipfile.ZipInfo | None) -> Manifest:
    if info is None:
        raise ArchiveError(f"it has no {MANIFEST}: it was not made by `nnlab export`.")
    text = b"".join(_inflate(archive, info, JSON_SIZE))
    return read_manifest(text)


def _check_listing(manifest: Manifest, members: dict[str, zipfile.ZipInfo]) -> None:
    for name in sorted(manifest.files.keys() ^ members.keys()):
        fault = "missing" if name in manifest.files else f"not listed in {MANIFEST}"
        raise ArchiveError(f"{name!r} is {fault}.")
    for name, info in members.items():
        listed = manifest.files[name].size
        if info.file_size != listed:
            raise ArchiveError(
                f"{name!r} has {info.file_size:,} bytes by its header, {listed:,} by {MANIFEST}."
            )


def _extract(
    archive: zipfile.ZipFile, info: zipfile.ZipInfo, target: Path, entry: FileEntry
) -> None:
    """Inflate a file into a folder, and check that it is what the manifest says."""
    digest, size = hashlib.sha256(), 0
    target.parent.mkdir(parents=True, exist_ok=True)
    with target.open("xb") as file:
        for chunk in _inflate(archive, info, entry.size):
            digest.update(chunk)
            size += len(chunk)
            file.write(chunk)
    name = info.orig_filename
    if size != entry.size:
        raise ArchiveError(f"{name!r} breaks off behind {size:,} of {entry.size:,} bytes.")
    if digest.hexdigest() != entry.sha256:
        raise ArchiveError(
            f"{name!r} has the SHA-256 {digest.hexdigest()[:12]}…, {MANIFEST} says "
            f"{entry.sha256[:12]}…: it was changed or damaged on its way."
        )


def _inflate(archive: zipfile.ZipFile, info: zipfile.ZipInfo, limit: int) -> Iterator[bytes]:
    """Inflate a file chunk by chunk; raise where it turns out to be larger than is allowed."""
    unlimited = copy(info)
    unlimited.file_size = (
        LARGEST_INTEGER  # else zipfile would cut it off where the header says, silently
    )
    size = 0
    with archive.open(unlimited) as file:
        while chunk := file.read(CHUNK):
            size += len(chunk)
            if size > limit:
                raise ArchiveError(f"{info.orig_filename!r} inflates to more than {limit:,} bytes.")
            yield chunk


def _read_run(folder: Path, run_id: str, names: set[str]) -> ExtractedRun:
    name = member_name(run_id, RUN)
    for required in (name, member_name(run_id, METRICS)):
        if required not in names:
            raise ArchiveError(f"{required!r} is missing.")
    if (folder / RUN).stat().st_size > JSON_SIZE:
        raise ArchiveError(f"{name!r} has more than {JSON_SIZE:,} bytes.")
    run = parse_json(ArchivedRun, (folder / RUN).read_bytes(), name)
    if run.run_id != run_id:
        raise ArchiveError(f"{name!r} is of another run, {run.run_id}.")
    extracted = ExtractedRun(run, folder)
    for _ in extracted.metrics():
        pass  # reading a measurement checks it
    return extracted


def _check_nesting(parents: dict[str, str | None]) -> None:
    for run_id, parent in parents.items():
        above, seen = parent, {run_id}
        while above in parents:
            if above in seen:
                raise ArchiveError(f"run {run_id[:8]} is nested under itself.")
            seen.add(above)
            above = parents[above]
