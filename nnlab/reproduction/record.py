"""A complete run as it was recorded, read back, and held against itself."""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import yaml

from nnlab.errors import ConfigError, RecordError, TrackingError
from nnlab.reproduction.module_names import present_name
from nnlab.runs.config import SEMANTICS, RunConfig, fields_with, from_record
from nnlab.runs.roles import Role
from nnlab.runs.tags import Tag
from nnlab.tracking import artifacts
from nnlab.tracking.records import RunRecord
from nnlab.tracking.store import Store
from nnlab.training.history import METRICS
from nnlab.training.network import Params

Points = dict[tuple[str, int], float]  # (metric, epoch) -> value


@dataclass(frozen=True)
class RecordedRun:
    """What the store keeps of a complete run.

    Attributes
    ----------
    config : as this version of nnlab reads it
    stated : as config.yaml has it, without the schema's version
    points : every metric at every epoch of ``history.csv``, and the summaries
    weights : None where they are gone or broken
    environment, patch : see ``provenance.Provenance``; empty where nothing was recorded
    faults : where its parts contradict each other: it was changed since
    """

    run: RunRecord
    config: RunConfig
    stated: dict[str, Any]
    points: Points = field(repr=False)
    weights: Params | None = field(repr=False)
    environment: dict[str, Any] = field(repr=False)
    patch: bytes = field(repr=False)
    faults: tuple[str, ...]

    @property
    def id(self) -> str:
        """The beginning of its id, as one says it."""
        return self.run.run_id[:8]

    @property
    def weights_sha256(self) -> str:
        """The digest of its weights, noted when it ended."""
        return self.run.tags[Tag.WEIGHTS_SHA256]

    @property
    def last_epoch(self) -> int:
        """The epoch at which it ended: the config's, or that at which it was pruned."""
        ended = self.run.metrics.get("pruned_at")
        return self.config.epochs if ended is None else int(ended)

    @property
    def semantics(self) -> str:
        """The version of the training code's meaning; older runs only tell whether it is ours."""
        ours = self.config.key(self.run.tags.get(Tag.DATA_DIGEST, ""))
        implied = str(SEMANTICS) if self.run.tags.get(Tag.RUN_KEY) == ours else "another"
        return self.run.tags.get(Tag.SEMANTICS, implied)

    @cached_property
    def modules(self) -> dict[str, str]:
        """Present path of each module -> its digest; empty for a run that recorded none."""
        recorded = dict(self.environment.get("modules", {}))
        return {present_name(name): digest for name, digest in recorded.items()}


def read_record(store: Store, run: RunRecord) -> RecordedRun:
    """Read what a store keeps of a run, and check its parts against each other.

    Raises
    ------
    RecordError
        Where the run has not come to its end, or its files are gone or cannot be read.
    """
    if "weights_sha256" not in run.tags:
        raise RecordError(
            f"Run {run.run_id[:8]} is {run.status} and has no result: `nnlab resume` may complete "
            "it."
        )
    try:
        folder = store.download(run.run_id)
        stated = yaml.safe_load((folder / "config.yaml").read_text(encoding="utf-8"))
        config = from_record(stated)
        curve = artifacts.read_history(folder)
    except (OSError, ValueError, KeyError, TypeError, yaml.YAMLError, ConfigError) as error:
        moved = " Where mlruns/ was moved, `nnlab doctor` repairs it."
        raise RecordError(
            f"The files of run {run.run_id[:8]} cannot be read: {' '.join(str(error).split())}"
            + (moved if isinstance(error, OSError) else "")
        ) from error
    stated.pop("schema")
    points = {
        (name, epoch): value
        for name in METRICS
        for epoch, value in zip(curve.epochs.tolist(), curve.values[name].tolist(), strict=True)
    }
    faults = _config_faults(run, config) + _history_faults(store, run, points)
    for name, value in run.metrics.items():
        if name not in METRICS:
            points[name, run.steps[name]] = value
    weights, weight_faults = _weights(folder, run)
    environment, patch = _origin(store, run, folder)
    return RecordedRun(
        run, config, stated, points, weights, environment, patch, (*faults, *weight_faults)
    )


def _weights(folder: Path, run: RunRecord) -> tuple[Params | None, list[str]]:
    """Read the weights and compare their digest with the one that the store has."""
    try:
        weights = artifacts.read_weights(folder)
        found = artifacts.weights_sha256(weights)
    except FileNotFoundError:
        return None, ["weights.npz is gone"]
    except artifacts.BROKEN as error:
        return None, [f"weights.npz cannot be read ({error})"]
    noted = run.tags[Tag.WEIGHTS_SHA256]
    fault = f"weights.npz was changed after the run: SHA-256 {found[:12]}…, noted {noted[:12]}…"
    return weights, [] if found == noted else [fault]


def _config_faults(run: RunRecord, config: RunConfig) -> list[str]:
    """Compare config.yaml with the parameters that the store has."""
    noted = {name: run.params[name] for name in fields_with(Role.LOGGED) if name in run.params}
    found = config.params
    return [
        f"config.yaml says {name}={found[name]}, the store says {value}: one was changed after "
        "the run"
        for name, value in noted.items()
        if found[name] != value
    ]


def _history_faults(
    store: Store, run: RunRecord, points: Mapping[tuple[str, int], float]
) -> list[str]:
    """Compare history.csv with the metrics that the store has, and name the first difference."""
    measured = store.measurements(run.run_id, METRICS)
    noted = {(each.key, each.step): each.value for each in measured}
    wrong = sorted(
        (epoch, name)
        for (name, epoch), value in noted.items()
        if not same(points.get((name, epoch), np.nan), value)
    )
    if not wrong:
        return []
    epoch, name = wrong[0]
    values = f"{points.get((name, epoch))} and {noted[name, epoch]}"
    count = f"{len(wrong)} value{'s' if len(wrong) > 1 else ''}"
    where = f"in {count}, first in {name} at epoch {epoch}: {values}"
    return [f"history.csv and the store disagree {where}; one was changed after the run"]


def same(one: float, other: float) -> bool:
    """Tell whether two values are the same, a missing one and another missing one too."""
    return one == other or (np.isnan(one) and np.isnan(other))


def _origin(store: Store, run: RunRecord, folder: Path) -> tuple[dict[str, Any], bytes]:
    """Read where the run comes from: its own files, or its sweep's."""
    if not (folder / artifacts.ENVIRONMENT).exists():
        parent = run.parent
        if parent is None:
            return {}, b""
        try:
            folder = store.download(parent)
        except TrackingError:
            return {}, b""
    try:
        environment = json.loads((folder / artifacts.ENVIRONMENT).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}, b""
    patch = folder / artifacts.PATCH
    return environment, patch.read_bytes() if patch.exists() else b""
