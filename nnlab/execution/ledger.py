"""The ledger of a sweep under way: its frozen plan, its checkpoints and its lock.

A folder beside the tracking store, named by the id of the sweep's run. It is removed when the
sweep is complete; the plan stays as an artifact of the sweep's run.
"""

import json
import shutil
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Annotated, Any, ClassVar, Self

from pydantic import Field

from nnlab.errors import ResumeError, StoredFileError, TrackingError
from nnlab.execution.checkpoints import Checkpoints, writing
from nnlab.jobs.config import to_record
from nnlab.jobs.run import Run
from nnlab.jobs.validation import StrictModel
from nnlab.safe_text import masked
from nnlab.system.stored_files import parse_json, read_text
from nnlab.tracking.locations import RUN_ID, local_database, sweeps_folder
from nnlab.tracking.lookup import Kind

FORMAT = 1
PLAN = "plan.json"
TRASH = "trash"  # beside the ledgers, for those of runs in MLflow's trash


@dataclass(frozen=True)
class PlannedJob:
    """One run of the plan, as it was resolved before anything started.

    Attributes
    ----------
    name : str
    overrides : tuple[str, ...]
        As given on the command line.
    config : dict[str, Any]
        The resolved config, with the version of its schema.
    key : str
        The run's identity.
    data_digest : str
        Of the images and their split.
    tags : dict[str, str]
        Further tags of the run in the tracking store.
    """

    __pydantic_config__: ClassVar = StrictModel.model_config

    name: str
    overrides: tuple[str, ...]
    config: dict[str, Any]
    key: str
    data_digest: str
    tags: dict[str, str] = field(default_factory=dict)

    @classmethod
    def of(cls, run: Run) -> Self:
        """Return a run as the plan keeps it."""
        job = run.job
        config, tags = to_record(job.config), dict(job.tags)
        overrides = tuple(map(masked, job.overrides))
        return cls(job.name, overrides, config, run.key, run.prepared.digest, tags)


@dataclass(frozen=True)
class Plan:
    """What a sweep was to do, frozen.

    Attributes
    ----------
    kind : Kind
        ``sweep``, or ``run`` for a single run.
    name : str
        Of the sweep's run.
    varying : tuple[str, ...]
        Fields in which the jobs differ.
    tracking_uri, experiment : str
        Where it is logged.
    semantics : int
        Version of the training code's meaning.
    platform : dict[str, Any]
        What else the bits depend on: NumPy, BLAS, processor.
    settings : dict[str, Any]
        The launcher's.
    created : str
        ISO 8601, UTC.
    """

    __pydantic_config__: ClassVar = StrictModel.model_config

    kind: Kind
    name: str
    varying: tuple[str, ...]
    tracking_uri: str
    experiment: str
    semantics: int
    platform: dict[str, Any]
    settings: dict[str, Any]
    created: str
    jobs: Annotated[tuple[PlannedJob, ...], Field(min_length=1)] = field(repr=False)

    def to_json(self) -> str:
        """Return the plan as JSON, without passwords."""
        content = asdict(self) | {"tracking_uri": masked(self.tracking_uri)}
        return json.dumps({"format": FORMAT, **content}, indent=1) + "\n"

    @classmethod
    def from_json(cls, text: str, where: str) -> "Plan":
        """Read a plan.

        Raises
        ------
        ResumeError
            Where it is no plan, or has another format.
        """
        try:
            content = parse_json(text, dict[str, Any], PLAN)
            _check_format(content.pop("format", None), where)
            return parse_json(json.dumps(content), cls, PLAN)
        except StoredFileError as error:
            raise ResumeError(f"{where} is not a sweep's plan: {error}") from error

    def with_jobs(self, more: Sequence[PlannedJob], varying: Sequence[str]) -> "Plan":
        """Return the plan with more jobs, for the next batch of an optimising sweeper."""
        return replace(self, jobs=(*self.jobs, *more), varying=tuple(varying))


def _check_format(version: object, where: str) -> None:
    if version is None:
        raise ResumeError(f"{where} is not a sweep's plan: it does not say its format.")
    if version != FORMAT:
        raise ResumeError(
            f"{where} has format {version}, this version of nnlab reads {FORMAT}: use the version "
            "that wrote it."
        )


class Ledger:
    """The folder of one sweep."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.checkpoints = Checkpoints(folder / "checkpoints")

    @property
    def plan_file(self) -> Path:
        """The frozen plan."""
        return self.folder / PLAN

    def write(self, plan: Plan) -> None:
        """Write the plan, as a whole or not at all."""
        with writing(self.folder):
            self.folder.mkdir(parents=True, exist_ok=True)
            fresh = self.plan_file.with_suffix(".writing")
            fresh.write_text(plan.to_json(), encoding="utf-8")
            fresh.replace(self.plan_file)

    def read(self) -> Plan:
        """Read the plan.

        Raises
        ------
        ResumeError
            Where there is none, or it cannot be read.
        """
        try:
            text = read_text(self.plan_file)
        except StoredFileError as error:
            raise ResumeError(str(error)) from error
        return Plan.from_json(text, str(self.plan_file))

    @contextmanager
    def locked(self) -> Iterator[None]:
        """Keep other processes off this sweep; the lock ends with the process at the latest.

        Raises
        ------
        ResumeError
            Where another process works on it.
        """
        from filelock import FileLock, Timeout

        with writing(self.folder):
            self.folder.mkdir(parents=True, exist_ok=True)
        lock = FileLock(self.folder / "lock")
        try:
            lock.acquire(blocking=False)
        except Timeout as error:
            raise ResumeError(
                f"Sweep {self.folder.name[:8]} is at work in another process: wait for its end, "
                "or stop it first."
            ) from error
        try:
            yield
        finally:
            lock.release()

    def close(self) -> None:
        """Remove the folder of a sweep that is complete."""
        shutil.rmtree(self.folder, ignore_errors=True)

    def set_aside(self) -> None:
        """Move the folder, if there is one, to where no command goes on with it."""
        _move(self.folder, self._aside)

    def take_back(self) -> None:
        """Undo ``set_aside``."""
        _move(self._aside, self.folder)

    def remove_aside(self) -> None:
        """Remove the folder that was set aside, if there is one."""
        shutil.rmtree(self._aside, ignore_errors=True)

    @property
    def _aside(self) -> Path:
        return self.folder.parent / TRASH / self.folder.name


def _move(folder: Path, to: Path) -> None:
    with writing(to):
        if folder.is_dir() and not folder.is_symlink():
            to.parent.mkdir(parents=True, exist_ok=True)
            shutil.rmtree(to, ignore_errors=True)
            folder.replace(to)


def without_plan(sweeps: Path) -> list[Ledger]:
    """Return the ledgers that have no plan: a kill came before it, or while one was removed."""
    folders = [path for path in sweeps.glob("*") if RUN_ID.fullmatch(path.name) and path.is_dir()]
    return [ledger for ledger in map(Ledger, sorted(folders)) if not ledger.plan_file.exists()]


def unfinished(address: str) -> list[str]:
    """Return the ids of the sweeps of a store that have a ledger, the newest last.

    The folder may hold ledgers of other stores: those of all servers are in one.
    """
    sweeps = sweeps_folder(address)
    plans = sorted(sweeps.glob(f"*/{PLAN}"), key=lambda path: path.stat().st_mtime_ns)
    ids = [path.parent.name for path in plans if path.parent.name.isalnum()]
    return [head for head in ids if _belongs(Ledger(sweeps / head), address)]


def _belongs(ledger: Ledger, address: str) -> bool:
    """Tell whether a ledger's plan names a store; a local one may have been moved since."""
    try:
        planned = ledger.read().tracking_uri
        there = local_database(planned)
    except (ResumeError, TrackingError):
        return True  # it cannot be read, which the caller will say
    here = local_database(address)
    if here is None or there is None:
        return here is there and planned.rstrip("/") == masked(address).rstrip("/")
    return there == here or there.parent != here.parent or not there.exists()


def differences(then: Mapping[str, Any], now: Mapping[str, Any]) -> list[str]:
    """Return a phrase for each entry in which two descriptions differ."""
    return [
        f"{name} was {then.get(name)}, is {now.get(name)}"
        for name in dict.fromkeys([*then, *now])
        if then.get(name) != now.get(name)
    ]
