"""The archive format: runs in one zip file, whatever store they come from.

``docs/guides/archives.md`` describes it.
"""

import posixpath
import re
import unicodedata
from dataclasses import dataclass
from typing import Annotated, Literal, TypeVar

from pydantic import (
    AfterValidator,
    BaseModel,
    ConfigDict,
    Field,
    StringConstraints,
    ValidationError,
    field_validator,
)

from nnlab.errors import ArchiveError
from nnlab.jobs.tags import Tag
from nnlab.safe_text import path_error

Model = TypeVar("Model", bound=BaseModel)

FORMAT = 1
MANIFEST = "manifest.json"
RUN, METRICS, ARTIFACTS = "run.json", "metrics.csv", "artifacts"
MEMBER = re.compile(r"runs/([0-9a-f]{32})/(run\.json|metrics\.csv|artifacts/.+)", re.DOTALL)


def _refuse_paths(key: str) -> str:
    """Refuse what MLflow refuses: its stores may take a key for a path."""
    if key.startswith(("/", "..")) or posixpath.normpath(key) != key:
        raise ValueError("a key may not read like a path elsewhere")
    return key


LARGEST_INTEGER = 2**63 - 1  # of a time or a step, in any database
RunId = Annotated[str, StringConstraints(pattern=r"^[0-9a-f]{32}$")]
Key = Annotated[
    str, StringConstraints(pattern=r"^[/\w.\- :]+$", max_length=250), AfterValidator(_refuse_paths)
]
TagValue = Annotated[str, StringConstraints(max_length=8000)]
Time = Annotated[int, Field(ge=0, le=LARGEST_INTEGER)]  # milliseconds since 1970


@dataclass(frozen=True)
class ArchiveLimits:
    """How large an archive may be; a larger one is neither written nor read.

    Attributes
    ----------
    files : int
        Number of files.
    size : int
        Bytes of all files, inflated.
    ratio : int
        How many times its own size a zip may inflate to, beyond the first megabyte.
    """

    files: int = 200_000
    size: int = 16 << 30
    ratio: int = 100


class ArchiveModel(BaseModel):
    """A value in an archive's JSON: immutable, no unknown fields, no silent conversions."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)


class FileEntry(ArchiveModel):
    """What the manifest says of a file: its SHA-256 in hex and its size in bytes."""

    sha256: Annotated[str, StringConstraints(pattern=r"^[0-9a-f]{64}$")]
    size: Annotated[int, Field(ge=0)]


class Manifest(ArchiveModel):
    """A list of all files of an archive but the manifest itself."""

    format: int
    nnlab: str
    files: dict[str, FileEntry]


class ArchivedDataset(ArchiveModel):
    """A dataset that a run names as its input, as MLflow keeps it."""

    name: Annotated[str, StringConstraints(min_length=1, max_length=500)]
    digest: Annotated[str, StringConstraints(min_length=1, max_length=36)]
    source_type: Annotated[str, StringConstraints(max_length=36)]
    source: Annotated[str, StringConstraints(max_length=65535)]
    data_schema: Annotated[str, StringConstraints(max_length=1048575)] | None
    profile: Annotated[str, StringConstraints(max_length=16777215)] | None
    tags: dict[
        Annotated[str, StringConstraints(min_length=1, max_length=255)],
        Annotated[str, StringConstraints(max_length=500)],
    ]


class ArchivedRun(ArchiveModel):
    """A run without its metrics and files.

    Attributes
    ----------
    parent : str or None
        Id of the run that it is nested under, whether that is in the archive or not.
    start_time, end_time : int
        Milliseconds since 1970, UTC; a run may have no end.
    tags : dict of str to str
        All but the name and the parent, which are fields of their own.
    """

    run_id: RunId
    name: Annotated[str, StringConstraints(min_length=1, max_length=250)]
    experiment: Annotated[str, StringConstraints(min_length=1, max_length=256)]
    status: Literal["FINISHED", "FAILED", "KILLED"]
    start_time: Time
    end_time: Time | None
    parent: RunId | None
    tags: dict[Key, TagValue]
    params: dict[Key, Annotated[str, StringConstraints(max_length=6000)]]
    datasets: list[ArchivedDataset]

    @field_validator("tags")
    @classmethod
    def _origin_is_an_id(cls, tags: dict[str, str]) -> dict[str, str]:
        if not re.fullmatch("[0-9a-f]{32}", tags.get(Tag.IMPORTED_FROM, "0" * 32)):
            raise ValueError(f"{Tag.IMPORTED_FROM} is no run's id")
        return tags


def member_name(run_id: str, *parts: str) -> str:
    """Return the name that a run's file, or its folder, has in an archive."""
    return "/".join(("runs", run_id, *parts))


def name_error(name: str) -> str | None:
    """Say what is wrong with the name of a file in an archive; None if it is safe everywhere."""
    error = path_error(name)
    if error is not None:
        return error
    return None if name == MANIFEST or MEMBER.fullmatch(name) else "no archive has such a file"


def canonical_name(name: str) -> str:
    """Return what all names have in common that some file system takes for the same name.

    File systems may ignore case, and how an accent is composed.
    """
    return unicodedata.normalize("NFC", unicodedata.normalize("NFC", name).casefold())


class _Format(BaseModel):
    """The field that manifests of every version have."""

    format: int


def read_manifest(text: bytes) -> Manifest:
    """Read a manifest.

    Raises
    ------
    ArchiveError
        Where it is no manifest, or one of another version.
    """
    version = parse_json(_Format, text, MANIFEST).format
    if version != FORMAT:
        raise ArchiveError(
            f"it has format {version}, this version of nnlab reads {FORMAT}: import it with the "
            "version that wrote it, or a later one."
        )
    return parse_json(Manifest, text, MANIFEST)


def to_json(value: ArchiveModel) -> bytes:
    """Write a value as the JSON of an archive."""
    return (value.model_dump_json(indent=1) + "\n").encode()


def parse_json(model: type[Model], text: bytes, name: str) -> Model:
    """Read a JSON file of an archive.

    Parameters
    ----------
    model : type
        What it should hold.
    text : bytes
    name : str
        The file's name, for messages.

    Raises
    ------
    ArchiveError
        Where it holds something else.
    """
    try:
        return model.model_validate_json(text)
    except ValidationError as error:
        raise ArchiveError(f"{name!r} cannot be read: {first_error(error)}.") from error


def archived_run(**fields: object) -> ArchivedRun:
    """Check a run that is to be archived.

    Raises
    ------
    ArchiveError
        Where a field holds a value that the format does not allow.
    """
    try:
        return ArchivedRun.model_validate(fields)
    except ValidationError as error:
        raise ArchiveError(
            f"Run {fields['run_id']} cannot go into an archive: {first_error(error)}."
        ) from error


def first_error(error: ValidationError) -> str:
    """Return the first error that pydantic found, with its field where it has one."""
    first = error.errors()[0]
    field = ".".join(map(str, first["loc"]))
    return f"{field}: {first['msg']}" if field else first["msg"]
