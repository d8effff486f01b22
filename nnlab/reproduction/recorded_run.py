"""A complete run, read back from the store, and checked for contradictions in its record."""

from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

from nnlab.errors import ConfigError, RecordError, StoredFileError, TrackingError
from nnlab.jobs.config import SEMANTICS, RunConfig, from_record
from nnlab.jobs.provenance import read_environment
from nnlab.jobs.tags import Tag
from nnlab.reproduction.module_names import present_name
from nnlab.system.stored_files import read_yaml
from nnlab.tracking import artifacts
from nnlab.tracking.record_checks import (
    Points,
    config_faults,
    history_faults,
    points_of,
    read_checked_weights,
)
from nnlab.tracking.records import RunRecord
from nnlab.tracking.store import Store
from nnlab.training.arithmetic import EXACT
from nnlab.training.history import CURVES
from nnlab.training.network import Params


@dataclass(frozen=True)
class RecordedRun:
    """What the store has of a complete run.

    Attributes
    ----------
    run : RunRecord
        Its entry in the store.
    config : RunConfig
        Its config, as this version of nnlab reads it.
    config_yaml : dict[str, Any]
        Its config as ``config.yaml`` has it, without the version of the schema.
    points : Points
        Every metric at every epoch of ``history.csv``, and the summaries.
    weights : Params or None
        The final weights, a stack of one; None where the file is missing or broken.
    environment : dict[str, Any]
        See ``provenance.environment``; empty where it was not recorded.
    patch : bytes
        Uncommitted changes of the code; empty where there were none.
    faults : tuple[str, ...]
        Contradictions in the record, each a sentence: it was changed after the run.
    """

    run: RunRecord
    config: RunConfig
    config_yaml: dict[str, Any]
    points: Points = field(repr=False)
    weights: Params | None = field(repr=False)
    environment: dict[str, Any] = field(repr=False)
    patch: bytes = field(repr=False)
    faults: tuple[str, ...]

    @property
    def short_id(self) -> str:
        """The first eight characters of its id."""
        return self.run.run_id[:8]

    @property
    def weights_sha256(self) -> str:
        """The digest of its final weights, recorded when it ended."""
        return self.run.tags[Tag.WEIGHTS_SHA256]

    @property
    def last_epoch(self) -> int:
        """The epoch at which it ended: the config's, or the one at which it was pruned."""
        pruned_at = self.run.metrics.get("pruned_at")
        return self.config.epochs if pruned_at is None else int(pruned_at)

    @property
    def is_exact(self) -> bool:
        """Whether its bits are the same on any machine."""
        return self.config.dtype == EXACT

    @property
    def semantics(self) -> str:
        """Its ``SEMANTICS``; of older runs it is only known whether they are the present ones."""
        present_key = self.config.key(self.run.tags.get(Tag.DATA_DIGEST, ""))
        implied = str(SEMANTICS) if self.run.tags.get(Tag.RUN_KEY) == present_key else "another"
        return self.run.tags.get(Tag.SEMANTICS, implied)

    @cached_property
    def modules(self) -> dict[str, str]:
        """The digest of each module, by its present path; empty where none was recorded."""
        recorded = dict(self.environment.get("modules", {}))
        return {present_name(name): digest for name, digest in recorded.items()}


def read_recorded_run(store: Store, run: RunRecord) -> RecordedRun:
    """Read what a store has of a run, and compare the parts of the record with each other.

    Raises
    ------
    RecordError
        Where the run is not complete, or its files are missing or broken.
    """
    if Tag.WEIGHTS_SHA256 not in run.tags:
        raise RecordError(
            f"Run {run.run_id[:8]} is {run.status} and has no result: `nnlab resume` may complete "
            "it."
        )
    try:
        folder = store.download(run.run_id)
        config_yaml = read_yaml(folder / "config.yaml")
        config = from_record(config_yaml)
        curve = artifacts.read_history(folder)
    except (StoredFileError, ConfigError) as error:
        hint = " Where mlruns/ was moved, `nnlab doctor` repairs it."
        raise RecordError(
            f"The files of run {run.run_id[:8]} cannot be read: {' '.join(str(error).split())}"
            + (hint if isinstance(error.__cause__, OSError) else "")
        ) from error
    config_yaml.pop("schema")
    points = points_of(curve)
    faults = config_faults(run, config) + history_faults(store, run, points)
    for name, value in run.metrics.items():
        if name not in CURVES:
            points[name, run.steps[name]] = value
    weights, weight_faults = read_checked_weights(folder, run)
    try:
        environment, patch = _provenance(store, run, folder)
    except (StoredFileError, OSError) as error:
        environment, patch, weight_faults = {}, b"", [*weight_faults, str(error).rstrip(".")]
    return RecordedRun(
        run, config, config_yaml, points, weights, environment, patch, (*faults, *weight_faults)
    )


def _provenance(store: Store, run: RunRecord, folder: Path) -> tuple[dict[str, Any], bytes]:
    """Read environment and patch from the run's own files or from its sweep's."""
    if not (folder / artifacts.ENVIRONMENT).exists():
        parent = run.parent
        if parent is None:
            return {}, b""
        try:
            folder = store.download(parent)
        except TrackingError:
            return {}, b""
    if not (folder / artifacts.ENVIRONMENT).exists():
        return {}, b""
    environment = read_environment(folder / artifacts.ENVIRONMENT)
    patch = folder / artifacts.PATCH
    return environment, patch.read_bytes() if patch.exists() else b""
