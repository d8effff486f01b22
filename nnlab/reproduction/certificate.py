"""The certificate: how the reproduction of a run compares with its record, and why."""

from dataclasses import asdict, dataclass, field
from typing import Any, Literal

import numpy as np

from nnlab.jobs.config import SEMANTICS
from nnlab.reproduction.differences import Difference, differences
from nnlab.reproduction.growth import Growth, growth
from nnlab.reproduction.recorded_run import RecordedRun
from nnlab.tracking.record_checks import Points, same_value
from nnlab.training.network import Params

Verdict = Literal["bit-identical", "within tolerance", "different"]

# Two BLAS kernels round differently. Where gradient descent is stable, 500 epochs in float32 ended
# 2e-6 apart, and one or two images in a thousand may change their class. Where it is unstable, as
# at lr=0.5, the rounding errors grow until the curves part: no tolerance is right there.
TOLERANCE = 2e-3
# What alone can give a run of dtype=exact other bits, where record, data, config and code agree.
FAULT = "a fault of nnlab or of the hardware, or tampering"
ONLY_PRUNED = ("pruned_at",)  # summaries that a run without pruning does not have


@dataclass(frozen=True)
class Deviation:
    """A value of the reproduction that is not the recorded one.

    Attributes
    ----------
    metric : str
        Name of a metric or of a summary.
    epoch : int
        Epoch of the value.
    recorded : float
        The value in the record.
    found : float
        The value of the reproduction; NaN where it has none.
    size : float
        ``|recorded − found| / max(1, |recorded|)``.
    """

    metric: str
    epoch: int
    recorded: float
    found: float
    size: float

    @property
    def difference(self) -> float:
        """``found − recorded``."""
        return self.found - self.recorded


@dataclass(frozen=True)
class Certificate:
    """The result of a reproduction.

    Attributes
    ----------
    run : str
        Id of the run that was reproduced.
    name : str
        Its name.
    reproduction : str
        Id of the new run.
    verdict : Verdict
        See ``certify``.
    tolerance : float
        See ``certify``.
    weights_sha256 : tuple[str, str]
        Digest of the final weights, recorded and found.
    accuracy : tuple[float or None, float or None]
        Final validation accuracy, recorded and found; None for a diverged run.
    values : int
        Number of recorded values that were compared.
    first : Deviation or None
        The earliest deviation.
    largest : Deviation or None
        The largest deviation.
    beyond : Deviation or None
        The earliest deviation beyond the tolerance.
    growth : Growth or None
        How the losses part; None where they are the same.
    weights_deviation : float or None
        Largest deviation of a weight, relative to the largest weight; None where the weights
        cannot be compared.
    causes : tuple[str, ...]
        Possible causes of a result with other bits, the most likely first; ``unexplained`` where
        none is known, or, of a run of ``dtype=exact``, ``FAULT``. Another BLAS or processor
        rounds otherwise: it is no cause of losses that begin far apart.
    differences : tuple[Difference, ...]
        All differences of record, data, config, code and machine, with or without effect.
    expected : str
        The result that these differences suggest.
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
    growth: Growth | None
    weights_deviation: float | None
    causes: tuple[str, ...]
    differences: tuple[Difference, ...] = field(repr=False)
    expected: str

    @property
    def stands(self) -> bool:
        """Whether the result was reproduced, to the bit or within the tolerance."""
        return self.verdict != "different"

    def as_dict(self) -> dict[str, Any]:
        """Return plain values for JSON; a number that is not finite becomes text."""
        return json_values(asdict(self))  # type: ignore[no-any-return]


def certify(
    recorded: RecordedRun, repeated: RecordedRun, tolerance: float = TOLERANCE
) -> Certificate:
    """Compare a reproduction with the record of the run.

    ``bit-identical``: the weights have the recorded SHA-256, every metric at every epoch and every
    summary is the same float64, and the record does not contradict itself.
    ``within tolerance``: no metric deviates by more than ``tolerance · max(1, |recorded|)``, and
    no weight by more than ``tolerance`` times the largest weight. ``different``: anything else.
    Runs of ``dtype=exact`` have the same bits on any machine, and so no tolerance.

    Parameters
    ----------
    recorded, repeated : RecordedRun
        The run and its reproduction.
    tolerance : float
        Largest relative deviation that is allowed.

    Returns
    -------
    Certificate
        The verdict, the deviations and their possible causes.
    """
    if recorded.is_exact:
        tolerance = 0.0
    digests = recorded.weights_sha256, repeated.weights_sha256
    values = _comparable(recorded)
    wrong = deviations(values, _comparable(repeated))
    beyond = [deviation for deviation in wrong if not deviation.size <= tolerance]
    weights_deviation = _weights_deviation(recorded.weights, repeated.weights)
    if digests[0] == digests[1] and not wrong and not recorded.faults:
        verdict: Verdict = "bit-identical"
    elif (
        beyond
        or recorded.faults
        or not (weights_deviation is not None and weights_deviation <= tolerance)
    ):
        verdict = "different"
    else:
        verdict = "within tolerance"
    # A pruned run is reproduced up to the epoch where it was pruned.
    same_end = recorded.last_epoch == repeated.last_epoch
    differing = tuple(
        difference
        for difference in differences(recorded, repeated)
        if not (same_end and (difference.kind, difference.what) == ("config", "epochs"))
    )
    parting = growth(recorded.points, ((each.metric, each.epoch, each.size) for each in wrong))
    return Certificate(
        run=recorded.run.run_id,
        name=recorded.run.name,
        reproduction=repeated.run.run_id,
        verdict=verdict,
        tolerance=tolerance,
        weights_sha256=digests,
        accuracy=(_accuracy(recorded), _accuracy(repeated)),
        values=len(values),
        first=wrong[0] if wrong else None,
        largest=max(wrong, key=lambda deviation: deviation.size, default=None),
        beyond=beyond[0] if beyond else None,
        growth=parting,
        weights_deviation=weights_deviation,
        causes=() if verdict == "bit-identical" else _causes(recorded, differing, parting),
        differences=differing,
        expected=expectation(recorded, differing),
    )


def expectation(recorded: RecordedRun, differing: tuple[Difference, ...]) -> str:
    """Say what to expect of a reproduction with these differences."""
    if recorded.semantics != str(SEMANTICS):
        return (
            f"other values: the training code's meaning is version {SEMANTICS} now, was "
            f"{recorded.semantics}; --at-commit runs the original code"
        )
    if recorded.is_exact:  # tests hold the bits of each version of the meaning
        differing = tuple(each for each in differing if not each.is_of_module)
    decisive = {difference.kind for difference in differing if difference.decisive} - {"record"}
    if decisive & {"data", "config", "code"}:
        return "other values"
    if decisive:
        return "agreement to rounding: other libraries or another processor"
    return "the same bits, as on any machine" if recorded.is_exact else "the same bits"


def _causes(
    recorded: RecordedRun, differing: tuple[Difference, ...], parting: Growth | None
) -> tuple[str, ...]:
    kinds = dict.fromkeys(difference.kind for difference in differing if difference.decisive)
    # Many mini-batches may amplify within an epoch what a single step of the full batch cannot.
    one_step = recorded.config_yaml.get("batch_size") is None
    if parting is not None and parting.begins_large and (one_step or parting.epoch == 0):
        kinds.pop("BLAS or processor", None)
    return tuple(kinds) or (FAULT if recorded.is_exact else "unexplained",)


def _accuracy(recorded: RecordedRun) -> float | None:
    return recorded.points.get(("val/accuracy", recorded.last_epoch))


def _comparable(recorded: RecordedRun) -> Points:
    """Return the values that a reproduction up to the same epoch has too."""
    return {key: value for key, value in recorded.points.items() if key[0] not in ONLY_PRUNED}


def deviations(recorded: Points, found: Points) -> list[Deviation]:
    """List the recorded values that were not found again, the earliest first."""
    wrong = [
        Deviation(name, epoch, value, other, _size(value, other))
        for (name, epoch), value in recorded.items()
        for other in [found.get((name, epoch), np.nan)]
        if not same_value(value, other)
    ]
    return sorted(wrong, key=lambda deviation: deviation.epoch)


def _size(recorded: float, found: float) -> float:
    size = abs(recorded - found) / max(1.0, abs(recorded))
    return size if np.isfinite(size) else float("inf")


def _weights_deviation(one: Params | None, other: Params | None) -> float | None:
    if one is None or other is None:
        return None
    pairs = list(zip(one, other, strict=True))
    if any(a.shape != b.shape for a, b in pairs):
        return None
    if all(np.array_equal(a, b, equal_nan=True) for a, b in pairs):
        return 0.0
    largest = max(float(np.abs(array).max()) for array in one) or 1.0
    size = max(float(np.abs(a - b).max()) for a, b in pairs) / largest
    return size if np.isfinite(size) else None


def json_values(value: Any) -> Any:  # noqa: ANN401 - any part of a certificate
    """Return plain values for JSON; a number that is not finite becomes text."""
    if isinstance(value, dict):
        return {key: json_values(inner) for key, inner in value.items()}
    if isinstance(value, list | tuple):
        return [json_values(inner) for inner in value]
    if isinstance(value, float) and not np.isfinite(value):
        return str(value)
    return value
