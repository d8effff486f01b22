"""What the store is told of a run besides its files: tags, measurements, the values of its end."""

from dataclasses import dataclass, field

import numpy as np

from nnlab.arrays import Array
from nnlab.jobs.config import SEMANTICS
from nnlab.jobs.run import Run
from nnlab.jobs.tags import Tag
from nnlab.tracking.writer import Point
from nnlab.training.arithmetic import arithmetic_of
from nnlab.training.full_batch import predict
from nnlab.training.history import LAYERS, OBSERVATIONS
from nnlab.training.network import Params
from nnlab.training.norms import relative_change
from nnlab.training.outcomes import Curve, Status


@dataclass(frozen=True)
class RunEnd:
    """The end of a run, as the store is to have it.

    Attributes
    ----------
    status : Status
    tags : dict of str to str
    curve : Curve or None
        All of it.
    metrics : dict of str to float
        The summary.
    final : Params or None
        A stack of one; None where the run has no result.
    model : bool
        Whether a model to serve is among its files.
    """

    status: Status
    tags: dict[str, str]
    curve: Curve | None
    metrics: dict[str, float] = field(default_factory=dict)
    final: Params | None = None
    model: bool = False

    @property
    def last(self) -> int:
        """The last epoch of the curve."""
        return 0 if self.curve is None or not self.curve.epochs.size else int(self.curve.epochs[-1])


def tags_of(run: Run) -> dict[str, str]:
    """Return the tags that a run has from its creation on."""
    tags = {
        **run.job.tags,
        Tag.JOB: str(run.index),
        Tag.RUN_KEY: run.key,
        Tag.DATA_DIGEST: run.prepared.digest,
        Tag.SEMANTICS: str(SEMANTICS),
    }
    if run.job.config.derived_from is not None:
        tags[Tag.DERIVED_FROM] = run.job.config.derived_from
    return tags


def test_accuracy(run: Run, final: Params) -> dict[str, float]:
    """Classify the test images, only at a run's end; return nothing where there are none."""
    blocks = run.prepared.test(run.job.config.dtype)
    if not blocks:
        return {}
    predicted = predict(final, blocks).argmax(axis=0)
    labels: Array = np.concatenate([block.labels for block in blocks])
    return {"test/accuracy": float((predicted == labels).mean())}


def distances(run: Run, final: Params) -> dict[str, float]:
    """Measure how far each layer has moved: little where the features are those of the start."""
    distances = relative_change(run.initial(), final, arithmetic_of(run.job.config.dtype))[0]
    named = {
        f"distance_{layer}": float(value) for layer, value in zip(LAYERS, distances, strict=True)
    }
    return {name: value for name, value in named.items() if np.isfinite(value)}


def points_of(curve: Curve, run: Run, last: int | None = None) -> list[Point]:
    """List a curve's measurements: of every n-th epoch, as the config wants it, and the last.

    Observations are made at epochs of their own, and listed wherever there is one.
    """
    every = run.job.config.tracking.every
    return [
        (name, float(values[row]), int(epoch))
        for row, epoch in enumerate(curve.epochs)
        for name, values in curve.values.items()
        if epoch % every == 0 or epoch == last or name in OBSERVATIONS
    ]
