"""Results on the terminal: those of one run, or of a sweep from best to worst."""

from collections.abc import Sequence
from pathlib import Path
from statistics import fmean

from rich.markup import escape
from rich.text import Text

from nnlab.analysis.formatting import number, span, stopped_text
from nnlab.analysis.ranking import (
    ENDINGS,
    LAST,
    METRIC,
    Configuration,
    outcome_of,
    over_seeds,
    ranked,
    value_of,
)
from nnlab.analysis.terminal import SafeConsole, print_line
from nnlab.analysis.terminal_tables import FOLD, Cell, print_table
from nnlab.execution.failures import can_be_resumed
from nnlab.jobs.run import SEEDS, Run
from nnlab.tracking.locations import uri_option
from nnlab.wording import counted

LEFT = ("outcome", "outcomes", "run", "best run")  # columns of words
STOPPED = "where stopped"
# Columns that a narrow terminal leaves out, the first ones first.
OPTIONAL = (
    "mean of learned", "learned", "train loss", "to target", FOLD, "best", "worst", "last",
    "#", "seeds", "outcomes",
)  # fmt: skip


def report_run(run: Run, artifacts: str) -> None:
    """Print the result of one run, and how to look at it."""
    console = SafeConsole(highlight=False, soft_wrap=True)
    assert run.state.outcome is not None
    metrics, reused = run.state.metrics, f"reuse={run.job.config.reuse}".lower()
    lines = {
        "outcome": f"[{ENDINGS[run.state.outcome]}]{run.state.outcome}[/]"
        + (f" at epoch {metrics['diverged_at']:.0f}" if run.state.outcome == "diverged" else ""),
        "val accuracy": _number(run, LAST)
        + (f", late {number(metrics[METRIC])}" if METRIC in metrics else ""),
        "best": _number(run, "best_val_accuracy")
        + (f" at epoch {metrics['best_epoch']:.0f}" if "best_epoch" in metrics else ""),
        "test accuracy": _number(run, "test/accuracy"),
        "train loss": _number(run, "final_train_loss"),
        "run": run.state.run_id + (f" (of before: {reused})" if run.state.reused else ""),
        "artifacts": escape(_relative(artifacts)),
        "open it": escape(f"nnlab ui {run.state.run_id[:8]}{_store_option(run)}"),
    }
    console.print(f"[bold]{escape(run.job.name)}[/]")
    for label, text in lines.items():
        if text:
            console.print(f"  {label:14}{text}")


def report_sweep(runs: Sequence[Run], varying: Sequence[str], parent: str) -> None:
    """Print a sweep's runs from best to worst, what failed and why, and what can be done next."""
    console = SafeConsole()
    rows = result_rows(runs, varying)
    cells: list[list[Cell]] = [[str(place), *row.values()] for place, row in enumerate(rows, 1)]
    if "outcome" in rows[0]:
        column = ("#", *rows[0]).index("outcome")
        for row in cells:
            row[column] = Text(str(row[column]), ENDINGS[str(row[column])])
    print_table(
        console, ("#", *rows[0]), cells, left=LEFT, folded=(*varying, "outcomes", STOPPED),
        optional=OPTIONAL, rest=f"runs.csv among the files of sweep {parent[:8]}",
    )  # fmt: skip
    for run in runs:
        if run.state.status == "FAILED":
            print_line(console, f"{run.job.name}: FAILED ({run.state.reason})", "red")
    counts = {
        "reused": sum(run.state.reused for run in runs),
        "pruned": sum(run.state.outcome == "pruned" for run in runs),
    }
    notes = "".join(f", {count} {word}" for word, count in counts.items() if count)
    console.print(f"\nsweep {parent}: {counted(len(runs), 'run')}{notes}", soft_wrap=True)
    left = sum(map(can_be_resumed, runs))
    rest = f" {parent[:8]}{_store_option(runs[0])}"
    if left:
        are = "is" if left == 1 else "are"
        print_line(console, f"{counted(left, 'run')} {are} not complete; to go on:")
        console.print(f"  nnlab resume{rest}", markup=False, soft_wrap=True)
    if any(run.complete for run in runs):
        console.print("next:")
        for command in ("compare", "report", "ui"):
            console.print(f"  nnlab {command}{rest}", markup=False, soft_wrap=True)


def result_rows(runs: Sequence[Run], varying: Sequence[str]) -> list[dict[str, str]]:
    """Write the results of a sweep as a table, the best first.

    Returns
    -------
    list of dict
        Title -> cell: a row for each run, or for each configuration if a seed varies.
    """
    stopped = any(map(_has_stopped, runs))
    if not set(SEEDS) & set(varying):
        return [_run_row(run, varying, stopped=stopped) for run in ranked(runs)]
    configurations = over_seeds(runs, varying)
    mixed = any(configuration.share.mixed for configuration in configurations)
    return [
        _configuration_row(configuration, mixed=mixed, stopped=stopped)
        for configuration in configurations
    ]


def _run_row(run: Run, fields: Sequence[str], *, stopped: bool) -> dict[str, str]:
    reached = run.state.metrics.get("epochs_to_target")
    return {
        **{field: value_of(run, field) for field in fields},
        "late val accuracy": _number(run, METRIC),
        "last": _number(run, LAST),
        "best": _number(run, "best_val_accuracy"),
        "train loss": _number(run, "final_train_loss"),
        "to target": "-" if reached is None else f"{reached:.0f}",
        "outcome": outcome_of(run),
        **({STOPPED: where_stopped([run])} if stopped else {}),
        "run": run.state.run_id[:8],
    }


def _configuration_row(
    configuration: Configuration, *, mixed: bool, stopped: bool
) -> dict[str, str]:
    known, share = configuration.known, configuration.share
    return {
        **configuration.settings,
        "seeds": str(
            max(len({value_of(run, seed) for run in configuration.runs}) for seed in SEEDS)
        ),
        "mean late val accuracy": number(configuration.mean, missing=""),
        "worst": number(min(known, default=None), missing=""),
        "best": number(max(known, default=None), missing=""),
        "learned": str(share),
        **({"mean of learned": number(share.mean)} if mixed else {}),
        "outcomes": configuration.outcomes,
        **({STOPPED: where_stopped(configuration.runs)} if stopped else {}),
        "best run": ranked(configuration.runs)[0].state.run_id[:8],
    }


def _has_stopped(run: Run) -> bool:
    """Tell whether a run was pruned, failed or killed on its way."""
    return run.state.last is not None and run.state.outcome in (None, "pruned")


def where_stopped(runs: Sequence[Run]) -> str:
    """Write the last validation accuracy of those runs that stopped on their way, and its epoch."""
    last = [run.state.last for run in runs if run.state.last and _has_stopped(run)]
    if not last:
        return ""
    accuracies, epochs = zip(*last, strict=True)
    return stopped_text(fmean(accuracies), span(epochs))


def _store_option(run: Run) -> str:
    return uri_option(run.job.config.tracking.uri)


def _relative(path: str) -> str:
    """Return a folder below the working directory relative to it; any other as it is."""
    here = Path.cwd()
    return str(Path(path).relative_to(here)) if Path(path).is_relative_to(here) else path


def _number(run: Run, metric: str) -> str:
    return number(run.state.metrics.get(metric), missing="")
