"""Results on the terminal: those of one run, or of a sweep from best to worst."""

from collections.abc import Sequence
from pathlib import Path

from rich.markup import escape

from nnlab.analysis.formatting import number
from nnlab.analysis.ranking import (
    ENDINGS,
    LAST,
    METRIC,
    SEEDS,
    Configuration,
    outcome_of,
    over_seeds,
    ranked,
    value_of,
)
from nnlab.analysis.terminal import ROWS, SafeConsole, results_console, results_table
from nnlab.jobs.run import Run

LEFT = ("outcome", "outcomes", "run", "best run")  # columns of words


def report_run(run: Run, artifacts: str) -> None:
    """Print the result of one run, and how to look at it."""
    console = SafeConsole(highlight=False, soft_wrap=True)
    assert run.state.outcome is not None
    metrics, reused = run.state.metrics, f"reuse={run.job.config.reuse}".lower()
    lines = {
        "outcome": _coloured(run.state.outcome)
        + (f" at epoch {metrics['diverged_at']:.0f}" if run.state.outcome == "diverged" else ""),
        "val accuracy": _number(run, LAST)
        + (f", late {number(metrics[METRIC])}" if METRIC in metrics else ""),
        "best": _number(run, "best_val_accuracy")
        + (f" at epoch {metrics['best_epoch']:.0f}" if "best_epoch" in metrics else ""),
        "test accuracy": _number(run, "test/accuracy"),
        "train loss": _number(run, "final_train_loss"),
        "run": run.state.run_id + (f" (of before: {reused})" if run.state.reused else ""),
        "artifacts": escape(_relative(artifacts)),
        "open it": f"nnlab ui {run.state.run_id[:8]}",
    }
    console.print(f"[bold]{escape(run.job.name)}[/]")
    for label, text in lines.items():
        if text:
            console.print(f"  {label:14}{text}")


def report_sweep(
    runs: Sequence[Run], varying: Sequence[str], parent: str, failed_by: BaseException | None
) -> None:
    """Print a sweep's runs from best to worst, what failed and why, and what can be done next."""
    console = results_console()
    rows = result_rows(runs, varying)
    table = results_table(("#", *rows[0]), LEFT)
    for place, row in enumerate(rows[:ROWS], start=1):
        cells = {name: escape(cell) for name, cell in row.items()}
        if "outcome" in cells:
            cells["outcome"] = _coloured(cells["outcome"])
        table.add_row(str(place), *cells.values())
    console.print(table)
    if len(rows) > ROWS:
        console.print(f"… and {len(rows) - ROWS} more: runs.csv of sweep {parent[:8]} has them all")
    for run in runs:
        if run.state.status == "FAILED":
            console.print(
                f"{run.job.name}: {run.state.status} ({run.state.reason})",
                style="red",
                markup=False,
            )
    counts = {
        "reused": sum(run.state.reused for run in runs),
        "pruned": sum(run.state.outcome == "pruned" for run in runs),
    }
    notes = "".join(f", {count} {word}" for word, count in counts.items() if count)
    console.print(f"\nsweep {parent}: {len(runs)} runs{notes}", soft_wrap=True)
    left = sum(not run.complete for run in runs)
    if left:
        text = "of its runs are not complete; to go on with them"
        console.print(f"{left} {text}: nnlab resume {parent[:8]}", soft_wrap=True)
    if failed_by is None or left < len(runs):
        console.print(f"compare them: nnlab ui {parent[:8]}", soft_wrap=True)


def result_rows(runs: Sequence[Run], varying: Sequence[str]) -> list[dict[str, str]]:
    """Write the results of a sweep as a table, the best first.

    Returns
    -------
    list of dict
        Title -> cell: a row for each run, or for each configuration if a seed varies.
    """
    if not set(SEEDS) & set(varying):
        return [_run_row(run, varying) for run in ranked(runs)]
    configurations = over_seeds(runs, varying)
    mixed = any(configuration.share.mixed for configuration in configurations)
    return [_configuration_row(configuration, mixed=mixed) for configuration in configurations]


def _run_row(run: Run, fields: Sequence[str]) -> dict[str, str]:
    reached = run.state.metrics.get("epochs_to_target")
    return {
        **{field: value_of(run, field) for field in fields},
        "late val accuracy": _number(run, METRIC),
        "last": _number(run, LAST),
        "best": _number(run, "best_val_accuracy"),
        "train loss": _number(run, "final_train_loss"),
        "to target": "-" if reached is None else f"{reached:.0f}",
        "outcome": outcome_of(run),
        "run": run.state.run_id[:8],
    }


def _configuration_row(configuration: Configuration, *, mixed: bool) -> dict[str, str]:
    known, share = configuration.known, configuration.share
    return {
        **configuration.settings,
        "seeds": str(len(configuration.runs)),
        "mean late val accuracy": number(configuration.mean, missing=""),
        "worst": number(min(known, default=None), missing=""),
        "best": number(max(known, default=None), missing=""),
        "learned": str(share),
        **({"mean of learned": number(share.mean)} if mixed else {}),
        "outcomes": configuration.outcomes,
        "best run": ranked(configuration.runs)[0].state.run_id[:8],
    }


def _relative(path: str) -> str:
    """Return a folder below the working directory relative to it; any other as it is."""
    here = Path.cwd()
    return str(Path(path).relative_to(here)) if Path(path).is_relative_to(here) else path


def _coloured(outcome: str) -> str:
    return f"[{ENDINGS[outcome]}]{outcome}[/]"


def _number(run: Run, metric: str) -> str:
    return number(run.state.metrics.get(metric), missing="")
