"""Whether the parts of a run's record agree: its config, its weights, its history, its summary."""

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np

from nnlab.arrays import Array
from nnlab.errors import ConfigError, StoredFileError, TrackingError
from nnlab.jobs.config import RunConfig, fields_with, from_record
from nnlab.jobs.roles import Role
from nnlab.jobs.run import Run
from nnlab.jobs.tags import Tag
from nnlab.system.stored_files import read_yaml
from nnlab.tracking import artifacts
from nnlab.tracking.records import RunRecord
from nnlab.tracking.store import Store
from nnlab.training.blocks import Block
from nnlab.training.full_batch import predict
from nnlab.training.history import CURVES, OBSERVATIONS
from nnlab.training.network import Params
from nnlab.training.outcomes import LATE, Curve, summarise
from nnlab.wording import counted

Place = tuple[str, int]  # metric, epoch
Points = dict[Place, float]

CHANGED = "one was changed after the run"
TOLERANCE = 2e-3  # between processors: an image or two in a thousand may change its class
FILES = ("config.yaml", "history.csv", "weights.npz")
SUMMARY = {
    "final_train_loss", "final_val_loss", "final_val_accuracy", "best_val_accuracy", "best_epoch",
    LATE, "epochs_to_target", "diverged_at", "pruned_at",
}  # fmt: skip
SURE = 20.0  # nats: beyond such a mean loss, probabilities are too small to be compared


def points_of(curve: Curve) -> Points:
    """Return every metric at every epoch of a curve; an observation only where it was made."""
    return {
        (name, epoch): value
        for name, values in curve.values.items()
        for epoch, value in zip(curve.epochs.tolist(), values.tolist(), strict=True)
        if name not in OBSERVATIONS or not np.isnan(value)
    }


def read_checked_weights(folder: Path, run: RunRecord) -> tuple[Params | None, list[str]]:
    """Read the weights and compare their digest with the one in the store."""
    try:
        weights = artifacts.read_weights(folder)
    except StoredFileError as error:
        gone = isinstance(error.__cause__, FileNotFoundError)
        return None, ["weights.npz is gone" if gone else str(error).rstrip(".")]
    found = artifacts.weights_sha256(weights)
    noted = run.tags[Tag.WEIGHTS_SHA256]
    fault = f"weights.npz was changed after the run: SHA-256 {found[:12]}…, noted {noted[:12]}…"
    return weights, [] if found == noted else [fault]


def config_faults(run: RunRecord, config: RunConfig) -> list[str]:
    """Compare config.yaml with the parameters in the store."""
    params = config.params
    return [
        f"config.yaml says {name}={params.get(name)}, the store says {run.params[name]}: {CHANGED}"
        for name in (*fields_with(Role.LOGGED), "order_seed")
        if name in run.params and run.params[name] != params.get(name)
    ]


def history_faults(store: Store, run: RunRecord, points: Mapping[Place, float]) -> list[str]:
    """Compare history.csv with the metrics in the store, and name the first difference."""
    measurements = store.measurements(run.run_id, CURVES)
    stored = {(point.key, point.step): point.value for point in measurements}
    if stored.items() <= points.items():  # quicker than to look at each of thousands
        return []
    wrong = sorted(
        (epoch, name)
        for (name, epoch), value in stored.items()
        if not same_value(points.get((name, epoch), np.nan), value)
    )
    if not wrong:
        return []
    epoch, name = wrong[0]
    values = f"{points.get((name, epoch))} and {stored[name, epoch]}"
    count = counted(len(wrong), "value")
    where = f"in {count}, first in {name} at epoch {epoch}: {values}"
    return [f"history.csv and the store disagree {where}; {CHANGED}"]


def same_value(one: float, other: float) -> bool:
    """Tell whether two values are equal; two missing values (NaN) are."""
    return one == other or (np.isnan(one) and np.isnan(other))


def first_contradiction(store: Store, record: RunRecord, run: Run) -> str | None:
    """Say where the record of a finished run contradicts itself, or is not that of a planned run.

    Some milliseconds a run, but for the first one on a dataset. What cannot be seen without
    training again is an epoch in the middle that was changed everywhere.

    Parameters
    ----------
    store : Store
    record : RunRecord
        What the store has.
    run : Run
        The planned run that it should be.

    Returns
    -------
    str or None
        The first fault that was found; None where there is none.
    """
    if Tag.WEIGHTS_SHA256 not in record.tags:
        return "it has no weights"
    try:
        with store.some_files(record.run_id, FILES) as folder:
            config = from_record(read_yaml(folder / "config.yaml"))
            curve = artifacts.read_history(folder)
            weights, faults = read_checked_weights(folder, record)
    except (OSError, ValueError, ConfigError, StoredFileError, TrackingError) as error:
        return f"its files cannot be read: {' '.join(str(error).split())}"
    if faults or weights is None:
        return faults[0]
    if config.key(run.prepared.digest) != run.key:
        return "its config.yaml is that of another run"
    faults = [
        *config_faults(record, config),
        *_summary_faults(record, config, curve),
        *history_faults(store, record, points_of(curve)),
        *_result_faults(record, run, weights, curve),
    ]
    return faults[0] if faults else None


def _summary_faults(record: RunRecord, config: RunConfig, curve: Curve) -> list[str]:
    """Compare the outcome and the summary in the store with those that follow from the history."""
    if not curve.epochs.size:
        return ["history.csv is empty"]
    diverged_at = record.metrics.get("diverged_at", -1.0)
    if not np.isfinite(diverged_at):
        return ["diverged_at is no epoch"]
    summary = summarise(curve, int(diverged_at), config.target_accuracy)
    noted = record.tags.get(Tag.OUTCOME)
    if summary.outcome != noted:
        return [f"its history makes it {summary.outcome}, the store says {noted}"]
    if diverged_at < 0 and int(curve.epochs[-1]) != config.epochs:
        return [f"history.csv ends at epoch {curve.epochs[-1]} of {config.epochs}"]
    expected = summary.metrics.keys() - ({LATE} - record.metrics.keys())  # not of older runs
    for name in sorted((record.metrics.keys() & SUMMARY) | expected):
        one, other = summary.metrics.get(name), record.metrics.get(name)
        if one is None or other is None or not same_value(one, other):
            return [f"{name} is {one} by its history, {other} in the store: {CHANGED}"]
    return []


def _result_faults(record: RunRecord, run: Run, weights: Params, curve: Curve) -> list[str]:
    """Compare the last values with those that the weights have on the images."""
    if record.tags.get(Tag.OUTCOME) == "diverged":
        return []
    for planned, found in zip(run.initial(), weights, strict=True):
        if planned.shape != found.shape or planned.dtype != found.dtype:
            return [f"its weights have the shape {found.shape[1:]}, not {planned.shape[1:]}"]
    dtype, few = run.job.config.dtype, 2 / len(run.prepared.split.val)
    accuracy, loss = _scores(weights, run.prepared.validation(dtype))
    values = {
        "val/accuracy": (curve.values["val/accuracy"][-1], accuracy),
        "val/loss": (curve.values["val/loss"][-1], loss),
    }
    if "test/accuracy" in record.metrics:
        test = run.prepared.test(dtype)
        if not test:
            return ["it has a test accuracy, and the data has no test images"]
        values["test/accuracy"] = record.metrics["test/accuracy"], _scores(weights, test)[0]
    if loss > SURE:
        del values["val/loss"]
    return [
        f"its weights have a {name} of {found:.4f}, the store says {noted:.4f}: {CHANGED}"
        for name, (noted, found) in values.items()
        if not abs(noted - found) <= max(TOLERANCE * max(1.0, abs(found)), few)
    ]


def _scores(weights: Params, blocks: Sequence[Block]) -> tuple[float, float]:
    """Return accuracy and mean cross-entropy, in nats, of a single run on some images."""
    probs = predict(weights, blocks)
    labels: Array = np.concatenate([block.labels for block in blocks])
    right = probs[labels, np.arange(len(labels))].astype(np.float64)
    loss = -np.log(np.maximum(right, np.finfo(np.float32).tiny)).mean()
    return float((probs.argmax(axis=0) == labels).mean()), float(loss)
