"""Tables on the terminal: as wide as it is, by leaving out columns, and never by cutting cells."""

import re
from collections.abc import Collection, Sequence

from rich.cells import cell_len
from rich.console import Console, JustifyMethod
from rich.table import Table
from rich.text import Text

from nnlab.analysis.terminal import print_line
from nnlab.safe_text import masked, printable
from nnlab.wording import counted, listed

ROWS = 40  # of a table in the terminal; files and the other formats have all rows
GAP = 2  # columns of the terminal between two of the table
WIDEST = 24  # columns that a value takes at least, unless it is shorter; the rest goes below
FOLD = ""  # among optional columns: from here on, cells are folded
COMMA = re.compile(r"(?<=,) (?![^\[]*\])")  # not within the brackets of an interval
BLANK = re.compile(r" (?![^\[]*\])")

Cell = str | Text  # a text of its own colour


def print_table(
    console: Console,
    titles: Sequence[str],
    rows: Sequence[Sequence[Cell]],
    *,
    left: Collection[str] = (),
    folded: Collection[str] = (),
    optional: Sequence[str] = (FOLD,),
    rest: str = "",
    most: int = ROWS,
) -> None:
    """Print a table that fits the console.

    Where it is too wide, columns are left out; where what must stay is too wide too, each row
    becomes a list of its cells. A line below says what is not shown.

    Parameters
    ----------
    console : Console
    titles : sequence of str
    rows : sequence of sequence of str or Text
    left : collection of str
        The columns that are aligned to the left.
    folded : collection of str
        The columns whose cells may go on in the line below: words and values. Ids stay whole.
    optional : sequence of str
        The columns that may be left out, the first one first, and ``FOLD`` among them.
    rest : str
        What has all rows and columns.
    most : int
        Number of rows that are shown.
    """
    cells = [[_text(cell) for cell in row] for row in rows[:most]]
    columns = [[row[place] for row in cells] for place in range(len(titles))]
    shown, least = list(range(len(titles))), list(map(_least, titles, columns))
    for title in optional:
        if _total([least[place] for place in shown]) <= console.width:
            break
        if title == FOLD:
            least = [
                _least(name, column, folded=name in folded)
                for name, column in zip(titles, columns, strict=True)
            ]
        else:
            shown = [place for place in shown if titles[place] != title]
    room = console.width - _total([least[place] for place in shown])
    for place in shown:  # what is left goes to cells first, and then to titles
        more = max(0, min(room, max(map(_width, columns[place]), default=0) - least[place]))
        least[place] += more
        room -= more
    if room < 0:
        shown = list(range(len(titles)))
        _print_lists(console, titles, cells)
    else:
        table = Table(box=None, pad_edge=False, header_style="bold")
        texts = []
        for place in shown:
            head = _text(titles[place])
            width = min(least[place] + room, max(map(_width, (head, *columns[place]))))
            room -= width - least[place]
            side: JustifyMethod = "left" if titles[place] in left else "right"
            table.add_column(head, justify=side, overflow="fold", width=width)
            texts.append([_folded(cell, width) for cell in columns[place]])
        for row in zip(*texts, strict=True):
            table.add_row(*row)
        console.print(table)
    missing = [title for place, title in enumerate(titles) if place not in shown and title != "#"]
    parts = [counted(len(rows) - most, "row")] if len(rows) > most else []
    if missing:
        parts.append(f"the column{'s' * (len(missing) > 1)} {listed(missing)}")
    if parts:
        wider = "; a wider terminal shows more columns" if missing else ""
        print_line(console, f"Not shown: {'; and '.join(parts)}. {rest} has all{wider}.")


def _text(cell: Cell) -> Text:
    return cell if isinstance(cell, Text) else Text(printable(masked(cell)))


def _width(cell: Text) -> int:
    return cell_len(cell.plain)


def _total(widths: Sequence[int]) -> int:
    return sum(widths) + GAP * (len(widths) - 1)


def _least(title: str, cells: Sequence[Text], *, folded: bool = False) -> int:
    """Return how wide a column has to be: a title goes on below, and a cell where it may."""
    words = title.split()
    if folded:
        parts = [cell_len(part) for cell in cells for part in _parts(cell.plain)]
        return max(min(max(parts, default=0), WIDEST), *map(cell_len, words), 0)
    return max(*map(_width, cells), *map(cell_len, words), 0, 0)


def _parts(text: str) -> list[str]:
    """Return what of a cell stays in one line: between commas where there are some, or a word."""
    pieces = COMMA.split(text)
    return pieces if len(pieces) > 1 else BLANK.split(text)


def _folded(cell: Text, width: int) -> Text:
    if _width(cell) <= width:
        return cell
    lines = [""]
    for part in _parts(cell.plain):
        line = f"{lines[-1]} {part}".strip()
        if cell_len(line) <= width:
            lines[-1] = line
        else:
            lines.append(part)
    return Text("\n".join(filter(None, lines)), cell.style)


def _print_lists(console: Console, titles: Sequence[str], rows: Sequence[Sequence[Text]]) -> None:
    """Print each row as lines of a title and a cell."""
    width = max(map(cell_len, titles)) + GAP
    for row in rows:
        for title, cell in zip(titles, row, strict=True):
            label = _text(title).plain.ljust(width)
            console.print(Text.assemble((label, "bold"), cell), soft_wrap=True)
        console.print()
