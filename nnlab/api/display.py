"""Runs and sweeps as a notebook shows them."""

from collections.abc import Mapping
from html import escape
from typing import TYPE_CHECKING

from nnlab.safe_text import masked, printable

if TYPE_CHECKING:
    import pandas as pd

SUMMARIES = {
    "final_val_accuracy": "val accuracy",
    "best_val_accuracy": "best",
    "test/accuracy": "test accuracy",
    "final_train_loss": "train loss",
}


def summaries(metrics: Mapping[str, float]) -> dict[str, str]:
    """Return the results of a run that are shown first: label -> number."""
    from nnlab.analysis.formatting import number

    return {label: number(metrics[name]) for name, label in SUMMARIES.items() if name in metrics}


def comparison_html(table: "pd.DataFrame") -> str:
    """Return a comparison as HTML, as the terminal shows it."""
    from nnlab.analysis.comparison_tables import as_text

    return str(as_text(table).map(lambda cell: printable(masked(cell))).to_html(index=False))


def page(name: str, lines: Mapping[str, str]) -> str:
    """Return a name with some labelled lines below it, as HTML."""
    left = "style='text-align: left'"
    rows = "".join(
        f"<tr><th {left}>{escape(label)}</th><td {left}>{_safe(text)}</td></tr>"
        for label, text in lines.items()
    )
    return f"<b>{_safe(name)}</b><table>{rows}</table>"


def _safe(text: str) -> str:
    return escape(printable(masked(text)))
