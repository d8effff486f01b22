"""What the terminal shows: a live bar, or plain sparse lines where there is no terminal."""

import time
from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager
from types import TracebackType
from typing import Self, TypeVar

from rich.console import Console
from rich.markup import escape
from rich.progress import BarColumn, Progress, TaskID, TextColumn, TimeRemainingColumn, track

from nnlab.runs.run import Run

T = TypeVar("T")

QUIET_SECONDS = 5.0  # between two plain lines


def say(text: str) -> None:
    """Say something that is not a result: on the error stream."""
    Console(stderr=True, highlight=False, markup=False).print(text, soft_wrap=True)


def counted(items: Sequence[T], what: str) -> Iterator[T]:
    """Yield the items, and show on the error stream how far they are."""
    console = Console(stderr=True, highlight=False)
    if console.is_terminal:
        yield from track(items, description=what, console=console, transient=True)
        return
    said = time.monotonic()
    for place, item in enumerate(items):
        if time.monotonic() - said > QUIET_SECONDS:
            said = time.monotonic()
            console.print(f"{what}: {place}/{len(items)}", soft_wrap=True, markup=False)
        yield item


class Display(AbstractContextManager["Display"]):
    """A watcher of runs that draws on the terminal's error stream; results go to its output."""

    def __init__(self) -> None:
        self._console = Console(stderr=True, highlight=False)
        self._live = self._console.is_terminal
        self._progress = Progress(
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
        self._before = 0
        self._begin = self._said = time.monotonic()

    def __enter__(self) -> Self:
        self._progress.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def close(self) -> None:
        """Take the bar away."""
        self._progress.stop()

    def planned(self, runs: Sequence[Run]) -> None:
        """Set up the bar; what was done before is on it already."""
        self._runs = runs
        self._before, total = self._epochs()
        self._begin = time.monotonic()
        what = escape(runs[0].job.name) if len(runs) == 1 else f"{len(runs)} runs"
        if self._task is not None:
            self._progress.remove_task(self._task)
        self._task = self._progress.add_task(what, total=total, completed=self._before, state="")

    def advanced(self, runs: Sequence[Run]) -> None:
        """Move the bar, or say a line when none was said for a while."""
        if self._live:
            done, total = self._epochs()
            state = escape(self._state(runs))
            assert self._task is not None
            self._progress.update(self._task, completed=done, total=total, state=state)
        elif time.monotonic() - self._said > QUIET_SECONDS:
            self._said = time.monotonic()
            done, total = self._epochs()
            line = f"{done}/{total} epochs  {self._state(runs)}{self._left(done, total)}"
            self._console.print(line, soft_wrap=True, markup=False)

    def ended(self, run: Run) -> None:
        """Say at once when a run failed."""
        if run.status == "FAILED":
            self._console.print(
                f"{run.job.name}: {run.status} ({run.reason})", markup=False, soft_wrap=True
            )

    def _epochs(self) -> tuple[int, int]:
        """Return the epochs done, and all there will be: ended runs have no more to do."""
        done = sum(run.epoch for run in self._runs)
        left = sum(run.job.config.epochs - run.epoch for run in self._runs if run.status is None)
        return done, done + left

    def _state(self, runs: Sequence[Run]) -> str:
        if len(self._runs) == 1:
            return _latest(runs[0])
        ended = sum(run.status is not None for run in self._runs)
        running = sum(bool(run.run_id) and run.status is None for run in self._runs)
        parts = [f"{ended}/{len(self._runs)} runs done", f"{running} running"]
        for count, word in (
            (sum(run.status == "FAILED" for run in self._runs), "failed"),
            (sum(run.outcome == "pruned" for run in self._runs), "pruned"),
        ):
            if count:
                parts.append(f"{count} {word}")
        best = max(self._runs, key=lambda run: run.metrics.get("best_val_accuracy", 0.0))
        if "best_val_accuracy" in best.metrics:
            parts.append(f"best {best.metrics['best_val_accuracy']:.4f} ({best.job.name})")
        return ", ".join(parts)

    def _left(self, done: int, total: int) -> str:
        """Say how long the rest will take at the speed so far."""
        trained = done - self._before
        if trained <= 0:
            return ""
        seconds = (time.monotonic() - self._begin) * (total - done) / trained
        return f", {seconds / 60:.0f} min left" if seconds >= 90 else f", {seconds:.0f} s left"  # noqa: PLR2004


def _latest(run: Run) -> str:
    if run.curve is None or not run.curve.epochs.size:
        return ""
    loss, accuracy = (run.curve.values[name][-1] for name in ("train/loss", "val/accuracy"))
    return (
        f"epoch {run.epoch}/{run.job.config.epochs}  loss {loss:.4f}  val accuracy {accuracy:.4f}"
    )
