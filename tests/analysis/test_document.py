"""A report's two forms: Markdown beside figures, and one page of HTML."""

import base64
from dataclasses import replace

import pytest
from support.pages import Page

from nnlab.analysis.document import MARK, Document, FigureFile, Section
from nnlab.analysis.formatting import markdown_table

PIXEL = base64.b64decode(
    "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg=="
)


@pytest.fixture
def document():
    return Document(
        name="mine", title="mine", question="Why?", expected="This.", verdict=["It learns."],
        command="python run.py -m lr=1,2", varied=markdown_table(["field"], [["lr"]]),
        fixed="The rest.",
        sections=[Section("Results", markdown_table(["a", "b"], [["x|y", "1"], ["z", "2"]]))],
        failures="None.", provenance="Here.", reproduce=["one", "two"],
        figures=[FigureFile("map.png", "A map.")],
    )  # fmt: skip


def test_the_parts_come_in_the_order_in_which_they_are_read(document):
    text = document.markdown()
    parts = ["# mine", "**Question.** Why?", "**Verdict**", "- It learns.",
             "python run.py -m lr=1,2", "## What was varied", "## Results", "![A map.](map.png)",
             "> This.",
             "## Failures", "## Provenance", "## Reproduce it", "one\ntwo", MARK]  # fmt: skip
    places = [text.index(part) for part in parts]
    assert places == sorted(places)


def test_what_is_not_there_leaves_no_empty_heading(document):
    text = replace(document, question="", expected="", figures=()).markdown()
    for gone in ("Question", "expected", "Figures", "Notes", "\n\n\n"):
        assert gone not in text


def test_a_page_holds_all_that_it_shows(document, tmp_path):
    (tmp_path / "map.png").write_bytes(PIXEL)
    page = Page(document.html(tmp_path))
    assert page.addresses == ["data:image/png;base64," + base64.b64encode(PIXEL).decode()]
    assert {"script", "link", "iframe"}.isdisjoint(page.tags)
    assert [cell for cell in page.cells if cell] == ["lr", "x|y", "1", "z", "2"]


def test_what_was_typed_is_shown_and_never_run(document, tmp_path):
    hostile = "<script>alert(1)</script>"
    changed = replace(
        document, title=hostile, verdict=[hostile], notes=hostile, command=hostile, figures=(),
        sections=[Section(hostile, markdown_table([hostile], [[hostile]]))],
    )  # fmt: skip
    page = Page(changed.html(tmp_path))
    assert "script" not in page.tags
    assert "".join(page.text).count(hostile) == 8  # twice of the title
