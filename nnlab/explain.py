"""The explanation: what differs between two runs, and where their curves part."""

import difflib
from dataclasses import asdict, dataclass
from typing import Any

from nnlab.certificate import Deviation, deviations, plain
from nnlab.differences import Difference, differences
from nnlab.history import METRICS
from nnlab.records import Record, read_record
from nnlab.store import Store, tracking_uri

PATCH_LINES = 40  # of the difference between two patches that are shown


@dataclass(frozen=True)
class Explanation:
    """Two runs held against each other.

    Attributes
    ----------
    one, other : the runs, and what they came to
    differences : only what differs
    patch : how the uncommitted changes of the code differ, as the lines of a diff
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
    store = Store(tracking_uri(uri))
    first, second = (read_record(store, store.find_run(each, "run")) for each in (one, other))
    # Only where both have a point: of two runs of different lengths, the longer is no deviation.
    curves = [
        {key: value for key, value in record.points.items() if key[0] in METRICS}
        for record in (first, second)
    ]
    shared = [{key: curve[key] for key in curves[0] if key in curves[1]} for curve in curves]
    wrong = deviations(*shared)
    return Explanation(
        _named(first),
        _named(second),
        tuple(differences(first, second)),
        tuple(_patch(first.patch, second.patch)),
        wrong[0] if wrong else None,
        max(wrong, key=lambda each: each.size, default=None),
    )


def _named(record: Record) -> tuple[str, str]:
    run = record.run
    accuracy = run.metrics.get("final_val_accuracy")
    figure = "" if accuracy is None else f", val accuracy {accuracy:.4f}"
    return f"{record.id} {run.name}", run.tags.get("outcome", run.status) + figure


def _patch(one: bytes, other: bytes) -> list[str]:
    """Compare two patches line by line; what is the same in both does not show."""
    if one == other:
        return []
    before, after = (patch.decode(errors="replace").splitlines() for patch in (one, other))
    lines = list(difflib.unified_diff(before, after, "patch of A", "patch of B", lineterm="", n=0))
    if len(lines) > PATCH_LINES:
        lines = [*lines[:PATCH_LINES], f"… and {len(lines) - PATCH_LINES} lines more"]
    return lines
