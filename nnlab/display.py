"""What the terminal shows: a live bar, or plain sparse lines where there is no terminal."""

import sys
import time
from collections.abc import Sequence
from contextlib import AbstractContextManager
from types import TracebackType
from typing import Self

from rich.console import Console
from rich.markup import escape
from rich.progress import BarColumn, Progress, TaskID, TextColumn, TimeRemainingColumn
from rich.table import Table

from nnlab.plan import Run, ranked, value_of

QUIET_SECONDS = 5.0  # between two plain lines
PLAIN_WIDTH = 200  # of a table that goes to a file or a pipe, so that no cell is folded
COLOURS = {
    "learned": "green",
    "stalled": "yellow",
    "dead": "red",
    "diverged": "red",
    "FAILED": "bold red",
    "KILLED": "bold red",
}


class Display(AbstractContextManager["Display"]):
    """A watcher of runs that draws on the terminal's error stream; results go to its output."""

    def __init__(self) -> None:
        self._console = Console(stderr=True, highlight=False)
        self._live = self._console.is_terminal
        self._progress = Progress(
            TextColumn("{task.description}"),
            BarColumn(bar_width=30),
            TextColumn("{task.completed:.0f}/{task.total:.0f} epochs  {task.fields[state]}"),
            TimeRemainingColumn(compact=True),
            console=self._console,
            transient=True,
            disable=not self._live,
        )
        self._task: TaskID | None = None
        self._runs: Sequence[Run] = ()
        self._done = 0
        self._total = 0
        self._said = time.monotonic()

    def __enter__(self) -> Self:
        self._progress.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._progress.stop()

    def planned(self, runs: Sequence[Run], epochs: int) -> None:
        """Set up the bar."""
        self._runs, self._total = runs, epochs
        what = runs[0].job.name if len(runs) == 1 else f"{len(runs)} runs"
        self._task = self._progress.add_task(escape(what), total=epochs, state="")

    def advanced(self, runs: Sequence[Run], epochs: int) -> None:
        """Move the bar, or say a line when none was said for a while."""
        self._done += epochs * len(runs)
        state = self._state(runs)
        if self._task is not None:
            self._progress.update(self._task, completed=self._done, state=state)
        if not self._live and time.monotonic() - self._said > QUIET_SECONDS:
            self._said = time.monotonic()
            self._console.print(f"{self._done}/{self._total} epochs  {state}", soft_wrap=True)

    def ended(self, run: Run) -> None:
        """In a sweep, say at once when a run did not end well."""
        if run.reason is not None:
            self._console.print(
                f"{run.job.name}: {run.status} ({run.reason})", markup=False, soft_wrap=True
            )

    def _state(self, runs: Sequence[Run]) -> str:
        if len(self._runs) == 1:
            return _latest(runs[0])
        ended = sum(run.status is not None for run in self._runs)
        best = max((run.metrics.get("best_val_accuracy", 0.0) for run in self._runs), default=0.0)
        return f"{ended}/{len(self._runs)} runs done" + (
            f"  best val accuracy {best:.4f}" if best else ""
        )


def _latest(run: Run) -> str:
    if run.curve is None or not run.curve.epochs.size:
        return ""
    loss, accuracy = (run.curve.values[name][-1] for name in ("train/loss", "val/accuracy"))
    return f"loss {loss:.4f}  val accuracy {accuracy:.4f}"


def report_run(run: Run, artifacts: str) -> None:
    """Print what one run came to, and how to look at it."""
    console = Console(highlight=False, soft_wrap=True)
    assert run.summary is not None
    outcome = run.summary.outcome
    metrics = run.metrics
    figures = {
        "outcome": f"[{COLOURS[outcome]}]{outcome}[/]"
        + (f" at epoch {metrics['diverged_at']:.0f}" if outcome == "diverged" else ""),
        "val accuracy": _figure(metrics, "final_val_accuracy"),
        "best": _figure(metrics, "best_val_accuracy")
        + (f" at epoch {metrics['best_epoch']:.0f}" if "best_epoch" in metrics else ""),
        "test accuracy": _figure(metrics, "test/accuracy"),
        "train loss": _figure(metrics, "final_train_loss"),
        "run": run.run_id,
        "artifacts": escape(artifacts),
        "open it": f"nnlab ui {run.run_id[:8]}",
    }
    console.print(f"[bold]{escape(run.job.name)}[/]")
    for label, text in figures.items():
        if text:
            console.print(f"  {label:14}{text}")


def report_sweep(runs: Sequence[Run], varying: Sequence[str], parent: str) -> None:
    """Print the runs of a sweep from best to worst, the failed ones last with their reasons."""
    console = Console(highlight=False, width=None if sys.stdout.isatty() else PLAIN_WIDTH)
    table = Table(box=None, pad_edge=False, header_style="bold")
    table.add_column("#", justify="right")
    for key in varying:
        table.add_column(key, justify="right", overflow="fold")
    for title in ("val accuracy", "best", "train loss", "to target", "outcome", "run"):
        table.add_column(title, justify="left" if title in ("outcome", "run") else "right")
    for place, run in enumerate(ranked(runs), start=1):
        metrics = run.metrics
        verdict = run.summary.outcome if run.summary else str(run.status)
        table.add_row(
            str(place),
            *(escape(value_of(run, key)) for key in varying),
            _figure(metrics, "final_val_accuracy"),
            _figure(metrics, "best_val_accuracy"),
            _figure(metrics, "final_train_loss"),
            f"{metrics['epochs_to_target']:.0f}" if "epochs_to_target" in metrics else "-",
            f"[{COLOURS[verdict]}]{verdict}[/]",
            run.run_id[:8],
        )
    console.print(table)
    for run in runs:
        if run.reason is not None:
            console.print(f"{run.job.name}: {run.reason}", style="red", markup=False)
    console.print(f"\nsweep {parent}\ncompare them: nnlab ui {parent[:8]}", soft_wrap=True)


def _figure(metrics: dict[str, float], name: str) -> str:
    return f"{metrics[name]:.4f}" if name in metrics else ""
