"""A report as a document: Markdown beside its figures, or a page of HTML with all in it."""

import base64
import re
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, TypedDict

from jinja2 import Environment, PackageLoader, StrictUndefined, select_autoescape
from markdown_it import MarkdownIt
from markupsafe import Markup

from nnlab.jobs.study import Study
from nnlab.jobs.tags import Tag
from nnlab.plots.names import EXPLORE
from nnlab.safe_text import markdown_text, one_line
from nnlab.tracking.records import RunRecord

SIGNATURE = "<!-- Made by `nnlab report`;"  # by which a report is known, also an older one
MARK = f"{SIGNATURE} what is written by hand belongs in notes.md. -->"


@dataclass(frozen=True)
class Section:
    """A part of a report; its text is Markdown."""

    title: str
    text: str


@dataclass(frozen=True)
class FigureFile:
    """A figure that a report shows.

    Attributes
    ----------
    address : str
        Relative to the report; or ``data:``, with the image itself.
    """

    address: str
    caption: str


@dataclass(frozen=True)
class Document:
    """What a report says. All texts are Markdown.

    Attributes
    ----------
    name : str
        The name of the report's folder.
    question, expected : str
        Of the study; empty if nobody wrote them down.
    verdict : sequence of str
        Sentences that follow from the numbers.
    command : str
        The command that made the runs.
    varied, fixed : str
        What differs between the runs, and what does not.
    failures : str
        The runs without a final network.
    provenance : str
        Where the results come from.
    reproduce : sequence of str
        Commands.
    notes : str
        What somebody wrote by hand.
    expected_when : str
        Whether ``expected`` is what was recorded before the runs began.
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
    expected_when: str = ""
    figures: Sequence[FigureFile] = field(default=())

    def markdown(self) -> str:
        """Write it for a folder that holds its figures."""
        template = _environment().get_template("report.md")
        text = template.render(document=self._without_html(), mark=MARK)
        return re.sub(r"\n{3,}", "\n\n", text).strip() + "\n"

    def _without_html(self) -> "Document":
        """Return the same without HTML and pictures in what the store says, or could say.

        The notes, which were written here, and the figures stay as they are.
        """
        changes: dict[str, Any] = {
            name: markdown_text(getattr(self, name))
            for name in ("question", "expected", "varied", "fixed", "failures", "provenance")
        }
        return replace(
            self,
            **changes,
            title=markdown_text(one_line(self.title)),
            verdict=[markdown_text(one_line(sentence)) for sentence in self.verdict],
            sections=[Section(part.title, markdown_text(part.text)) for part in self.sections],
            figures=[
                replace(figure, caption=re.sub(r"(?=[\[\]<])", r"\\", one_line(figure.caption)))
                for figure in self.figures
            ],
        )

    def html(self, folder: Path) -> str:
        """Write it as one page that needs no other file, and no network.

        Parameters
        ----------
        folder : Path
            It holds the figures, and perhaps the interactive page.
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
        return page.render(
            title=one_line(self.title),
            explore=EXPLORE if (folder / EXPLORE).is_file() else "",
            body=Markup(body),  # noqa: S704 - rendered above
        )


class Heading(TypedDict):
    """The first fields of a ``Document``."""

    title: str
    question: str
    expected: str
    expected_when: str


def heading(study: Study | None, parent: RunRecord) -> Heading:
    """Return what a study says of itself; without one, the title is the parent run's name."""
    if study is None:
        return {"title": parent.name, "question": "", "expected": "", "expected_when": ""}
    recorded = parent.tags.get(Tag.EXPECTED_SHA256)
    if recorded is None:
        when = "When it was written is not recorded"
    elif recorded == study.expected_sha256:
        when = (
            f"Recorded before the runs began (SHA-256 `{recorded[:12]}`, a tag of the parent run), "
            "and unchanged since"
        )
    else:
        when = (
            "**Not the text that was recorded before the runs began**: this one's SHA-256 is "
            f"`{study.expected_sha256[:12]}`, and the tag of the parent run names another"
        )
    return {
        "expected_when": when,
        "title": study.name.replace("_", " "),
        "question": study.question,
        "expected": " ".join(study.expected.split()),
    }


def _environment() -> Environment:
    return Environment(
        loader=PackageLoader("nnlab.analysis"), undefined=StrictUndefined, trim_blocks=True,
        lstrip_blocks=True, autoescape=select_autoescape(["html"]),
    )  # fmt: skip


def _data_address(path: Path) -> str:
    return "data:image/png;base64," + base64.b64encode(path.read_bytes()).decode("ascii")
