"""What the store and the checkpoints know of runs already, so that none is trained twice."""

from collections.abc import Sequence
from contextlib import suppress

from nnlab.errors import RecordError
from nnlab.execution.checkpoints import Checkpoints
from nnlab.execution.incomplete_records import add_missing, lacking
from nnlab.interrupts import deferred
from nnlab.runs.run import Run
from nnlab.runs.tags import Tag
from nnlab.tracking.records import RunRecord
from nnlab.tracking.writer import Writer
from nnlab.training.history import METRICS


def reuse_finished(writer: Writer, runs: Sequence[Run]) -> None:
    """Take over finished runs of the same identity, wherever in the store they are."""
    wanted = {run.key: run for run in runs if not run.complete}
    for record in writer.store.search("attributes.status = 'FINISHED'"):
        if Tag.REPRODUCES in record.tags:  # its result may differ from the original's
            continue
        run = wanted.get(record.tags.get(Tag.RUN_KEY, ""))
        if run is not None and not run.complete and Tag.OUTCOME in record.tags:
            run.state.reused = True
            _adopt(run, record)
            if lacking(record):
                with deferred(), suppress(RecordError):
                    add_missing(writer, record)


def is_complete(record: RunRecord) -> bool:
    """Return whether a recorded run was trained to its end, or pruned."""
    outcome = record.tags.get(Tag.OUTCOME)
    return outcome is not None and (record.status == "FINISHED" or outcome == "pruned")


def restore(run: Run, record: RunRecord, checkpoints: Checkpoints) -> None:
    """Set a run to the state that its record and its checkpoint hold."""
    if is_complete(record):
        _adopt(run, record)
        return
    state = run.state
    state.run_id, state.logged, state.suspended = record.run_id, record.steps, True
    checkpoint = checkpoints.load(run.index)
    if checkpoint is not None:
        state.epoch, state.curve = checkpoint.epoch, checkpoint.curve


def _adopt(run: Run, record: RunRecord) -> None:
    """Set a run to the end that a complete record tells of."""
    state = run.state
    state.run_id = record.run_id
    state.status = "FINISHED" if record.status == "FINISHED" else "KILLED"
    state.outcome = record.tags[Tag.OUTCOME]
    state.reason = record.tags.get(Tag.REASON)
    state.metrics = {name: value for name, value in record.metrics.items() if name not in METRICS}
    ended_at = record.metrics.get("diverged_at", record.metrics.get("pruned_at"))
    state.epoch = run.job.config.epochs if ended_at is None else int(ended_at)
