"""Where the time of a run without epochs goes: ``python benchmarks/startup.py``.

Each row is a whole process, timed from outside. The rows are measured in turn (A B C A B C …) and
the medians are shown, so that all rows are slower alike if the machine is slow for a minute.
"""

import argparse
import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

ROOT = Path(__file__).parent.parent
MLFLOW = "import os; os.environ['MLFLOW_DISABLE_TELEMETRY'] = 'true'; import mlflow"
OPEN = f"{MLFLOW}; mlflow.MlflowClient('sqlite:///{{store}}/plain.db').search_experiments()"

ROWS = {
    "python, doing nothing": ["-c", "pass"],
    "import numpy": ["-c", "import numpy"],
    "import hydra": ["-c", "import hydra"],
    "import matplotlib": ["-c", "import matplotlib.figure, matplotlib.backends.backend_agg"],
    "import mlflow": ["-c", MLFLOW],
    "import mlflow, without collecting garbage": ["-c", f"import gc; gc.disable(); {MLFLOW}"],
    "… and open a store that is there": ["-c", f"import gc; gc.disable(); {OPEN}"],
    "… and make a new store, MLflow's own way": ["-c", OPEN.replace("plain.db", "{new}.db")],
    "`python run.py --help`": ["run.py", "--help"],
    "null run: `python run.py epochs=0`": ["run.py", "epochs=0"],
    "null run without pictures": ["run.py", "epochs=0", "pictures=0"],
    "null run without pictures, on a new store": [
        "run.py", "epochs=0", "pictures=0", "tracking.uri=sqlite:///{store}/{new}-nnlab.db",
    ],
    "default run: 500 epochs on the sample": ["run.py"],
    "three such runs: `-m lr=0.05,0.1,0.5`": ["run.py", "-m", "lr=0.05,0.1,0.5"],
}  # fmt: skip


def main() -> None:
    """Measure, and print the table in Markdown."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=5, help="repetitions of each process")
    rounds = parser.parse_args().rounds
    with tempfile.TemporaryDirectory() as folder:
        environment = {**os.environ, "NNLAB_ROOT": folder, "NNLAB_CACHE": f"{folder}/cache"}
        seconds: dict[str, list[float]] = {name: [] for name in ROWS}
        for turn in range(rounds + 1):
            for name, arguments in ROWS.items():
                words = [word.format(store=folder, new=f"new{turn}") for word in arguments]
                begin = time.perf_counter()
                subprocess.run(
                    [sys.executable, *words],
                    cwd=ROOT,
                    env=environment,
                    check=True,
                    capture_output=True,
                )
                if turn:  # the first round fills the caches
                    seconds[name].append(time.perf_counter() - begin)
    print("| process | seconds |\n|---|---|")
    for name, measured in seconds.items():
        print(f"| {name} | {statistics.median(measured):.2f} |")


if __name__ == "__main__":
    main()
