"""How much memory workers take on the full MNIST: ``python benchmarks/memory.py``.

Stacks of 16 runs train in worker processes, which map the blocks into their memory. Looked at
twenty times a second: the most that a worker has resident, shared pages and all, and the most that
is its own alone, which is what each further worker adds.
"""

import argparse
import os
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import psutil

from nnlab.data.dataset import Split
from nnlab.data.sources import load_mnist
from nnlab.execution.workers import open_workers
from nnlab.training.engine import State
from nnlab.training.initializers import draw_params, named
from nnlab.training.network import stack
from nnlab.training.segments import Segment
from nnlab.training.training_data import TrainingData

ROOT = Path(__file__).parent.parent
MIB = 1 << 20


@contextmanager
def watched(peaks: dict[int, list[int]]) -> Iterator[None]:
    """Note the children's peaks: resident, and their own."""
    over = threading.Event()

    def look() -> None:
        while not over.is_set():
            for child in psutil.Process(os.getpid()).children():
                try:
                    found = child.memory_full_info()
                    if "LokyProcess" not in " ".join(child.cmdline()):
                        continue  # joblib's tracker of resources
                except psutil.Error:
                    continue
                peak = peaks.setdefault(child.pid, [0, 0])
                peak[:] = max(peak[0], found.rss), max(peak[1], found.uss)
            time.sleep(0.05)

    watcher = threading.Thread(target=look)
    watcher.start()
    try:
        yield
    finally:
        over.set()
        watcher.join()


def main() -> None:
    """Measure, and print a table in Markdown."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path, default=ROOT.parent / "shared" / "mnist")
    parser.add_argument("--runs", type=int, default=16)
    options = parser.parse_args()
    mnist = load_mnist(options.data)
    split = Split(np.arange(41_000), np.arange(41_000, 60_000))
    print("| | peak resident, MiB | of it its own, MiB |\n|---|---|---|")
    for batch_size in (None, 64):
        data = TrainingData.prepare(mnist, split, np.dtype("float32"), batch_size, 0)
        params = [
            draw_params(named("he"), seed, pixels=784, hidden=10, classes=10, dtype="float32")
            for seed in range(options.runs)
        ]
        state = State.start(stack(params), [0.1] * options.runs)
        segment = Segment(state, epochs=3 if batch_size is None else 1, last=True, threads=1)
        for count in (2, 4):
            peaks: dict[int, list[int]] = {}
            with open_workers("loky", count, 1, None) as workers, watched(peaks):
                futures = {workers.submit(segment, data) for _ in range(2 * count)}
                while futures:
                    for future in workers.wait(futures):
                        future.result()
                        futures.remove(future)
            resident, own = (max(peak[i] for peak in peaks.values()) / MIB for i in (0, 1))
            batch = "full batch" if batch_size is None else f"batches of {batch_size}"
            print(f"| {len(peaks)} workers, {batch} | {resident:.0f} | {own:.0f} |", flush=True)


if __name__ == "__main__":
    main()
