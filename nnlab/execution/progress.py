"""Progress on the error stream: a live bar in a terminal, now and then a line elsewhere."""

import time
from collections.abc import Sequence
from contextlib import ExitStack

from rich.console import Group, RenderableType
from rich.live import Live
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from nnlab.analysis.terminal import LINE_SECONDS, SafeConsole, in_notebook, print_line
from nnlab.execution.notebook_bar import NotebookBar
from nnlab.jobs.run import Run
from nnlab.safe_text import printable
from nnlab.system import status_line
from nnlab.wording import counted

BAR_WIDTH = 20  # columns


def print_note(text: str) -> None:
    """Print a text that is not a result: to the error stream."""
    print_line(SafeConsole(stderr=True), text)


class RunProgress:
    """Shows how far runs are."""

    def __init__(self) -> None:
        self._console = SafeConsole(stderr=True)
        self._notebook = NotebookBar() if in_notebook() else None
        self._bar = ExitStack()
        self._live = False
        self._runs: Sequence[Run] = ()
        self._state = ""
        self._done_before = 0
        self._begin = self._last_line = time.monotonic()
        self._lost_since: float | None = None

    def close(self) -> None:
        """Remove the bar."""
        self._bar.close()
        self._live = False
        if self._notebook is not None:
            self._notebook.close()

    def plan(self, runs: Sequence[Run]) -> None:
        """Set up the bar for some runs, with the epochs that they have already."""
        self._runs = runs
        self._done_before, _ = self._epochs()
        self._begin = time.monotonic()
        self._state = "starting workers" if len(runs) > 1 else "starting"
        if self._console.is_terminal and not self._live:
            self._bar.enter_context(status_line.held())
            live = Live(
                get_renderable=self._rendered, console=self._console, transient=True,
                refresh_per_second=2,
            )  # fmt: skip
            self._bar.enter_context(live)
            self._live = True

    def update(self, runs: Sequence[Run]) -> None:
        """Move the bar after some runs went on; without a bar, print a line now and then."""
        self._state = self._state_after(runs)
        if self._live:
            return
        done, total = self._epochs()
        text = (self._state + self._time_left(done, total)).removeprefix(", ")
        if self._notebook is not None:
            self._notebook.show(printable(self._name), done, total, printable(text))
        elif time.monotonic() - self._last_line > LINE_SECONDS:
            self._last_line = time.monotonic()
            line = f"{done}/{counted(total, 'epoch')}  {text}"
            self._console.print(line, soft_wrap=True, markup=False)

    @property
    def _name(self) -> str:
        return self._runs[0].job.name if len(self._runs) == 1 else counted(len(self._runs), "run")

    def _rendered(self) -> RenderableType:
        """Return the bar and, below it, what the runs have come to: no wider than the terminal."""
        done, total = self._epochs()
        head = Table.grid(padding=(0, 2))
        head.add_row(
            ProgressBar(max(total, 1), done, width=BAR_WIDTH),
            f"{done}/{counted(total, 'epoch')}{self._time_left(done, total)}",
        )
        name = self._name if len(self._runs) == 1 else ""
        text = ": ".join(part for part in (name, self._state) if part)
        return Group(head, Text(printable(text), overflow="fold"))

    def server_is_lost(self, reason: str) -> None:
        """Say that the tracking server does not answer, and what becomes of the runs meanwhile."""
        if self._lost_since is None:
            self._lost_since = time.monotonic()
            text = f"{reason} Training goes on; what the server misses is kept here."
            print_line(self._console, text)

    def server_is_back(self, runs: int = 0) -> None:
        """Say that the tracking server answers again, and of how many runs it is told."""
        if self._lost_since is not None:
            seconds, self._lost_since = time.monotonic() - self._lost_since, None
            told = f"; it is told of {counted(runs, 'run')}" if runs else ""
            print_line(self._console, f"The tracking server is back after {seconds:.0f} s{told}.")

    def report_failure(self, run: Run) -> None:
        """Print at once why a run failed, and was not only interrupted."""
        if run.state.status == "FAILED":
            print_line(self._console, f"{run.job.name}: FAILED ({run.state.reason})")

    def _epochs(self) -> tuple[int, int]:
        """Return the epochs done, and all there will be: runs that have ended train no more."""
        done = sum(run.state.epoch for run in self._runs)
        left = sum(
            run.job.config.epochs - run.state.epoch
            for run in self._runs
            if run.state.status is None
        )
        return done, done + left

    def _state_after(self, runs: Sequence[Run]) -> str:
        state = _last_measurement(runs[0]) if len(self._runs) == 1 else self._counts()
        if self._lost_since is not None:
            seconds = time.monotonic() - self._lost_since
            state += f", waiting for the tracking server ({seconds:.0f} s)"
        return state

    def _counts(self) -> str:
        ended = sum(run.state.status is not None for run in self._runs)
        running = sum(bool(run.state.run_id) and run.state.status is None for run in self._runs)
        parts = [f"{ended}/{counted(len(self._runs), 'run')} done", f"{running} running"]
        for count, word in (
            (sum(run.state.status == "FAILED" for run in self._runs), "failed"),
            (sum(run.state.outcome == "pruned" for run in self._runs), "pruned"),
        ):
            if count:
                parts.append(f"{count} {word}")
        best = max(self._runs, key=lambda run: run.state.best or 0.0)
        if best.state.best is not None:
            parts.append(f"best {best.state.best:.4f} ({best.job.name})")
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
