"""``dtype=exact``: the same bits on any machine, close to those of float64."""

import json

import numpy as np
import pytest
from support.commands import python
from support.digits import training_data
from support.exact_cases import CASES, Case, data, digests, digests_of_runs, start, trained
from support.paths import ROOT

from nnlab.training.engine import State, train_segment
from nnlab.training.initializers import draw_params, named

# Of the runs in support/exact_cases.py. They hold on any machine, with any NumPy and any BLAS: a
# change of one is a change of what dtype=exact means (config.SEMANTICS).
DIGESTS = {
    "full batch": "7b008799392a14e5",
    "several panels": "d7d4364a5cddbda7",
    "mini-batches of 64": "1301f252e68f675d",
    "mini-batches of 50, 37 units": "74f7ba329515d89b",
    "one unit": "08bfe0a6cf0ceb17",
    "37 units, images of 8 × 8": "2c3efb953c199ec0",
    "images of 5 × 7, small start": "b603b29ca2722c26",
    "sums in parts": "f474b00caee9740d",
    "diverging": "8b83a7774493f47b",
    "diverging in mini-batches": "01fab9e4f6ecbb06",
}
KERNELS = ("Prescott", "Nehalem", "Sandybridge", "Haswell", "Zen", "SkylakeX", "Cooperlake")


def test_the_bits_are_those_that_every_machine_finds():
    assert digests(threads=2) == DIGESTS


def elsewhere(**variables):
    """The digests as another process finds them; None where it cannot run."""
    done = python(ROOT / "tests/support/exact_cases.py", env=variables)
    if done.returncode < 0:
        pytest.skip(f"the processor cannot run {variables}")
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


@pytest.mark.long
@pytest.mark.parametrize("kernel", KERNELS)
def test_the_bits_do_not_depend_on_the_kernels_of_the_blas(kernel):
    assert elsewhere(OPENBLAS_CORETYPE=kernel) == DIGESTS


def vector_instructions():
    """What NumPy uses beyond its baseline here, from none on."""
    return np.show_config(mode="dicts")["SIMD Extensions"].get("found", [])


@pytest.mark.long
@pytest.mark.parametrize("kept", range(3))
def test_the_bits_do_not_depend_on_numpys_vector_instructions(kept):
    disabled = vector_instructions()[kept:]
    if not disabled:
        pytest.skip("this NumPy has no more of them on this processor")
    assert elsewhere(NPY_DISABLE_CPU_FEATURES=" ".join(disabled)) == DIGESTS


@pytest.mark.long
def test_the_bits_do_not_depend_on_the_threads_of_the_blas():
    assert elsewhere(OPENBLAS_NUM_THREADS="2", OMP_NUM_THREADS="2") == DIGESTS


@pytest.mark.parametrize("name", ["full batch", "mini-batches of 64", "diverging"])
def test_a_run_has_the_same_bits_alone_as_in_a_stack(name):
    case = CASES[name]
    together = digests_of_runs(case, *trained(case))
    for run in (0, 2):
        assert digests_of_runs(case, *trained(case, runs=[run])) == [together[run]]


@pytest.mark.parametrize("runs", [2, 16, 40])
def test_a_run_has_the_same_bits_in_stacks_of_any_size(runs):
    case = Case(train=300, epochs=2)
    (alone,) = digests_of_runs(case, *trained(case, runs=[1]))
    assert set(digests_of_runs(case, *trained(case, runs=[1] * runs))) == {alone}


def test_segments_give_the_bits_of_one_long_training():
    case = Case(train=300, epochs=5)
    whole, _ = train_segment(start(case), data(case), 5)
    state = start(case)
    for epochs in (1, 3, 1):
        state, _ = train_segment(state, data(case), epochs)
    for one, other in zip(whole.params, state.params, strict=True):
        np.testing.assert_array_equal(one, other)


@pytest.mark.parametrize("batch_size", [None, 64])
def test_fifty_epochs_are_within_1e_9_of_float64(batch_size):
    params = draw_params(named("he"), 0, pixels=784, hidden=10, classes=10, dtype="exact")
    state = State.start(params, [0.1 if batch_size is None else 0.05])
    one, curves = train_segment(state, training_data("float64", batch_size), 50)
    other, exact_curves = train_segment(state, training_data("exact", batch_size), 50)
    for left, right in zip(one.params, other.params, strict=True):
        np.testing.assert_allclose(left, right, rtol=0, atol=1e-9)
    for name, values in curves.values.items():
        atol = 0 if "accuracy" in name else 1e-9
        np.testing.assert_allclose(values, exact_curves.values[name], rtol=1e-9, atol=atol)
