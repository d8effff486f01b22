"""Rows of wide products: every unit has one, of the same kind in any stack."""

import numpy as np
import pytest

from nnlab.training.blas import one_thread
from nnlab.training.row_layout import (
    PROBED_ROWS,
    arrange,
    rounding_pattern,
    row_layout,
    stacks_exactly,
)
from nnlab.training.workspace import Workspace

HALVES = (0,) * 6 + (1,) * 6
UNEVEN = (0, 0, 1, 0)
SMALL = 10**6  # multiplications of one run's product, below which BLAS may take another kernel


@pytest.mark.parametrize("pattern", [(0,), HALVES, UNEVEN])
@pytest.mark.parametrize("hidden", [1, 3, 10, 12, 37, 64])
@pytest.mark.parametrize("runs", [1, 2, 7, 16])
def test_every_unit_has_a_row_of_its_own_and_of_the_kind_that_it_has_alone(runs, hidden, pattern):
    layout, alone = arrange(runs, hidden, pattern), arrange(1, hidden, pattern)
    assert len(np.unique(layout.index)) == runs * hidden
    assert layout.index.max() < layout.rows
    assert layout.rows % len(pattern) == 0
    of = np.array(pattern)
    for run in range(runs):
        np.testing.assert_array_equal(
            of[layout.index[run] % len(pattern)], of[alone.index[0] % len(pattern)]
        )


def test_sixteen_runs_of_ten_units_share_groups_of_two_times_six_rows():
    assert arrange(16, 10, HALVES).rows == 168  # 14 groups for 80 units of each kind
    assert arrange(16, 10, (0,)).rows == 160
    assert arrange(1, 10, HALVES).rows == 12


def test_what_is_packed_comes_out_again_and_the_rest_is_zero():
    rng = np.random.default_rng(0)
    w1, b1 = rng.random((3, 5, 7)), rng.random((3, 5, 1))
    layout = arrange(3, 5, UNEVEN)
    packed = layout.pack(w1, b1, 10)
    for given, back in zip((w1, b1), layout.unpack(packed, 7), strict=True):
        np.testing.assert_array_equal(given, back)
    assert not packed[layout.unused].any()
    assert not packed[:, 8:].any()
    assert len(layout.unused) == layout.rows - 15


@pytest.mark.parametrize("pattern", [(0,), HALVES])
def test_units_come_back_from_their_rows_and_unused_rows_are_zero(pattern):
    units = np.random.default_rng(1).random((3, 5, 7))
    layout = arrange(3, 5, pattern)
    work = Workspace()
    work.array("to rows", (layout.rows, 7), units.dtype).fill(np.nan)
    rows = layout.to_rows(units, work)
    np.testing.assert_array_equal(layout.from_rows(rows), units)
    np.testing.assert_array_equal(rows[layout.index[2, 4]], units[2, 4])
    assert not rows[layout.unused].any()


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_rows_of_one_kind_are_rounded_alike_whatever_stands_in_the_other_rows(dtype):
    pattern, rng = rounding_pattern(np.dtype(dtype)), np.random.default_rng(3)
    if len(pattern) == PROBED_ROWS:
        pytest.skip("this machine's BLAS has no such groups; each run trains by its own product")
    x, row = rng.random((512, 336)).astype(dtype), rng.standard_normal(336).astype(dtype)
    w = rng.standard_normal((4 * len(pattern), 336)).astype(dtype)
    with one_thread():
        for place in range(len(pattern)):
            seen = set()
            for group in range(4):
                for twin in np.flatnonzero(np.array(pattern) == pattern[place]):
                    own = w.copy()
                    own[group * len(pattern) + twin] = row
                    seen.add((own @ x.T)[group * len(pattern) + twin].tobytes())
            assert len(seen) == 1


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("hidden", [10, 64, 256])
def test_stacks_of_the_usual_sizes_train_as_one_product_on_this_machine(hidden, dtype):
    dtype = np.dtype(dtype)
    if len(rounding_pattern(dtype)) == PROBED_ROWS:
        pytest.skip("this machine's BLAS has no such groups; each run trains by its own product")
    for runs, samples, columns in ((2, 1008, 368), (5, 1024, 416), (16, 992, 560), (16, 64, 800)):
        if hidden * samples * columns < SMALL:
            continue  # a kernel of its own on some processors: the probe decides, at each start
        assert stacks_exactly(runs, hidden, samples, columns, dtype)


def test_the_probe_sees_a_layout_that_changes_bits(monkeypatch):
    dtype = np.dtype("float32")
    if len(rounding_pattern(dtype)) == 1:
        pytest.skip("on this machine all rows are rounded alike")
    probe = stacks_exactly.__wrapped__
    monkeypatch.setattr(
        "nnlab.training.row_layout.row_layout", lambda runs, hidden, _: arrange(runs, hidden, (0,))
    )
    assert not probe(3, 10, 1008, 368, dtype)


def test_a_stack_of_one_is_always_exact():
    assert stacks_exactly(1, 3, 5, 7, np.dtype(np.float32))


def test_a_layout_is_made_once():
    assert row_layout(2, 10, np.dtype("float32")) is row_layout(2, 10, np.dtype("float32"))
