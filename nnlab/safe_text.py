"""Text that somebody else may have chosen, made safe for a terminal, a path, a spreadsheet, a page.

A store may hold runs of an archive, or be a copy of another machine's: its names, tags and files
are data, and never a path, a command or an address by themselves.
"""

import re
import unicodedata

LONGEST_NAME = 255  # bytes, of every file system

# Control characters, by which a terminal is told to do things, and marks that reverse the order of
# letters. Tabs and line breaks stay.
CONTROLS = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069\ud800-\udfff]")

# Passwords in addresses: scheme://user:password@host, and ?password=… behind them.
USER_PASSWORD = re.compile(r"(?<=://)([^\s:/@?#'\"]*):[^\s@'\"]+@")
QUERY_PASSWORD = re.compile(
    r"([?&](?:\w*password|passwd|pwd|\w*token|\w*secret)=)[^&\s'\"]+", re.IGNORECASE
)
MASK = "***"

FORMULA = ("=", "+", "-", "@", "\t", "\n", "＝", "＋", "－", "＠")  # full width too


def printable(text: str) -> str:
    """Return a text with its control characters written out, as JSON writes them."""
    return CONTROLS.sub(lambda match: f"\\u{ord(match.group()):04x}", text)


def masked(text: str) -> str:
    """Return a text in which the passwords of all addresses are replaced by ``***``."""
    if "://" not in text:
        return text
    return QUERY_PASSWORD.sub(rf"\g<1>{MASK}", USER_PASSWORD.sub(rf"\g<1>:{MASK}@", text))


def path_error(name: str) -> str | None:
    """Say what is wrong with a relative path, with ``/`` between its parts.

    Returns
    -------
    str or None
        None if it is safe on every system: it stays below the folder that it is joined to.
    """
    if "\\" in name:
        return "it holds a backslash"
    if any(unicodedata.category(letter) in ("Cc", "Cs") for letter in name):
        return "it holds a control character"
    if name.startswith("/") or ":" in name:
        return "it is absolute, or names a drive"
    parts = name.split("/")
    if not all(parts):
        return "a part of it is empty"
    if any(part in (".", "..") for part in parts):
        return "it leads out of its folder"
    if any(part.endswith((".", " ")) for part in parts):
        return "a part of it ends in a dot or a blank, which Windows drops"
    if any(len(part.encode()) > LONGEST_NAME for part in parts):
        return "a part of it is longer than 255 bytes"
    return None


def file_name(text: str, length: int = 40) -> str:
    """Return the name of a file or folder after any text; empty where nothing of it can be used."""
    return re.sub(r"[^A-Za-z0-9.]+", "-", text)[:length].strip("-.")


def spreadsheet_cell(value: object) -> object:
    """Return a cell that no spreadsheet takes for a formula: such text gets a ``'`` in front.

    Numbers stay as they are, also those that are written as text. Control characters are shown.
    """
    if not isinstance(value, str):
        return value
    try:
        float(value)
    except ValueError:
        text = printable(value)
        return f"'{text}" if text.startswith(FORMULA) else text
    return value


def one_line(text: str) -> str:
    """Return a text without line breaks and control characters."""
    return printable(" ".join(text.split()))


def markdown_text(text: str) -> str:
    """Return Markdown that has neither HTML nor pictures from elsewhere in it, nor controls."""
    return re.sub(r"!(?=\[)", r"\\!", re.sub(r"<(?=[A-Za-z/!?])", r"\\<", printable(text)))
