"""What the store has of a sweep, read once for its report."""

import json
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import pandas as pd

from nnlab.analysis.comparison import METRIC
from nnlab.analysis.configurations import SEED, leading, lower_is_better, once_each, varying
from nnlab.analysis.figure_data import CURVES, Extreme, FigureData, filters_of
from nnlab.analysis.groups import Group, grouped
from nnlab.runs.study import STUDY_FILE, Study
from nnlab.runs.tags import Tag
from nnlab.tracking.artifacts import ENVIRONMENT
from nnlab.tracking.frames import read_curves, read_runs
from nnlab.tracking.records import RunRecord
from nnlab.tracking.store import Store


@dataclass(frozen=True)
class SweepResults:
    """A sweep as the store has it."""

    store: Store
    head: RunRecord
    everything: pd.DataFrame
    metric: str

    @classmethod
    def read(cls, store: Store, head: RunRecord, metric: str = METRIC) -> "SweepResults":
        """Read a sweep's runs."""
        return cls(store, head, read_runs(store.uri, [head.run_id]), metric)

    @cached_property
    def fields(self) -> list[str]:
        """The parameters that vary, without those that only follow another."""
        return leading(self.everything, varying(self.everything), self.head.name)

    @cached_property
    def runs(self) -> pd.DataFrame:
        """One run a configuration and seed."""
        return once_each(self.everything, self.fields)

    @cached_property
    def groups(self) -> list[Group]:
        """Its configurations, the best first."""
        return grouped(self.runs, self.fields, self.metric)

    @cached_property
    def curves(self) -> pd.DataFrame:
        """What pictures and tables need of the runs' curves."""
        names = (*CURVES, "train/loss")
        return read_curves(self.store.uri, self.runs["run_id"].tolist(), names)

    @cached_property
    def study(self) -> Study | None:
        """The study that it carried out, if it did."""
        name, text = self.head.tags.get(Tag.STUDY), self._text(STUDY_FILE)
        return Study(name, text) if name and text else None

    @cached_property
    def environment(self) -> dict[str, Any]:
        """What was recorded of code, libraries and machine."""
        text = self._text(ENVIRONMENT)
        return dict(json.loads(text)) if text else {}

    @property
    def best_config(self) -> str:
        """The config of the best configuration, as its first seed recorded it."""
        first = self.groups[0].runs.sort_values(SEED)["run_id"].iloc[0]
        path = self.store.download(first, "config.yaml")
        return path.read_text(encoding="utf-8") if path.is_file() else ""

    @property
    def planned(self) -> int:
        """How many runs it was to have."""
        return int(self.head.metrics.get("runs/planned", len(self.everything)))

    @property
    def target(self) -> float | None:
        """The validation accuracy that counts as learned, where all runs agree in it."""
        found = set(self.runs.get("target_accuracy", pd.Series(dtype=float)))
        return float(found.pop()) if len(found) == 1 else None

    def figure_data(self) -> FigureData:
        """Return what its pictures are drawn from."""
        extremes = self._extremes()
        filters = list(map(filters_of, extremes))
        pixels = filters[0].w1.shape[1] if filters else 0
        side = int(pixels**0.5)
        reference = self.study.reference if self.study else None
        line = None  # to hold the curves against: one figure of the same metric
        if reference and reference.metric == self.metric and len(reference.figures) == 1:
            line = next(iter(reference.figures.values())), "reference"
        return FigureData(
            self.head.name, self.runs, self.fields, self.metric, self.curves, self.target,
            filters if side * side == pixels else [], (side, side), line,
        )  # fmt: skip

    def _extremes(self) -> list[Extreme]:
        """Find the best and the worst run, where there are two with weights."""
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
        path = self.store.download(self.head.run_id, name)
        return path.read_text(encoding="utf-8") if path.is_file() else None
