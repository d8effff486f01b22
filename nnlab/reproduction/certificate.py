"""The certificate: how a run that was repeated compares with its record, and why."""

from dataclasses import asdict, dataclass, field
from typing import Any, Literal

import numpy as np

from nnlab.reproduction.differences import Difference, differences
from nnlab.reproduction.record import Points, RecordedRun, same
from nnlab.runs.config import SEMANTICS
from nnlab.training.network import Params

Verdict = Literal["bit-identical", "within tolerance", "different"]

# Between two kernels that round otherwise, 500 epochs of float32 drifted apart by 2e-6 where
# gradient descent is stable, and an image or two in a thousand may change sides. Where it is not
# stable, as at lr=0.5, rounding grows until the curves part, and no tolerance would be honest.
TOLERANCE = 2e-3
PRUNED_ALONE = ("pruned_at",)  # summaries that a run which trains to its end does not have


@dataclass(frozen=True)
class Deviation:
    """A value that did not come out as recorded.

    Attributes
    ----------
    size : |recorded − found| / max(1, |recorded|)
    """

    metric: str
    epoch: int
    recorded: float
    found: float
    size: float


@dataclass(frozen=True)
class Certificate:
    """What came of repeating a run.

    Attributes
    ----------
    run, name : of the run that was repeated
    reproduction : the new run
    verdict : Verdict
        See ``certify``.
    weights_sha256 : noted then, and found now
    accuracy : final on the validation images, recorded and found; None of a diverged run
    values : how many recorded values were compared
    first : the earliest value that differs at all
    largest : the largest deviation
    beyond : the earliest value beyond the tolerance
    weights_deviation : largest deviation of a weight, relative to the largest weight
    causes : what may have caused it, likeliest first; ``unexplained`` where nothing is known
    differences : all that differs, whether it matters or not
    expected : what was to be expected before training
    """

    run: str
    name: str
    reproduction: str
    verdict: Verdict
    tolerance: float
    weights_sha256: tuple[str, str]
    accuracy: tuple[float | None, float | None]
    values: int
    first: Deviation | None
    largest: Deviation | None
    beyond: Deviation | None
    weights_deviation: float | None
    causes: tuple[str, ...]
    differences: tuple[Difference, ...] = field(repr=False)
    expected: str

    @property
    def stands(self) -> bool:
        """Whether the result stands, to the bit or within the tolerance."""
        return self.verdict != "different"

    def as_dict(self) -> dict[str, Any]:
        """Return plain values, for JSON; what is not finite becomes text."""
        return plain(asdict(self))  # type: ignore[no-any-return]


def certify(record: RecordedRun, again: RecordedRun, tolerance: float = TOLERANCE) -> Certificate:
    """Compare a repeated run with its record.

    ``bit-identical``: the weights have the SHA-256 that was noted, every metric at every epoch
    and every summary is the same float64, and the record does not contradict itself.
    ``within tolerance``: no metric deviates by more than ``tolerance · max(1, |recorded|)``, and
    no weight by more than ``tolerance`` times the largest. ``different``: anything else.

    Parameters
    ----------
    record, again : of then and of now
    """
    noted, found = record.weights_sha256, again.weights_sha256
    wrong = deviations(_comparable(record), _comparable(again))
    drift = _drift(record.weights, again.weights)
    outside = [each for each in wrong if not each.size <= tolerance]
    if noted == found and not wrong and not record.faults:
        verdict: Verdict = "bit-identical"
    elif outside or record.faults or not (drift is not None and drift <= tolerance):
        verdict = "different"
    else:
        verdict = "within tolerance"
    # A pruned run is repeated up to where it was pruned.
    same_end = record.last_epoch == again.last_epoch
    differing = tuple(
        each
        for each in differences(record, again)
        if not (same_end and (each.kind, each.what) == ("config", "epochs"))
    )
    return Certificate(
        run=record.run.run_id,
        name=record.run.name,
        reproduction=again.run.run_id,
        verdict=verdict,
        tolerance=tolerance,
        weights_sha256=(noted, found),
        accuracy=(_accuracy(record), _accuracy(again)),
        values=len(_comparable(record)),
        first=wrong[0] if wrong else None,
        largest=max(wrong, key=lambda each: each.size, default=None),
        beyond=outside[0] if outside else None,
        weights_deviation=drift,
        causes=() if verdict == "bit-identical" else _causes(differing),
        differences=differing,
        expected=expectation(record, differing),
    )


def expectation(record: RecordedRun, differing: tuple[Difference, ...]) -> str:
    """Say what may be expected of a repetition under these differences."""
    if record.semantics != str(SEMANTICS):
        return (
            f"other values: the training code's meaning is version {SEMANTICS} now, was "
            f"{record.semantics}; --at-commit runs the code of then"
        )
    decisive = {each.kind for each in differing if each.decisive} - {"record"}
    if decisive & {"data", "config", "code"}:
        return "other values"
    if decisive:
        return "agreement to rounding: other libraries or another processor"
    return "the same bits"


def _causes(differing: tuple[Difference, ...]) -> tuple[str, ...]:
    kinds = dict.fromkeys(each.kind for each in differing if each.decisive)
    return tuple(kinds) or ("unexplained",)


def _accuracy(record: RecordedRun) -> float | None:
    return record.points.get(("val/accuracy", record.last_epoch))


def _comparable(record: RecordedRun) -> Points:
    """Return the values that a repetition up to the same epoch has too."""
    return {key: value for key, value in record.points.items() if key[0] not in PRUNED_ALONE}


def deviations(recorded: Points, found: Points) -> list[Deviation]:
    """List the recorded values that did not come out the same, the earliest first."""
    wrong = [
        Deviation(name, epoch, value, other, _size(value, other))
        for (name, epoch), value in recorded.items()
        for other in [found.get((name, epoch), np.nan)]
        if not same(value, other)
    ]
    return sorted(wrong, key=lambda each: each.epoch)


def _size(recorded: float, found: float) -> float:
    size = abs(recorded - found) / max(1.0, abs(recorded))
    return size if np.isfinite(size) else float("inf")


def _drift(one: Params | None, other: Params | None) -> float | None:
    """Return the largest deviation of a weight, relative to the largest weight."""
    if (
        one is None
        or other is None
        or any(a.shape != b.shape for a, b in zip(one, other, strict=True))
    ):
        return None
    largest = max(float(np.abs(array).max()) for array in one) or 1.0
    size = max(float(np.abs(a - b).max()) for a, b in zip(one, other, strict=True)) / largest
    if all(np.array_equal(a, b, equal_nan=True) for a, b in zip(one, other, strict=True)):
        return 0.0
    return size if np.isfinite(size) else None


def plain(value: Any) -> Any:  # noqa: ANN401 - any part of a certificate
    """Return values as JSON has them; what is not finite becomes text."""
    if isinstance(value, dict):
        return {key: plain(inner) for key, inner in value.items()}
    if isinstance(value, list | tuple):
        return [plain(inner) for inner in value]
    if isinstance(value, float) and not np.isfinite(value):
        return str(value)
    return value
