"""``nnlab compare``: a comparison on the terminal, or as CSV, JSON or Markdown."""

import json
from collections.abc import Sequence
from typing import Literal

import pandas as pd

from nnlab.analysis.comparison import compare, importance
from nnlab.analysis.comparison_tables import LEFT, as_text, markdown
from nnlab.analysis.formatting import csv_text, json_value, settings_text, written
from nnlab.analysis.paired import pair
from nnlab.analysis.ranking import METRIC, lower_is_better
from nnlab.analysis.terminal import SafeConsole, echo, folded, print_line
from nnlab.analysis.terminal_tables import FOLD, print_table
from nnlab.errors import ComparisonError
from nnlab.system.status_line import status

Form = Literal["table", "csv", "json", "markdown"]

BOTH = 2  # selections that are compared with each other
# Columns that a narrow terminal leaves out, the first ones first.
NUMBERS = {
    "#",
    "seeds",
    "mean",
    "median",
    "IQM",
    "worst",
    "best",
    "learned",
    "A - B",
    "95 % interval",
}
OPTIONAL = (
    "IQM", "median", "mean of learned", "learned", "to target", FOLD, "best", "worst",
    "A wins", "mean A", "mean B", "df", "seeds", "#", "outcomes",
)  # fmt: skip


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
    with status("reading runs"):
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
    head, notes = _head(table), table.attrs["notes"]
    if form == "csv":
        echo(csv_text(_flat(table)), nl=False)
        echo("\n".join([*head, *notes]), err=True)
    elif form == "json":
        rows = [
            {str(name): json_value(value) for name, value in row.items()}
            for row in _flat(table).to_dict(orient="records")
        ]
        common = {name: json_value(value) for name, value in table.attrs["common"].items()}
        content = {
            "metric": table.attrs["metric"], "compared": table.attrs["compared"],
            "common": common, "notes": notes, "rows": rows,
        }  # fmt: skip
        echo(json.dumps(content, indent=1, ensure_ascii=False, allow_nan=False))
    elif form == "markdown":
        lines = "\n".join(f"- {line}" for line in (*head, *notes))
        echo(f"{markdown(as_text(table))}\n{lines}")
    else:
        _print(table, head)


def _commands(table: pd.DataFrame) -> list[str]:
    commands = table.get("command", pd.Series(dtype=object)).dropna()
    return list(dict.fromkeys(line for command in commands for line in command.splitlines()))


def _head(table: pd.DataFrame) -> list[str]:
    """Say what is compared, by what, and what does not vary."""
    attrs = table.attrs
    best = "lowest" if lower_is_better(attrs["metric"]) else "highest"
    head = [f"{attrs['compared']}, by {attrs['metric']} (the {best} first)."]
    return (
        [*head, f"The same in all: {settings_text(attrs['common'])}."] if attrs["common"] else head
    )


def _print(table: pd.DataFrame, head: Sequence[str]) -> None:
    console, cells = SafeConsole(), as_text(table)
    for line in head:
        console.print(folded(line, console.width), markup=False, soft_wrap=True)
    console.print()
    titles = list(map(str, cells.columns))
    print_table(
        console, titles, cells.to_numpy().tolist(), left=LEFT,
        folded=set(titles) - NUMBERS, optional=OPTIONAL, rest="--format csv",
    )  # fmt: skip
    for line in ("", *table.attrs["notes"]):
        print_line(console, line)
    commands = _commands(table)
    if commands:
        print_line(console, "The further seeds, and nothing else:")
    for line in commands:
        console.print(f"  {line}", soft_wrap=True, markup=False)


def _flat(table: pd.DataFrame) -> pd.DataFrame:
    """Return a table with plain columns: of a pivoted one, ``mean lr=0.1`` and so on."""
    if not isinstance(table.columns, pd.MultiIndex):
        return table
    across = table.columns.names[1]
    names = [f"{figure} {across}={written(value)}" for figure, value in table.columns]
    return table.set_axis(names, axis=1).reset_index()
