"""The columns of a table: which is the label, which are pixels, and which are neither."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import numpy as np

from nnlab.arrays import Array
from nnlab.errors import DataError
from nnlab.wording import counted

LABEL = "label"
LABEL_NAMES = ("label", "labels", "class", "y", "target")  # whatever the case
NUMBERED = re.compile(r"\D?(?P<word>.*?)(?P<row>\d+)(?:\D(?P<column>\d+))?\D?")
NO_PIXEL = re.compile(
    r"|unnamed:.*|id|.*[_ ]id|imageid|index|idx|row|fold|split|set|partition|usage|file|"
    r"file[_ ]?name|path|image|name|labels?|class|y|target",
    re.IGNORECASE,
)
SHOWN = 4  # names in a message
MANY = 8  # rows, from which on numbers that count up are the rows' own
MAX_LABEL = 255


@dataclass(frozen=True)
class Choice:
    """What the config says of a table's columns.

    Attributes
    ----------
    label : str or None
        The name of the label's column, ``first`` or ``last``; None to tell it.
    dropped : tuple of str or None
        Columns that are no pixels; None to tell them by their names.
    """

    label: str | None = None
    dropped: tuple[str, ...] | None = None


class Columns(NamedTuple):
    """The places of a table's columns.

    Attributes
    ----------
    label : int or None
        None where no column has labels.
    pixels : list of int
        In the order of the image.
    said : list of str
        What was decided by rule and not by the user.
    """

    label: int | None
    pixels: list[int]
    said: list[str]


def shown(names: Sequence[str]) -> str:
    """Return some names, shortened to a few: headers have hundreds."""
    cut = ", …" if len(names) > SHOWN else ""
    return ", ".join(name[:20] for name in names[:SHOWN]) + cut


def named_columns(names: Sequence[str], choice: Choice, path: Path, *, labelled: bool) -> Columns:
    """Tell from a header which columns are which.

    Parameters
    ----------
    names : sequence of str
        The header.
    choice : Choice
    path : Path
        For messages.
    labelled : bool
        Whether a label must be there.

    Raises
    ------
    DataError
        Where no column, or more than one, may be the label; or one is named that is not there.
    """
    label = _label_place(names, choice.label, path, labelled=labelled)
    rest = [place for place in range(len(names)) if place != label]
    if choice.dropped is not None:
        if missing := [name for name in choice.dropped if name not in names]:
            raise DataError(
                f"{path}: found no column `{missing[0]}` (the header begins "
                f"{shown(names)!r}), which data.drop_columns names."
            )
        return Columns(label, [place for place in rest if names[place] not in choice.dropped], [])
    pixels, said = _pixels(names, rest)
    if left_out := [names[place] or "(no name)" for place in rest if place not in set(pixels)]:
        said = [f"left out, as no pixels: {shown(left_out)}", *said]
    return Columns(label, pixels, said)


def _label_place(
    names: Sequence[str], wanted: str | None, path: Path, *, labelled: bool
) -> int | None:
    if wanted in ("first", "last") and wanted not in names:
        return 0 if wanted == "first" else len(names) - 1
    exact = [place for place, name in enumerate(names) if name == (wanted or LABEL)]
    if wanted is None and not exact:
        exact = [place for place, name in enumerate(names) if name.lower() in LABEL_NAMES]
    if len(exact) == 1:
        return exact[0]
    if not exact and not labelled:
        return None
    numbered = [name for name in names if name[-1:].isdigit()]  # as pixels are
    if not exact and wanted is None and 2 * len(numbered) < len(names):
        raise DataError(
            f"{path}: found text that begins {' '.join(names)[:60]!r}, which is no header of a "
            "table of images, expected label,pixel0,…. If one of its columns is the label, give "
            "it: data.label_column=…."
        )
    if not exact:
        count = f"no column `{wanted or LABEL}`"
    elif wanted is None and len({names[place] for place in exact}) > 1:
        count = f"{len(exact)} columns that may be the label ({shown([names[p] for p in exact])})"
    else:
        count = f"{len(exact)} columns `{names[exact[0]]}`"
    raise DataError(
        f"{path}: found {count} in the header (it begins {','.join(names[:3])[:60]!r}), expected "
        "label,pixel0,…; the competition's test.csv has no labels to train on. If the label has "
        "another name, give it: data.label_column=…."
    )


def _pixels(names: Sequence[str], rest: Sequence[int]) -> tuple[list[int], list[str]]:
    """Return the columns that are pixels: those that are numbered alike, or have no other use."""
    groups: dict[tuple[str, bool], list[tuple[tuple[int, int], int]]] = {}
    for place in rest:
        match = NUMBERED.fullmatch(names[place])
        if match is not None:
            key = (match["word"].lower(), match["column"] is not None)
            number = int(match["row"]), int(match["column"] or 0)
            groups.setdefault(key, []).append((number, place))
    largest = max(groups.values(), key=len, default=[])
    if 2 * len(largest) <= len(rest) or len(largest) < 2:  # noqa: PLR2004 - one has no order
        return [place for place in rest if not NO_PIXEL.fullmatch(names[place])], []
    numbers = [number for number, _ in largest]
    if len(set(numbers)) < len(numbers) or numbers == sorted(numbers):
        return [place for _, place in largest], []
    said = ["pixels put in the order of their columns' numbers"]
    return [place for _, place in sorted(largest)], said


def unnamed_columns(rows: Array, choice: Choice, path: Path, pixels: int | None) -> Columns:
    """Tell from the values which columns are which, where there is no header.

    Parameters
    ----------
    rows : Array
        All cells, (images, columns).
    choice : Choice
        Its names of columns are their numbers, from 1.
    path : Path
        For messages.
    pixels : int or None
        The pixels of an image that a network takes; then a label need not be there.

    Raises
    ------
    DataError
        Where the values do not tell which column is the label.
    """
    places, said = list(range(rows.shape[1])), []
    if choice.dropped is not None:
        places = [place for place in places if str(place + 1) not in choice.dropped]
    elif len(rows) >= MANY and _counts_up(rows[:, 0]):
        places, said = places[1:], ["left out, as it counts the rows: column 1"]
    if pixels is not None and len(places) == pixels:
        return Columns(None, places, said)
    if choice.label is not None:
        label = _chosen_place(choice.label, places, rows.shape[1], path)
    else:
        ends = {places[0], places[-1]} if places else set()
        likely = [place for place in sorted(ends) if _are_labels(rows[:, place])]
        if len(likely) != 1 or len(places) == 1:
            if pixels is not None:
                return Columns(None, places, said)
            found = "two columns that may be" if len(likely) > 1 else "no column that looks like"
            raise DataError(
                f"{path}: found no header in {counted(rows.shape[1], 'column')}, and {found} the "
                "label, expected it in the first or the last one, as whole numbers from 0 or 1 "
                "on. Give data.label_column=first or data.label_column=last."
            )
        label = likely[0]
        said.append(f"label in the {'first' if label == places[0] else 'last'} column")
    return Columns(label, [place for place in places if place != label], said)


def _chosen_place(wanted: str, places: Sequence[int], columns: int, path: Path) -> int:
    if wanted in ("first", "last"):
        return places[0] if wanted == "first" else places[-1]
    if wanted.isdecimal() and 1 <= int(wanted) <= columns:
        return int(wanted) - 1
    raise DataError(
        f"{path}: found no header, so there is no column `{wanted}`: data.label_column must be "
        f"first, last, or a number from 1 to {columns}."
    )


def _counts_up(column: Array) -> bool:
    return bool(column[0] in (0, 1) and (np.diff(column.astype(np.float64)) == 1).all())


def _are_labels(column: Array) -> bool:
    """Tell whether numbers may be labels: whole, at least two, none left out, from 0 or 1 on."""
    if column.max() > MAX_LABEL:
        return False
    classes = np.unique(column)
    first, count = classes[0], len(classes)
    return bool(first in (0, 1) and count > 1 and (classes == first + np.arange(count)).all())
