"""What became of runs earlier, from the store and the checkpoints: none is made twice."""

from collections.abc import Sequence

from nnlab.execution.checkpoints import Checkpoints
from nnlab.runs.run import Run
from nnlab.runs.tags import Tag
from nnlab.tracking.records import RunRecord
from nnlab.tracking.store import Store


def reuse(store: Store, runs: Sequence[Run]) -> None:
    """Take over finished runs of the same identity, wherever in the store they are."""
    wanted = {run.key: run for run in runs if not run.complete}
    for record in store.search("attributes.status = 'FINISHED'"):
        if Tag.REPRODUCES in record.tags:  # it may have come out differently
            continue
        run = wanted.get(record.tags.get(Tag.RUN_KEY, ""))
        if run is not None and not run.complete and Tag.OUTCOME in record.tags:
            run.run_id, run.reused = record.run_id, True
            adopt(run, record)


def is_complete(record: RunRecord) -> bool:
    """Tell whether nothing is left to do on a run of the store."""
    outcome = record.tags.get(Tag.OUTCOME)
    return outcome is not None and (record.status == "FINISHED" or outcome == "pruned")


def restore(run: Run, record: RunRecord, checkpoints: Checkpoints) -> None:
    """Fill in what the store and the checkpoint know of a run."""
    run.run_id = record.run_id
    if is_complete(record):
        adopt(run, record)
        return
    run.stopped = True
    run.logged = record.steps
    found = checkpoints.load(run.index)
    if found is not None:
        run.epoch, run.curve = found.epoch, found.curve


def adopt(run: Run, record: RunRecord) -> None:
    """Take a complete run as the store has it."""
    run.status = "FINISHED" if record.status == "FINISHED" else "KILLED"
    run.outcome = record.tags[Tag.OUTCOME]
    run.reason = record.tags.get(Tag.REASON)
    run.metrics = record.metrics
    ended = record.metrics.get("diverged_at", record.metrics.get("pruned_at"))
    run.epoch = run.job.config.epochs if ended is None else int(ended)
