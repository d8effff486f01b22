"""Tables of results in the terminal."""

import sys
from collections.abc import Collection, Sequence

from rich.console import Console
from rich.markup import escape
from rich.table import Table

ROWS = 40  # of a table in the terminal; files and the other formats have all rows
PLAIN_WIDTH = 200  # columns of a table that goes to a file or a pipe, so that no cell is folded


def results_console() -> Console:
    """Return the console that prints results: standard output, wide where it is no terminal."""
    return Console(highlight=False, width=None if sys.stdout.isatty() else PLAIN_WIDTH)


def results_table(titles: Sequence[str], left: Collection[str] = ()) -> Table:
    """Return an empty table; columns are aligned to the right unless ``left`` names them."""
    table = Table(box=None, pad_edge=False, header_style="bold")
    for title in titles:
        justify = "left" if title in left else "right"
        table.add_column(escape(title), justify=justify, overflow="fold")  # type: ignore[arg-type]
    return table
