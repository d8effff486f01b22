"""Draw what ``training.py --json FILE`` measured: ``python benchmarks/picture.py FILE``.

The figure shows the time of a run and epoch against the number of runs in a stack, with 10 hidden
units, the full batch and two cores; and the time that the first layer's products would take if they
were dense. That time is the same for every stack and is measured in turn with the others, so the
times are scaled by it: a stack that was measured while the machine was slow does not look slower.
"""

import argparse
import json
import statistics
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
    """Draw the figure into a PNG file."""
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
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("file", type=Path, help="what training.py --json has written")
    parser.add_argument("--out", type=Path, default=Path(__file__).parent / "training.png")
    options = parser.parse_args()
    draw(json.loads(options.file.read_text()), options.out)
