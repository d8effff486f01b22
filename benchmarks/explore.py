"""How long ``explore.html`` of a sweep takes to open, and how large it is: in Chromium, offline.

``python benchmarks/explore.py``. The time begins with the navigation, and ends when the first
figure, the curves, is painted. Each page is opened in a browser of its own.
"""

import sys
import tempfile
from dataclasses import replace
from pathlib import Path
from statistics import median

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "tests"))

from support.browsers import open_page
from support.made_up_sweeps import made_up_sweep

from nnlab.analysis.explore import explore_page

ROUNDS, EPOCHS = 5, 500
PAINTED = """() => new Promise(done => {
  const wait = () => document.querySelector("#curves .main-svg")
    ? requestAnimationFrame(() => setTimeout(() => done(performance.now()))) : setTimeout(wait, 5);
  wait();
})"""
# inits, rates, seeds: their product are the runs.
SWEEPS = ((1, 3, 1), (4, 6, 1), (6, 3, 5), (10, 20, 5), (20, 50, 1))


def seconds_to_open(file: Path) -> float:
    """Open a page, and return when its first figure was painted."""
    with open_page() as page:
        page.context.set_offline(True)
        page.goto(file.as_uri(), wait_until="commit")
        return page.evaluate(PAINTED) / 1000


def main() -> None:
    """Print a row for each sweep; the first, of three runs, is what Plotly itself takes."""
    print("| runs | configurations | MB | s to open | × the first |\n|---|---|---|---|---|")
    with tempfile.TemporaryDirectory() as folder:
        files = []
        for inits, rates, seeds in SWEEPS:
            sweep = made_up_sweep(inits=inits, rates=rates, seeds=seeds, epochs=EPOCHS)
            kept = dict(list(sweep.snapshots.items())[:60])
            file = Path(folder) / f"{len(files)}.html"
            file.write_text(explore_page(replace(sweep, snapshots=kept)), encoding="utf-8")
            files.append(file)
        times = [[seconds_to_open(file) for file in files] for _ in range(ROUNDS)]
        for place, (inits, rates, seeds) in enumerate(SWEEPS):
            seconds = median(rounds[place] for rounds in times)
            ratio = median(rounds[place] / rounds[0] for rounds in times)
            runs, size = inits * rates * seeds, files[place].stat().st_size / 1e6
            print(f"| {runs:,} | {inits * rates:,} | {size:.1f} | {seconds:.1f} | {ratio:.2f} |")


if __name__ == "__main__":
    main()
