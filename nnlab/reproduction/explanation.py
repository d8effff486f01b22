"""The explanation: what differs between two runs, and where their curves part."""

import difflib
import math
from dataclasses import asdict, dataclass
from typing import Any

from nnlab.jobs.tags import Tag
from nnlab.reproduction.certificate import Deviation, deviations, json_values
from nnlab.reproduction.differences import DECISIVE, Difference, differences
from nnlab.reproduction.growth import Growth, growth
from nnlab.reproduction.module_names import present_name
from nnlab.reproduction.recorded_run import RecordedRun, read_recorded_run
from nnlab.tracking.store import existing_store
from nnlab.training.history import CURVES

PATCH_LINES = 40  # lines of the difference between two patches that are shown


@dataclass(frozen=True)
class Explanation:
    """A comparison of two runs.

    Attributes
    ----------
    one, other : tuple[str, str]
        Each run's id and name, and its outcome and accuracy.
    differences : tuple[Difference, ...]
        What differs between their records.
    patch : tuple[str, ...]
        Lines of a diff between their uncommitted changes, of files that can change a result.
    first : Deviation or None
        The earliest epoch at which their curves differ, and the first metric there. Its
        ``difference`` is B - A.
    largest : Deviation or None
        Where their curves differ most, in proportion to the value of A where that is above 1.
    growth : Growth or None
        How their losses part; None where they are the same.
    """

    one: tuple[str, str]
    other: tuple[str, str]
    differences: tuple[Difference, ...]
    patch: tuple[str, ...]
    first: Deviation | None
    largest: Deviation | None
    growth: Growth | None

    def as_dict(self) -> dict[str, Any]:
        """Return plain values for JSON; a number that is not finite becomes text."""
        values = asdict(self)
        for name, deviation in (("first", self.first), ("largest", self.largest)):
            if deviation is not None:
                values[name]["difference"] = deviation.difference
        return json_values(values)  # type: ignore[no-any-return]


def explain_runs(one: str, other: str, uri: str | None = None) -> Explanation:
    """Compare two runs of a store.

    Parameters
    ----------
    one, other : str
        The runs; see ``Store.find_run``.
    uri : str or None
        Tracking URI of the store; None as in the config.

    Returns
    -------
    Explanation
        What differs between them, and where their curves part.

    Raises
    ------
    NnlabError
        Where one of them is not in the store or has no result.
    """
    store = existing_store(uri)
    first, second = (read_recorded_run(store, store.find_run(run, "run")) for run in (one, other))
    # Only points that both have: where one run is longer than the other, that is no deviation.
    curves = [
        {key: value for key, value in recorded.points.items() if key[0] in CURVES}
        for recorded in (first, second)
    ]
    shared = [
        key
        for key, value in curves[0].items()
        if not math.isnan(value) and not math.isnan(curves[1].get(key, math.nan))
    ]
    wrong = deviations(*({key: curve[key] for key in shared} for curve in curves))
    return Explanation(
        _described(first),
        _described(second),
        tuple(differences(first, second)),
        tuple(_patch_difference(first.patch, second.patch)),
        wrong[0] if wrong else None,
        max(wrong, key=lambda deviation: deviation.size, default=None),
        growth(first.points, ((each.metric, each.epoch, each.size) for each in wrong)),
    )


def _described(recorded: RecordedRun) -> tuple[str, str]:
    run = recorded.run
    accuracy = run.metrics.get("final_val_accuracy")
    suffix = "" if accuracy is None else f", val accuracy {accuracy:.4f}"
    return f"{recorded.short_id} {run.name}", run.tags.get(Tag.OUTCOME, run.status) + suffix


def _patch_difference(one: bytes, other: bytes) -> list[str]:
    """Compare two patches file by file, for files that can change a result."""
    before, after = _by_file(one), _by_file(other)
    lines: list[str] = []
    for name in sorted(before.keys() | after.keys()):
        changes = before.get(name, []), after.get(name, [])
        if changes[0] != changes[1] and _can_change_a_result(name):
            lines += difflib.unified_diff(*changes, f"A {name}", f"B {name}", lineterm="", n=0)
    if len(lines) > PATCH_LINES:
        lines = [*lines[:PATCH_LINES], f"… and {len(lines) - PATCH_LINES} lines more"]
    return lines


def _can_change_a_result(name: str) -> bool:
    """Tell whether a result can depend on a file; ``name`` is its path when it was changed."""
    return name.startswith("conf/") or present_name(name.removeprefix("nnlab/")) in DECISIVE


def _by_file(patch: bytes) -> dict[str, list[str]]:
    """Return the lines that a patch adds or removes, by file."""
    lines: dict[str, list[str]] = {}
    name = ""
    for line in patch.decode(errors="replace").splitlines():
        if line.startswith("diff --git "):
            name = line.rpartition(" b/")[2]
            lines[name] = []
        elif line.startswith(("+", "-")) and not line.startswith(("+++ ", "--- ")):
            lines[name].append(line)
    return lines
