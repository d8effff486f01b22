"""Files as people have them: what each is taken for, and the scale of its values."""

import numpy as np
import pytest
from support.idx_files import random_images, write_idx_files

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


def test_an_npz_of_keras_is_read_with_its_test_set(tmp_path):
    x, y = random_images(6, 3, 3), np.arange(6) % 3
    np.savez(tmp_path / "mnist.npz", x_train=x, y_train=y, x_test=x[:2], y_test=y[:2])
    dataset = load_file("some", tmp_path / "mnist.npz")
    np.testing.assert_array_equal(dataset.pixels, x.reshape(6, 9))
    np.testing.assert_array_equal(dataset.test_labels, y[:2])
