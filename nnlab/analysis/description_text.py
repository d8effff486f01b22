"""``nnlab show``: what a store holds of one run or sweep, on the terminal or as JSON."""

import json
import shutil
import sys
import textwrap
from collections.abc import Iterator
from datetime import datetime

from rich.markup import escape

from nnlab.analysis.description import Description
from nnlab.analysis.formatting import number, size_text
from nnlab.analysis.listing import outcome_text, print_rows, row_of
from nnlab.analysis.ranking import tally
from nnlab.analysis.sparklines import WIDTH, sparkline
from nnlab.analysis.terminal import SafeConsole, echo
from nnlab.jobs.tags import Tag
from nnlab.safe_text import one_line
from nnlab.tracking.locations import tracking_uri, uri_option
from nnlab.tracking.lookup import find_run
from nnlab.tracking.own_tags import own_tags
from nnlab.tracking.readers import Reader, open_reader
from nnlab.tracking.records import RunRecord
from nnlab.training.history import CURVES
from nnlab.wording import counted

RUNS = 10  # of a sweep that are listed
LABEL = 16  # columns
WIDEST = 100  # columns of a line that is folded
MINUTE = 60  # seconds
KEPT = "\N{NO-BREAK SPACE}"


def show(which: str, uri: str | None, *, as_json: bool = False) -> None:
    """Print what a store holds of a run or a sweep.

    Parameters
    ----------
    which : str
        As in ``find_run``.
    uri : str or None
        Of the store; None as in the config.
    as_json : bool

    Raises
    ------
    TrackingError
        Where there is no such run or sweep.
    """
    store = open_reader(tracking_uri(uri))
    found = Description.read(store, find_run(store, which))
    if as_json:
        echo(json.dumps(found.as_dict(), indent=1, ensure_ascii=False, allow_nan=False))
        return
    console = SafeConsole(soft_wrap=True)
    console.print(f"[bold]{found.row['kind']} {found.record.run_id}[/]")
    option = uri_option(uri)
    for label, text in _facts(found, option):
        _print_fact(console, label, text, ", " if label == "results" else " ")
    if found.curves:
        _print_curves(console, found)
    if found.runs:
        _print_runs(console, store, found, option)
    files = (f"{name} {size_text(size)}" for name, size in found.files.items())
    _print_fact(console, "files", ", ".join(files), ", ")
    commands = ("compare", "report", "ui") if found.row["kind"] == "sweep" else ("ui",)
    for command in commands:
        console.print(f"nnlab {command} {found.record.run_id[:8]}{option}")


def _facts(found: Description, option: str) -> Iterator[tuple[str, str]]:
    """Yield a label and a text for each thing that there is to say; empty where there is none."""
    record, facts = found.record, found.facts
    is_run = found.row["kind"] == "run"
    yield "name", record.name
    yield "outcome", outcome_text(found.row) if is_run else _endings(found)
    yield "reason", facts.get("reason", "")
    yield "started", _times(record)
    yield "command", facts.get("command", "")
    yield "study", facts.get("study", "")
    changed = " and uncommitted changes" if facts.get("dirty") == "true" else ""
    yield "code", facts.get("commit", "")[:12] + changed
    yield "data digest", facts.get("data_digest", "")[:12]
    yield "certificate", facts.get("certificate", "")
    for relation, runs in found.lineage.items():
        for run in runs:
            yield relation, f"{run[:8]}" if isinstance(run, str) else f"{run.run_id[:8]} {run.name}"
    yield "tags", "  ".join(f"{name}={text}" for name, text in own_tags(record).items())
    if record.status in ("KILLED", "FAILED") and found.row["outcome"] is None:
        yield "to go on", f"nnlab resume {(record.parent or record.run_id)[:8]}{option}"
    yield "config", " ".join(f"{name}={value}" for name, value in record.params.items())
    summary = {
        name: value
        for name, value in record.metrics.items()
        if name not in CURVES and not name.startswith("runs/")
    }
    best = f"of {facts['best_run'][:8]}, the best run: " if "best_run" in facts else ""
    results = ", ".join(f"{name} {_short(value)}" for name, value in summary.items())
    yield "results", best + results if results else ""
    if found.beginning is not None:
        yield "W1 at first", str(found.beginning)
    if found.dead is not None:
        yield "dead at first", f"{found.dead} of {record.params['hidden_size']} hidden units"


def _endings(found: Description) -> str:
    endings = tally(str(run.tags.get(Tag.OUTCOME, run.status)) for run in found.runs)
    return f"{found.row['status']}, {counted(len(found.runs), 'run')}: {endings}".removesuffix(": ")


def _times(record: RunRecord) -> str:
    started = datetime.fromtimestamp(record.start_time / 1000).astimezone()
    if record.end_time is None:
        return f"{started:%Y-%m-%d %H:%M}"
    seconds = (record.end_time - record.start_time) / 1000
    hours, minutes = divmod(round(seconds / MINUTE), MINUTE)
    took = f"{seconds:.1f} s" if seconds < 2 * MINUTE else f"{hours} h {minutes} min"
    return f"{started:%Y-%m-%d %H:%M}, took {took.removeprefix('0 h ')}"


def _short(value: float) -> str:
    return f"{value:.0f}" if value.is_integer() else number(value)


def _print_fact(console: SafeConsole, label: str, text: str, gap: str = " ") -> None:
    """Print a label and a text, which is folded at some gaps; nothing of no text."""
    width = min(shutil.get_terminal_size((WIDEST, 24)).columns, WIDEST) - LABEL
    kept = one_line(text).replace(" ", KEPT).replace(gap.replace(" ", KEPT), gap)
    for place, line in enumerate(textwrap.wrap(kept, width, break_long_words=False)):
        console.print(f"{'' if place else label:{LABEL}}{escape(line.replace(KEPT, ' '))}")


def _print_curves(console: SafeConsole, found: Description) -> None:
    last = max(curve[-1][0] for curve in found.curves.values())
    console.print(f"{'by epoch':{LABEL}}{f'0 to {last}':{WIDTH}}{'first':>9}{'last':>9}")
    for name, curve in found.curves.items():
        values = [value for _, value in curve]
        line = sparkline(values, sys.stdout.encoding)
        ends = f"{number(values[0]):>9}{number(values[-1]):>9}"
        console.print(f"{name:{LABEL}}{line:{WIDTH}}{ends}")


def _print_runs(console: SafeConsole, store: Reader, found: Description, option: str) -> None:
    rows = [row_of(store, run) for run in found.runs[:RUNS]]
    console.print()
    command = f"nnlab ls {found.record.run_id[:8]}{option}"
    print_rows(rows, len(found.runs) - len(rows), command)
    console.print()
