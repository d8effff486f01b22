"""Datasets as values: what they hold, how they split, and what their digest depends on."""

import hashlib
import struct

import numpy as np
import pytest

from nnlab.data import permutation as permutations
from nnlab.data.dataset import Dataset, Split, batch_order, data_digest, split_dataset
from nnlab.data.permutation import permutation, shuffled
from nnlab.errors import DataError


def make(images=10, classes=3, tests=0, **changes):
    pixels = np.random.default_rng(0).integers(0, 256, (images, 6), np.uint8)
    fields = {
        "name": "made",
        "pixels": pixels,
        "labels": np.arange(images) % classes,
        "image_shape": (2, 3),
        "test_pixels": pixels[:tests] if tests else None,
        "test_labels": np.arange(tests) % classes if tests else None,
        "source": "made here",
    }
    return Dataset(**{**fields, **changes})


def test_the_number_of_classes_is_one_more_than_the_largest_label():
    assert make(classes=3).classes == 3
    assert make(images=62, classes=62).classes == 62
    assert make(images=256, classes=256).classes == 256
    assert make(labels=np.full(10, 4)).classes == 5


def test_arrays_are_read_only_and_those_given_stay_as_they_were():
    pixels, labels = np.zeros((4, 6), np.uint8), np.zeros(4, np.int64)
    dataset = make(pixels=pixels, labels=labels, test_pixels=pixels, test_labels=labels)
    for array in (dataset.pixels, dataset.labels, dataset.test_pixels, dataset.test_labels):
        with pytest.raises(ValueError, match="read-only"):
            array[0] = 1
    assert pixels.flags.writeable
    assert labels.flags.writeable


def test_pixels_are_copied_only_when_they_are_not_contiguous():
    pixels = np.zeros((4, 6), np.uint8)
    labels = np.zeros(4, np.int64)
    assert np.shares_memory(make(pixels=pixels, labels=labels).pixels, pixels)
    strided = np.asfortranarray(np.arange(24, dtype=np.uint8).reshape(4, 6))
    copied = make(pixels=strided, labels=labels).pixels
    assert copied.flags.c_contiguous
    np.testing.assert_array_equal(copied, strided)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"images": 0}, r"^made here: found no images, expected at least one\.$"),
        ({"labels": np.zeros(9, np.int64)}, r"^made here: found 10 images but 9 labels"),
        ({"labels": np.full(10, -1)}, r"found the label -1, expected 0 to 255\.$"),
        ({"labels": np.full(10, 256)}, r"found the label 256, expected 0 to 255\.$"),
        (
            {"tests": 2, "test_labels": np.array([0, 3])},
            r"^made here: found the test label 3, expected labels up to 2 as in the training set",
        ),
        (
            {"tests": 2, "test_pixels": np.zeros((2, 5), np.uint8)},
            r"^made here: test images have 5 pixels, expected 6 as in the training images",
        ),
        (
            {"tests": 2, "test_labels": np.zeros(3, np.int64)},
            r"^the test set of made here: found 2 images but 3 labels",
        ),
        ({"tests": 2, "test_labels": None}, r"found test images without test labels\.$"),
        ({"tests": 2, "test_pixels": None}, r"found test labels without test images\.$"),
    ],
)
def test_parts_that_do_not_fit_together_are_refused(changes, message):
    with pytest.raises(DataError, match=message):
        make(**changes)


def test_a_split_holds_every_image_once_and_the_wanted_number_back():
    split = split_dataset(make(100), 30, seed=0)
    assert split.val.shape == (30,)
    assert split.train.shape == (70,)
    assert split.train.dtype == split.val.dtype == np.int64
    assert sorted([*split.train, *split.val]) == list(range(100))


def test_the_validation_images_are_the_first_of_the_shuffled_order():
    small, large = (split_dataset(make(100), size, seed=5) for size in (10, 40))
    np.testing.assert_array_equal(small.val, large.val[:10])
    np.testing.assert_array_equal([*small.val, *small.train], [*large.val, *large.train])


def test_the_seed_alone_decides_the_split():
    one, again = split_dataset(make(50), 10, 0), split_dataset(make(50, name="other"), 10, 0)
    np.testing.assert_array_equal(one.train, again.train)
    assert not np.array_equal(one.train, split_dataset(make(50), 10, 1).train)


def test_the_split_is_drawn_from_the_first_child_of_the_seed():
    child = np.random.SeedSequence(7).spawn(2)[0]
    expected = np.random.Generator(np.random.PCG64(child)).permutation(20)
    split = split_dataset(make(20), 4, 7)
    np.testing.assert_array_equal([*split.val, *split.train], expected)


@pytest.mark.parametrize("val_size", [-1, 0, 10, 11])
def test_a_split_that_leaves_a_side_empty_is_refused_with_what_is_allowed(val_size):
    message = (
        rf"^data\.val_size={val_size} is not allowed: made has 10 images, so data\.val_size must "
        r"be from 1 to 9\.$"
    )
    with pytest.raises(DataError, match=message):
        split_dataset(make(10), val_size, 0)


def test_a_split_may_leave_a_single_image_to_train_on():
    assert split_dataset(make(10), 9, 0).train.shape == (1,)


def test_an_epoch_has_its_own_batch_order_that_needs_no_epoch_before_it():
    orders = [batch_order(3, epoch, 50) for epoch in range(4)]
    for order in orders:
        assert order.dtype == np.int64
        assert sorted(order) == list(range(50))
    assert len({tuple(order) for order in orders}) == 4
    np.testing.assert_array_equal(batch_order(3, 2, 50), orders[2])
    assert not np.array_equal(batch_order(4, 2, 50), orders[2])


def test_the_batch_order_is_a_child_of_the_second_child_of_the_seed():
    child = np.random.SeedSequence(3).spawn(2)[1].spawn(6)[5]
    expected = np.random.Generator(np.random.PCG64(child)).permutation(50)
    np.testing.assert_array_equal(batch_order(3, 5, 50), expected)


def by_hand(dataset, split):
    """The digest of a dataset and its split, as the documentation describes its bytes."""

    def little(values):
        return struct.pack(f"<{len(values)}q", *values)

    images = len(dataset.labels)
    parts = [
        b"image (2, 3)\n",
        b"pixels |u1 (%d, 6)\n" % images + bytes(dataset.pixels.ravel().tolist()),
        b"labels <i8 (%d,)\n" % images + little(dataset.labels),
    ]
    if dataset.test_pixels is not None:
        tests = len(dataset.test_labels)
        parts.append(b"test pixels |u1 (%d, 6)\n" % tests)
        parts.append(bytes(dataset.test_pixels.ravel().tolist()))
        parts.append(b"test labels <i8 (%d,)\n" % tests + little(dataset.test_labels))
    parts.append(b"train <i8 (%d,)\n" % len(split.train) + little(split.train))
    parts.append(b"val <i8 (%d,)\n" % len(split.val) + little(split.val))
    return hashlib.sha256(b"".join(parts)).hexdigest()


@pytest.mark.parametrize("tests", [0, 2])
def test_the_digest_is_the_sha256_of_the_framed_little_endian_bytes(tests):
    dataset = make(tests=tests)
    split = split_dataset(dataset, 4, 0)
    assert data_digest(dataset, split) == by_hand(dataset, split)


def test_the_digest_does_not_depend_on_name_source_or_byte_order():
    split = split_dataset(make(), 4, 0)
    expected = data_digest(make(), split)
    assert data_digest(make(name="other", source="elsewhere"), split) == expected
    swapped = Split(split.train.astype(">i8"), split.val.astype(">i8"))
    assert data_digest(make(), swapped) == expected


def test_the_digest_changes_with_every_part_of_the_content():
    base = make(tests=2)
    pixels, labels = base.pixels.copy(), base.labels.copy()
    pixels[3, 3] ^= 1
    labels[4] = (labels[4] + 1) % 3
    test_pixels, test_labels = base.test_pixels.copy(), base.test_labels.copy()
    test_pixels[1, 1] ^= 1
    test_labels[1] = 2
    datasets = [
        base,
        make(tests=2, pixels=pixels),
        make(tests=2, labels=labels),
        make(tests=2, image_shape=(3, 2)),
        make(tests=2, test_pixels=test_pixels),
        make(tests=2, test_labels=test_labels),
        make(),
    ]
    split = split_dataset(base, 4, 0)
    assert len({data_digest(dataset, split) for dataset in datasets}) == len(datasets)


def test_the_digest_tells_apart_splits_that_run_together_to_the_same_indices():
    digests = {
        data_digest(make(), Split(np.arange(size), np.arange(size, 10))) for size in range(1, 10)
    }
    assert len(digests) == 9


@pytest.mark.parametrize("size", [0, 1, 2, 3, 64, 1000, 33_000])
def test_permutations_are_those_that_numpys_generator_has_made_so_far(size):
    for seed in range(3):
        sequence = np.random.SeedSequence(seed)
        expected = np.random.Generator(np.random.PCG64(sequence)).permutation(size)
        np.testing.assert_array_equal(shuffled(sequence, size), expected)
        np.testing.assert_array_equal(permutation(sequence, size), expected)


@pytest.mark.parametrize("numbers", [500, 20_000])
def test_permutations_stay_the_same_where_numpys_generator_makes_others(monkeypatch, numbers):
    sequence = np.random.SeedSequence(1)
    expected = permutation(sequence, numbers)
    of_numpy = permutations._of_numpy
    monkeypatch.setattr(  # a NumPy with another way for many numbers only
        permutations,
        "_of_numpy",
        lambda seed, size: of_numpy(seed, size) if size < numbers else np.arange(size),
    )
    permutations._numpy_does_the_same.cache_clear()
    try:
        np.testing.assert_array_equal(permutation(sequence, numbers), expected)
    finally:
        monkeypatch.undo()
        permutations._numpy_does_the_same.cache_clear()
