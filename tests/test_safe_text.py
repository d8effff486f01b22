"""Text from elsewhere is shown, and becomes names, cells and pages, without doing anything."""

import csv
import io

import pytest
from markdown_it import MarkdownIt

from nnlab.errors import TrackingError
from nnlab.safe_text import (
    file_name,
    markdown_text,
    masked,
    path_error,
    printable,
    spreadsheet_cell,
)


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("lr=0.1 ü…\n\tnext", "lr=0.1 ü…\n\tnext"),
        ("\x1b]0;owned\x07", "\\u001b]0;owned\\u0007"),
        ("gone\x1b[2K\rhere", "gone\\u001b[2K\\u000dhere"),
        ("\x9b31m", "\\u009b31m"),
        ("cod\u202egnp.exe", "cod\\u202egnp.exe"),
    ],
)
def test_what_would_control_a_terminal_is_written_out(text, shown):
    assert printable(text) == shown


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("sqlite:////home/me/mlflow.db", "sqlite:////home/me/mlflow.db"),
        ("at 10:30 me@here", "at 10:30 me@here"),
        ("http://me:pw@host:5000/x failed", "http://me:***@host:5000/x failed"),
        ("postgresql+psycopg2://me:p/w:x@host/db", "postgresql+psycopg2://me:***@host/db"),
        ("https://:tok@host", "https://:***@host"),
        ("postgresql://host/db?user=me&password=pw&x=1",
         "postgresql://host/db?user=me&password=***&x=1"),
        ("'a://b:c@d' and 'e://f:g@h'", "'a://b:***@d' and 'e://f:***@h'"),
        ("http://127.0.0.1:5000/#/a me@host", "http://127.0.0.1:5000/#/a me@host"),
        ("postgresql://nnlab@host:1/db", "postgresql://nnlab@host:1/db"),
    ],
)  # fmt: skip
def test_passwords_in_addresses_are_masked_and_nothing_else(text, shown):
    assert masked(text) == shown
    assert masked(shown) == shown


def test_no_error_of_ours_tells_a_password():
    error = TrackingError("The store http://me:secret@host does not answer.")
    assert "secret" not in f"{error} {error!r} {error.args}"


@pytest.mark.parametrize("name", ["init_scale", "group/study", "a.b", "ünicode name"])
def test_a_name_that_stays_in_its_folder_is_no_error(name):
    assert path_error(name) is None


@pytest.mark.parametrize(
    "name",
    ["", "/abs", "..", "../x", "a/../../x", "a//b", "a\\b", "C:x", "a\0b", "a\n", "a.", "a /b",
     "x" * 256, "~x:y", "./a"],
)  # fmt: skip
def test_a_name_that_leads_elsewhere_is_an_error(name):
    assert path_error(name) is not None


@pytest.mark.parametrize("text", ["../../x", "/etc/passwd", "..", "a\0b", "-rf", "a/b", "\x1b[1m"])
def test_any_text_makes_the_name_of_a_file_that_is_safe_or_none_at_all(text):
    name = file_name(text)
    assert not name or (path_error(name) is None and "/" not in name and name[0] not in ".-")


@pytest.mark.parametrize("text", ["=1+1", "+cmd|' /C calc'!A0", "-2+3", "@SUM(1)", "\t=1", "\n=1"])
def test_a_cell_that_a_spreadsheet_would_run_is_text(text):
    assert spreadsheet_cell(text) == f"'{text}"


def test_a_cell_shows_its_control_characters():
    assert spreadsheet_cell("\r=1\x1b[m") == "\\u000d=1\\u001b[m"


@pytest.mark.parametrize("value", [-1.5, "-1.5", "+2", "-1e-5", "-inf", "lr=0.1", "", None, "'=1"])
def test_numbers_and_other_text_stay_as_they_are(value):
    assert spreadsheet_cell(value) is value


def test_markdown_from_elsewhere_has_no_pictures_and_no_html():
    text = "a < b ![x](http://host/x.png) <img src=x onerror=y> <script>z</script> <!-- c -->"
    page = MarkdownIt("commonmark").render(markdown_text(text))
    assert "<img" not in page
    assert "<script" not in page
    assert "<!--" not in page
    assert "a &lt; b" in page


def test_a_cell_is_read_back_as_it_was_written():
    file = io.StringIO()
    csv.writer(file).writerow([spreadsheet_cell("=a,b"), spreadsheet_cell(-1.0)])
    assert next(csv.reader(io.StringIO(file.getvalue()))) == ["'=a,b", "-1.0"]
