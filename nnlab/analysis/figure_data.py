"""The data of a sweep's figures, read from its store."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import pandas as pd

from nnlab.analysis.configurations import (
    common_target,
    leading_fields,
    metric_of,
    one_run_per_seed,
    varying_fields,
)
from nnlab.analysis.ranking import METRIC
from nnlab.plots.best_and_worst import RunFilters
from nnlab.tracking.artifacts import read_weights
from nnlab.tracking.frames import read_curves, read_runs

CURVES = ("val/accuracy", "dead_fraction", "grad_norm/w1", "grad_norm/w2")  # that figures show

WeightsFile = tuple[str, float, Path]  # a run's name, its accuracy, its weights.npz


@dataclass(frozen=True)
class FigureData:
    """The data of a sweep's figures.

    Attributes
    ----------
    runs : DataFrame
        A row for each configuration and seed, see ``configurations.one_run_per_seed``.
    fields : list of str
        The parameters that vary.
    metric : str
        The metric that runs are judged by.
    curves : DataFrame
        The metrics of ``CURVES`` by epoch, see ``frames.read_curves``.
    target : float or None
        The validation accuracy that counts as learned; None if the runs differ in it.
    filters : sequence of RunFilters
        Those of the best and of the worst run; or none.
    image_shape : tuple of int
        Rows and columns of the images.
    reference : tuple or None
        A value of the metric, and whose it is.
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


def read_filters(file: WeightsFile) -> RunFilters:
    """Read the weights of a run's hidden units."""
    label, accuracy, path = file
    return RunFilters(label, accuracy, read_weights(path.parent).w1[0], None)


def read_figure_data(
    uri: str,
    run_ids: Sequence[str],
    title: str,
    best_and_worst: Sequence[WeightsFile],
    image_shape: tuple[int, int],
) -> FigureData:
    """Read the data of the figures of some runs from a store.

    Parameters
    ----------
    uri : str
    run_ids : sequence of str
        Whole ids.
    title : str
    best_and_worst : sequence of WeightsFile
        Those of the best run and of the worst; or none.
    image_shape : tuple of int
        Rows and columns of the images.
    """
    all_runs = read_runs(uri, [",".join(run_ids)])
    fields = leading_fields(all_runs, varying_fields(all_runs), title)
    runs = one_run_per_seed(all_runs, fields)
    return FigureData(
        title=title,
        runs=runs,
        fields=fields,
        metric=metric_of(all_runs, METRIC),
        curves=read_curves(uri, runs["run_id"].tolist(), CURVES),
        target=common_target(runs),
        filters=list(map(read_filters, best_and_worst)),
        image_shape=image_shape,
    )
