"""The end of a sweep in the store: its table, its best run, the counts of outcomes, a status."""

import csv
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

from nnlab.errors import RunsFailedError
from nnlab.execution.descriptions import TAG, describe_sweep
from nnlab.execution.failures import count_failed, status_and_reason
from nnlab.interrupts import deferred
from nnlab.runs.ranking import ranked, value_of
from nnlab.runs.run import Run
from nnlab.runs.study import Study, read_study
from nnlab.runs.tags import Tag
from nnlab.tracking.tracker import Tracker
from nnlab.training.outcomes import Status


def write_end(
    tracker: Tracker,
    parent: str,
    runs: Sequence[Run],
    varying: Sequence[str],
    error: BaseException | None,
    study: Study | None = None,
) -> None:
    """End a sweep's parent run, honestly: FINISHED only where every run is complete."""
    best = ranked(runs)[0]
    points = [(name, value, 0) for name, value in best.metrics.items() if not name.endswith("_at")]
    outcomes = Counter(run.outcome for run in runs if run.outcome is not None)
    points += [(f"runs/{outcome}", float(count), 0) for outcome, count in outcomes.items()]
    points.append(("runs/planned", float(len(runs)), 0))

    tags = {Tag.BEST_RUN: best.run_id}
    status: Status = "FINISHED"
    if error is not None and not isinstance(error, RunsFailedError):
        status, tags[Tag.REASON] = status_and_reason(error)
    elif failed := count_failed(runs):
        status, tags[Tag.REASON] = "FAILED", failed
    with deferred():
        with tracker.folder(parent) as folder:
            write_table(folder / "runs.csv", runs, varying)
            tags[TAG] = describe_sweep(parent, runs, varying, study or read_study(folder))
        tracker.log(parent, points, tags)
        tracker.finish(parent, status)


def write_table(path: Path, runs: Sequence[Run], varying: Sequence[str]) -> None:
    """Write a sweep's runs as CSV, best first."""
    metrics = sorted({name for run in runs for name in run.metrics})
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        writer.writerow(["run_id", "name", *varying, "status", "outcome", *metrics, "reason"])
        for run in ranked(runs):
            writer.writerow(
                [
                    run.run_id,
                    run.job.name,
                    *(value_of(run, field) for field in varying),
                    run.status or "",
                    run.outcome or "",
                    *(run.metrics.get(name, "") for name in metrics),
                    run.reason or "",
                ]
            )
