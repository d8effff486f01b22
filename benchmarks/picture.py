"""Draw what ``training.py --json FILE`` measured: ``python benchmarks/picture.py FILE``.

Cost of a run and epoch against the number of runs in a stack, at 10 hidden units, full batch, two
cores; and the limit of dense products, at the speed of a large one measured here and now.
"""

import json
import sys
import time
from pathlib import Path

import numpy as np
from matplotlib.ticker import NullLocator

from nnlab.blas import one_thread
from nnlab.plots.style import (
    BLUE,
    GREEN,
    GREY,
    INK,
    PURPLE,
    VERMILLION,
    WIDTH,
    axes_at,
    end_labels,
    page,
    save,
    styled,
)

COLOURS = {
    "nnlab": BLUE,
    "PyTorch": VERMILLION,
    "PyTorch, torch.func.vmap": VERMILLION,
    "JAX, jit": GREEN,
    "JAX, jit(vmap)": GREEN,
    "notebook (NumPy)": PURPLE,
    "scikit-learn": INK,
}
CORES = 2
PRODUCTS = 2 * 2 * 41_000 * 784 * 10  # operations of the first layer, there and back, of one run


def peak() -> float:
    """Return the operations a second of a large float32 product on one core."""
    a, b = (np.ones(shape, np.float32) for shape in ((1024, 784), (784, 1024)))
    out = np.empty((1024, 1024), np.float32)
    best = 0.0
    with one_thread():
        for _ in range(30):
            begin = time.perf_counter()
            np.matmul(a, b, out=out)
            best = max(best, 2 * 1024 * 784 * 1024 / (time.perf_counter() - begin))
    return best


@styled
def draw(content: list[dict[str, object]], path: Path) -> None:
    """Draw the picture."""
    series: dict[str, dict[int, float]] = {}
    for entry in content:
        shape = entry["shape"]
        if (shape["hidden"], shape["batch"], shape["cores"], shape["dtype"]) == (
            10, 0, CORES, "float32",
        ):  # fmt: skip
            for row in entry["rows"]:
                series.setdefault(row["name"], {})[shape["runs"]] = row["ms"]
    limit = PRODUCTS / (CORES * peak()) * 1e3
    figure, top = page(
        "Milliseconds a run and epoch",
        "41,000 images of MNIST, 10 hidden units, full batch, float32, 2 cores; lower is better",
    )
    axes = axes_at(figure, 0.95, 0.95, WIDTH - 5.2, top - 1.2)
    labels = []
    stacks = sorted({runs for points in series.values() for runs in points})
    for name, colour in COLOURS.items():
        points = sorted(series.get(name, {}).items())
        if not points:
            continue
        dashed = (0, (4, 2)) if name in ("PyTorch", "JAX, jit") else "solid"
        axes.plot(*zip(*points), color=colour, marker="o", linestyle=dashed, linewidth=2.5)
        labels.append((points[-1][1], f"{points[-1][1]:.1f} {name}", colour))
    axes.axhline(limit, color=GREY, linewidth=1.5, linestyle=(0, (1, 2)))
    labels.append((limit, f"{limit:.1f} limit of dense products", GREY))
    axes.set(xscale="log", yscale="log", xlabel="runs in the stack", xlim=(stacks[0], stacks[-1]))
    axes.set_xticks(stacks, [str(runs) for runs in stacks])
    axes.xaxis.set_minor_locator(NullLocator())
    axes.yaxis.set_minor_locator(NullLocator())
    axes.set_yticks([3, 5, 10, 20, 50, 100], ["3", "5", "10", "20", "50", "100"])
    end_labels(axes, labels)
    save(figure, path)
    print(f"dense limit {limit:.2f} ms a run and epoch, {peak() / 1e9:.0f} GFLOP/s a core")


if __name__ == "__main__":
    draw(json.loads(Path(sys.argv[1]).read_text()), Path(__file__).parent / "training.png")
