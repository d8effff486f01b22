"""What ``dtype=exact`` costs: ``python benchmarks/exact_cost.py [--data FOLDER]``.

Trains the same network on 41,000 images of MNIST in float32, float64 and exactly, in one process
and in turn, and prints ratios of the least times: what else the machine does makes times longer.
On one thread it is the processor's time, on two the time that passes.
"""

import argparse
import time
from pathlib import Path

import numpy as np
from networks import untrained
from training import images

from nnlab.data.dataset import Dataset, Split
from nnlab.training.engine import State, train_segment
from nnlab.training.training_data import TrainingData

DTYPES = ("float32", "float64", "exact")
SHAPES = ((1, None, 1), (1, None, 2), (16, None, 1), (16, None, 2), (1, 64, 1), (16, 64, 1))
TURN = 0.4  # seconds that a turn takes, at least


def main() -> None:
    """Measure each shape, and print a table in Markdown."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path, help="the folder of MNIST's IDX files")
    parser.add_argument("--rounds", type=int, default=9, help="turns of each")
    options = parser.parse_args()
    pixels, labels, origin = images(options.data)
    dataset = Dataset("mnist", pixels, labels.astype(np.int64), (28, 28), None, None, origin)
    order = np.arange(len(labels))
    split = Split(order, order[:1])
    print(f"{len(labels):,} images of {origin}, hidden 10, least of {options.rounds} turns\n")
    print("| | float32 | float64 | exact | exact / float64 |\n|---|---|---|---|---|")
    for runs, batch, threads in SHAPES:
        least = dict.fromkeys(DTYPES, float("inf"))
        data = {dtype: TrainingData.prepare(dataset, split, dtype, batch, 0) for dtype in DTYPES}
        for turn in range(options.rounds + 1):  # the first one warms up
            for dtype in DTYPES:
                seconds = one_turn(data[dtype], dtype, runs, threads)
                if turn:
                    least[dtype] = min(least[dtype], seconds)
        times = " | ".join(f"{1e3 * least[dtype]:.1f}" for dtype in DTYPES)
        what = "full batch" if batch is None else f"batches of {batch}"
        head = f"{runs} run{'s' * (runs > 1)}, {what}, {threads} thread{'s' * (threads > 1)}"
        print(f"| {head} | {times} | {least['exact'] / least['float64']:.2f} |", flush=True)


def one_turn(data: TrainingData, dtype: str, runs: int, threads: int) -> float:
    """Return the seconds that a run and epoch took."""
    state = State.start(untrained(10, runs, dtype), [0.1] * runs)
    clock = time.process_time if threads == 1 else time.perf_counter
    epochs, begin = 0, clock()
    while (elapsed := clock() - begin) < TURN:
        state, _ = train_segment(state, data, 1, threads=threads)
        epochs += 1
    return elapsed / epochs / runs


if __name__ == "__main__":
    main()
