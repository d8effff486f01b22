"""The results on the terminal: of one run, or of a sweep from best to worst."""

import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

from rich.console import Console
from rich.markup import escape
from rich.table import Table

from nnlab.runs.ranking import SEED, over_seeds, ranked, value_of, verdict
from nnlab.runs.run import Run

PLAIN_WIDTH = 200  # of a table that goes to a file or a pipe, so that no cell is folded
ROWS = 40  # of a table in the terminal; runs.csv has them all
COLOURS = {
    "learned": "green",
    "stalled": "yellow",
    "dead": "red",
    "diverged": "red",
    "pruned": "dim",
    "FAILED": "bold red",
    "KILLED": "bold red",
    "not started": "dim",
}


def report_run(run: Run, artifacts: str) -> None:
    """Print what one run came to, and how to look at it."""
    console = Console(highlight=False, soft_wrap=True)
    assert run.outcome is not None
    metrics = run.metrics
    figures = {
        "outcome": _coloured(run.outcome)
        + (f" at epoch {metrics['diverged_at']:.0f}" if run.outcome == "diverged" else ""),
        "val accuracy": _figure(metrics, "final_val_accuracy"),
        "best": _figure(metrics, "best_val_accuracy")
        + (f" at epoch {metrics['best_epoch']:.0f}" if "best_epoch" in metrics else ""),
        "test accuracy": _figure(metrics, "test/accuracy"),
        "train loss": _figure(metrics, "final_train_loss"),
        "run": run.run_id + (" (of before: reuse=true)" if run.reused else ""),
        "artifacts": escape(_from_here(artifacts)),
        "open it": f"nnlab ui {run.run_id[:8]}",
    }
    console.print(f"[bold]{escape(run.job.name)}[/]")
    for label, text in figures.items():
        if text:
            console.print(f"  {label:14}{text}")


def _from_here(path: str) -> str:
    """Return a folder below the working directory as it would be typed; any other as it is."""
    here = Path.cwd()
    return str(Path(path).relative_to(here)) if Path(path).is_relative_to(here) else path


def report_sweep(
    runs: Sequence[Run], varying: Sequence[str], parent: str, failed_by: BaseException | None
) -> None:
    """Print a sweep's runs from best to worst, what failed and why, and what can be done next."""
    console = Console(highlight=False, width=None if sys.stdout.isatty() else PLAIN_WIDTH)
    table = _seeds_table(runs, varying) if SEED in varying else _runs_table(runs, varying)
    console.print(table)
    if table.row_count == ROWS:
        console.print(f"… and more: runs.csv of sweep {parent[:8]} has every run")
    for run in runs:
        if run.status == "FAILED":
            console.print(f"{run.job.name}: {run.status} ({run.reason})", style="red", markup=False)
    counts = {
        "reused": sum(run.reused for run in runs),
        "pruned": sum(run.outcome == "pruned" for run in runs),
    }
    notes = "".join(f", {count} {word}" for word, count in counts.items() if count)
    console.print(f"\nsweep {parent}: {len(runs)} runs{notes}", soft_wrap=True)
    left = sum(not run.complete for run in runs)
    if left:
        what = "of its runs are not complete; to go on with them"
        console.print(f"{left} {what}: nnlab resume {parent[:8]}", soft_wrap=True)
    if failed_by is None or left < len(runs):
        console.print(f"compare them: nnlab ui {parent[:8]}", soft_wrap=True)


def _runs_table(runs: Sequence[Run], varying: Sequence[str]) -> Table:
    titles = ("val accuracy", "best", "train loss", "to target", "outcome", "run")
    table = _table(varying, titles, words=("outcome", "run"))
    for place, run in enumerate(ranked(runs)[:ROWS], start=1):
        metrics = run.metrics
        table.add_row(
            str(place),
            *(escape(value_of(run, key)) for key in varying),
            _figure(metrics, "final_val_accuracy"),
            _figure(metrics, "best_val_accuracy"),
            _figure(metrics, "final_train_loss"),
            f"{metrics['epochs_to_target']:.0f}" if "epochs_to_target" in metrics else "-",
            _coloured(verdict(run)),
            run.run_id[:8],
        )
    return table


def _seeds_table(runs: Sequence[Run], varying: Sequence[str]) -> Table:
    fields = [field for field in varying if field != SEED]
    titles = ("seeds", "mean val accuracy", "worst", "best", "outcomes", "best run")
    table = _table(fields, titles, words=("outcomes", "best run"))
    for place, group in enumerate(over_seeds(runs, varying)[:ROWS], start=1):
        found, mean = group.accuracies, group.mean
        table.add_row(
            str(place),
            *map(escape, group.values),
            str(len(group.runs)),
            "" if mean is None else f"{mean:.4f}",
            f"{min(found):.4f}" if found else "",
            f"{max(found):.4f}" if found else "",
            group.verdicts,
            ranked(group.runs)[0].run_id[:8],
        )
    return table


def _table(fields: Sequence[str], titles: Sequence[str], words: Sequence[str]) -> Table:
    table = Table(box=None, pad_edge=False, header_style="bold")
    table.add_column("#", justify="right")
    for field in fields:
        table.add_column(field, justify="right", overflow="fold")
    for title in titles:
        table.add_column(title, justify="left" if title in words else "right")
    return table


def _coloured(word: str) -> str:
    return f"[{COLOURS[word]}]{word}[/]"


def _figure(metrics: Mapping[str, float], name: str) -> str:
    return f"{metrics[name]:.4f}" if name in metrics else ""
