"""Tables and sentences on terminals of any width: columns are left out, ids stay whole."""

import io

import pytest

from nnlab.analysis.terminal import SafeConsole, folded
from nnlab.analysis.terminal_tables import FOLD, ROWS, print_table


def printed(width, titles, rows, **options):
    file = io.StringIO()
    console = SafeConsole(width=width, height=50, file=file)
    print_table(console, titles, rows, rest="--format csv", **options)
    return file.getvalue()


TITLES = ("#", "init", "mean late val accuracy", "worst", "outcomes", "run")
OPTIONS = {
    "left": ("outcomes", "run"),
    "folded": ("init", "outcomes"),
    "optional": (FOLD, "worst", "#"),
}


def rows_of(count, value="he"):
    return [
        (str(row), value, "0.7941", "0.7187", "3 stalled, 2 learned", f"{row:08x}")
        for row in range(count)
    ]


@pytest.mark.parametrize("width", [50, 60, 80, 140])
@pytest.mark.parametrize("count", [1, 40, 300])
@pytest.mark.parametrize("value", ["he", "randn_minus_half", 60 * "long" + "-value"])
def test_no_line_is_wider_than_the_terminal_and_each_id_is_whole(width, count, value):
    out = printed(width, TITLES, rows_of(count, value), **OPTIONS)
    for row in range(min(count, ROWS)):
        assert f"{row:08x}" in out.split()
    table = out.partition("Not shown")[0]
    assert "".join(table.split()).count("stalled,") == min(count, ROWS)
    assert all(len(line) <= width or value in line for line in table.splitlines())


def test_what_is_left_out_is_named_with_what_has_it():
    out = printed(42, TITLES, rows_of(45), **OPTIONS)
    assert "Not shown: 5 rows; and the column worst. --format csv has all" in out
    assert "worst" not in out.splitlines()[0]
    assert "Not shown" not in printed(140, TITLES, rows_of(5), **OPTIONS)


def test_what_must_stay_and_is_too_wide_becomes_a_list():
    lines = printed(20, TITLES, rows_of(1), **OPTIONS).splitlines()
    assert lines[1].split() == ["init", "he"]
    assert lines[5].split() == ["run", "00000000"]


def test_a_cell_is_folded_between_its_parts_and_an_interval_is_one():
    wide = printed(30, ("a", "b"), [("0.6354 [0.5359, 0.7550]", "3 stalled, 2 learned")],
                   folded=("a", "b"), left=("a", "b"))  # fmt: skip
    assert [line.split("  ")[0].strip() for line in wide.splitlines()[1:3]] == [
        "0.6354", "[0.5359, 0.7550]",
    ]  # fmt: skip


def test_sentences_are_folded_between_words_but_commands_are_not():
    text = (
        "The best mean is optimistic. nnlab confirm 1ce4dff6 --metric trains them again, and "
        "`python run.py -m lr=0.1,0.5 'seed=range(0,5)'` trains more."
    )
    lines = folded(text, 40).splitlines()
    assert any("nnlab confirm 1ce4dff6 --metric" in line for line in lines)
    assert "`python run.py -m lr=0.1,0.5 'seed=range(0,5)'`" in lines
    assert " ".join(lines) == text
    assert all(len(line) <= 40 for line in lines if "`" not in line)
