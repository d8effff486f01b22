"""The explanation: what differs between two runs, and where their curves part."""

import difflib
import math
from dataclasses import asdict, dataclass
from typing import Any

from nnlab.reproduction.certificate import Deviation, deviations, plain
from nnlab.reproduction.differences import DECISIVE, Difference, differences
from nnlab.reproduction.module_names import present_name
from nnlab.reproduction.record import RecordedRun, read_record
from nnlab.runs.tags import Tag
from nnlab.tracking.store import existing_store
from nnlab.training.history import METRICS

PATCH_LINES = 40  # of the difference between two patches that are shown


@dataclass(frozen=True)
class Explanation:
    """Two runs held against each other.

    Attributes
    ----------
    one, other : the runs, and what they came to
    differences : only what differs
    patch : how uncommitted changes differ in files that can decide a result, as a diff of patches
    first : where their curves part: the earliest epoch, and the first metric there
    largest : where they are furthest apart
    """

    one: tuple[str, str]
    other: tuple[str, str]
    differences: tuple[Difference, ...]
    patch: tuple[str, ...]
    first: Deviation | None
    largest: Deviation | None

    def as_dict(self) -> dict[str, Any]:
        """Return plain values, for JSON."""
        return plain(asdict(self))  # type: ignore[no-any-return]


def explain(one: str, other: str, uri: str | None = None) -> Explanation:
    """Compare two runs of a store.

    Raises
    ------
    NnlabError
        Where one of them is not there or has no result.
    """
    store = existing_store(uri)
    first, second = (read_record(store, store.find_run(each, "run")) for each in (one, other))
    # Only where both have a point: of two runs of different lengths, the longer is no deviation.
    curves = [
        {key: value for key, value in record.points.items() if key[0] in METRICS}
        for record in (first, second)
    ]
    both = [
        key
        for key, value in curves[0].items()
        if not math.isnan(value) and not math.isnan(curves[1].get(key, math.nan))
    ]
    shared = [{key: curve[key] for key in both} for curve in curves]
    wrong = deviations(*shared)
    return Explanation(
        _named(first),
        _named(second),
        tuple(differences(first, second)),
        tuple(_patch(first.patch, second.patch)),
        wrong[0] if wrong else None,
        max(wrong, key=lambda each: each.size, default=None),
    )


def _named(record: RecordedRun) -> tuple[str, str]:
    run = record.run
    accuracy = run.metrics.get("final_val_accuracy")
    figure = "" if accuracy is None else f", val accuracy {accuracy:.4f}"
    return f"{record.id} {run.name}", run.tags.get(Tag.OUTCOME, run.status) + figure


def _patch(one: bytes, other: bytes) -> list[str]:
    """Compare two patches file by file, of those files that can decide a result."""
    before, after = _by_file(one), _by_file(other)
    lines: list[str] = []
    for name in sorted(before.keys() | after.keys()):
        pieces = before.get(name, []), after.get(name, [])
        if pieces[0] != pieces[1] and _can_matter(name):
            lines += difflib.unified_diff(*pieces, f"A {name}", f"B {name}", lineterm="", n=0)
    if len(lines) > PATCH_LINES:
        lines = [*lines[:PATCH_LINES], f"… and {len(lines) - PATCH_LINES} lines more"]
    return lines


def _can_matter(name: str) -> bool:
    """Tell whether a result can depend on a file of the project, by its path when it changed."""
    return name.startswith("conf/") or present_name(name.removeprefix("nnlab/")) in DECISIVE


def _by_file(patch: bytes) -> dict[str, list[str]]:
    """Split a patch at its files, and keep the lines that are added or removed."""
    found: dict[str, list[str]] = {}
    name = ""
    for line in patch.decode(errors="replace").splitlines():
        if line.startswith("diff --git "):
            name = line.rpartition(" b/")[2]
            found[name] = []
        elif line.startswith(("+", "-")) and not line.startswith(("+++ ", "--- ")):
            found[name].append(line)
    return found
