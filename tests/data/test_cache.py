"""The cache folder: arrays are loaded as they were saved, or not at all."""

from pathlib import Path

import numpy as np
import pytest

from nnlab.data import cache


@pytest.fixture(autouse=True)
def folder(own_cache):
    return own_cache


def test_the_environment_names_the_folder(folder):
    assert cache.cache_folder() == folder


def test_without_the_environment_it_is_the_users_cache_folder(monkeypatch):
    monkeypatch.delenv("NNLAB_CACHE")
    assert "nnlab" in cache.cache_folder().parts
    assert cache.cache_folder().is_absolute()


def test_arrays_are_loaded_as_they_were_saved():
    arrays = {"a": np.arange(6, dtype=np.uint8).reshape(2, 3), "b": np.arange(3)}
    cache.save_cached("some", arrays)
    loaded = cache.load_cached("some")
    assert loaded.keys() == arrays.keys()
    for name, array in arrays.items():
        np.testing.assert_array_equal(loaded[name], array)
        assert loaded[name].dtype == array.dtype


def test_arrays_that_were_never_saved_are_none():
    assert cache.load_cached("nothing") is None


def test_any_changed_bit_is_noticed(folder):
    cache.save_cached("some", {"a": np.arange(6, dtype=np.uint8)})
    (path,) = folder.iterdir()
    whole = path.read_bytes()
    for position in range(len(whole)):
        changed = bytearray(whole)
        changed[position] ^= 1 << position % 8
        path.write_bytes(changed)
        assert cache.load_cached("some") is None, position


@pytest.mark.parametrize("length", [0, 10, 32, 100, -1])
def test_a_shortened_file_is_noticed(folder, length):
    cache.save_cached("some", {"a": np.arange(6, dtype=np.uint8)})
    (path,) = folder.iterdir()
    path.write_bytes(path.read_bytes()[:length])
    assert cache.load_cached("some") is None


def test_objects_are_never_unpickled():
    cache.save_cached("some", {"a": np.array([{}], dtype=object)})
    with pytest.raises(ValueError, match="allow_pickle=False"):
        cache.load_cached("some")


def test_a_folder_that_cannot_be_made_is_no_error(folder):
    folder.write_text("a file where the folder should be")
    cache.save_cached("some", {"a": np.arange(3)})
    assert cache.load_cached("some") is None


def test_an_interrupted_write_leaves_the_earlier_arrays(folder, monkeypatch):
    cache.save_cached("some", {"a": np.arange(3)})

    def interrupt(*_):
        raise KeyboardInterrupt

    monkeypatch.setattr(Path, "replace", interrupt)
    with pytest.raises(KeyboardInterrupt):
        cache.save_cached("some", {"a": np.arange(4)})
    assert [path.name for path in folder.iterdir()] == ["some.arrays"]
    np.testing.assert_array_equal(cache.load_cached("some")["a"], np.arange(3))
