"""A study: the file of ``conf/experiment/`` that a sweep carries out, kept with its results.

The comment at the top of each file says in paragraphs what it asks (``Question:``), how it is run
(``Command:``) and what is expected (``Expected:``). A paragraph ``Reference:`` names a metric and,
after a comma, a source; each line below it that ends in a number is a value of that source:
``init=he lr=0.5   0.91``.
"""

import hashlib
import re
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

from nnlab.jobs import provenance
from nnlab.jobs.tags import Tag
from nnlab.system.stored_files import read_text

STUDY_FILE = "study.yaml"  # among the artifacts of a sweep's parent run
PARAGRAPH = re.compile(r"(Question|Command|Expected|Reference):\s*(.*)", re.DOTALL)
FIGURE = re.compile(r"\s*(?P<config>\S+=\S+(?: \S+=\S+)*)\s+(?P<value>\d\S*)")


class Reference(NamedTuple):
    """Published or independent results to compare a study with.

    Attributes
    ----------
    metric : str
        The metric of all figures.
    source : str
        Where they come from.
    figures : dict[tuple[str, ...], float]
        Overrides, such as ``("init=he", "lr=0.5")``, and the value of the metric.
    """

    metric: str
    source: str
    figures: dict[tuple[str, ...], float]


@dataclass(frozen=True)
class Study:
    """A file of ``conf/experiment/``.

    Attributes
    ----------
    name : str
        Name of the file, without its suffix.
    text : str
        Content of the file.
    """

    name: str
    text: str

    @property
    def question(self) -> str:
        """The question, in one line; empty where the file has none."""
        return " ".join(self._paragraph("Question").split())

    @property
    def expected(self) -> str:
        """What was expected before it ran, with its line breaks: it may hold a table."""
        return self._paragraph("Expected")

    @property
    def expected_sha256(self) -> str:
        """SHA-256, in hex, of ``expected``; empty where the file has none."""
        text = self.expected
        return hashlib.sha256(text.encode()).hexdigest() if text else ""

    @property
    def reference(self) -> Reference | None:
        """The results to compare it with; None where the file names none."""
        head, figures = [], {}
        for line in self._paragraph("Reference").splitlines():
            if match := FIGURE.fullmatch(line):
                figures[tuple(match["config"].split())] = float(match["value"])
            else:
                head.append(line.strip())
        metric, comma, source = " ".join(head).partition(", ")
        return Reference(metric, source, figures) if comma else None

    def _paragraph(self, head: str) -> str:
        lines = []
        for line in self.text.splitlines():
            if not line.startswith("#"):
                break
            lines.append(line.removeprefix("#").removeprefix(" "))
        # A paragraph goes on while its lines are indented, across blank lines too.
        for part in re.split(r"\n\s*\n(?=\S)", "\n".join(lines)):
            match = PARAGRAPH.match(part)
            if match and match.group(1) == head:
                return match.group(2).rstrip()
        return ""


def parent_tags(study: Study | None) -> dict[str, str]:
    """Return the tags of a parent run that say why its runs were made: command and study.

    They are set when it is created, before its runs begin. So the digest of what was expected shows
    later whether the text is still the same.
    """
    tags = {
        Tag.COMMAND: provenance.command(),
        Tag.STUDY: study and study.name,
        Tag.EXPECTED_SHA256: study and study.expected_sha256,
    }
    return {name: text for name, text in tags.items() if text}


def write_study(folder: Path, study: Study | None) -> None:
    """Write the file of a study, if there is one, into a folder."""
    if study is not None:
        (folder / STUDY_FILE).write_text(study.text, encoding="utf-8")


def read_study(folder: Path) -> Study | None:
    """Return the study that ``write_study`` wrote into a folder; None where there is none."""
    path = folder / STUDY_FILE
    return Study("", read_text(path)) if path.is_file() else None
