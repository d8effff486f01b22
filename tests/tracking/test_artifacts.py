"""A run's history as a file, also as versions with other metrics write it."""

import csv

import numpy as np
import pytest

from nnlab.errors import StoredFileError
from nnlab.tracking.artifacts import read_history, write_history
from nnlab.training.history import CURVES, METRICS
from nnlab.training.outcomes import Curve, summarise


@pytest.fixture
def curve():
    rng = np.random.default_rng(0)
    values = {name: rng.random(4) for name in CURVES}
    values["sharpness"][1:3] = np.nan
    return Curve(np.arange(4), values)


def with_columns(path, change):
    """Rewrite a CSV file by a function of its table: name -> cells."""
    head, *rows = csv.reader(path.read_text(encoding="utf-8").splitlines())
    table = change(dict(zip(head, zip(*rows, strict=True), strict=True)))
    with path.open("w", newline="", encoding="utf-8") as file:
        csv.writer(file).writerows([list(table), *zip(*table.values(), strict=True)])


def test_a_history_comes_back_to_the_last_bit(tmp_path, curve):
    write_history(tmp_path / "history.csv", curve)
    found = read_history(tmp_path)
    assert list(found.values) == list(CURVES)
    for name, values in curve.values.items():
        np.testing.assert_array_equal(found.values[name], values)


def test_a_history_may_lack_metrics_and_have_unknown_ones_in_any_order(tmp_path, curve):
    path = tmp_path / "history.csv"
    write_history(path, curve)

    def other_version(table):
        epoch = table.pop("epoch")
        del table["grad_norm/w1"], table["sharpness"]
        return {"epoch": epoch, "warmth": ["words"] * 4, **dict(reversed(table.items()))}

    with_columns(path, other_version)
    found = read_history(tmp_path)
    assert set(found.values) == set(CURVES) - {"grad_norm/w1", "sharpness"}
    for name, values in found.values.items():
        np.testing.assert_array_equal(values, curve.values[name])
    assert summarise(found, -1, 0.8) == summarise(curve, -1, 0.8)


@pytest.mark.parametrize("lacking", ["epoch", "train/loss", "val/loss", "val/accuracy"])
def test_a_history_without_what_decides_the_outcome_is_refused(tmp_path, curve, lacking):
    path = tmp_path / "history.csv"
    write_history(path, curve)
    with_columns(path, lambda table: {k: v for k, v in table.items() if k != lacking})
    with pytest.raises(StoredFileError, match=r"history.csv (has the columns|cannot be read)"):
        read_history(tmp_path)


def test_a_run_that_is_not_observed_has_the_columns_that_it_always_had(tmp_path, curve):
    plain = Curve(curve.epochs, {name: curve.values[name] for name in METRICS})
    write_history(tmp_path / "history.csv", plain)
    head = (tmp_path / "history.csv").read_text(encoding="utf-8").splitlines()[0]
    assert head == ",".join(["epoch", *METRICS])
