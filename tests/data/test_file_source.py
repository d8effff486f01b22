"""Files as people have them: what each is taken for, and the scale of its values."""

import bz2
import gzip
import io
import lzma
import os
import pickle
import zipfile

import numpy as np
import pytest
from PIL import Image
from support.idx_files import idx_bytes, random_images, write_idx_files

from nnlab.data.columns import Choice
from nnlab.data.file_source import Reading, load_file
from nnlab.errors import DataError
from nnlab.jobs.config import DataConfig
from nnlab.jobs.prepared_data import prepare


def ones(count, seed=0):
    return random_images(count, seed=seed) % 2


def test_pixels_of_0_and_1_are_white_at_1_and_it_is_said(tmp_path):
    arrays = write_idx_files(tmp_path, images=ones)
    dataset = load_file("some", tmp_path)
    expected = arrays["train-images-idx3-ubyte"].reshape(6, 6) * 255
    np.testing.assert_array_equal(dataset.pixels, expected)
    assert "pixels from 0 to 1" in dataset.said


def test_a_config_that_was_recorded_without_a_scale_is_read_as_bytes_as_it_was(tmp_path):
    arrays = write_idx_files(tmp_path, images=ones)
    recorded = {"source": "idx", "name": "some", "dir": str(tmp_path), "val_size": 1, "seed": 0}
    dataset = prepare(DataConfig.model_validate(recorded)).dataset
    expected = arrays["train-images-idx3-ubyte"].reshape(6, 6)
    np.testing.assert_array_equal(dataset.pixels, expected)


def test_values_that_do_not_tell_which_is_white_are_refused_with_the_field(tmp_path):
    write_idx_files(tmp_path, images=lambda count, seed: random_images(count, seed=seed) // 15)
    with pytest.raises(DataError, match=r"data\.pixel_max=1\d\.$"):
        load_file("some", tmp_path)
    assert load_file("some", tmp_path, Reading(pixel_max=17)).pixels.max() > 127


def test_a_fraction_is_refused_where_the_given_white_is_of_whole_numbers(tmp_path):
    table = tmp_path / "train.csv"
    table.write_text("label,p0,p1,p2,p3\n0,0.5,16,3,4\n1,2,3,4,5\n")
    with pytest.raises(DataError, match=r"fractions .* from 0\.5 to 16, .* divide them by 16\."):
        load_file("some", table, Reading(pixel_max=16))


def test_an_npz_of_keras_is_read_with_its_test_set(tmp_path):
    x, y = random_images(6, 3, 3), np.arange(6) % 3
    np.savez(tmp_path / "mnist.npz", x_train=x, y_train=y, x_test=x[:2], y_test=y[:2])
    dataset = load_file("some", tmp_path / "mnist.npz")
    np.testing.assert_array_equal(dataset.pixels, x.reshape(6, 9))
    np.testing.assert_array_equal(dataset.test_labels, y[:2])


# The same nine images of 3 × 3 pixels, in every form in which data lies about.

PIXELS = random_images(9, 3, 3, seed=5)
LABELS = np.arange(9) % 3


def csv_text(separator=",", *, header=True, label="label", last=False, pixels=PIXELS):
    rows = [[*map(str, image.reshape(-1))] for image in pixels]
    names = [f"pixel{place}" for place in range(9)]
    labels = [label, *map(str, LABELS)]
    lines = [names, *rows]
    lines = [
        [*line, mark] if last else [mark, *line] for mark, line in zip(labels, lines, strict=True)
    ]
    return "\n".join(separator.join(line) for line in lines[0 if header else 1 :]) + "\n"


def arff_text():
    names = "".join(f"@attribute pixel{place} numeric\n" for place in range(9))
    rows = csv_text(header=False, last=True).splitlines()
    rows = [f"{row[:-1]}'{row[-1]}'" for row in rows]
    return f"% made up\n@relation 'mnist'\n{names}@attribute class {{'0','1','2'}}\n@data\n" + (
        "\n".join(rows) + "\n"
    )


def zipped(text):
    content = io.BytesIO()
    with zipfile.ZipFile(content, "w") as archive:
        archive.writestr("train.csv", text)
        archive.writestr("__MACOSX/._train.csv", "resource fork")
    return content.getvalue()


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("a.csv", csv_text().encode()),
        ("a.csv.gz", gzip.compress(csv_text().encode())),
        ("a.csv.gz", zipped(csv_text())),
        ("a.zip", zipped(csv_text())),
        ("a.csv.bz2", bz2.compress(csv_text().encode())),
        ("a.csv.xz", lzma.compress(csv_text().encode())),
        ("a.csv", csv_text().encode("utf-16")),
        ("a.csv", csv_text().encode("utf-8-sig").replace(b"\n", b"\r\n")),
        ("a.csv", csv_text(";").encode()),
        ("a.tsv", csv_text("\t", last=True).encode()),
        ("a.txt", csv_text(" ", header=False).encode()),
        ("a.csv", csv_text(header=False, last=True).encode()),
        ("a.csv", csv_text(label="Target").encode()),
        ("a.arff", arff_text().encode()),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_a_table_is_read_alike_in_every_notation_and_packing(tmp_path, name, content):
    (tmp_path / name).write_bytes(content)
    dataset = load_file("some", tmp_path / name)
    np.testing.assert_array_equal(dataset.pixels, PIXELS.reshape(9, 9))
    np.testing.assert_array_equal(dataset.labels, LABELS)
    assert dataset.image_shape == (3, 3)


def test_the_columns_that_the_user_names_are_the_label_and_no_pixels(tmp_path):
    lines = csv_text(label="digit").splitlines()
    lines = [f"{line},{number or 'weight'}" for number, line in enumerate(lines)]
    (tmp_path / "a.csv").write_text("\n".join(lines))
    choice = Choice("digit", ("weight",))
    dataset = load_file("some", tmp_path / "a.csv", Reading(choice=choice))
    np.testing.assert_array_equal(dataset.pixels, PIXELS.reshape(9, 9))
    np.testing.assert_array_equal(dataset.labels, LABELS)


def test_a_test_set_in_a_file_of_its_own_is_the_test_set(tmp_path):
    (tmp_path / "train.csv").write_text(csv_text())
    (tmp_path / "other.csv").write_text(csv_text(";", pixels=255 - PIXELS))
    dataset = load_file("some", tmp_path / "train.csv", test_path=tmp_path / "other.csv")
    np.testing.assert_array_equal(dataset.test_pixels, 255 - PIXELS.reshape(9, 9))
    np.testing.assert_array_equal(dataset.test_labels, LABELS)


@pytest.mark.parametrize("form", ["dotted", "folder in a folder"])
def test_idx_files_are_found_under_the_names_that_they_have_on_kaggle(tmp_path, form):
    arrays = write_idx_files(tmp_path)
    for path in list(tmp_path.iterdir()):
        if form == "dotted":
            path.rename(tmp_path / path.name.replace("-idx", ".idx"))
        else:
            content = path.read_bytes()
            path.unlink()
            path.mkdir()
            (path / path.name).write_bytes(content)
    dataset = load_file("some", tmp_path)
    np.testing.assert_array_equal(dataset.pixels, arrays["train-images-idx3-ubyte"].reshape(6, 6))
    np.testing.assert_array_equal(dataset.test_labels, arrays["t10k-labels-idx1-ubyte"])


def test_the_first_of_qmnists_eight_columns_is_the_label(tmp_path):
    write_idx_files(tmp_path, prefix="qmnist-", test=0)
    (tmp_path / "qmnist-train-labels-idx1-ubyte").unlink()
    rows = (np.arange(48).reshape(6, 8) % 10).astype(">i4")
    header = bytes([0, 0, 0x0C, 2]) + np.array(rows.shape, ">u4").tobytes()
    (tmp_path / "qmnist-train-labels-idx2-int").write_bytes(header + rows.tobytes())
    np.testing.assert_array_equal(load_file("some", tmp_path).labels, rows[:, 0])


def test_emnists_labels_and_its_transposed_images_are_named(tmp_path):
    arrays = write_idx_files(tmp_path, prefix="emnist-letters-", test=0)
    labels = tmp_path / "emnist-letters-train-labels-idx1-ubyte"
    labels.write_bytes(idx_bytes(np.arange(6) % 3 + 1))
    dataset = load_file("some", tmp_path)
    assert "labels from 1, so class 0 has no images" in dataset.said
    assert "data.transpose=true" in dataset.said
    upright = load_file("some", tmp_path, Reading(transpose=True))
    assert upright.image_shape == (2, 3)
    expected = arrays["train-images-idx3-ubyte"].transpose(0, 2, 1).reshape(6, 6)
    np.testing.assert_array_equal(upright.pixels, expected)


def test_a_folder_of_pictures_has_a_folder_for_each_class(tmp_path):
    for number, (image, label) in enumerate(zip(PIXELS, LABELS, strict=True)):
        folder = tmp_path / str(label)
        folder.mkdir(exist_ok=True)
        Image.fromarray(image).save(folder / f"{number}.png")
    dataset = load_file("some", tmp_path)
    order = np.argsort(LABELS, kind="stable")
    np.testing.assert_array_equal(dataset.pixels, PIXELS[order].reshape(9, 9))
    np.testing.assert_array_equal(dataset.labels, LABELS[order])


def test_one_hot_labels_and_a_folder_of_arrays_are_read(tmp_path):
    np.save(tmp_path / "x_train.npy", PIXELS / 255)
    np.save(tmp_path / "y_train.npy", np.eye(3)[LABELS])
    dataset = load_file("some", tmp_path)
    np.testing.assert_array_equal(dataset.pixels, PIXELS.reshape(9, 9))
    np.testing.assert_array_equal(dataset.labels, LABELS)


@pytest.mark.parametrize(
    ("content", "found"),
    [
        (b"version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 1\n", "Git LFS pointer"),
        (b"<!DOCTYPE html>\n<html><body>Sign in</body></html>", "an HTML page"),
        (b"404: Not Found", "a web server's error"),
        (pickle.dumps({"x_train": [1]}), "a Python pickle, which can run any code"),
        (gzip.compress(pickle.dumps([1, 2]), mtime=0), "a Python pickle"),
        (b"PAR1\x15\x04\x15", "a Parquet file"),
        (b"ARROW1\0\0\xff", "a Feather file"),
        (b'{"label":{"0":5},"pixel0":{"0":0}}', "JSON: write its pixels as a CSV"),
        (b'{"label":5,"pixel0":0}\n{"label":0,"pixel0":0}\n', "JSON: write its pixels as a CSV"),
        (b"[[5, 0, 0], [0, 1, 2]]", "JSON: write its pixels as a CSV"),
        (b"\x89HDF\r\n\x1a\n", "an HDF5 file"),
        (b"MATLAB 5.0 MAT-file, Platform", "a MATLAB file"),
        (b"", "the file is empty"),
        (b"5 1:0.2 7:1\n3 2:1 4:0.5\n", "the sparse format of LIBSVM"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_a_file_that_holds_something_else_is_named(tmp_path, content, found):
    path = tmp_path / "mnist.csv"
    path.write_bytes(content)
    with pytest.raises(DataError, match=found) as caught:
        load_file("some", path)
    assert len(str(caught.value)) < 500


def test_a_pipe_is_refused_and_not_waited_for(tmp_path):
    os.mkfifo(tmp_path / "images")
    with pytest.raises(DataError, match=r"found a pipe or a device, .* to a file first"):
        load_file("some", tmp_path / "images")


def test_of_images_of_one_class_alone_it_is_said(tmp_path):
    (tmp_path / "all").mkdir()
    for number in range(3):
        Image.fromarray(PIXELS[number]).save(tmp_path / "all" / f"{number}.png")
    assert "all images are of one class" in load_file("some", tmp_path).read_as


def test_colours_that_are_lost_are_said(tmp_path):
    for place, name in enumerate("ab"):
        (tmp_path / name).mkdir()
        grey = np.full((3, 3, 3), 200 + place, np.uint8)
        Image.fromarray(grey).save(tmp_path / name / "0.png")
    assert "colours" not in load_file("some", tmp_path).read_as
    grey[0, 0] = (255, 0, 0)
    Image.fromarray(grey).save(tmp_path / "b" / "1.png")
    assert "; colours turned to grey" in load_file("some", tmp_path).read_as
