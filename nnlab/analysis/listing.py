"""What a store holds, listed for ``nnlab ls``: sweeps and runs, the newest first."""

import csv
import io
import json
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from itertools import islice
from typing import Literal

from rich.text import Text

from nnlab.analysis.formatting import json_value, number
from nnlab.analysis.ranking import ENDINGS, LAST, METRIC
from nnlab.analysis.terminal import SafeConsole, echo, print_line
from nnlab.analysis.terminal_tables import FOLD, Cell, print_table
from nnlab.errors import TrackingError
from nnlab.jobs.tags import Tag
from nnlab.safe_text import one_line, spreadsheet_cell
from nnlab.tracking.late_accuracy import from_history, lacks
from nnlab.tracking.locations import tracking_uri
from nnlab.tracking.lookup import place
from nnlab.tracking.readers import Reader, open_reader
from nnlab.tracking.records import RunRecord
from nnlab.tracking.selection import select

Form = Literal["table", "csv", "json"]

ROWS = 20  # of the table; the other formats have all rows
LEFT = ("id", "started", "outcome", "name")  # columns of words
CURVE = "val/accuracy"


@dataclass(frozen=True)
class Filters:
    """Which sweeps and runs are listed; each field that is None admits all.

    Attributes
    ----------
    where : str or None
        A condition on runs, see ``conditions.runs_where``.
    status : str or None
        As MLflow has it: RUNNING, FINISHED, FAILED, KILLED.
    tag : str or None
        ``NAME`` or ``NAME=VALUE``.
    """

    where: str | None = None
    status: str | None = None
    tag: str | None = None

    def admits(self, record: RunRecord) -> bool:
        """Tell whether a record has this status and this tag."""
        name, equals, value = (self.tag or "").partition("=")
        tagged = record.tags.get(name) == value if equals else name in record.tags
        return self.status in (None, record.status) and (self.tag is None or tagged)


def list_runs(
    selection: Sequence[str],
    form: Form,
    *,
    uri: str | None = None,
    filters: Filters,
    runs: bool = False,
    trash: bool = False,
    limit: int | None = None,
) -> None:
    """Print what a store holds, the newest first.

    Parameters
    ----------
    selection : sequence of str
        Sweeps, runs and experiments, whose runs are listed; empty for all sweeps and single runs.
    form : {"table", "csv", "json"}
    uri : str or None
        Of the store; None as in the config.
    filters : Filters
    runs : bool
        List runs instead of sweeps; so do a selection and a condition.
    trash : bool
        List what is in MLflow's trash.
    limit : int or None
        Number of rows; None for 20 of the table, and all of the others.
    """
    store = open_reader(tracking_uri(uri), trash=trash)
    listed = _records(store, selection, filters, runs=runs)
    admitted = filter(filters.admits, listed)
    most = ROWS if limit is None and form == "table" else limit
    records = list(islice(admitted, most))
    deleted = None if trash else open_reader(tracking_uri(uri), trash=True)
    rows = [row_of(store, record, deleted) for record in records]
    if form == "csv":
        file = io.StringIO()
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(COLUMNS)
        writer.writerows(map(spreadsheet_cell, row.values()) for row in rows)
        echo(file.getvalue(), nl=False)
    elif form == "json":
        echo(json.dumps(rows, indent=1, ensure_ascii=False, allow_nan=False))
    elif not rows:
        echo(f"nothing to list in {place(store)}")
    else:
        print_rows(rows, sum(1 for _ in admitted))


def _records(
    store: Reader, selection: Sequence[str], filters: Filters, *, runs: bool
) -> Iterator[RunRecord]:
    if filters.where is not None:
        from nnlab.analysis.conditions import runs_where
        from nnlab.tracking.frames import read_runs

        if store.trash:
            raise TrackingError("--where looks at runs that are not in the trash: leave one out.")
        chosen = runs_where(read_runs(store.uri, selection or None), filters.where)
        yield from store.read(chosen["run_id"].tolist())
    elif selection:
        records = [run for run, _ in select(store, selection)]
        yield from sorted(records, key=lambda run: run.start_time, reverse=True)
    elif runs or filters.tag is not None:
        records = [run for name in store.experiments() for run in store.in_experiment(name)]
        listed = (run for run in records if not runs or Tag.JOB in run.tags)
        yield from sorted(listed, key=lambda run: run.start_time, reverse=True)
    else:
        yield from store.heads()


# Column -> cell; of a sweep, the metrics are those of its best run.
Row = Mapping[str, object]
COLUMNS = (
    "run_id", "kind", "name", "sweep", "study", "status", "outcome", "epoch", "runs", "learned",
    "started", "ended", METRIC, CURVE, "in_trash",
)  # fmt: skip


def row_of(store: Reader, record: RunRecord, trash: Reader | None = None) -> Row:
    """Return what is listed of a sweep or run, with what the trash has of a sweep's runs."""
    kind = record.tags.get(Tag.KIND, "run") if record.parent is None else "run"
    endings = Counter[str]() if kind == "run" else _endings(store, record)
    metrics = record.metrics | (from_history(store, record) if lacks(record) else {})
    diverged_at = record.metrics.get("diverged_at")
    epoch = record.steps.get(CURVE) if diverged_at is None else json_value(diverged_at)
    cells = (
        record.run_id, kind, record.name, record.parent, record.tags.get(Tag.STUDY),
        record.status, record.tags.get(Tag.OUTCOME),
        None if epoch is None or kind != "run" else int(epoch),
        None if kind == "run" else sum(endings.values()),
        None if kind == "run" else endings["learned"],
        _iso(record.start_time), _iso(record.end_time),
        json_value(metrics.get(METRIC, metrics.get(LAST))),
        json_value(record.metrics.get(CURVE)),
        None if kind == "run" or trash is None else len(trash.tagged(Tag.PARENT, record.run_id)),
    )  # fmt: skip
    return dict(zip(COLUMNS, cells, strict=True))


def _endings(store: Reader, record: RunRecord) -> Counter[str]:
    """Count how the runs of a sweep ended, as it says itself, or else as they say."""
    planned = json_value(record.metrics.get("runs/planned"))
    if planned is None:
        children = store.tagged(Tag.PARENT, record.run_id)
        return Counter(run.tags.get(Tag.OUTCOME, run.status) for run in children)
    endings = Counter(
        {
            outcome: int(json_value(record.metrics[f"runs/{outcome}"]) or 0)
            for outcome in ENDINGS
            if f"runs/{outcome}" in record.metrics
        }
    )
    endings["not complete"] = int(planned) - sum(endings.values())
    return endings


def _iso(milliseconds: int | None) -> str | None:
    if milliseconds is None:
        return None
    return datetime.fromtimestamp(milliseconds / 1000, UTC).isoformat(timespec="seconds")


def print_rows(rows: Sequence[Row], more: int = 0, command: str = "") -> None:
    """Print a table, and how many rows more there are; the command, if another one, prints all."""
    console, cells = SafeConsole(), [_cells(row) for row in rows]
    print_table(
        console, list(cells[0]), [[*row.values()] for row in cells], left=LEFT, folded=("name",),
        optional=(FOLD, "started"), rest=f"{command} --format csv".lstrip(), most=len(rows),
    )  # fmt: skip
    if more:
        print_line(console, f"… and {more} more: {command or 'add'} --limit {len(rows) + more}")


def outcome_text(row: Row) -> str:
    """Write how a run or a sweep ended: of a run that came to no end, its last epoch as well."""
    outcome, status = row["outcome"], row["status"]
    if row["kind"] != "run":
        deleted = f", {row['in_trash']} in the trash" if row["in_trash"] else ""
        learned = f"{row['learned']} of {row['runs']} learned{deleted}"
        return learned if status == "FINISHED" else f"{status}, {learned}"
    text = str(outcome or status)
    if outcome in (None, "diverged", "pruned") and row["epoch"] is not None:
        text += f" at {row['epoch']}"
    return text


def _cells(row: Row) -> dict[str, Cell]:
    """Return a row of the table: title -> cell."""
    unfinished = row["kind"] == "run" and row["outcome"] in (None, "pruned")
    accuracy = row[CURVE if unfinished else METRIC]
    started = datetime.fromisoformat(str(row["started"])).astimezone()
    return {
        "id": str(row["run_id"])[:8],
        "started": f"{started:%Y-%m-%d %H:%M}",
        "outcome": Text(outcome_text(row), ENDINGS.get(str(row["outcome"] or row["status"]), "")),
        "accuracy": number(accuracy if isinstance(accuracy, float) else None),
        "name": one_line(f"{row['study']}: {row['name']}" if row["study"] else str(row["name"])),
    }
