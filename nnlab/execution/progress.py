"""Progress on the error stream: a live bar in a terminal, now and then a line elsewhere."""

import time
from collections.abc import Iterator, Sequence
from typing import TypeVar

from rich.markup import escape
from rich.progress import BarColumn, Progress, TaskID, TextColumn, TimeRemainingColumn
from rich.progress import track as track_live

from nnlab.analysis.terminal import SafeConsole, in_notebook
from nnlab.execution.notebook_bar import NotebookBar
from nnlab.jobs.run import Run
from nnlab.safe_text import printable

T = TypeVar("T")

LINE_SECONDS = 5.0  # between two lines of progress


def print_note(text: str) -> None:
    """Print a text that is not a result: to the error stream."""
    SafeConsole(stderr=True, highlight=False, markup=False).print(text, soft_wrap=True)


def track(items: Sequence[T], description: str) -> Iterator[T]:
    """Yield the items, and show how many of them are done."""
    console = SafeConsole(stderr=True, highlight=False)
    if console.is_terminal:
        yield from track_live(items, description=description, console=console, transient=True)
        return
    last_line = time.monotonic()
    for done, item in enumerate(items):
        if time.monotonic() - last_line > LINE_SECONDS:
            last_line = time.monotonic()
            print_note(f"{description}: {done}/{len(items)}")
        yield item


class RunProgress:
    """Shows how far runs are."""

    def __init__(self) -> None:
        self._console = SafeConsole(stderr=True, highlight=False)
        self._live = self._console.is_terminal
        self._notebook = NotebookBar() if in_notebook() else None
        self._bar = Progress(
            TextColumn("{task.description}"),
            BarColumn(bar_width=30),
            TextColumn("{task.fields[state]}"),
            TimeRemainingColumn(compact=True),
            console=self._console,
            transient=True,
            disable=not self._live,
        )
        self._task: TaskID | None = None
        self._runs: Sequence[Run] = ()
        self._done_before = 0
        self._begin = self._last_line = time.monotonic()

    def close(self) -> None:
        """Remove the bar."""
        self._bar.stop()
        if self._notebook is not None:
            self._notebook.close()

    def plan(self, runs: Sequence[Run]) -> None:
        """Set up the bar for some runs, with the epochs that they have already."""
        self._runs = runs
        self._done_before, total = self._epochs()
        self._begin = time.monotonic()
        name = escape(printable(runs[0].job.name)) if len(runs) == 1 else f"{len(runs)} runs"
        self._bar.start()
        if self._task is not None:
            self._bar.remove_task(self._task)
        self._task = self._bar.add_task(name, total=total, completed=self._done_before, state="")

    def update(self, runs: Sequence[Run]) -> None:
        """Move the bar after some runs went on; without a bar, print a line now and then."""
        if self._notebook is not None:
            done, total = self._epochs()
            name = self._runs[0].job.name if len(self._runs) == 1 else f"{len(self._runs)} runs"
            text = self._state(runs) + self._time_left(done, total)
            self._notebook.show(printable(name), done, total, printable(text))
        elif self._live:
            done, total = self._epochs()
            state = escape(printable(self._state(runs)))
            assert self._task is not None
            self._bar.update(self._task, completed=done, total=total, state=state)
        elif time.monotonic() - self._last_line > LINE_SECONDS:
            self._last_line = time.monotonic()
            done, total = self._epochs()
            line = f"{done}/{total} epochs  {self._state(runs)}{self._time_left(done, total)}"
            self._console.print(line, soft_wrap=True, markup=False)

    def report_failure(self, run: Run) -> None:
        """Print at once why a run failed, and was not only interrupted."""
        if run.state.status == "FAILED":
            self._console.print(
                f"{run.job.name}: {run.state.status} ({run.state.reason})",
                markup=False,
                soft_wrap=True,
            )

    def _epochs(self) -> tuple[int, int]:
        """Return the epochs done, and all there will be: runs that have ended train no more."""
        done = sum(run.state.epoch for run in self._runs)
        left = sum(
            run.job.config.epochs - run.state.epoch
            for run in self._runs
            if run.state.status is None
        )
        return done, done + left

    def _state(self, runs: Sequence[Run]) -> str:
        if len(self._runs) == 1:
            return _last_measurement(runs[0])
        ended = sum(run.state.status is not None for run in self._runs)
        running = sum(bool(run.state.run_id) and run.state.status is None for run in self._runs)
        parts = [f"{ended}/{len(self._runs)} runs done", f"{running} running"]
        for count, word in (
            (sum(run.state.status == "FAILED" for run in self._runs), "failed"),
            (sum(run.state.outcome == "pruned" for run in self._runs), "pruned"),
        ):
            if count:
                parts.append(f"{count} {word}")
        best = max(self._runs, key=lambda run: run.state.metrics.get("best_val_accuracy", 0.0))
        if "best_val_accuracy" in best.state.metrics:
            parts.append(f"best {best.state.metrics['best_val_accuracy']:.4f} ({best.job.name})")
        return ", ".join(parts)

    def _time_left(self, done: int, total: int) -> str:
        """Estimate the time that is left from the speed so far."""
        trained = done - self._done_before
        if trained <= 0:
            return ""
        seconds = (time.monotonic() - self._begin) * (total - done) / trained
        return f", {seconds / 60:.0f} min left" if seconds >= 90 else f", {seconds:.0f} s left"  # noqa: PLR2004


def _last_measurement(run: Run) -> str:
    curve = run.state.curve
    if curve is None or not curve.epochs.size:
        return ""
    loss, accuracy = (curve.values[name][-1] for name in ("train/loss", "val/accuracy"))
    epoch = f"epoch {run.state.epoch}/{run.job.config.epochs}"
    return f"{epoch}  loss {loss:.4f}  val accuracy {accuracy:.4f}"
