"""Comparisons as tables of text."""

import math
from collections.abc import Hashable, Mapping
from typing import Any

import pandas as pd

from nnlab.analysis.comparison import PIVOTED
from nnlab.analysis.formatting import (
    difference_interval,
    difference_text,
    interval,
    markdown_table,
    number,
    stopped_text,
    written,
)
from nnlab.analysis.paired_statistics import further_text, wins_text
from nnlab.analysis.ranking import ENDINGS, LearnedShare, lower_is_better

Row = Mapping[Hashable, Any]  # column -> cell

LEFT = ("cause", "a", "b", "outcomes", "verdict")  # columns of words
STOPPED = "where stopped"


def as_text(table: pd.DataFrame) -> pd.DataFrame:
    """Return a comparison as text; a mean and its interval share a cell where it is pivoted."""
    if isinstance(table.columns, pd.MultiIndex):
        return _pivot(table)
    if "cause" in table:
        return _causes(table)
    return _pairs(table) if "a_beats_b" in table else _configurations(table)


def markdown(cells: pd.DataFrame) -> str:
    """Write a table of text in Markdown."""
    titles = list(map(str, cells.columns))
    left = [place for place, title in enumerate(titles) if title in LEFT]
    return markdown_table(titles, cells.to_numpy().tolist(), left)


def _configurations(table: pd.DataFrame) -> pd.DataFrame:
    counts = [ending for ending in ENDINGS if ending in table]
    mixed = any(table["learners"].between(1, table["learners_of"] - 1))
    rows = []
    for place, row in enumerate(table.to_dict(orient="records"), start=1):
        outcomes = sorted(counts, key=lambda ending: -row[ending])
        learned = LearnedShare(row["learners"], row["learners_of"], row["mean_of_learned"])
        rows.append(
            {
                "#": str(place),
                **{field: written(row[field]) for field in table.attrs["fields"]},
                "seeds": str(row["seeds"]),
                "mean": number(row["mean"]),
                "95 % interval": _interval(row),
                "median": number(row["median"]),
                "IQM": number(row["iqm"]),
                "worst": number(row["worst"]),
                "best": number(row["best"]),
                "learned": str(learned),
                **({"mean of learned": number(learned.mean)} if mixed else {}),
                "to target": _to_target(row),
                "outcomes": ", ".join(f"{row[name]} {name}" for name in outcomes if row[name]),
                **({STOPPED: _where_stopped(row)} if "stopped_accuracy" in row else {}),
            }
        )
    return pd.DataFrame(rows)


def _where_stopped(row: Row) -> str:
    """Write the last accuracy of runs without a result, and its epochs."""
    epochs = row["stopped_epochs"]
    return stopped_text(row["stopped_accuracy"], epochs) if epochs else "-"


def _to_target(row: Row) -> str:
    """Write how many runs reached the target, and in how many epochs half of them had."""
    if not row["reached"]:
        return f"0 of {row['ended']}" if row["ended"] else "-"
    known = not math.isnan(row["epochs_to_target"] or math.nan)
    median = f"{row['epochs_to_target']:.0f}" if known else "-"
    return f"{median} ({row['reached']} of {row['ended']})"


def _pivot(table: pd.DataFrame) -> pd.DataFrame:
    across = table.columns.names[1]
    rows = []
    for number_of_row, key in enumerate(table.index):
        names = zip(table.index.names, key if isinstance(key, tuple) else (key,), strict=True)
        cells = {str(name): written(value) for name, value in names}
        for column, value in enumerate(table["mean"].columns):  # by number: NaN is no key
            cell: Row = {name: table[name].to_numpy()[number_of_row, column] for name in PIVOTED}
            text = f"{number(cell['mean'])} {_interval(cell)}"
            cells[f"{across}={written(value)}"] = text.removesuffix(" -")
        rows.append(cells)
    return pd.DataFrame(rows)


def _causes(table: pd.DataFrame) -> pd.DataFrame:
    return pd.DataFrame(
        {
            "cause": table["cause"],
            "df": table["df"].astype(str),
            "explained (η²)": [f"{share:.1%}" for share in table["eta_squared"]],
            "beyond chance (ω²)": [
                "" if pd.isna(share) else f"{share:.1%}" if shown else "not shown"
                for share, shown in zip(table["omega_squared"], table["shown"], strict=True)
            ],
        }
    )


def _pairs(table: pd.DataFrame) -> pd.DataFrame:
    fields = list(table.columns[: table.columns.get_loc("seeds")])
    better = (table["difference"] < 0) == lower_is_better(table.attrs["metric"])
    rows = []
    for row, a_is_better in zip(table.to_dict(orient="records"), better, strict=True):
        difference = row["difference"]
        rows.append(
            {
                **{field: written(row[field]) for field in fields},
                "seeds": str(row["seeds"]),
                "mean A": number(row["mean_a"]),
                "mean B": number(row["mean_b"]),
                "A - B": difference_text(difference, "+"),
                "95 % interval": difference_interval(row["low"], row["high"], "+") or "-",
                "A wins": wins_text(row["a_beats_b"], row["seeds"]),
                "verdict": _pair_verdict(row, a_is_better=a_is_better),
            }
        )
    return pd.DataFrame(rows)


def _pair_verdict(row: Row, *, a_is_better: bool) -> str:
    if row["decided"]:
        return f"{'A' if a_is_better else 'B'} is better: the seeds suffice"
    if row["interval"] == "not finite":
        return "no mean difference"
    known = not pd.isna(row["further"])
    return further_text(int(row["further"]) if known else None, row["seeds"], row["chance"])


def _interval(row: Row) -> str:
    return interval(row["low"], row["high"]) or "-"
