"""The end of a sweep in the store: its table, best run, counts of outcomes, status, description."""

import csv
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path

from nnlab.analysis.formatting import markdown_table, number
from nnlab.analysis.ranking import METRIC, outcome_of, ranked, tally, value_of
from nnlab.errors import RunsFailedError
from nnlab.execution.failures import count_failed, status_and_reason
from nnlab.execution.results import result_rows
from nnlab.interrupts import deferred
from nnlab.jobs.run import SEEDS, Run
from nnlab.jobs.study import Study, read_study
from nnlab.jobs.tags import Tag
from nnlab.safe_text import spreadsheet_cell
from nnlab.tracking.records import RunRecord
from nnlab.tracking.tracker import Tracker
from nnlab.tracking.writer import Point
from nnlab.training.outcomes import Status
from nnlab.wording import counted

ROWS = 10  # of the description's table; runs.csv has all runs
RUN_TITLES = (
    "late val accuracy",
    "last",
    "outcome",
    "run",
)  # its columns, of those that the terminal shows
SEEDS_TITLES = ("seeds", "mean late val accuracy", "worst", "best", "learned", "outcomes")


def write_end(
    tracker: Tracker,
    parent: str,
    runs: Sequence[Run],
    varying: Sequence[str],
    error: BaseException | None,
    study: Study | None = None,
) -> None:
    """End a sweep's parent run: as FINISHED only if no run failed and nothing broke it off."""
    best = ranked(runs)[0]
    values = {name: value for name, value in best.state.metrics.items() if not name.endswith("_at")}
    outcomes = Counter(run.state.outcome for run in runs if run.state.outcome is not None)
    values |= {f"runs/{outcome}": float(count) for outcome, count in outcomes.items()}
    values["runs/planned"] = float(len(runs))

    tags = {Tag.BEST_RUN: best.state.run_id}
    status: Status = "FINISHED"
    if error is not None and not isinstance(error, RunsFailedError):
        status, tags[Tag.REASON] = status_and_reason(error)
    elif failed := count_failed(runs):
        status, tags[Tag.REASON] = "FAILED", failed
    with deferred():
        with tracker.folder(parent) as folder:
            write_table(folder / "runs.csv", runs, varying)
            tags[Tag.DESCRIPTION] = describe_sweep(
                parent, runs, varying, study or read_study(folder)
            )
        tracker.log(parent, _changed(values, tracker.store.get(parent)), tags)
        tracker.finish(parent, status)


def _changed(values: Mapping[str, float], record: RunRecord) -> list[Point]:
    """Return what the store does not have yet of a sweep that ends not for the first time.

    The first end is step 0; a value that has changed since gets the next step.
    """
    return [
        (name, value, record.steps.get(name, -1) + 1)
        for name, value in values.items()
        if record.metrics.get(name) != value
    ]


def write_table(path: Path, runs: Sequence[Run], varying: Sequence[str]) -> None:
    """Write a sweep's runs as CSV, best first."""
    metrics = sorted({name for run in runs for name in run.state.metrics})
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        writer.writerow(["run_id", "name", *varying, "status", "outcome", *metrics, "reason"])
        for run in ranked(runs):
            cells = [
                run.state.run_id,
                run.job.name,
                *(value_of(run, field) for field in varying),
                run.state.status or "",
                run.state.outcome or "",
                *(run.state.metrics.get(name, "") for name in metrics),
                run.state.reason or "",
            ]
            writer.writerow(map(spreadsheet_cell, cells))


def describe_sweep(
    parent: str, runs: Sequence[Run], varying: Sequence[str], study: Study | None = None
) -> str:
    """Describe a sweep at its end, in Markdown: its results, and commands that go on from there.

    MLflow's UI shows the description on the page of the sweep's parent run.

    Parameters
    ----------
    parent : str
        The id of the sweep's parent run.
    runs : sequence of Run
    varying : sequence of str
        The fields in which the runs differ.
    study : Study or None
        The study that the sweep carries out; its question comes first.
    """
    summary = tally(map(outcome_of, runs))
    best = ranked(runs)[0]
    if METRIC in best.state.metrics:
        accuracy = number(best.state.metrics[METRIC])
        summary += f". Best run: **{best.job.name}**, late validation accuracy {accuracy}, "
        summary += f"run `{best.state.run_id[:8]}`"
    commands = ["nnlab ui", "nnlab compare", "nnlab reproduce --all"]
    if not all(run.complete for run in runs):
        commands.insert(0, "nnlab resume")
    parts = [
        *([study.question] if study is not None and study.question else []),
        f"{counted(len(runs), 'run')}: {summary}.",
        _results_table(runs, varying),
        "\n".join(f"- `{command} {parent[:8]}`" for command in commands),
    ]
    return "\n\n".join(parts) + "\n"


def _results_table(runs: Sequence[Run], varying: Sequence[str]) -> str:
    fields = [field for field in varying if field not in SEEDS]
    titles = (*fields, *(RUN_TITLES if set(varying) <= set(fields) else SEEDS_TITLES))
    rows = result_rows(runs, varying)
    cells = [[row[title] for title in titles] for row in rows[:ROWS]]
    table = markdown_table(titles, cells, left=range(len(titles)))
    if len(rows) > ROWS:
        table += f"\n\n… and {len(rows) - ROWS} more: `runs.csv` among the artifacts has every run."
    return table
