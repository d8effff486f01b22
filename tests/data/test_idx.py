"""The IDX reader, checked with files that are made byte by byte."""

import gzip
import hashlib
import re
import struct

import numpy as np
import pytest
from support.idx_files import idx_bytes, random_images, write_idx_files

from nnlab.data.download import DIGESTS
from nnlab.data.idx import find_files, parse_idx, read_idx, sha256_of
from nnlab.errors import DataError

NAMES = (
    "train-images-idx3-ubyte",
    "train-labels-idx1-ubyte",
    "t10k-images-idx3-ubyte",
    "t10k-labels-idx1-ubyte",
)
KEYS = [("train", "images"), ("train", "labels"), ("test", "images"), ("test", "labels")]
HUGE = 2**32 - 1


@pytest.fixture
def path(tmp_path):
    return tmp_path / "file"


def header(*shape):
    return struct.pack(f">BBBB{len(shape)}I", 0, 0, 8, len(shape), *shape)


def fill(folder, *names):
    for name in names:
        (folder / name).touch()


def says(*texts):
    """Match a message that contains these texts in this order."""
    return ".*".join(re.escape(str(text)) for text in texts)


@pytest.mark.parametrize("pack", [bytes, gzip.compress], ids=["plain", "gzipped"])
def test_images_and_labels_are_read_in_the_order_of_their_bytes(path, pack):
    path.write_bytes(pack(header(2, 2, 3) + bytes(range(12))))
    images = read_idx(path, 3)
    assert images.dtype == np.uint8
    assert images.tolist() == [[[0, 1, 2], [3, 4, 5]], [[6, 7, 8], [9, 10, 11]]]
    path.write_bytes(pack(b"\x00\x00\x08\x01\x00\x00\x00\x03\x07\x00\xff"))
    assert read_idx(path, 1).tolist() == [7, 0, 255]


def test_sizes_are_big_endian(path):
    content = b"\x00\x00\x08\x01\x00\x00\x01\x02" + bytes(258)
    assert parse_idx(content, path, 1).shape == (258,)


@pytest.mark.parametrize("missing", [1, 5, 24])
def test_a_truncated_file_names_the_file_and_how_much_is_missing(path, missing):
    path.write_bytes(idx_bytes(random_images(4))[:-missing])
    message = says(
        f"{path}: the file is cut off: found {24 - missing} bytes of data, expected 24 ",
        f"(4 × 3 × 2, as its header says; {missing} missing).",
    )
    with pytest.raises(DataError, match=message):
        read_idx(path, 3)


def test_a_truncated_gzip_names_the_file_and_how_much_is_missing(path):
    images = random_images(1000)
    path.write_bytes(gzip.compress(idx_bytes(images))[:3000])
    with pytest.raises(DataError, match=r"file: the file is cut off: .* expected 6,000 ") as caught:
        read_idx(path, 3)
    found, missing = re.search(
        r"found ([\d,]+) bytes.*; ([\d,]+) missing", str(caught.value)
    ).groups()
    assert int(found.replace(",", "")) + int(missing.replace(",", "")) == 6000


@pytest.mark.parametrize("lost", [1, 4, 8])
def test_a_gzip_that_lacks_only_its_checksum_is_refused(path, lost):
    content = idx_bytes(random_images(4))
    path.write_bytes(gzip.compress(content)[:-lost])
    message = says(path, f"cut off: it breaks off behind {len(content)} ", "fetch it again.")
    with pytest.raises(DataError, match=message):
        read_idx(path, 3)


def test_a_gzip_with_a_changed_checksum_is_refused(path):
    content = bytearray(gzip.compress(idx_bytes(random_images(4))))
    content[-6] ^= 0xFF
    path.write_bytes(content)
    with pytest.raises(DataError, match=says(path, "gzip file is broken", "fetch it again.")):
        read_idx(path, 3)


def test_bytes_after_the_data_are_refused(path):
    path.write_bytes(idx_bytes(random_images(4)) + b"\n\n\n")
    message = says(path, "too long: found 27 bytes of data, expected 24 ", "; 3 too many).")
    with pytest.raises(DataError, match=message):
        read_idx(path, 3)


@pytest.mark.parametrize("length", [4, 7, 15])
def test_a_cut_off_header_is_refused_with_its_length(path, length):
    path.write_bytes(idx_bytes(random_images(4))[:length])
    with pytest.raises(DataError, match=says(path, f"header is cut off after {length} of 16 by")):
        read_idx(path, 3)


@pytest.mark.parametrize("pack", [bytes, gzip.compress], ids=["plain", "gzipped"])
def test_an_empty_file_is_refused(path, pack):
    path.write_bytes(pack(b""))
    with pytest.raises(DataError, match=says(path, "the file is empty, expected an IDX header.")):
        read_idx(path, 3)


@pytest.mark.parametrize(
    ("start", "shown"),
    [
        (b"\x00\x00\x0a\x03", "0x00000a03"),  # no type of numbers
        (b"\x00\x00\x09\x02", "0x00000902"),  # two dimensions
        (b"\x03\x08\x00\x00", "0x03080000"),  # little-endian
        (b"\x00", "0x00"),  # not even a magic number
    ],
)
def test_another_magic_number_is_refused_beside_the_right_one(path, start, shown):
    path.write_bytes(start)
    message = says(path, f"magic number {shown}, expected 0x00000803 (", "3 dimensions).")
    with pytest.raises(DataError, match=message):
        read_idx(path, 3)


def test_images_are_no_labels_and_labels_no_images(path):
    path.write_bytes(idx_bytes(random_images(4)))
    message = says(path, "found the magic number 0x00000803, expected 0x00000801 (", "1 dimension)")
    with pytest.raises(DataError, match=message):
        read_idx(path, 1)
    path.write_bytes(idx_bytes([1, 2, 3]))
    with pytest.raises(DataError, match=says(path, "0x00000801, expected 0x00000803 (")):
        read_idx(path, 3)


@pytest.mark.parametrize("data", [b"", bytes(100)])
def test_a_header_that_promises_more_than_any_memory_holds_is_refused(path, data):
    path.write_bytes(header(HUGE, HUGE, HUGE) + data)
    message = says(path, f"cut off: found {len(data)} bytes of data, expected {HUGE**3:,} (")
    with pytest.raises(DataError, match=message):
        read_idx(path, 3)


@pytest.mark.parametrize("shape", [(0, 28, 28), (5, 0, 28), (HUGE, 0, HUGE)])
def test_a_header_that_promises_no_data_is_refused(path, shape):
    path.write_bytes(header(*shape))
    message = says(f"{path}: found no data ({' × '.join(map(str, shape))},", "at least one image.")
    with pytest.raises(DataError, match=message):
        read_idx(path, 3)


def test_the_digest_of_an_array_is_that_of_its_uncompressed_file():
    for array in (random_images(5), random_images(6)[::2], np.array([3, 1, 2], np.uint8)):
        assert sha256_of(array) == hashlib.sha256(idx_bytes(array)).hexdigest()


@pytest.mark.parametrize("prefix", ["", "emnist-letters-"])
@pytest.mark.parametrize("suffix", ["", ".gz"])
def test_files_are_found_by_their_names_with_a_prefix_and_compressed_or_not(
    tmp_path, prefix, suffix
):
    fill(tmp_path, *(f"{prefix}{name}{suffix}" for name in NAMES))
    expected = [tmp_path / f"{prefix}{name}{suffix}" for name in NAMES]
    assert find_files(tmp_path) == dict(zip(KEYS, expected, strict=True))


@pytest.mark.parametrize("part", ["test", "t10k"])
def test_files_are_found_under_the_names_with_a_dot_too(tmp_path, part):
    names = [name.replace("-idx", ".idx").replace("t10k", part) for name in NAMES]
    fill(tmp_path, *names)
    expected = [tmp_path / name for name in names]
    assert find_files(tmp_path) == dict(zip(KEYS, expected, strict=True))


@pytest.mark.parametrize("plain", ["train-images-idx3-ubyte", "train-images.idx3-ubyte"])
def test_the_uncompressed_file_is_read_where_both_are_there(tmp_path, plain):
    fill(tmp_path, plain, "train-images-idx3-ubyte.gz", "train-labels-idx1-ubyte")
    assert find_files(tmp_path)["train", "images"].name == plain


def test_hidden_files_and_other_files_are_ignored(tmp_path):
    others = ("README", "mapping.txt", "train-labels-idx1-ubyte.part", "._train-images-idx3-ubyte")
    fill(tmp_path, *NAMES[:2], *others)
    assert find_files(tmp_path) == {KEYS[0]: tmp_path / NAMES[0], KEYS[1]: tmp_path / NAMES[1]}


@pytest.mark.parametrize(
    ("name", "message"),
    [
        (NAMES[0], "found no training images, expected train-images-idx3-ubyte (or with .gz)."),
        (NAMES[1], "found no training labels, expected train-labels-idx1-ubyte (or with .gz)."),
        (NAMES[2], "found t10k-labels-idx1-ubyte but not its other half (images and labels)."),
        (NAMES[3], "found t10k-images-idx3-ubyte but not its other half (images and labels)."),
    ],
)
def test_a_missing_file_of_a_set_is_named(tmp_path, name, message):
    write_idx_files(tmp_path)
    (tmp_path / name).unlink()
    with pytest.raises(DataError, match=says(f"{tmp_path}: {message}")):
        find_files(tmp_path)


def test_several_datasets_in_a_folder_are_refused_with_their_prefixes(tmp_path):
    write_idx_files(tmp_path)
    write_idx_files(tmp_path, prefix="emnist-letters-")
    message = f"{tmp_path}: found the files of 2 datasets (emnist-letters-, without a prefix), exp"
    with pytest.raises(DataError, match=says(message)):
        find_files(tmp_path)


def test_a_missing_folder_and_a_file_for_a_folder_are_named(path):
    with pytest.raises(DataError, match=says(f"{path}: there is no such file or folder.")):
        find_files(path)
    path.touch()
    with pytest.raises(DataError, match=says(f"{path}: found a file where a folder was expected")):
        find_files(path)


def test_the_real_mnist_has_its_well_known_digests_counts_and_first_labels(mnist_dir):
    files = find_files(mnist_dir)
    for key, name in zip(KEYS, NAMES, strict=True):
        assert sha256_of(read_idx(files[key], 3 if "images" in name else 1)) == DIGESTS[name]
    labels = read_idx(files["train", "labels"], 1)
    assert labels[:5].tolist() == [5, 0, 4, 1, 9]
    counts = [5923, 6742, 5958, 6131, 5842, 5421, 5918, 6265, 5851, 5949]
    assert np.bincount(labels).tolist() == counts
