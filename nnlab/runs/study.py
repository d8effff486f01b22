"""A study: the file of ``conf/experiment/`` that a sweep carries out, kept beside what it found.

Each file says on top what it asks, its command and what is expected, in paragraphs of a comment
that begin with ``Question:``, ``Command:`` and ``Expected:``. One that begins with ``Reference:``
names a metric and, after a comma, a source; each line below it that ends in a number is what that
source found: ``init=he lr=0.5   0.91``.
"""

import re
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

from nnlab.runs import provenance

FILE = "study.yaml"  # beside a sweep's parent run
PARAGRAPH = re.compile(r"(Question|Command|Expected|Reference):\s*(.*)", re.DOTALL)
FOUND = re.compile(r"\s*(?P<config>\S+=\S+(?: \S+=\S+)*)\s+(?P<value>\d\S*)")


class Reference(NamedTuple):
    """What somebody else found.

    Attributes
    ----------
    metric, source : of all of them
    figures : overrides, such as ``("init=he", "lr=0.5")`` -> the metric's value
    """

    metric: str
    source: str
    figures: dict[tuple[str, ...], float]


@dataclass(frozen=True)
class Study:
    """A study before it is carried out.

    Attributes
    ----------
    name : of its file, without the suffix
    text : the whole file
    """

    name: str
    text: str

    @property
    def question(self) -> str:
        """What it asks; empty where the file does not say it."""
        return " ".join(self._paragraph("Question").split())

    @property
    def expected(self) -> str:
        """What was expected before it ran, with its line breaks: it may hold a table."""
        return self._paragraph("Expected")

    @property
    def reference(self) -> Reference | None:
        """What it is held against, if the file names that."""
        text = self._paragraph("Reference")
        lines = text.splitlines()
        found = [FOUND.fullmatch(line) for line in lines]
        head = " ".join(line.strip() for line, each in zip(lines, found, strict=True) if not each)
        metric, comma, source = head.partition(", ")
        if not comma:
            return None
        values = {tuple(each["config"].split()): float(each["value"]) for each in found if each}
        return Reference(metric, source, values)

    def _paragraph(self, head: str) -> str:
        lines = []
        for line in self.text.splitlines():
            if not line.startswith("#"):
                break
            lines.append(line.removeprefix("#").removeprefix(" "))
        # A paragraph goes on as long as lines are indented below its first, blank lines or not.
        for part in re.split(r"\n\s*\n(?=\S)", "\n".join(lines)):
            found = PARAGRAPH.match(part)
            if found and found.group(1) == head:
                return found.group(2).rstrip()
        return ""


def head_tags(study: Study | None) -> dict[str, str]:
    """Return what the run that stands for many says of why they were made: command and study."""
    found = {"command": provenance.command(), "study": study and study.name}
    return {name: text for name, text in found.items() if text}


def keep(folder: Path, study: Study | None) -> None:
    """Write a study's file beside what it found."""
    if study is not None:
        (folder / FILE).write_text(study.text, encoding="utf-8")


def kept(folder: Path) -> Study | None:
    """Return the study whose file ``keep`` wrote, if it is there."""
    path = folder / FILE
    return Study("", path.read_text(encoding="utf-8")) if path.is_file() else None
