"""Training, compared with other libraries: ``python benchmarks/training.py``.

Every peer trains the same network on the same 41,000 images of MNIST from the same weights, in a
process of its own, pinned to the same cores. After 20 epochs its weights are compared with those of
nnlab, so that a wrong computation cannot win. Then all train in turn, A B C A B C …, and the median
over the rounds of the ratio to nnlab is shown, so that all are slower alike if the machine is slow
for a minute.

Needs ``pip install -e '.[bench]'``; a peer that is not installed is left out.
"""

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from contextlib import ExitStack
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path

import numpy as np
from networks import untrained

from nnlab.data.dataset import batch_order
from nnlab.data.sources import load_mnist, load_mnist_sample
from nnlab.errors import DataError

ROOT = Path(__file__).parent.parent
CHECKED = 20  # epochs after which weights are compared
TOLERANCE = {"float64": 1e-9, "float32": 1e-4}
TURN = 0.4  # seconds that a turn should last
PAUSE = 0.3  # seconds before a turn: the last peer's threads still spin for a while
OURS = "nnlab"
ALONE = ["notebook (NumPy)", "PyTorch", "PyTorch, torch.compile", "JAX, jit", "scikit-learn"]
LIMIT = "dense products alone"  # trains nothing: the time of the first layer's products
STACKED = [LIMIT, "PyTorch, torch.func.vmap", "JAX, jit(vmap)"]
NEEDS = {
    "dense": "numpy",
    "PyTorch": "torch",
    "JAX": "jax",
    "scikit-learn": "sklearn",
    "notebook": "numpy",
}


@dataclass(frozen=True)
class Shape:
    """What is trained; ``batch`` is the number of samples, 0 for the full batch."""

    hidden: int
    runs: int
    batch: int
    cores: int
    dtype: str = "float32"

    def __str__(self) -> str:
        batch = f"batches of {self.batch}" if self.batch else "full batch"
        cores = f"{self.cores} core" + "s" * (self.cores > 1)
        runs = f"{self.runs} run" + "s" * (self.runs > 1)
        return f"hidden {self.hidden}, {runs}, {batch}, {cores}, {self.dtype}"


# The shapes of the tables in README.md; --all measures every combination.
MAIN = [
    Shape(10, 1, 0, 2),
    Shape(10, 4, 0, 2),
    Shape(10, 16, 0, 2),
    Shape(10, 1, 0, 1),
    Shape(10, 16, 0, 1),
    Shape(10, 64, 0, 2),
    Shape(64, 1, 0, 2),
    Shape(256, 1, 0, 2),
    Shape(10, 1, 64, 2),
    Shape(10, 16, 64, 2),
    Shape(10, 1, 512, 2),
    Shape(10, 16, 512, 2),
    Shape(10, 1, 0, 2, "float64"),
    Shape(10, 16, 0, 2, "float64"),
]


class Peer:
    """A process that trains on request: ``peers.py``."""

    def __init__(self, name: str, problem: Path, cores: int) -> None:
        threads = {
            f"{library}_NUM_THREADS": str(cores)
            for library in ("OMP", "OPENBLAS", "MKL", "NUMEXPR", "VECLIB")
        }
        if name.startswith("nnlab") or name == LIMIT:
            threads["OPENBLAS_NUM_THREADS"] = "1"  # its threads work on blocks of images
        self.name = name
        self.process = subprocess.Popen(
            [sys.executable, str(ROOT / "benchmarks" / "peers.py"), name, str(problem), str(cores)],
            env={**os.environ, **threads, "JAX_PLATFORMS": "cpu"}, cwd=ROOT, text=True,
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL,
        )  # fmt: skip

    def answer(self) -> object:
        """Read an answer."""
        line = self.process.stdout.readline()
        if not line:
            raise RuntimeError(f"{self.name} ended without an answer")
        return json.loads(line)

    def ask(self, **order: object) -> object:
        """Send an order; return the answer."""
        self.process.stdin.write(json.dumps(order) + "\n")
        self.process.stdin.flush()
        return self.answer()

    def close(self) -> None:
        """End the process."""
        self.process.stdin.close()
        self.process.stdout.close()
        self.process.terminate()
        self.process.wait()


def main() -> None:
    """Measure, and print a table in Markdown for each shape."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path, help="the folder of MNIST's IDX files")
    parser.add_argument("--rounds", type=int, default=7, help="repetitions of each measurement")
    parser.add_argument("--all", action="store_true", help="every combination of shapes")
    parser.add_argument("--only", help="shapes whose description contains this")
    parser.add_argument("--peers", nargs="+", help="only these besides nnlab")
    parser.add_argument("--json", type=Path, help="a file for the results")
    options = parser.parse_args()
    pixels, labels, origin = images(options.data)
    print(f"{len(labels):,} images of {origin}; medians of {options.rounds} rounds\n")
    shapes = MAIN
    if options.all:
        shapes = [
            Shape(hidden, runs, batch, cores)
            for hidden in (10, 64, 256)
            for runs in (1, 4, 16, 64)
            for batch in (0, 64, 512)
            for cores in (1, 2)
        ]
    results = []
    for shape in shapes:
        if options.only and options.only not in str(shape):
            continue
        rows = measure(shape, pixels, labels, options.rounds, options.peers)
        report(shape, rows)
        results.append({"shape": shape.__dict__, "rows": rows})
        if options.json:
            options.json.write_text(json.dumps(results, indent=1))


def images(folder: Path | None) -> tuple[np.ndarray, np.ndarray, str]:
    """Return 41,000 images of MNIST with labels and origin; where it is missing, the sample."""
    shared = ROOT.parent / "shared" / "mnist"
    try:
        data = load_mnist(folder or (shared if shared.exists() else None))
        return data.pixels[:41_000], data.labels[:41_000], "MNIST"
    except DataError:
        data = load_mnist_sample()
        return data.pixels, data.labels, "the sample, since the full MNIST was not found"


def measure(
    shape: Shape, pixels: np.ndarray, labels: np.ndarray, rounds: int, only: list[str] | None
) -> list[dict[str, object]]:
    """Train with every peer, compare the weights, and measure the times in turn."""
    chosen = [name for name in (*STACKED, *ALONE) if installed(name)]
    if shape.batch:
        chosen = [name for name in chosen if name != "scikit-learn"]
    if shape.runs == 1:
        chosen = [name for name in chosen if name not in STACKED or name == LIMIT]
    if only:
        chosen = [name for name in chosen if name in only]
    with ExitStack() as end, tempfile.TemporaryDirectory() as folder:
        peers = {}
        for name in (OURS, *chosen):
            runs = shape.runs if name in (OURS, *STACKED) else 1  # the others train one by one
            problem = Path(folder) / f"{runs}.npz"
            if not problem.exists():
                write_problem(problem, shape, runs, pixels, labels)
            peers[name] = peer = Peer(name, problem, shape.cores)
            end.callback(peer.close)
            peer.answer()
        errors = check(peers, shape, Path(folder))
        epochs = {
            name: max(1, min(15, round(TURN / float(peer.ask(do="train", epochs=1)))))
            for name, peer in peers.items()
        }
        seconds: dict[str, list[float]] = {name: [] for name in peers}
        for _ in range(rounds):
            for name, peer in peers.items():
                runs = shape.runs if name in (OURS, *STACKED) else 1
                time.sleep(PAUSE)
                elapsed = peer.ask(do="train", epochs=epochs[name])
                seconds[name].append(float(elapsed) / epochs[name] / runs)
    return [
        {
            "name": name,
            "ms": statistics.median(times) * 1e3,
            "ratio": statistics.median(
                theirs / ours for theirs, ours in zip(times, seconds[OURS], strict=True)
            ),
            "error": errors[name],
        }
        for name, times in seconds.items()
    ]


def installed(name: str) -> bool:
    """Whether a peer's library is installed."""
    (library,) = {NEEDS[key] for key in NEEDS if name.startswith(key)}
    return find_spec(library) is not None


def write_problem(
    path: Path, shape: Shape, runs: int, pixels: np.ndarray, labels: np.ndarray
) -> None:
    """Write the data and the initial weights; run 0 is the same for all peers."""
    orders = []
    if shape.batch:
        orders = [batch_order(0, epoch, len(labels)) for epoch in range(CHECKED + 120)]
    np.savez(
        path,
        pixels=pixels,
        y=labels,
        lr=np.linspace(0.05, 0.1, 64)[:runs],
        batch=shape.batch,
        orders=np.array(orders, np.int32),
        dtype=shape.dtype,
        **untrained(shape.hidden, runs, shape.dtype)._asdict(),
    )


def check(peers: dict[str, Peer], shape: Shape, folder: Path) -> dict[str, float | None]:
    """Compare each peer's weights of run 0 with nnlab's after 20 epochs (mini-batches: after 2)."""
    errors, ours = {}, None
    for name, peer in peers.items():
        if name == LIMIT:
            errors[name] = None
            continue
        peer.ask(do="train", epochs=2 if shape.batch else CHECKED)
        file = folder / "weights.npz"
        peer.ask(do="save", file=str(file))
        with np.load(file) as content:
            weights = [content[key][0] for key in content.files]
        ours = weights if ours is None else ours
        errors[name] = max(float(np.abs(a - b).max()) for a, b in zip(weights, ours, strict=True))
        limit = TOLERANCE[shape.dtype] * (10 if shape.batch else 1)
        if errors[name] > limit:
            raise SystemExit(f"{shape}: {name} differs from ours by {errors[name]:.1e}")
    return errors


def report(shape: Shape, rows: list[dict[str, object]]) -> None:
    """Print the table of one shape."""
    print(f"**{shape}**\n\n| | ms a run and epoch | × nnlab | weights differ by |")
    print("|---|---|---|---|")
    for row in rows:
        error = "" if row["error"] is None else f"{row['error']:.0e}"
        print(f"| {row['name']} | {row['ms']:.1f} | {row['ratio']:.2f} | {error} |")
    print(flush=True)


if __name__ == "__main__":
    main()
