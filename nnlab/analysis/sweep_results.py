"""A sweep's results as the store has them, read once for its report."""

import math
from contextlib import suppress
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import pandas as pd
import yaml

from nnlab.analysis.configurations import (
    common_target,
    leading_fields,
    metric_of,
    one_run_per_seed,
    varying_fields,
)
from nnlab.analysis.figure_data import CURVES, FigureData, WeightsFile, read_filters
from nnlab.analysis.groups import RunGroup, grouped
from nnlab.analysis.ranking import METRIC, SEED, lower_is_better
from nnlab.errors import ConfigError, ReportError, StoredFileError
from nnlab.jobs.config import from_record, to_record
from nnlab.jobs.provenance import read_environment
from nnlab.jobs.study import STUDY_FILE, Study
from nnlab.jobs.tags import Tag
from nnlab.system.stored_files import read_text, read_yaml
from nnlab.tracking.artifacts import ENVIRONMENT
from nnlab.tracking.frames import read_curves, read_runs
from nnlab.tracking.records import RunRecord
from nnlab.tracking.store import Store
from nnlab.training.initializers import FREE_INITS


@dataclass(frozen=True)
class SweepResults:
    """A sweep as the store has it.

    Attributes
    ----------
    parent : RunRecord
        The sweep's parent run.
    all_runs : DataFrame
        All runs of the sweep, see ``frames.read_runs``.
    metric : str
        The metric that they are judged by.
    """

    store: Store
    parent: RunRecord
    all_runs: pd.DataFrame
    metric: str

    @classmethod
    def read(cls, store: Store, parent: RunRecord, metric: str = METRIC) -> "SweepResults":
        """Read a sweep's runs.

        Raises
        ------
        ReportError
            Where they have no parameters.
        """
        runs = read_runs(store.uri, [parent.run_id])
        if SEED not in runs:
            raise ReportError(
                f"The runs of {parent.run_id[:8]} have lost their parameters: `nnlab doctor` adds "
                "them from the runs' own files, where they are there."
            )
        return cls(store, parent, runs, metric_of(runs, metric))

    @cached_property
    def fields(self) -> list[str]:
        """The parameters that vary, without those that only follow another."""
        return leading_fields(self.all_runs, varying_fields(self.all_runs), self.parent.name)

    @cached_property
    def runs(self) -> pd.DataFrame:
        """One run for each configuration and seed."""
        return one_run_per_seed(self.all_runs, self.fields)

    @cached_property
    def groups(self) -> list[RunGroup]:
        """The configurations, best first."""
        return grouped(self.runs, self.fields, self.metric)

    @cached_property
    def curves(self) -> pd.DataFrame:
        """The metrics by epoch that figures and tables need."""
        names = (*CURVES, "train/loss")
        return read_curves(self.store.uri, self.runs["run_id"].tolist(), names)

    @cached_property
    def study(self) -> Study | None:
        """The study that the sweep carried out, if any."""
        name, text = self.parent.tags.get(Tag.STUDY), self._text(STUDY_FILE)
        return Study(name, text) if name and text else None

    @cached_property
    def environment(self) -> dict[str, Any]:
        """The record of code, libraries and machine."""
        path = self.store.download(self.parent.run_id, ENVIRONMENT)
        return read_environment(path) if path.is_file() else {}

    @property
    def best_config(self) -> str:
        """The config of the best configuration, as its first seed recorded it, and checked.

        The scale and shift of an init that has its own were not used, and are left out; the store's
        address is that of one machine.
        Somebody may hand the file to Hydra, which would run what else it names.
        """
        first = self.groups[0].runs.sort_values(SEED)["run_id"].iloc[0]
        path = self.store.download(first, "config.yaml")
        with suppress(StoredFileError, ConfigError):
            config = from_record(read_yaml(path))
            record = to_record(config)
            record["tracking"]["uri"] = None
            if config.init.name not in FREE_INITS:
                del record["init"]["scale"], record["init"]["shift"]
            return str(yaml.safe_dump(record, sort_keys=False))
        return ""

    @property
    def planned(self) -> int:
        """How many runs the sweep was to have."""
        planned = self.parent.metrics.get("runs/planned", math.nan)
        return int(planned) if math.isfinite(planned) else len(self.all_runs)

    @property
    def target(self) -> float | None:
        """The validation accuracy that counts as learned; None if the runs differ in it."""
        return common_target(self.runs)

    @property
    def figure_data(self) -> FigureData:
        """The data of the sweep's figures."""
        filters = list(map(read_filters, self._best_and_worst()))
        pixels = filters[0].w1.shape[1] if filters else 0
        side = int(pixels**0.5)
        reference = self.study.reference if self.study else None
        line = None  # across the figure, if the reference has one number of the same metric
        if reference and reference.metric == self.metric and len(reference.figures) == 1:
            line = next(iter(reference.figures.values())), "reference"
        return FigureData(
            title=self.parent.name,
            runs=self.runs,
            fields=self.fields,
            metric=self.metric,
            curves=self.curves,
            target=self.target,
            filters=filters if side * side == pixels else [],
            image_shape=(side, side),
            reference=line,
        )

    def _best_and_worst(self) -> list[WeightsFile]:
        """Return the weights of the best and of the worst run, if there are two runs."""
        complete = self.runs[self.runs["status"] == "FINISHED"].dropna(subset=[self.metric])
        upwards = lower_is_better(self.metric)
        ordered = complete.sort_values([self.metric, "run_id"], ascending=[upwards, True])
        if len(ordered) < 2:  # noqa: PLR2004 - a best and a worst
            return []
        return [
            (str(run["name"]), float(run[self.metric]),
             self.store.download(run["run_id"], "weights.npz"))
            for _, run in ordered.iloc[[0, -1]].iterrows()
        ]  # fmt: skip

    def _text(self, name: str) -> str | None:
        path = self.store.download(self.parent.run_id, name)
        return read_text(path) if path.is_file() else None
