"""A bar of progress in a notebook: one output of the cell, which is replaced as runs go on."""

import sys
import time
from html import escape
from typing import Any

from nnlab.wording import counted

SECONDS = 0.3  # between two changes of the bar: each is a message to the browser


class NotebookBar:
    """Shows how much is done, and a text beside it."""

    def __init__(self) -> None:
        self._handle: Any = None
        self._shown = 0.0

    def show(self, title: str, done: int, total: int, text: str) -> None:
        """Move the bar, unless it has just been moved."""
        if time.monotonic() - self._shown < SECONDS:
            return
        self._shown = time.monotonic()
        self._display(
            f"<div><b>{escape(title)}</b> "
            f"<progress value='{done}' max='{max(total, 1)}'></progress> "
            f"{done}/{counted(total, 'epoch')}, {escape(text)}</div>"
        )

    def close(self) -> None:
        """Remove the bar."""
        if self._handle is not None:
            self._display("")
            self._handle = None

    def _display(self, html: str) -> None:
        display: Any = sys.modules["IPython"].display
        content = display.HTML(html)
        if self._handle is None:
            self._handle = display.display(content, display_id=True)
        else:
            self._handle.update(content)
