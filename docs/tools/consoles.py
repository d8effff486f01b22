"""The commands that the README and the pages show: read, run, compared, and recorded again.

A block of ``console`` holds commands behind ``$`` and, below each, what it prints; ``...`` stands
for lines that are left out. The blocks of a page run one after another in a folder of their own,
and share a store. A comment before a block tells what is special about it::

    <!-- not run: it serves until Ctrl-C -->
    <!-- exits with 2 -->

and ``<!-- commands: long -->`` on a page's top gives its test the marker ``long``.

``python docs/tools/consoles.py PAGE …`` runs the pages' commands and writes what they print into
the pages; for the README it makes its two pictures too. Figures depend on the type of processor:
the file ``docs/recorded.json`` keeps on which they were recorded.
"""

import contextlib
import json
import os
import re
import shutil
import sqlite3
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[2]
RECORDED = ROOT / "docs" / "recorded.json"
README = "README.md"
SWEEP = "python run.py -m lr=0.05,0.1,0.5"
# The README's pictures: name in docs/images/, run of the sweep that it is of, name among its files.
PICTURES = {"curves.png": ("the sweep", "curves.png"), "mistakes.png": ("the best", "mistakes.png")}

# The README's sweep is the first one in its store.
SWEEPS = """
    SELECT run_uuid FROM runs JOIN tags USING (run_uuid)
    WHERE key = 'kind' AND tags.value = 'sweep' ORDER BY start_time
"""
RUNS = """
    SELECT lr.value, weights.value, lr.run_uuid FROM tags parent
    JOIN tags weights ON weights.run_uuid = parent.run_uuid AND weights.key = 'weights_sha256'
    JOIN params lr ON lr.run_uuid = parent.run_uuid AND lr.key = 'lr'
    JOIN latest_metrics score ON score.run_uuid = parent.run_uuid
    WHERE parent.key = 'mlflow.parentRunId' AND parent.value = ?
    AND score.key = 'final_val_accuracy'
    ORDER BY score.value DESC
"""

BLOCK = re.compile(r"(?:<!-- (?P<note>[^>]*?) -->\n+)?```console\n(?P<text>.*?)```", re.DOTALL)
TYPED = re.compile(r"((?:[^\n]*\\\n)*[^\n]*)\n?(.*)", re.DOTALL)
ID = re.compile(r"\b[0-9a-f]{32}\b|\b[0-9a-f]{8}\b")
TIME = re.compile(r"\d{4}-\d\d-\d\d|\d\d:\d\d")
NUMBER = re.compile(r"[-+−]?\d+(?:\.\d+)?(?:e[-+]?\d+)?")


@dataclass(frozen=True)
class Command:
    """A command of a page, and what the page shows below it.

    Attributes
    ----------
    code : the exit code that it should have
    skipped : why it is not run, or None
    """

    text: str
    shown: str
    code: int = 0
    skipped: str | None = None


def pages() -> list[str]:
    """Return the README and the pages of ``docs/``, by their paths from the project's root."""
    found = [ROOT / README, ROOT / "CONTRIBUTING.md", *sorted((ROOT / "docs").glob("**/*.md"))]
    return [path.relative_to(ROOT).as_posix() for path in found]


def read(page: str) -> str:
    """Return the text of a page."""
    return (ROOT / page).read_text(encoding="utf-8")


def is_long(page: str) -> bool:
    """Tell whether the commands of a page take minutes."""
    return "<!-- commands: long -->" in read(page)


def commands(text: str) -> list[Command]:
    """Return the commands of a page, in its order."""
    found = []
    for block in BLOCK.finditer(text):
        note = block["note"] or ""
        skipped = re.match(r"not run: (.+)", note, re.DOTALL)
        code = re.match(r"exits with (\d+)", note)
        for part in re.split(r"^\$ ", block["text"], flags=re.MULTILINE)[1:]:
            command, shown = TYPED.match(part).groups()
            found.append(
                Command(command, shown, int(code[1]) if code else 0, skipped and skipped[1])
            )
    return found


class Session:
    """A folder in which the commands of a page run as in the project's own, with a store."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.ids: dict[str, str] = {}  # as shown -> as found
        for name in ("run.py", "conf", "benchmarks"):
            (folder / name).symlink_to(ROOT / name)
        binaries = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
        variables = {"NNLAB_ROOT": str(folder), "PYTHONPATH": str(ROOT), "PATH": binaries}
        clean = {name: value for name, value in os.environ.items() if "COLOR" not in name}
        self.env = {**clean, **variables, "COLUMNS": "100"}

    def run(self, command: Command) -> tuple[int, str]:
        """Run a command, with this store's ids instead of those that the page shows."""
        done = subprocess.run(  # noqa: S603 - the project's own pages
            ["bash", "-c", ID.sub(lambda found: self.mapped(found[0]), command.text)],  # noqa: S607
            cwd=self.folder, env=self.env, stdin=subprocess.DEVNULL, capture_output=True,
            text=True, timeout=580, check=False,
        )  # fmt: skip
        text = done.stdout + (done.stderr if done.returncode else "")  # else: progress
        found = text.replace(str(self.folder) + "/", "").replace(str(ROOT) + "/", "")
        return done.returncode, found

    def mapped(self, shown: str) -> str:
        """Return the id that stands for one that the page shows, as long as that."""
        known = [to for name, to in self.ids.items() if name.startswith(shown[:8])]
        return max(known, key=len, default=shown)[: len(shown)]

    def learn(self, shown: str, found: str) -> None:
        """Remember which ids of this store stand for those that the page shows."""
        for known, to in zip(ID.findall(shown), ID.findall(found), strict=False):
            self.ids.setdefault(known, to)

    def compare(self, shown: str, found: str, *, exact: bool) -> None:
        """Hold what was printed against what the page shows; ids are matched, and remembered.

        Raises
        ------
        AssertionError
            Where it is something else.
        """
        parts = [part.split() for part in re.split(r"^ *\.\.\.\n", shown, flags=re.MULTILINE)]
        words, place = found.split(), 0
        if len(parts) == 1 and parts[0]:
            assert len(words) == len(parts[0]), f"{shown}\nis now\n{found}"
        for number, part in enumerate(parts):
            last = number > 0 and number == len(parts) - 1
            starts = [len(words) - len(part)] if last else range(place, len(words) - len(part) + 1)
            if number == 0:
                starts = [0]
            for start in starts:
                window = words[start : start + len(part)]
                if len(window) == len(part) and all(
                    same(*pair, exact=exact) for pair in zip(part, window, strict=True)
                ):
                    place = start + len(part)
                    self.learn(" ".join(part), " ".join(window))
                    break
            else:
                raise AssertionError(f"{shown}\nis now\n{found}")


def same(shown: str, found: str, *, exact: bool) -> bool:
    """Tell whether two words agree: any ids, any dates; figures to the digit, elsewhere roughly."""
    if shown == found:
        return True
    one, other = (
        re.sub(r"\d+(?:\.\d+)? ?(?=s$)", "#", TIME.sub("TIME", ID.sub("ID", word)))
        for word in (shown, found)
    )
    if exact or one == other:
        return one == other
    if NUMBER.sub("#", one) != NUMBER.sub("#", other):
        return False
    pairs = zip(NUMBER.findall(one), NUMBER.findall(other), strict=True)
    return all(abs(_value(a) - _value(b)) <= 0.02 + 0.1 * abs(_value(a)) for a, b in pairs)


def _value(text: str) -> float:
    return float(text.replace("−", "-"))


def numerics() -> dict[str, object]:
    """Return what the last digits depend on: NumPy, BLAS, the processor and its instructions."""
    import numpy as np

    from nnlab.jobs import provenance

    instructions = np.show_config(mode="dicts")["SIMD Extensions"]["found"]
    return {**provenance.numerics(), "instructions": instructions}


def recorded() -> dict[str, dict[str, Any]]:
    """Return on what each page was recorded."""
    return json.loads(RECORDED.read_text(encoding="utf-8")) if RECORDED.exists() else {}


def sweep_results(session: Session) -> tuple[dict[str, str], dict[str, Path]]:
    """Return what the README's sweep has left in its store.

    Returns
    -------
    weights : learning rate -> SHA-256 of the weights
    pictures : those that the README shows, by their names in ``docs/images/``
    """
    database = sqlite3.connect(session.folder / "mlruns" / "mlflow.db")
    with contextlib.closing(database):
        (sweep,) = database.execute(SWEEPS).fetchone()
        runs = database.execute(RUNS, (sweep,)).fetchall()
    weights = {lr: digest for lr, digest, _ in runs}
    ids = {"the sweep": sweep, "the best": runs[0][2]}
    artifacts = session.folder / "mlruns" / "artifacts"
    pictures = {
        name: artifacts / ids[run] / "artifacts" / file for name, (run, file) in PICTURES.items()
    }
    return weights, pictures


def record(page: str) -> None:
    """Run a page's commands, and write what they print into the page."""
    text, printed = read(page), []
    entry: dict[str, Any] = {"platform": numerics()}
    with tempfile.TemporaryDirectory() as folder:
        session = Session(Path(folder))
        for command in commands(text):
            if command.skipped:
                printed.append(command.shown)
                continue
            code, found = session.run(command)
            print(f"$ {command.text}\n{found}", flush=True)
            if code != command.code:
                raise SystemExit(f"{page}: exit code {code} instead of {command.code}")
            keep = command.shown.strip() == found.strip()
            if "...\n" in command.shown and command.shown != "...\n":
                keep = True
                try:
                    session.compare(command.shown, found, exact=True)
                except AssertionError:
                    print(f"^^^ {page}: other than what is shown; shorten it by hand", flush=True)
            session.learn(command.shown, found)
            shown = ID.sub(lambda each: session.mapped(each[0]), command.shown)
            printed.append(shown if keep else found)
            if page == README and command.text == SWEEP:
                entry["weights"], pictures = sweep_results(session)
                entry["matplotlib"] = version("matplotlib")
                for name, path in pictures.items():
                    shutil.copy(path, ROOT / "docs" / "images" / name)
        text = ID.sub(lambda found: session.mapped(found[0]), text)
    outputs = iter(printed)

    def renewed(block: re.Match[str]) -> str:
        parts = re.split(r"^\$ ", block["text"], flags=re.MULTILINE)[1:]
        typed = [TYPED.match(part)[1] for part in parts]
        new = "\n".join(f"$ {line}\n{next(outputs)}".rstrip() + "\n" for line in typed)
        return block[0].replace(block["text"], new)

    (ROOT / page).write_text(BLOCK.sub(renewed, text), encoding="utf-8")
    everything = {**recorded(), page: entry}
    RECORDED.write_text(json.dumps(everything, indent=1, sort_keys=True) + "\n", encoding="utf-8")


if __name__ == "__main__":
    for each in sys.argv[1:]:
        record(each)
