"""How much memory workers take on the full MNIST: ``python benchmarks/memory.py``.

Stacks of 16 runs train in worker processes, which map the blocks into their memory. Sampled twenty
times a second are a worker's resident memory, with shared pages, and its private memory, which is
what each further worker adds.
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
from networks import untrained

from nnlab.data.dataset import Split
from nnlab.data.sources import load_mnist
from nnlab.execution.workers import open_workers
from nnlab.training.engine import State
from nnlab.training.segments import Segment
from nnlab.training.training_data import TrainingData

ROOT = Path(__file__).parent.parent
MIB = 1 << 20


@contextmanager
def sampled(peaks: dict[int, list[int]]) -> Iterator[None]:
    """Record the peaks of each worker's memory, resident and private, in bytes, by process id."""
    over = threading.Event()

    def sample() -> None:
        while not over.is_set():
            for child in psutil.Process(os.getpid()).children():
                try:
                    memory = child.memory_full_info()
                    if "LokyProcess" not in " ".join(child.cmdline()):
                        continue  # joblib's resource tracker
                except psutil.Error:
                    continue
                peak = peaks.setdefault(child.pid, [0, 0])
                peak[:] = max(peak[0], memory.rss), max(peak[1], memory.uss)
            time.sleep(0.05)

    sampler = threading.Thread(target=sample)
    sampler.start()
    try:
        yield
    finally:
        over.set()
        sampler.join()


def main() -> None:
    """Measure, and print a table in Markdown."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument(
        "--data", type=Path, default=ROOT.parent / "shared" / "mnist", help="folder of MNIST"
    )
    parser.add_argument("--runs", type=int, default=16, help="runs in a stack")
    options = parser.parse_args()
    mnist = load_mnist(options.data)
    split = Split(np.arange(41_000), np.arange(41_000, 60_000))
    print("| | peak resident, MiB | peak private, MiB |\n|---|---|---|")
    for batch_size in (None, 64):
        data = TrainingData.prepare(mnist, split, np.dtype("float32"), batch_size, 0)
        state = State.start(untrained(10, options.runs), [0.1] * options.runs)
        segment = Segment(state, epochs=3 if batch_size is None else 1, last=True, threads=1)
        for count in (2, 4):
            peaks: dict[int, list[int]] = {}
            with open_workers("loky", count, 1, None) as workers, sampled(peaks):
                futures = {workers.submit(segment, data) for _ in range(2 * count)}
                while futures:
                    for future in workers.wait(futures):
                        future.result()
                        futures.remove(future)
            resident, private = (max(peak[i] for peak in peaks.values()) / MIB for i in (0, 1))
            batch = "full batch" if batch_size is None else f"batches of {batch_size}"
            print(f"| {len(peaks)} workers, {batch} | {resident:.0f} | {private:.0f} |", flush=True)


if __name__ == "__main__":
    main()
