"""A report as a document: Markdown beside its figures, or a page of HTML with all in it."""

import base64
import re
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

from jinja2 import Environment, PackageLoader, StrictUndefined, select_autoescape
from markdown_it import MarkdownIt
from markupsafe import Markup

MARK = "<!-- Made by `nnlab report`; what is written by hand belongs into notes.md. -->"


@dataclass(frozen=True)
class Section:
    """A part of a report; its text is Markdown."""

    title: str
    text: str


@dataclass(frozen=True)
class FigureFile:
    """A picture that a report shows.

    Attributes
    ----------
    address : relative to the report, or ``data:``
    """

    address: str
    caption: str


@dataclass(frozen=True)
class Document:
    """What a report says. All texts are Markdown.

    Attributes
    ----------
    name : of the folder that it is written to
    question, expected : empty where nobody wrote them down
    verdict : sentences that follow from the numbers
    command : that made the runs
    varied, fixed : what differs between the runs, and what does not
    notes : somebody's own words
    reproduce : commands
    """

    name: str
    title: str
    question: str
    expected: str
    verdict: Sequence[str]
    command: str
    varied: str
    fixed: str
    sections: Sequence[Section]
    failures: str
    provenance: str
    reproduce: Sequence[str]
    notes: str = ""
    figures: Sequence[FigureFile] = field(default=())

    def markdown(self) -> str:
        """Write it for a folder that holds its figures."""
        text = _environment().get_template("report.md").render(document=self, mark=MARK)
        return re.sub(r"\n{3,}", "\n\n", text).strip() + "\n"

    def html(self, folder: Path) -> str:
        """Write it as one page that needs no other file, and no network.

        Parameters
        ----------
        folder : that holds the figures
        """
        inlined = [
            replace(figure, address=_data_address(folder / figure.address))
            for figure in self.figures
        ]
        reader = MarkdownIt("commonmark", {"html": False}).enable("table")
        body = reader.render(replace(self, figures=inlined).markdown().replace(MARK, ""))
        body = body.replace("<table>", '<div class="wide"><table>')
        body = body.replace("</table>", "</table></div>")
        page = _environment().get_template("page.html")
        return page.render(title=self.title, body=Markup(body))  # noqa: S704 - rendered above


def table(titles: Sequence[str], rows: Sequence[Sequence[str]], left: int = 1) -> str:
    """Write a table in Markdown; the first columns are set from the left, the others right."""
    rule = ["---"] * left + ["---:"] * (len(titles) - left)
    lines = [titles, rule, *rows]
    return "\n".join("| " + " | ".join(_cell(cell) for cell in line) + " |" for line in lines)


def _cell(text: str) -> str:
    return text.replace("|", "\\|").replace("\n", " ")


def _environment() -> Environment:
    return Environment(
        loader=PackageLoader("nnlab.analysis"), undefined=StrictUndefined, trim_blocks=True,
        lstrip_blocks=True, autoescape=select_autoescape(["html"]),
    )  # fmt: skip


def _data_address(path: Path) -> str:
    return "data:image/png;base64," + base64.b64encode(path.read_bytes()).decode("ascii")
