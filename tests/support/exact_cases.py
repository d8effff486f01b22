"""A handful of trainings with ``dtype=exact``, and a digest of all their bits.

Needs NumPy and this project's code alone, so that it runs wherever NumPy does:
``python tests/support/exact_cases.py`` prints the digests, by case, as JSON.
"""

import hashlib
import json
import sys
from dataclasses import dataclass
from functools import cache
from pathlib import Path

if __name__ == "__main__":
    sys.path.insert(0, str(Path(__file__).parents[2]))

import numpy as np

from nnlab.data.dataset import Dataset, split_dataset
from nnlab.training.engine import State, measure, train_segment
from nnlab.training.full_batch import dead_units, predict
from nnlab.training.initializers import draw_params, named
from nnlab.training.network import stack
from nnlab.training.training_data import TrainingData

RUNS = 3


@dataclass(frozen=True)
class Case:
    """What is trained: ``RUNS`` runs that differ in their seeds and learning rates."""

    hidden: int = 10
    side: tuple[int, int] = (28, 28)
    train: int = 1500
    batch_size: int | None = None
    init: str = "he"
    bias: str = "zeros"
    lr: float = 0.5
    epochs: int = 6


CASES = {
    "full batch": Case(),
    "several panels": Case(train=6000, epochs=2),
    "mini-batches of 64": Case(batch_size=64, epochs=2),
    "mini-batches of 50, 37 units": Case(37, batch_size=50, init="glorot", epochs=1),
    "one unit": Case(1, init="rand_minus_half", lr=0.1),
    "37 units, images of 8 × 8": Case(37, (8, 8), init="lecun", bias="same"),
    "images of 5 × 7, small start": Case(10, (5, 7), 400, 7, "randn_small"),
    "sums in parts": Case(4, (50, 50), 2300, 2200, epochs=1),
    "diverging": Case(train=300, lr=1e120, epochs=6),
    "diverging in mini-batches": Case(train=300, batch_size=64, lr=1e100, epochs=3),
}


@cache
def data(case):
    """Digits of a kind: some strokes for each class, with noise, from raw integers."""
    images, pixels = case.train + 200, case.side[0] * case.side[1]
    raw = np.random.PCG64(7).random_raw(images * (pixels + 1) + 10 * pixels)
    strokes = (raw[: 10 * pixels] % 100 < 15).reshape(10, pixels)
    rest = raw[10 * pixels :].reshape(images, pixels + 1)
    labels = (rest[:, 0] % 10).astype(np.int64)
    ink = (rest[:, 1:] >> np.uint64(20)) % 256
    drawn = np.where(rest[:, 1:] % 100 < 80, strokes[labels], rest[:, 1:] % 100 > 97)
    shape = ("made", (ink * drawn).astype(np.uint8), labels, case.side, None, None, "here")
    dataset = Dataset(*shape)
    split = split_dataset(dataset, 200, 3)
    return TrainingData.prepare(dataset, split, "exact", case.batch_size, 5)


def start(case):
    """The untrained stack."""
    params = [
        draw_params(
            named(case.init, bias=case.bias), seed, pixels=case.side[0] * case.side[1],
            hidden=case.hidden, classes=10, dtype="exact",
        )
        for seed in range(RUNS)
    ]  # fmt: skip
    return State.start(stack(params), [case.lr / (1 + run) for run in range(RUNS)])


def trained(case, threads=1, runs=None):
    """The trained stack, or of the runs that are given, and its curves."""
    state = start(case) if runs is None else start(case).select(np.array(runs))
    state, history = train_segment(state, data(case), case.epochs, threads=threads)
    return state, history.then(measure(state, data(case), threads=threads))


def digests_of_runs(case, state, history):
    """A SHA-256 for each run: of its weights, its curves, and what it makes of the images."""
    return [digest_of(case, state, history, run) for run in range(state.runs)]


def digest_of(case, state, history, run):
    """The SHA-256 of one run."""
    digest = hashlib.sha256()
    params = state.params.select(np.array([run]))
    curves = [values[run] for values in history.values.values()]
    seen = [predict(params, data(case).val), dead_units(params, data(case).train)]
    for array in (*params, *curves, *seen, state.diverged_at[run]):
        one_nan = np.where(np.isnan(array), np.nan, array) + 0.0  # and one zero
        digest.update(np.ascontiguousarray(one_nan, "<f8").tobytes())
    return digest.hexdigest()


def digests(threads=1):
    """One digest for each case."""
    found = {}
    for name, case in CASES.items():
        runs = digests_of_runs(case, *trained(case, threads))
        found[name] = hashlib.sha256("".join(runs).encode()).hexdigest()[:16]
    return found


if __name__ == "__main__":
    print(json.dumps(digests(*map(int, sys.argv[1:])), indent=1))  # noqa: T201
