"""The Digit Recognizer CSV: what is read, what is refused, and what is cached."""

import gzip
import re

import numpy as np
import pytest

from nnlab.data import csv_table
from nnlab.data.content import read_content
from nnlab.data.csv_table import Body, read_table
from nnlab.data.file_source import load_file
from nnlab.errors import DataError

HEADER = "label,pixel0,pixel1,pixel2,pixel3\n"


@pytest.fixture(autouse=True)
def folder(own_cache):
    return own_cache


@pytest.fixture
def read(tmp_path):
    def read(content):
        path = tmp_path / "train.csv"
        path.write_bytes(content if isinstance(content, bytes) else content.encode())
        table = read_table(read_content(path).data, path)
        return table.pixels, table.labels

    return read


@pytest.fixture
def refused(read, tmp_path):
    """Read a bad CSV; return the error's text after the file's name."""

    def refuse(content):
        with pytest.raises(DataError, match=re.escape(f"{tmp_path / 'train.csv'}: ")) as error:
            read(content)
        return str(error.value).removeprefix(f"{tmp_path / 'train.csv'}: ")

    return refuse


def test_each_row_is_a_label_and_the_pixels_of_an_image(read):
    pixels, labels = read(HEADER + "7,0,1,2,255\n0,9,8,7,6\n")
    assert pixels.tolist() == [[0, 1, 2, 255], [9, 8, 7, 6]]
    assert labels.tolist() == [7, 0]
    assert (pixels.dtype, labels.dtype) == (np.uint8, np.int64)
    assert pixels.flags.c_contiguous


@pytest.mark.parametrize(("names", "shape"), [("a,b", (1, 2)), ("a,b,c,d", (2, 2))])
def test_pixels_that_make_no_square_are_a_single_row(tmp_path, names, shape):
    path = tmp_path / "train.csv"
    path.write_text(f"label,{names}\n0{',200' * len(names.split(','))}\n")
    assert load_file("some", path).image_shape == shape


def test_the_label_may_stand_in_any_column(read):
    pixels, labels = read("a,label,b\n1,2,3\n")
    assert (pixels.tolist(), labels.tolist()) == ([[1, 3]], [2])


@pytest.mark.parametrize(
    "content",
    [
        "label,a\r\n5,6\r\n",
        "label,a\r5,6\r",
        "label,a\n5,6",
        "\ufefflabel,a\n5,6\n",
        '"label","a"\n"5","6"\n',
        "label,a\n\n5,6\n\n\n",
        "label,a\n5.0,6.\n",
        "label,a\n 5, 06 \n",
        "label,a\n5,+6\n",
    ],
)
def test_other_ways_to_write_the_same_table_are_read_the_same(read, content):
    pixels, labels = read(content)
    assert (pixels.tolist(), labels.tolist()) == ([[6]], [5])


@pytest.mark.parametrize("content", ["label,a\n5,6\n7,255\n", 'label,a\n"5", 6.0\n\n7,+255\n'])
def test_the_strict_reader_reads_what_the_quick_one_reads(content, tmp_path):
    body = content.partition("\n")[2].encode()
    quick = csv_table._quick_rows(body, 2)
    text = Body(content.encode(), 0, ",", ["label", "a"], header=True)
    strict = csv_table._strict_rows(text, tmp_path, [0, 1])
    np.testing.assert_array_equal(quick, strict)
    assert quick.tolist() == [[5, 6], [7, 255]]


def test_a_gzipped_csv_is_read_too(read):
    assert read(gzip.compress(b"label,a\n5,6\n"))[0].tolist() == [[6]]


@pytest.mark.parametrize(
    ("cell", "found"),
    [
        ("256", "'256'"),
        ("-1", "'-1'"),
        ("2.5", "'2.5'"),
        ("x", "'x'"),
        ("", "an empty cell"),
        (" ", "an empty cell"),
        ("nan", "'nan'"),
        ("NA", "'NA'"),
        ("inf", "'inf'"),
        ("1e2", "'1e2'"),
        ("True", "'True'"),
        ("1_0", "'1_0'"),
        ("0x1F", "'0x1F'"),
        ("1 2", "'1 2'"),
        ("٣", "'٣'"),
        ("99999999999999999999999", "'99999999999999999999999'"),
        ("2\0", r"'2\x00'"),
    ],
)
@pytest.mark.parametrize("blank", ["", "\n"])
def test_a_bad_cell_is_named_by_its_line_and_column(refused, cell, found, blank):
    line = 3 + len(blank)
    assert refused(f"{HEADER}1,2,3,4,5\n{blank}1,2,3,{cell},5\n1,x,3,4,5\n") == (
        f"found {found} in line {line}, column pixel2, expected a whole number from 0 to 255."
    )


@pytest.mark.parametrize("cell", ["True", "1e2"])
def test_a_column_that_pandas_would_take_for_numbers_is_refused(refused, cell):
    assert refused(f"label,a\n0,{cell}\n1,{cell}\n") == (
        f"found '{cell}' in line 2, column a, expected a whole number from 0 to 255."
    )


@pytest.mark.parametrize("label", ["256", "-1", "3.5", "three", ""])
def test_a_bad_label_is_named_like_any_cell(refused, label):
    message = refused(f"{HEADER}{label},2,3,4,5\n")
    assert "in line 2, column label, expected a whole number from 0 to 255." in message


@pytest.mark.parametrize(
    ("rows", "line", "length"),
    [
        ("1,2,3,4\n", 2, 4),
        ("1,2,3,4,5,6\n", 2, 6),
        ("1,2,3,4,5\n1,2,3,4,5,6\n", 3, 6),
        ("1,2,3,4,5\n1,2\n1,2,3,4,5\n", 3, 2),
        ("1,2,3,4,5,\n", 2, 6),
    ],
)
def test_a_row_that_is_not_as_long_as_the_header_is_named(refused, rows, line, length):
    assert refused(HEADER + rows) == (
        f"line {line} has a length of {length}, expected 5 cells as in the header."
    )


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("", "the file is empty; fetch it again."),
        ("\n \n", "the file is empty; fetch it again."),
        (HEADER, "found no rows below the header, expected label,pixel0,… and an image a row."),
        (
            HEADER.strip(),
            "found no rows below the header, expected label,pixel0,… and an image a row.",
        ),
        (
            "label\n1\n",
            (
                "found no pixel columns (separated by commas), expected label,pixel0,… and an "
                "image a row."
            ),
        ),
        (
            "pixel0,pixel1,pixel2,pixel3\n1,2,3,4\n",
            (
                "found no column `label` in the header (it begins 'pixel0,pixel1,pixel2'), "
                "expected label,pixel0,…; the competition's test.csv has no labels to train on. "
                "If the label has another name, give it: data.label_column=…."
            ),
        ),
        (
            "# A title\n\nSome text, with a comma.\n",
            (
                "found text that begins '# A title', which is no header of a table of images, "
                "expected label,pixel0,…. If one of its columns is the label, give it: "
                "data.label_column=…."
            ),
        ),
        (
            "label,label,a\n1,2,3\n",
            (
                "found 2 columns `label` in the header (it begins 'label,label,a'), expected "
                "label,pixel0,…; the competition's test.csv has no labels to train on. "
                "If the label has another name, give it: data.label_column=…."
            ),
        ),
        (b"PK\x03\x04rest", "the zip archive is broken (File is not a zip file); fetch it again."),
        (b"\x89PNG\r\n\x1a\n", "found bytes that are no text in UTF-8, expected a CSV file."),
        (b"label,a\n1,\xff\n", "found bytes that are no text in UTF-8, expected a CSV file."),
        ('label,a\n1,"2\n3,4\n', "found no CSV in line 3 (unexpected end of data)."),
    ],
)
def test_what_is_no_such_table_is_refused(refused, content, message):
    assert refused(content) == message


def test_a_missing_file_and_a_folder_are_named(tmp_path):
    with pytest.raises(DataError, match=r"nowhere\.csv: there is no such file or folder\.$"):
        load_file("some", tmp_path / "nowhere.csv")
    with pytest.raises(DataError, match=r"It holds nothing: give one of its files\.$"):
        load_file("some", tmp_path)


@pytest.fixture
def parsed(monkeypatch):
    """The contents that were parsed, since they were not in the cache."""
    contents = []
    parse = csv_table._parse

    def count(content, *options, **flags):
        contents.append(content)
        return parse(content, *options, **flags)

    monkeypatch.setattr(csv_table, "_parse", count)
    return contents


def test_the_same_bytes_are_parsed_once_and_a_changed_file_again(read, parsed):
    first, again = read("label,a\n5,6\n"), read("label,a\n5,6\n")
    np.testing.assert_array_equal(first[0], again[0])
    np.testing.assert_array_equal(first[1], again[1])
    assert len(parsed) == 1
    assert read("label,a\n5,7\n")[0].tolist() == [[7]]
    assert len(parsed) == 2


def test_a_damaged_cache_file_is_written_again(read, parsed, folder):
    read("label,a\n5,6\n")
    (path,) = folder.iterdir()
    path.write_bytes(path.read_bytes()[:-1] + b"x")
    for _ in range(2):
        assert read("label,a\n5,6\n")[0].tolist() == [[6]]
    assert len(parsed) == 2


def test_a_bad_file_is_not_cached(refused, folder):
    refused("label,a\n5,x\n")
    assert not folder.exists()


@pytest.mark.parametrize(
    ("content", "pixels", "labels"),
    [
        ("id,label,pixel0,pixel1,fold\n7,3,200,1,a\n8,4,2,3,b\n", [[200, 1], [2, 3]], [3, 4]),
        (",label,pixel0,pixel1\n0,3,200,1\n1,4,2,3\n", [[200, 1], [2, 3]], [3, 4]),
        ("pixel1,pixel0,y\n1,200,3\n3,2,4\n", [[200, 1], [2, 3]], [3, 4]),
        ("Label;1x1;1x2\n3;200;1\n4;2;3\n", [[200, 1], [2, 3]], [3, 4]),
        ("target\t0\t1\r\n3\t200\t1\r\n4\t2\t3\r\n", [[200, 1], [2, 3]], [3, 4]),
        ("0,200,0,7\n1,2,9,7\n", [[200, 0, 7], [2, 9, 7]], [0, 1]),
        ("200,0,9,0\n2,0,9,1\n", [[200, 0, 9], [2, 0, 9]], [0, 1]),
        ("class,p0,p1\n3,0.5,1.0\n4,0,0.25\n", [[0.5, 1], [0, 0.25]], [3, 4]),
    ],
)
def test_labels_and_pixels_are_told_by_names_and_values(read, content, pixels, labels):
    found = read(content)
    assert (found[0].tolist(), found[1].tolist()) == (pixels, labels)
