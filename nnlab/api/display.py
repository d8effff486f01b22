"""Runs and sweeps as a notebook shows them."""

from collections.abc import Mapping
from html import escape

from nnlab.api.handles import Run, Sweep
from nnlab.errors import NnlabError
from nnlab.safe_text import masked, printable

SUMMARIES = {
    "final_val_accuracy": "val accuracy",
    "best_val_accuracy": "best",
    "test/accuracy": "test accuracy",
    "final_train_loss": "train loss",
}


def run_page(run: Run) -> str:
    """Return what the end of ``nnlab run`` prints, as HTML."""
    from nnlab.analysis.formatting import number

    metrics = run.metrics
    rows = {"outcome": run.outcome or run.status.lower()}
    rows |= {label: number(metrics[name]) for name, label in SUMMARIES.items() if name in metrics}
    return _page(run, rows)


def sweep_page(sweep: Sweep) -> str:
    """Return a sweep's table of configurations, the best first, as HTML."""
    from nnlab.analysis.comparison_tables import as_text

    try:
        table = as_text(sweep.compare())
    except NnlabError as error:  # no run has a result yet, say
        return _page(sweep, {"status": sweep.status.lower(), "results": str(error)})
    return _page(sweep, {"status": sweep.status.lower()}) + table.to_html(index=False, border=0)


def _page(named: Run | Sweep, rows: Mapping[str, str]) -> str:
    kind = type(named).__name__.lower()
    cells = "".join(
        f"<tr><th style='text-align:left'>{escape(label)}</th>"
        f"<td style='text-align:left'>{_safe(text)}</td></tr>"
        for label, text in {kind: named.id[:8], **rows}.items()
    )
    return f"<b>{_safe(named.name)}</b><table>{cells}</table>"


def _safe(text: str) -> str:
    return escape(printable(masked(text)))
