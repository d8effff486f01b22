"""Comparisons as people read them: in the terminal, or as CSV, JSON or Markdown."""

import json
import math
import sys
from collections.abc import Hashable, Mapping, Sequence
from typing import Any, Literal

import click
import pandas as pd
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from nnlab.analysis.comparison import FIGURES, METRIC, compare, importance
from nnlab.analysis.configurations import ENDINGS, lower_is_better
from nnlab.analysis.paired import MOST, pair
from nnlab.errors import ComparisonError
from nnlab.tracking.frames import LAST

Form = Literal["table", "csv", "json", "markdown"]
Row = Mapping[Hashable, Any]  # column -> cell

PLAIN_WIDTH = 200  # of a table that goes to a file or a pipe, so that no cell is folded
ROWS = 40  # of a table in the terminal; the other formats have them all
BOTH = 2  # selections that are compared with each other
WORDS = ("cause", "a", "b", "outcomes", "verdict")  # columns that are set from the left


def show(
    selection: Sequence[str],
    form: Form = "table",
    *,
    uri: str | None = None,
    metric: str | None = None,
    by: str | None = None,
    where: str | None = None,
    explain: bool = False,
) -> None:
    """Compare runs, and print the result with all that must be said about it.

    Raises
    ------
    NnlabError
        Where there is nothing to compare, or it was not asked for in words known here.
    """
    name = metric or METRIC
    fields = None if by is None else [each for each in by.split(",") if each]
    if fields is not None and (explain or len(selection) == BOTH):
        what = "--importance" if explain else "Two selections, compared seed by seed,"
        raise ComparisonError(f"{what} and --by do not go together: leave one of them out.")
    if explain:
        table = importance(selection or (LAST,), uri, name, where)
    elif len(selection) == BOTH:
        table = pair(selection[0], selection[1], uri, name, where)
    else:
        table = compare(selection or (LAST,), uri, name, fields, where)
    write(table, form)


def write(table: pd.DataFrame, form: Form) -> None:
    """Print what ``compare``, ``importance`` or ``pair`` returned.

    Of CSV, which other programs read, the remarks go to the error output.
    """
    remarks = [f"Metric: {table.attrs['metric']}.", *table.attrs["notes"]]
    if form == "csv":
        click.echo(_flat(table).to_csv(index=False), nl=False)
        click.echo("\n".join(remarks), err=True)
    elif form == "json":
        rows = [
            {str(name): _plain(value) for name, value in row.items()}
            for row in _flat(table).to_dict(orient="records")
        ]
        content = {"metric": table.attrs["metric"], "notes": table.attrs["notes"], "rows": rows}
        click.echo(json.dumps(content, indent=1, ensure_ascii=False, allow_nan=False))
    elif form == "markdown":
        click.echo(markdown(shown(table)) + "\n" + "\n".join(f"- {each}" for each in remarks))
    else:
        _print(shown(table), remarks, _commands(table))


def shown(table: pd.DataFrame) -> pd.DataFrame:
    """Return a comparison as text, joined where several figures belong to one cell."""
    if isinstance(table.columns, pd.MultiIndex):
        return _pivot(table)
    if "cause" in table:
        return _causes(table)
    return _pairs(table) if "a_beats_b" in table else _configurations(table)


def markdown(cells: pd.DataFrame) -> str:
    """Write a table of text in Markdown."""
    lines = [[str(name) for name in cells.columns], *cells.to_numpy().tolist()]
    rows = ["| " + " | ".join(cell.replace("|", "\\|") for cell in line) + " |" for line in lines]
    rule = "|" + "|".join("---" if name in WORDS else "---:" for name in cells.columns) + "|"
    return "\n".join([rows[0], rule, *rows[1:]])


def _configurations(table: pd.DataFrame) -> pd.DataFrame:
    counts = [each for each in ENDINGS if each in table]
    rows = []
    for place, row in enumerate(table.to_dict(orient="records"), start=1):
        outcomes = sorted(counts, key=lambda each: -row[each])
        rows.append(
            {
                "#": str(place),
                **{field: _value(row[field]) for field in table.attrs["fields"]},
                "seeds": str(row["seeds"]),
                "mean": _figure(row["mean"]),
                "95 % interval": _interval(row),
                "median": _figure(row["median"]),
                "IQM": _figure(row["iqm"]),
                "worst": _figure(row["worst"]),
                "best": _figure(row["best"]),
                "to target": _to_target(row),
                "outcomes": ", ".join(f"{row[each]} {each}" for each in outcomes if row[each]),
            }
        )
    return pd.DataFrame(rows)


def _to_target(row: Row) -> str:
    """Say how many reached the target, and in how many epochs half of all had."""
    if not row["reached"]:
        return f"0 of {row['ended']}" if row["ended"] else "-"
    known = not math.isnan(row["epochs_to_target"] or math.nan)
    median = f"{row['epochs_to_target']:.0f}" if known else "-"
    return f"{median} ({row['reached']} of {row['ended']})"


def _pivot(table: pd.DataFrame) -> pd.DataFrame:
    across = table.columns.names[1]
    rows = []
    for key, row in zip(table.index, table.to_dict(orient="records"), strict=True):
        names = zip(table.index.names, key if isinstance(key, tuple) else (key,), strict=True)
        cells = {str(name): _value(value) for name, value in names}
        for value in table["mean"].columns:
            own: Row = {figure: row[figure, value] for figure in FIGURES}
            mean, interval = _figure(own["mean"]), _interval(own)
            cells[f"{across}={_value(value)}"] = f"{mean} {interval}".removesuffix(" -")
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
    own = list(table.columns[: table.columns.get_loc("seeds")])
    better = (table["difference"] < 0) == lower_is_better(table.attrs["metric"])
    rows = []
    for row, a_is_better in zip(table.to_dict(orient="records"), better, strict=True):
        difference = row["difference"]
        rows.append(
            {
                **{field: _value(row[field]) for field in own},
                "seeds": str(row["seeds"]),
                "mean A": _figure(row["mean_a"]),
                "mean B": _figure(row["mean_b"]),
                "A - B": _figure(difference, sign="+"),
                "95 % interval": _interval(row, sign="+"),
                "P(A beats B)": "-" if pd.isna(row["a_beats_b"]) else f"{row['a_beats_b']:.2f}",
                "verdict": _verdict(row, a_is_better=a_is_better),
            }
        )
    return pd.DataFrame(rows)


def _verdict(row: Row, *, a_is_better: bool) -> str:
    if row["decided"]:
        return f"{'A' if a_is_better else 'B'} is better: the seeds suffice"
    if row["interval"] == "not finite":
        return "no mean difference"
    if pd.isna(row["further"]):
        return "open: no difference to go by"
    if row["further"] > MOST:
        return f"open: more than {MOST} more seeds"
    return f"open: about {row['further']:.0f} more seeds"


def _commands(table: pd.DataFrame) -> list[str]:
    found = table.get("command", pd.Series(dtype=object)).dropna()
    return list(dict.fromkeys(line for command in found for line in command.splitlines()))


def _print(cells: pd.DataFrame, remarks: Sequence[str], commands: Sequence[str]) -> None:
    console = Console(highlight=False, width=None if sys.stdout.isatty() else PLAIN_WIDTH)
    table = Table(box=None, pad_edge=False, header_style="bold")
    for name in cells.columns:
        justify: Literal["left", "right"] = "left" if name in WORDS else "right"
        table.add_column(escape(str(name)), justify=justify, overflow="fold")
    for row in cells.head(ROWS).to_numpy().tolist():
        table.add_row(*map(escape, row))
    console.print(table)
    if len(cells) > ROWS:
        console.print(f"… and {len(cells) - ROWS} more: --format csv has every row")
    for line in ("", *remarks):
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
    names = [f"{figure} {across}={_value(value)}" for figure, value in table.columns]
    return table.set_axis(names, axis=1).reset_index()


def _plain(value: Any) -> Any:  # noqa: ANN401 - any cell
    """Return a cell as JSON knows it; what is not finite is null."""
    value = value.item() if hasattr(value, "item") else value
    return (
        None if value is None or (isinstance(value, float) and not math.isfinite(value)) else value
    )


def _value(value: Any) -> str:  # noqa: ANN401 - any parameter
    if value is None or value != value:  # noqa: PLR0124 - NaN
        return ""
    return f"{value:.6g}" if isinstance(value, float) else str(value)


def _figure(value: float | None, sign: str = "") -> str:
    if value is None or math.isnan(value):
        return "-"
    return f"{value:{sign}.4f}" if abs(value) < 10 else f"{value:{sign}.1f}"  # noqa: PLR2004 - epochs


def _interval(row: Row, sign: str = "") -> str:
    """Write an interval, or why there is none."""
    if row["interval"] == "equal values":
        return "all equal"
    found = [_figure(row[bound], sign) for bound in ("low", "high")]
    return "-" if "-" in found else "[{}, {}]".format(*found)
