"""What a run costs besides its training: ``python benchmarks/light.py``.

Sweeps of 10, 100 and 1,000 runs of one epoch on the sample, each in a process of its own. Measured
are the total time, the time that each further run adds, and the peak memory; and for the largest
sweep, how the time divides into its parts.
"""

import argparse
import json
import os
import resource
import sqlite3
import subprocess
import sys
import tempfile
import time
from pathlib import Path

ROOT = Path(__file__).parent.parent
PARTS = {
    "compose the configs": [("nnlab.jobs.compose", "Composer.compose")],
    "draw the initial weights": [("nnlab.execution.stacks", "Stack.load")],
    "train and measure": [("nnlab.execution.workers", "run_segment")],
    "MLflow: create the run": [("mlflow", "MlflowClient.create_run")],
    "MLflow: parameters, metrics, tags": [("nnlab.tracking.bulk", "log_batch")],
    "MLflow: dataset": [("mlflow", "MlflowClient.log_inputs")],
    "MLflow: end the run": [("mlflow", "MlflowClient.set_terminated")],
    "write the artifacts": [("nnlab.tracking.artifacts", "write")],
    "pictures of the sweep's best": [("nnlab.execution.sweep_session", "draw")],
}


def main() -> None:
    """Measure, and print two tables in Markdown."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument(
        "--runs", type=int, nargs="+", default=[10, 100, 1000], help="the sizes of the sweeps"
    )
    parser.add_argument("--inside", type=int, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.inside:
        inside(options.inside)
        return
    rows = []
    with tempfile.TemporaryDirectory() as folder:
        for runs in [min(options.runs), *options.runs]:  # the first fills the caches
            root = Path(folder) / str(len(rows))
            env = {**os.environ, "NNLAB_ROOT": str(root), "NNLAB_CACHE": f"{folder}/cache"}
            done = subprocess.run(
                [sys.executable, __file__, "--inside", str(runs)],
                cwd=ROOT, env=env, capture_output=True, text=True, check=True,
            )  # fmt: skip
            result = json.loads(done.stdout.splitlines()[-1])
            rows.append((runs, result, milliseconds_a_run(root)))
    del rows[0]
    print("| runs | seconds | ms a run more | first runs, ms each | last runs | peak MiB |")
    print("|---|---|---|---|---|---|")
    before = (0, 0.0)
    for runs, result, (first, last) in rows:
        more = (result["seconds"] - before[1]) / (runs - before[0]) * 1000
        more_text = f"{more:.1f}" if before[0] else ""
        print(
            f"| {runs:,} | {result['seconds']:.1f} | {more_text} | {first:.1f} | {last:.1f} "
            f"| {result['peak']:.0f} |"
        )
        before = (runs, result["seconds"])
    runs, result, _ = rows[-1]
    print(f"\n| of {runs:,} runs | ms a run | share |\n|---|---|---|")
    rest = total = result["seconds"]
    for part, seconds in result["parts"].items():
        rest -= seconds
        print(f"| {part} | {seconds / runs * 1000:.1f} | {seconds / total:.0%} |")
    print(f"| start-up and the rest | {rest / runs * 1000:.1f} | {rest / total:.0%} |")


def milliseconds_a_run(root: Path) -> tuple[float, float]:
    """Return the mean time between the ends of runs, in the first tenth and in the last tenth."""
    connection = sqlite3.connect(root / "mlruns" / "mlflow.db")
    ends = connection.execute(
        "SELECT end_time FROM runs JOIN tags USING (run_uuid) WHERE key = 'job' ORDER BY end_time"
    ).fetchall()
    connection.close()
    times = [end for (end,) in ends]
    tenth = max(2, len(times) // 10)
    # Over a tenth and not between two runs, since the runs of a stack end together.
    first, last = (
        (part[-1] - part[0]) / (len(part) - 1) for part in (times[:tenth], times[-tenth:])
    )
    return first, last


def inside(runs: int) -> None:
    """Run one sweep in this process; print its time, its peak memory and the times of its parts."""
    begin = time.perf_counter()
    import mlflow  # noqa: F401 - some of its methods are timed

    sys.path.insert(0, str(ROOT))
    spent = {part: time_calls(names) for part, names in PARTS.items()}
    import runpy

    sys.argv = ["run.py", "-m", f"seed=range(0,{runs})", "epochs=1"]
    runpy.run_path(str(ROOT / "run.py"), run_name="__main__")
    seconds = time.perf_counter() - begin
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    parts = {part: sum(times) for part, times in spent.items()}
    print(json.dumps({"seconds": seconds, "peak": peak, "parts": parts}))


def time_calls(names: list[tuple[str, str]]) -> list[float]:
    """Wrap functions; return the list to which each call adds its seconds."""
    import importlib

    times: list[float] = []
    for module, path in names:
        owner = importlib.import_module(module)
        *inner, name = path.split(".")
        for part in inner:
            owner = getattr(owner, part)
        original = getattr(owner, name)

        def timed(*args, original=original, **options):
            begin = time.perf_counter()
            try:
                return original(*args, **options)
            finally:
                times.append(time.perf_counter() - begin)

        setattr(owner, name, timed)
    return times


if __name__ == "__main__":
    main()
