"""The status line: what a command is doing, on the last line of its terminal.

It is there only while a command runs, and standard error is a terminal: calls from Python, files
and pipes get none. Whatever prints calls ``clear`` before, and ``show`` after it.
"""

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager

from nnlab.safe_text import masked, printable

_commands = 0  # blocks of ``of_command`` that are entered
_texts: list[str] = []  # of the blocks of ``status`` that are entered
_shown = False
_held = 0  # blocks of ``held`` that are entered


@contextmanager
def of_command() -> Iterator[None]:
    """Allow status lines in this block."""
    global _commands  # noqa: PLW0603
    _commands += 1
    try:
        yield
    finally:
        clear()
        _commands -= 1


def begin(text: str) -> None:
    """Say what a command does first, until something else is said."""
    _show(text)


def allowed() -> bool:
    """Tell whether a command runs, and not a function that was called from Python."""
    return _commands > 0


@contextmanager
def status(text: str) -> Iterator[None]:
    """Say what this block does, and then again what the one around it does."""
    _texts.append(text)
    show()
    try:
        yield
    finally:
        _texts.pop()
        clear()
        show()


@contextmanager
def held() -> Iterator[None]:
    """Keep the line away in this block, in which a bar has its place."""
    global _held  # noqa: PLW0603
    clear()
    _held += 1
    try:
        yield
    finally:
        _held -= 1
        show()


def clear() -> None:
    """Remove the line, so that something can be printed."""
    global _shown  # noqa: PLW0603
    if _shown:
        _shown = False
        _write("\r\x1b[2K")


def show() -> None:
    """Write the line again, after something was printed."""
    if _texts:
        _show(_texts[-1])


def _show(text: str) -> None:
    global _shown  # noqa: PLW0603
    if allowed() and not _held and sys.stderr.isatty():
        width = os.get_terminal_size(sys.stderr.fileno()).columns - 1
        _shown = True
        _write("\r\x1b[2K" + printable(masked(text))[:width])


def _write(text: str) -> None:
    sys.stderr.write(text)
    sys.stderr.flush()
