"""What a sweep on many machines sends and costs: ``python benchmarks/scale_out.py``.

Measured are the bytes of a segment's order and result; the time of a segment beyond its training,
on a dask worker of this machine; and the time that the parent spends on a run and on each of its
epochs, with the store on its disk and behind a tracking server.
"""

import argparse
import os
import pickle
import statistics
import subprocess
import sys
import tempfile
import time
import urllib.request
from contextlib import suppress
from pathlib import Path

import numpy as np
from networks import untrained

from nnlab.execution.workers import open_workers
from nnlab.jobs.code_version import CodeVersion
from nnlab.jobs.config import DataConfig
from nnlab.jobs.prepared_data import prepare
from nnlab.tracking.store import Store
from nnlab.tracking.tracker import DatasetRecord, Tracker
from nnlab.training.engine import State
from nnlab.training.history import METRICS
from nnlab.training.segments import Segment, run_segment
from nnlab.training.training_data import TrainingData

DATASET = DatasetRecord("digits", "d" * 64, "a benchmark", 5000, 784, 10)
PORT = 18765


def main() -> None:
    """Measure, and print two tables in Markdown."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=7, help="repetitions of each measurement")
    rounds = parser.parse_args().rounds
    data = DataConfig(source="mnist_sample", name="mnist_sample")
    prepared = prepare(data)
    training = TrainingData.prepare(prepared.dataset, prepared.split, np.dtype("float32"), None, 0)
    print(f"data, sent to each worker once: {len(pickle.dumps(training)) / 1e6:.1f} MB\n")
    print("| hidden | runs | order, kB | result of 20 epochs, kB | beyond training, ms |")
    print("|---|---|---|---|---|")
    with open_workers("dask", 1, 1, None) as workers:
        for hidden, runs in ((10, 1), (10, 16), (10, 32), (256, 1), (256, 4)):
            state = State.start(untrained(hidden, runs), [0.1] * runs)
            segment = Segment(state, 20, last=False, threads=1)
            order, result = pickle.dumps(segment), pickle.dumps(run_segment(segment, training))
            extra = []
            for _ in range(rounds):
                begin = time.perf_counter()
                (future,) = workers.wait([workers.submit(segment, training)])
                extra.append(time.perf_counter() - begin - future.result().seconds)
            print(
                f"| {hidden} | {runs} | {len(order) / 1e3:.0f} | {len(result) / 1e3:.0f} "
                f"| {statistics.median(extra) * 1e3:.0f} |"
            )
    print("\n| store | ms a run | ms an epoch of a run |\n|---|---|---|")
    with tempfile.TemporaryDirectory() as folder:
        print_parent("SQLite on this disk", f"sqlite:///{folder}/local.db", rounds)
        serve = [
            sys.executable, "-m", "mlflow", "server", "--host", "127.0.0.1", "--port", str(PORT),
            "--backend-store-uri", f"sqlite:///{folder}/server.db", "--workers", "1",
            "--artifacts-destination", f"{folder}/artifacts",
        ]  # fmt: skip
        env = {**os.environ, "MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false"}
        with (Path(folder) / "log").open("w") as log:
            server = subprocess.Popen(serve, env=env, stdout=log, stderr=log)
        try:
            address = f"http://127.0.0.1:{PORT}"
            deadline = time.monotonic() + 60
            while time.monotonic() < deadline:
                with suppress(OSError), urllib.request.urlopen(f"{address}/health"):  # noqa: S310 - the server above
                    break
                time.sleep(0.2)
            print_parent("MLflow server over SQLite, loopback", address, rounds)
        finally:
            server.terminate()
            server.wait()


def print_parent(name: str, uri: str, rounds: int) -> None:
    """Measure the time of recording a run without any epoch, and of each epoch; print a row."""
    tracker = Tracker(Store(uri), "benchmark", CodeVersion())
    costs = {0: [], 200: []}
    for turn in range(rounds + 1):  # the first one is not counted
        for epochs, seconds in costs.items():
            points = [(metric, 0.5, epoch) for epoch in range(epochs) for metric in METRICS]
            begin = time.perf_counter()
            params = {f"param{number}": "1" for number in range(15)}
            run = tracker.start("run", params, {"job": "0"}, dataset=DATASET)
            with tracker.folder(run) as folder:
                np.savez(folder / "weights.npz", w1=np.ones((10, 784), np.float32))
            tracker.log(run, points, {"outcome": "learned"})
            tracker.finish(run, "FINISHED")
            if turn:
                seconds.append(time.perf_counter() - begin)
    alone, long = (statistics.median(costs[epochs]) * 1e3 for epochs in (0, 200))
    print(f"| {name} | {alone:.0f} | {(long - alone) / 200:.2f} |")


if __name__ == "__main__":
    main()
