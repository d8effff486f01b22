"""Comparisons as people read them: in the terminal, or as CSV, JSON or Markdown."""

import json
import math
from collections.abc import Hashable, Mapping, Sequence
from typing import Any, Literal

import pandas as pd
from rich.markup import escape

from nnlab.analysis.comparison import PIVOTED, compare, importance
from nnlab.analysis.formatting import csv_text, interval, markdown_table, number, written
from nnlab.analysis.paired import pair
from nnlab.analysis.paired_statistics import MIN_SEEDS
from nnlab.analysis.ranking import ENDINGS, METRIC, LearnedShare, lower_is_better
from nnlab.analysis.seed_commands import MAX_FURTHER
from nnlab.analysis.terminal import ROWS, echo, results_console, results_table
from nnlab.errors import ComparisonError

Form = Literal["table", "csv", "json", "markdown"]
Row = Mapping[Hashable, Any]  # column -> cell

BOTH = 2  # selections that are compared with each other
LEFT = ("cause", "a", "b", "outcomes", "verdict")  # columns of words


def show(
    selection: Sequence[str],
    form: Form = "table",
    *,
    uri: str | None = None,
    metric: str | None = None,
    by: str | None = None,
    where: str | None = None,
    by_importance: bool = False,
    notes: Sequence[str] = (),
) -> None:
    """Compare runs as ``comparison`` does, and print the result with the notes on it, and more."""
    fields = None if by is None else [field for field in by.split(",") if field]
    table = comparison(
        selection, uri=uri, metric=metric, by=fields, where=where, by_importance=by_importance
    )
    table.attrs["notes"] = [*table.attrs["notes"], *notes]
    write(table, form)


def comparison(
    selection: Sequence[str],
    *,
    uri: str | None = None,
    metric: str | None = None,
    by: Sequence[str] | None = None,
    where: str | None = None,
    by_importance: bool = False,
) -> pd.DataFrame:
    """Compare what was selected: two selections with each other, else configurations.

    Returns
    -------
    DataFrame
        See ``pair``, ``compare`` and, with ``by_importance``, ``importance``.

    Raises
    ------
    NnlabError
        If there is nothing to compare, or a name, condition or combination is not understood.
    """
    name, fields = metric or METRIC, by
    if fields is not None and not fields:
        raise ComparisonError("--by names no field: give some, such as --by init.name,lr.")
    if fields is not None and (by_importance or len(selection) == BOTH):
        other = "--importance" if by_importance else "Two selections, compared seed by seed,"
        raise ComparisonError(f"{other} and --by do not go together: leave one of them out.")
    if by_importance:
        return importance(selection, uri, name, where)
    if len(selection) == BOTH:
        return pair(selection[0], selection[1], uri, name, where)
    return compare(selection, uri, name, fields, where)


def write(table: pd.DataFrame, form: Form) -> None:
    """Print what ``compare``, ``importance`` or ``pair`` returned.

    The notes on CSV, which other programs read, go to the error output.
    """
    notes = [f"Metric: {table.attrs['metric']}.", *table.attrs["notes"]]
    if form == "csv":
        echo(csv_text(_flat(table)), nl=False)
        echo("\n".join(notes), err=True)
    elif form == "json":
        rows = [
            {str(name): _plain(value) for name, value in row.items()}
            for row in _flat(table).to_dict(orient="records")
        ]
        content = {"metric": table.attrs["metric"], "notes": table.attrs["notes"], "rows": rows}
        echo(json.dumps(content, indent=1, ensure_ascii=False, allow_nan=False))
    elif form == "markdown":
        echo(markdown(as_text(table)) + "\n" + "\n".join(f"- {note}" for note in notes))
    else:
        _print(as_text(table), notes, _commands(table))


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
            }
        )
    return pd.DataFrame(rows)


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
                "" if pd.isna(share) else f"{share:.1%}" for share in table["omega_squared"]
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
                "A - B": number(difference, "+"),
                "95 % interval": _interval(row, "+"),
                "P(A beats B)": "-" if pd.isna(row["a_beats_b"]) else f"{row['a_beats_b']:.2f}",
                "verdict": _pair_verdict(row, a_is_better=a_is_better),
            }
        )
    return pd.DataFrame(rows)


def _pair_verdict(row: Row, *, a_is_better: bool) -> str:
    if row["decided"]:
        return f"{'A' if a_is_better else 'B'} is better: the seeds suffice"
    if row["interval"] == "not finite":
        return "no mean difference"
    if pd.isna(row["further"]):
        return "open: no difference to go by"
    if row["further"] > MAX_FURTHER:
        return f"open: more than {MAX_FURTHER} more seeds"
    if row["seeds"] < MIN_SEEDS:
        return f"open: {row['further']:.0f} more seed{'s' * (row['further'] > 1)} at least"
    seeds = f"{row['further']:.0f} more seed{'s' * (row['further'] > 1)}"
    return f"open: about {seeds} (chance {row['chance']:.0%})"


def _commands(table: pd.DataFrame) -> list[str]:
    commands = table.get("command", pd.Series(dtype=object)).dropna()
    return list(dict.fromkeys(line for command in commands for line in command.splitlines()))


def _print(cells: pd.DataFrame, notes: Sequence[str], commands: Sequence[str]) -> None:
    console = results_console()
    table = results_table(list(map(str, cells.columns)), LEFT)
    for row in cells.head(ROWS).to_numpy().tolist():
        table.add_row(*map(escape, row))
    console.print(table)
    if len(cells) > ROWS:
        console.print(f"… and {len(cells) - ROWS} more: --format csv has every row")
    for line in ("", *notes):
        console.print(line, soft_wrap=True, markup=False)
    if commands:
        console.print("The further seeds, and nothing else:", soft_wrap=True)
    for line in commands:
        console.print(f"  {line}", soft_wrap=True, markup=False)


def _flat(table: pd.DataFrame) -> pd.DataFrame:
    """Return a table with plain columns: of a pivoted one, ``mean lr=0.1`` and so on."""
    if not isinstance(table.columns, pd.MultiIndex):
        return table
    across = table.columns.names[1]
    names = [f"{figure} {across}={written(value)}" for figure, value in table.columns]
    return table.set_axis(names, axis=1).reset_index()


def _plain(value: Any) -> Any:  # noqa: ANN401 - any cell
    """Return a cell as JSON has it; numbers that are not finite become null."""
    value = value.item() if hasattr(value, "item") else value
    return (
        None if value is None or (isinstance(value, float) and not math.isfinite(value)) else value
    )


def _interval(row: Row, sign: str = "") -> str:
    return interval(row["low"], row["high"], sign) or "-"
