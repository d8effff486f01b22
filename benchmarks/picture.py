"""Draw what ``training.py --json FILE`` measured: ``python benchmarks/picture.py FILE``.

Cost of a run and epoch against the number of runs in a stack, at 10 hidden units, full batch, two
cores; and what the first layer's products alone would take if they were dense. That is the same at
every stack, and measured in turn with the others: the figures of a time when the machine was slow
are scaled by it.
"""

import json
import statistics
import sys
from pathlib import Path

from matplotlib.ticker import NullLocator

from nnlab.plots.labels import end_labels
from nnlab.plots.style import (
    BLUE,
    GREEN,
    GREY,
    INK,
    PURPLE,
    VERMILLION,
    WIDTH,
    add_axes,
    in_shared_style,
    new_figure,
    save,
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
LIMIT = "dense products alone"


@in_shared_style
def draw(content: list[dict[str, object]], path: Path) -> None:
    """Draw the picture."""
    chosen = {"hidden": 10, "batch": 0, "cores": CORES, "dtype": "float32"}.items()
    tables = {
        entry["shape"]["runs"]: {row["name"]: row["ms"] for row in entry["rows"]}
        for entry in content
        if chosen <= entry["shape"].items()
    }
    limit = statistics.median(table[LIMIT] for table in tables.values())
    series: dict[str, dict[int, float]] = {}
    for runs, table in tables.items():
        for name, milliseconds in table.items():
            series.setdefault(name, {})[runs] = milliseconds * limit / table[LIMIT]
    figure, top = new_figure(
        "Milliseconds a run and epoch",
        "41,000 images of MNIST, 10 hidden units, full batch, float32, 2 cores; lower is better",
    )
    axes = add_axes(figure, 0.95, 0.95, WIDTH - 5.2, top - 1.2)
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


if __name__ == "__main__":
    draw(json.loads(Path(sys.argv[1]).read_text()), Path(__file__).parent / "training.png")
