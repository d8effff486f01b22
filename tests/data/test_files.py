"""Reading whole files, and the errors for those that cannot be read."""

import gzip
import os
import shutil
import tempfile
from pathlib import Path

import pytest

from nnlab.data.files import read_bytes, read_whole, readable
from nnlab.errors import DataError

NOBODY = 65534
TEXT = bytes(range(256)) * 100


@pytest.fixture
def forbidden():
    """A file that this process may not read: as root it would, so it becomes another user."""
    folder = Path(tempfile.mkdtemp())  # pytest's own folders are closed to other users
    folder.chmod(0o755)
    path = folder / "closed"
    path.write_bytes(b"secret")
    path.chmod(0)
    root = hasattr(os, "geteuid") and os.geteuid() == 0
    if root:
        os.seteuid(NOBODY)
    yield path
    if root:
        os.seteuid(0)
    shutil.rmtree(folder)


@pytest.mark.parametrize("suffix", ["", ".gz"])
def test_the_content_and_not_the_name_tells_whether_a_file_is_gzipped(tmp_path, suffix):
    plain, packed = tmp_path / f"plain{suffix}", tmp_path / f"packed{suffix}"
    plain.write_bytes(TEXT)
    packed.write_bytes(gzip.compress(TEXT))
    assert read_bytes(plain) == read_bytes(packed) == (TEXT, True)


def test_all_members_of_a_gzip_file_are_read(tmp_path):
    path = tmp_path / "file.gz"
    path.write_bytes(gzip.compress(TEXT) + gzip.compress(b"more"))
    assert read_whole(path) == TEXT + b"more"


def test_of_a_cut_off_gzip_what_can_be_decompressed_is_returned_and_marked(tmp_path):
    path = tmp_path / "file.gz"
    path.write_bytes(gzip.compress(TEXT)[:-8])  # the checksum and the length
    assert read_bytes(path) == (TEXT, False)


def test_a_cut_off_gzip_is_not_whole(tmp_path):
    path = tmp_path / "file.gz"
    path.write_bytes(gzip.compress(TEXT)[:-8])
    message = r"file\.gz: the gzip file is cut off: it breaks off behind 25,600 decompressed bytes"
    with pytest.raises(DataError, match=message):
        read_whole(path)


@pytest.mark.parametrize("damage", ["checksum", "garbage behind it", "data"])
def test_a_broken_gzip_names_the_file(tmp_path, damage):
    content = bytearray(gzip.compress(TEXT))
    if damage == "checksum":
        content[-8] ^= 1
    elif damage == "data":
        content[10:40] = b"\xff" * 30
    else:
        content += b"garbage"
    path = tmp_path / "file.gz"
    path.write_bytes(content)
    with pytest.raises(DataError, match=r"file\.gz: the gzip file is broken \(.*fetch it again"):
        read_bytes(path)


def test_a_missing_file_is_named(tmp_path):
    with pytest.raises(DataError, match=r"nowhere: there is no such file or folder\.$"):
        read_bytes(tmp_path / "nowhere")


def test_a_folder_is_not_a_file(tmp_path):
    with pytest.raises(DataError, match=r": found a folder, expected a file\.$"):
        read_bytes(tmp_path)


def test_a_file_is_not_a_folder(tmp_path):
    path = tmp_path / "file"
    path.write_bytes(b"")
    with (
        pytest.raises(DataError, match=r"file: found a file where a folder was expected\.$"),
        readable(path),
    ):
        list(path.iterdir())


def test_a_file_without_permission_is_named(forbidden):
    with pytest.raises(DataError, match=r"closed: no permission to read it\.$"):
        read_bytes(forbidden)


def test_any_other_failure_to_read_says_what_the_system_says():
    with (
        pytest.raises(DataError, match=r"^x: it cannot be read \(Input/output error\)\.$"),
        readable(Path("x")),
    ):
        raise OSError(5, "Input/output error")
