"""What a sweep's pictures are drawn from, read from its store."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd

from nnlab.analysis.comparison import METRIC
from nnlab.analysis.configurations import leading, once_each, varying
from nnlab.plots.best_and_worst import RunFilters
from nnlab.tracking.frames import read_curves, read_runs

CURVES = ("val/accuracy", "dead_fraction", "grad_norm/w1", "grad_norm/w2")  # that are shown

Extreme = tuple[str, float, Path]  # a run's name, its accuracy, its weights.npz


@dataclass(frozen=True)
class FigureData:
    """All that a sweep's pictures are drawn from.

    Attributes
    ----------
    runs : one row a configuration and seed, see ``configurations.once_each``
    fields : the parameters that vary
    curves : see ``frames.read_curves``; of ``CURVES``
    target : the validation accuracy that counts as learned, where all runs agree in it
    filters : of the best and of the worst run, or none
    image_shape : of those
    reference : a value of the metric, and whose it is
    """

    title: str
    runs: pd.DataFrame
    fields: list[str]
    metric: str
    curves: pd.DataFrame
    target: float | None
    filters: Sequence[RunFilters]
    image_shape: tuple[int, int]
    reference: tuple[float, str] | None = None


def filters_of(extreme: Extreme) -> RunFilters:
    """Read a run's filters."""
    label, accuracy, path = extreme
    with np.load(path, allow_pickle=False) as file:
        return RunFilters(label, accuracy, file["W1"], None)


def figure_data(
    uri: str,
    run_ids: Sequence[str],
    title: str,
    extremes: Sequence[Extreme],
    image_shape: tuple[int, int],
) -> FigureData:
    """Read from a store what the pictures of some runs show.

    Parameters
    ----------
    extremes : the best run and the worst; or none
    """
    everything = read_runs(uri, [",".join(run_ids)])
    fields = leading(everything, varying(everything), title)
    runs = once_each(everything, fields)
    targets = set(runs["target_accuracy"])
    return FigureData(
        title, runs, fields, METRIC, read_curves(uri, runs["run_id"].tolist(), CURVES),
        float(targets.pop()) if len(targets) == 1 else None, list(map(filters_of, extremes)),
        image_shape,
    )  # fmt: skip
