"""What it costs to save a run's network as an MLflow model: ``python benchmarks/model.py``."""

import argparse
import statistics
import tempfile
import time
from pathlib import Path

import mlflow
import numpy as np

from nnlab.tracking.artifacts import in_notes_shapes
from nnlab.tracking.serving import MODEL, save_model
from nnlab.training.initializers import draw_params, named


def main() -> None:
    """Save networks of three sizes many times, and print a table in Markdown."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--runs", type=int, default=200, help="models that are saved")
    runs = parser.parse_args().runs
    print(f"MLflow {mlflow.__version__}, NumPy {np.__version__}, {runs} runs\n")
    print("| hidden units | first model, ms | median, ms | worst, ms | weights, KiB | model, KiB |")
    print("|---|---|---|---|---|---|")
    for hidden in (10, 100, 1000):
        params = draw_params(
            named("he"), 0, pixels=784, hidden=hidden, classes=10, dtype=np.dtype("float32")
        )
        times = []
        with tempfile.TemporaryDirectory() as scratch:
            for run in range(runs):
                folder = Path(scratch) / str(run)
                folder.mkdir()
                np.savez(folder / "weights.npz", **in_notes_shapes(params))
                begin = time.perf_counter()
                save_model(folder, params)
                times.append(1000 * (time.perf_counter() - begin))
            size = sum(
                path.stat().st_size for path in (folder / MODEL).rglob("*") if path.is_file()
            )
            weights = (folder / "weights.npz").stat().st_size
        first, *rest = times
        print(
            f"| {hidden} | {first:.0f} | {statistics.median(rest):.1f} | {max(rest):.1f} "
            f"| {weights / 1024:.0f} | {size / 1024:.0f} |"
        )


if __name__ == "__main__":
    main()
