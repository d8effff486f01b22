"""Blocks lose nothing and invent nothing."""

import numpy as np
import pytest

from nnlab.training.arithmetic import arithmetic_of
from nnlab.training.blocks import TILE, make_blocks


def sparse_images(rng, count, shape):
    pixels = rng.integers(0, 256, (count, shape[0] * shape[1]), dtype=np.uint8)
    pixels[rng.random(pixels.shape) < 0.8] = 0
    return pixels


@pytest.mark.parametrize(("count", "shape"), [(1, (1, 3)), (17, (5, 7)), (333, (28, 28))])
@pytest.mark.parametrize("size", [16, 100, 4096])
def test_blocks_hold_every_sample_once_with_all_its_pixels(count, shape, size):
    rng = np.random.default_rng(0)
    pixels, labels = sparse_images(rng, count, shape), rng.integers(0, 10, count)
    blocks = make_blocks(pixels, labels, shape, np.float64, samples_a_block=size)
    members = np.concatenate([block.members for block in blocks])
    assert sorted(members) == list(range(count))
    for block in blocks:
        restored = np.zeros((block.samples, pixels.shape[1]))
        restored[:, block.columns[: block.used]] = block.x[: block.samples, : block.used]
        np.testing.assert_array_equal(restored, pixels[block.members] / 255)
        np.testing.assert_array_equal(block.labels, labels[block.members])


@pytest.mark.parametrize("count", [1, 17, 333])
def test_blocks_end_in_a_column_of_ones_and_are_padded_with_zeros_to_whole_tiles(count):
    rng = np.random.default_rng(1)
    pixels = sparse_images(rng, count, (5, 7))
    blocks = make_blocks(pixels, np.zeros(count, int), (5, 7), np.float32, samples_a_block=64)
    for block in blocks:
        assert block.x.shape[0] % TILE == block.x.shape[1] % TILE == 0
        assert not block.x[block.samples :].any()
        assert (block.x[: block.samples, block.used] == 1).all()
        assert not block.x[:, block.used + 1 :].any()


def test_images_without_ink_make_a_block_too():
    (block,) = make_blocks(np.zeros((5, 9), np.uint8), np.zeros(5, int), (3, 3), np.float32)
    assert block.used == 0
    assert not block.x[:, 1:].any()


def test_grouping_keeps_fewer_columns_than_the_order_of_the_file():
    rng = np.random.default_rng(2)
    images = np.zeros((512, 28, 28), np.uint8)
    for image in images:  # strokes of ink here and there
        top, left = rng.integers(0, 20, 2)
        image[top : top + 8, left : left + 8] = 200
    pixels = images.reshape(512, -1)
    blocks = make_blocks(pixels, np.zeros(512, int), (28, 28), np.float32, samples_a_block=64)
    unordered = [(part > 0).any(axis=0).sum() for part in np.split(pixels, 8)]
    assert sum(block.used for block in blocks) < 0.7 * sum(unordered)


def test_scaled_pixels_run_from_zero_to_one():
    every = np.arange(256, dtype=np.uint8)
    np.testing.assert_array_equal(arithmetic_of(np.float64).images(every), np.arange(256) / 255)
    assert arithmetic_of(np.float32).images(every).dtype == np.float32
