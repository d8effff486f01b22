"""What the store and the checkpoints know of runs already, so that none is trained twice."""

from collections import Counter
from collections.abc import Sequence
from contextlib import suppress
from typing import Literal, get_args

from nnlab.errors import RecordError
from nnlab.execution.checkpoints import Checkpoints
from nnlab.execution.incomplete_records import add_missing, lacking, recorded_config
from nnlab.interrupts import deferred
from nnlab.jobs.run import Run
from nnlab.jobs.tags import Tag
from nnlab.tracking.late_accuracy import from_history, lacks
from nnlab.tracking.process import ProcessId
from nnlab.tracking.record_checks import first_contradiction
from nnlab.tracking.records import RunRecord
from nnlab.tracking.store import Store
from nnlab.tracking.writer import Writer
from nnlab.training.history import CURVES
from nnlab.training.outcomes import Outcome

Reuse = bool | Literal["imported"]

IMPORTED = "imported"  # also the reason why such a run is left out
UNOBSERVED = {
    "its sharpness was not measured": "the sharpness that sharpness.every asks for",
    "it has no such snapshots": "the snapshots that snapshots asks for",
}  # reason -> what is missing
NO_SHARPNESS, NO_SNAPSHOTS = UNOBSERVED


def reuse_finished(writer: Writer, runs: Sequence[Run], reuse: Reuse) -> str:
    """Take over finished runs of the same identity, wherever in the store they are.

    Parameters
    ----------
    writer : Writer
        Writes what a kill kept from such a run's record.
    runs : Sequence[Run]
    reuse : bool or "imported"
        ``True``: only runs that were made or certified here; see ``refusal``.

    Returns
    -------
    str
        A sentence on what was imported, or was left out and why; empty where there is nothing.
    """
    wanted = {run.key: run for run in runs if not run.complete}
    left_out: dict[str, tuple[str, str]] = {}  # identity -> run, and the reason
    imported = 0
    for record in writer.store.search("attributes.status = 'FINISHED'"):
        key = record.tags.get(Tag.RUN_KEY, "")
        run = wanted.get(key)
        # The result of a reproduction may differ from the original's.
        if run is None or run.complete or Tag.REPRODUCES in record.tags or not is_complete(record):
            continue
        reason = refusal(writer.store, record, run, reuse)
        if reason is not None:
            left_out.setdefault(key, (record.run_id, reason))
            continue
        imported += Tag.IMPORTED_FROM in record.tags
        left_out.pop(key, None)
        run.state.reused = True
        _adopt(run, record, writer.store)
        if lacking(record):
            with deferred(), suppress(RecordError):
                add_missing(writer, record)
    return " ".join(filter(None, (_taken(imported), _left_out(list(left_out.values())))))


def _taken(imported: int) -> str:
    return f"{imported} of the runs that are reused were imported." if imported else ""


def _left_out(runs: Sequence[tuple[str, str]]) -> str:
    imported = [run_id for run_id, reason in runs if reason == IMPORTED]
    unobserved = Counter(UNOBSERVED[reason] for _, reason in runs if reason in UNOBSERVED)
    others = [(run_id, why) for run_id, why in runs if why not in (IMPORTED, *UNOBSERVED)]
    parts = []
    if imported:
        parts.append(
            f"{len(imported)} imported, which reuse=imported takes, or reuse=true after "
            f"`nnlab reproduce {imported[0][:8]}` has certified them here"
        )
    parts += [f"{count} without {missing}" for missing, count in unobserved.items()]
    if others:
        run_id, reason = others[0]
        parts.append(f"{len(others)} that contradict themselves ({run_id[:8]}: {reason})")
    return f"Not reused: {'; '.join(parts)}." if parts else ""


def refusal(store: Store, record: RunRecord, run: Run, reuse: Reuse) -> str | None:
    """Say why a finished run is not taken for a planned one.

    Its record must not contradict itself. And, unless imported runs are welcome, it was made here,
    or its reproduction here had the same bits.
    """
    if (
        Tag.IMPORTED_FROM in record.tags
        and reuse != IMPORTED
        and not _is_certified(store, record, run)
    ):
        return IMPORTED
    config = run.job.config
    if config.sharpness.every is not None and "sharpness" not in record.metrics:
        return NO_SHARPNESS
    if config.snapshots is not None and not _has_snapshots(store, record, config.snapshots):
        return NO_SNAPSHOTS
    return first_contradiction(store, record, run)


def _has_snapshots(store: Store, record: RunRecord, count: int) -> bool:
    with suppress(RecordError):
        return recorded_config(store, record).snapshots == count
    return False


def _is_certified(store: Store, record: RunRecord, run: Run) -> bool:
    """Tell whether a reproduction on this machine, of this very identity, has the same result."""
    condition = f"tags.{Tag.REPRODUCES} = '{record.run_id}'"
    for made in store.search(f"{condition} AND tags.{Tag.CERTIFICATE} = 'bit-identical'"):
        tags, owner = made.tags, ProcessId.parse(made.tags.get(Tag.OWNER, ""))
        if (
            owner is not None
            and owner.is_here
            and Tag.IMPORTED_FROM not in tags
            and Tag.AT_COMMIT not in tags  # what its own code says of itself proves nothing
            and tags.get(Tag.RUN_KEY) == run.key
            and tags.get(Tag.WEIGHTS_SHA256) == record.tags.get(Tag.WEIGHTS_SHA256)
            # A later version may measure more.
            and record.metrics.items() <= made.metrics.items()
        ):
            return True
    return False


def _with_late(store: Store, record: RunRecord) -> dict[str, float]:
    """Return a run's metrics with the late accuracy, which older versions did not record."""
    return record.metrics | (from_history(store, record) if lacks(record) else {})


def is_complete(record: RunRecord) -> bool:
    """Return whether a recorded run was trained to its end, or pruned."""
    outcome = record.tags.get(Tag.OUTCOME)
    return outcome in get_args(Outcome) and (record.status == "FINISHED" or outcome == "pruned")


def restore(run: Run, record: RunRecord | None, store: Store, checkpoints: Checkpoints) -> None:
    """Set a run to the state that its record and its checkpoint hold.

    It may have no record: the server was lost before it could be told of the run.
    """
    state = run.state
    if record is not None:
        if is_complete(record):
            _adopt(run, record, store)
            return
        state.run_id, state.logged, state.suspended = record.run_id, record.steps, True
    checkpoint = checkpoints.load(run.index)
    if checkpoint is not None:
        state.advance(checkpoint.epoch, checkpoint.curve)


def _adopt(run: Run, record: RunRecord, store: Store) -> None:
    """Set a run to the end that a complete record tells of."""
    state = run.state
    state.run_id = record.run_id
    state.status = "FINISHED" if record.status == "FINISHED" else "KILLED"
    state.outcome = record.tags[Tag.OUTCOME]
    state.reason = record.tags.get(Tag.REASON)
    metrics = _with_late(store, record)
    state.best = record.metrics.get("best_val_accuracy")
    if "val/accuracy" in record.metrics:
        state.last = record.metrics["val/accuracy"], record.steps["val/accuracy"]
    state.metrics = {name: value for name, value in metrics.items() if name not in CURVES}
    ended_at = record.metrics.get("diverged_at", record.metrics.get("pruned_at"))
    state.epoch = run.job.config.epochs if ended_at is None else int(ended_at)
