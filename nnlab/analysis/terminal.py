"""What is printed: on consoles that show control characters and keep passwords to themselves."""

import re
import shutil
import sys
import textwrap
import time
from collections.abc import Iterator, Sequence
from typing import Any, TypeVar

import click
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn
from rich.text import Text

from nnlab.safe_text import masked, printable
from nnlab.system import status_line

T = TypeVar("T")

LINE_SECONDS = 5.0  # between two lines of progress
# What a sentence tells to type: it is copied from one line.
COMMAND = re.compile(r"`[^`]+`|\bnnlab [a-z]+(?: [0-9a-f]{8,32}\b| --?[a-z][-\w]*)*")
GLUE = "\x1f"  # stands for the blanks of a command while lines are folded


def in_notebook() -> bool:
    """Tell whether this process is the kernel of a notebook."""
    ipython: Any = sys.modules.get("IPython")
    shell = None if ipython is None else ipython.get_ipython()
    return hasattr(shell, "kernel")


class SafeConsole(Console):
    """A console for text from a store, whose names and tags anybody may have chosen."""

    def __init__(self, **options: Any) -> None:  # noqa: ANN401 - as in the base class
        # In a notebook, rich would need widgets for a bar, and colour what is printed.
        plain: dict[str, Any] = {"force_terminal": False, "no_color": True} if in_notebook() else {}
        if not options.get("stderr"):  # that of a pipe is not as wide as the terminal beside it
            plain["width"], plain["height"] = shutil.get_terminal_size()
        super().__init__(**{"force_jupyter": False, "highlight": False, **plain, **options})

    def print(self, *objects: Any, **options: Any) -> None:  # noqa: ANN401 - as in the base class
        """Print as the base class does, above the status line."""
        status_line.clear()
        super().print(*objects, **options)
        status_line.show()

    def render_str(self, text: str, **options: Any) -> Text:  # noqa: ANN401 - as in the base class
        """Render a text, of a line or of a table's cell."""
        return super().render_str(printable(masked(text)), **options)


def print_line(console: Console, line: str, style: str | None = None) -> None:
    """Print a line without markup: on a terminal folded between words, else whole.

    Commands are not folded: they are copied.
    """
    if console.is_terminal:
        line = folded(line, console.width)
    console.print(line, style=style, markup=False, soft_wrap=True)


def folded(text: str, width: int) -> str:
    """Return a text in lines of a width, where its words allow it; commands stay in one line."""
    glued = COMMAND.sub(lambda command: command[0].replace(" ", GLUE), text)
    lines = [
        textwrap.fill(line, width, break_long_words=False, break_on_hyphens=False)
        for line in glued.splitlines()
    ]
    return "\n".join(lines).replace(GLUE, " ")


def echo(text: str, *, err: bool = False, nl: bool = True) -> None:
    """Print plain text from a store, for pipes and files too."""
    status_line.clear()
    click.echo(printable(masked(text)), err=err, nl=nl)
    status_line.show()


def track(items: Sequence[T], description: str) -> Iterator[T]:
    """Yield the items; a command shows how many of them are done, on the error stream."""
    if not status_line.allowed():
        yield from items
        return
    console = SafeConsole(stderr=True)
    if console.is_terminal:
        columns = (
            TextColumn("{task.description}"), MofNCompleteColumn(), BarColumn(bar_width=20),
            TimeRemainingColumn(compact=True),
        )  # fmt: skip
        with status_line.held(), Progress(*columns, console=console, transient=True) as bar:
            yield from bar.track(items, description=description)
        return
    last_line = time.monotonic()
    for done, item in enumerate(items):
        if time.monotonic() - last_line > LINE_SECONDS:
            last_line = time.monotonic()
            console.print(f"{description} {done}/{len(items)}", markup=False, soft_wrap=True)
        yield item
