"""A whole sweep, with start-up and tracking: ``python benchmarks/sweep.py``.

48 runs of 100 epochs on 41,000 images of MNIST, with 19,000 to validate, into an empty store: by
nnlab, and by the same sweep written with PyTorch, MLflow and hydra-joblib-launcher
(``peer_sweep/``), if these are installed. They run in turn, and the medians of the ratios are
shown; so is the best validation accuracy of both, since the initial weights differ.
"""

import argparse
import os
import sqlite3
import statistics
import subprocess
import sys
import tempfile
import time
from importlib.util import find_spec
from pathlib import Path

ROOT = Path(__file__).parent.parent
RATES = "0.02,0.05,0.1,0.2,0.3,0.5"


def main() -> None:
    """Measure, and print a table in Markdown."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument(
        "--data", type=Path, default=ROOT.parent / "shared" / "mnist", help="folder of MNIST"
    )
    parser.add_argument("--rounds", type=int, default=3, help="repetitions of each sweep")
    parser.add_argument("--epochs", type=int, default=100, help="of each run")
    parser.add_argument("--seeds", type=int, default=8, help="for each of six learning rates")
    options = parser.parse_args()
    data, seeds = options.data.resolve(), f"seed=range(0,{options.seeds})"
    common = ["-m", f"lr={RATES}", seeds, f"epochs={options.epochs}"]
    seconds: dict[str, list[float]] = {"nnlab": []}
    if find_spec("torch") and find_spec("hydra_plugins.hydra_joblib_launcher"):
        seconds["PyTorch, MLflow, joblib"] = []
    else:
        print("PyTorch or hydra-joblib-launcher is not installed: nnlab alone.\n")
    best: dict[str, float] = {}
    with tempfile.TemporaryDirectory() as folder:
        for turn in range(options.rounds):
            for name, times in seconds.items():
                store = Path(folder) / f"{name[:5]}{turn}" / "store.db"
                store.parent.mkdir()
                uri = f"sqlite:///{store}"
                subprocess.run(
                    [sys.executable, "-c", ("import sys; from nnlab.tracking.store import Store; "
                     "from nnlab.tracking.writer import Writer; "
                     f"Writer(Store({uri!r})).get_or_create_experiment('sweep')")],
                    cwd=ROOT, check=True, capture_output=True,
                )  # fmt: skip
                words = ["run.py", *common, "data=mnist", f"data.dir={data}", "data.val_size=19000",
                         f"tracking.uri={uri}", "tracking.experiment=sweep"]  # fmt: skip
                if name != "nnlab":
                    words = [str(ROOT / "benchmarks" / "peer_sweep" / "train.py"), *common,
                             f"data={data}", f"uri={uri}"]  # fmt: skip
                env = {**os.environ, "SWEEP_DIR": str(store.parent / "out"),
                       "MLFLOW_DISABLE_TELEMETRY": "true"}  # fmt: skip
                begin = time.perf_counter()
                subprocess.run(
                    [sys.executable, *words], cwd=ROOT, env=env, check=True, capture_output=True
                )
                times.append(time.perf_counter() - begin)
                best[name] = best_accuracy(store)
    ours = seconds["nnlab"]
    print("| | seconds | × nnlab | best validation accuracy |\n|---|---|---|---|")
    for name, times in seconds.items():
        ratio = statistics.median(a / b for a, b in zip(times, ours))
        print(f"| {name} | {statistics.median(times):.0f} | {ratio:.1f} | {best[name]:.3f} |")


def best_accuracy(store: Path) -> float:
    """Return the highest of the runs' last validation accuracies."""
    connection = sqlite3.connect(store)
    query = "SELECT max(value) FROM latest_metrics WHERE key = ?"
    (best,) = connection.execute(query, ("val/accuracy",)).fetchone()
    connection.close()
    return float(best)


if __name__ == "__main__":
    main()
