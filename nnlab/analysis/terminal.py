"""What is printed: on consoles that show control characters and keep passwords to themselves."""

import sys
from collections.abc import Collection, Sequence
from typing import Any

import click
from rich.console import Console
from rich.markup import escape
from rich.table import Table
from rich.text import Text

from nnlab.safe_text import masked, printable

ROWS = 40  # of a table in the terminal; files and the other formats have all rows
PLAIN_WIDTH = 200  # columns of a table that goes to a file or a pipe, so that no cell is folded


def in_notebook() -> bool:
    """Tell whether this process is the kernel of a notebook."""
    ipython: Any = sys.modules.get("IPython")
    shell = None if ipython is None else ipython.get_ipython()
    return hasattr(shell, "kernel")


class SafeConsole(Console):
    """A console for text from a store, whose names and tags anybody may have chosen."""

    def __init__(self, **options: Any) -> None:  # noqa: ANN401 - as in the base class
        # In a notebook, rich would need widgets for a bar, and colour what is printed.
        plain = {"force_terminal": False, "no_color": True} if in_notebook() else {}
        super().__init__(**{"force_jupyter": False, **plain, **options})

    def render_str(self, text: str, **options: Any) -> Text:  # noqa: ANN401 - as in the base class
        """Render a text, of a line or of a table's cell."""
        return super().render_str(printable(masked(text)), **options)


def results_console() -> Console:
    """Return the console that prints results: standard output, wide where it is no terminal."""
    return SafeConsole(highlight=False, width=None if sys.stdout.isatty() else PLAIN_WIDTH)


def echo(text: str, *, err: bool = False, nl: bool = True) -> None:
    """Print plain text from a store, for pipes and files too."""
    click.echo(printable(masked(text)), err=err, nl=nl)


def results_table(titles: Sequence[str], left: Collection[str] = ()) -> Table:
    """Return an empty table; columns are aligned to the right unless ``left`` names them."""
    table = Table(box=None, pad_edge=False, header_style="bold")
    for title in titles:
        justify = "left" if title in left else "right"
        table.add_column(escape(title), justify=justify, overflow="fold")  # type: ignore[arg-type]
    return table
