"""What a store holds of one run or sweep, gathered for ``nnlab show``."""

import csv
import io
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass

from nnlab.analysis.first_weights import FirstWeights, first_weights
from nnlab.analysis.formatting import json_value
from nnlab.analysis.listing import Row, row_of
from nnlab.analysis.ranking import LAST, METRIC
from nnlab.errors import StoredFileError, TrackingError
from nnlab.jobs.tags import Tag
from nnlab.tracking.late_accuracy import HISTORY
from nnlab.tracking.own_tags import own_tags
from nnlab.tracking.readers import Reader
from nnlab.tracking.records import RunRecord
from nnlab.tracking.selection import runs_of
from nnlab.training.history import CURVES

Curve = Sequence[tuple[int, float]]  # epoch, value

ORIGINS = {
    Tag.REPRODUCES: "reproduces",
    Tag.DERIVED_FROM: "config from",
    Tag.CONFIRMS: "confirms",
    Tag.IMPORTED_FROM: "imported from",
}  # tag -> what the run whose id it holds is to this one
OFFSPRING = {
    Tag.REPRODUCES: "reproduced by",
    Tag.DERIVED_FROM: "config for",
    Tag.CONFIRMS: "confirmed by",
}
FACTS = {
    "command": Tag.COMMAND, "study": Tag.STUDY, "commit": Tag.GIT_COMMIT, "dirty": Tag.GIT_DIRTY,
    "data_digest": Tag.DATA_DIGEST, "reason": Tag.REASON, "best_run": Tag.BEST_RUN,
    "certificate": Tag.CERTIFICATE,
}  # fmt: skip


@dataclass(frozen=True)
class Description:
    """What a store holds of a run or a sweep.

    Attributes
    ----------
    record : RunRecord
    row : Row
        As ``nnlab ls`` lists it.
    lineage : dict of str to list of RunRecord or str
        Relation -> the runs; ids of those that are not in the store.
    files : dict of str to int
        Sizes in bytes.
    runs : list of RunRecord
        Of a sweep, the best first.
    curves : dict of str to Curve
        Metric -> its values by epoch.
    beginning : FirstWeights or None
        W1 before the first step; None where the record does not tell it.
    dead : int or None
        Units that no training image activates before the first step.
    """

    record: RunRecord
    row: Row
    lineage: Mapping[str, Sequence[RunRecord | str]]
    files: Mapping[str, int]
    runs: Sequence[RunRecord]
    curves: Mapping[str, Curve]
    beginning: FirstWeights | None
    dead: int | None

    @classmethod
    def read(cls, store: Reader, record: RunRecord) -> "Description":
        """Read what there is of a record."""
        row = row_of(store, record)
        is_run = row["kind"] == "run"
        curves = _curves(store, record) if is_run else {}
        files: dict[str, int] = {}
        with suppress(TrackingError, OSError):  # lost files hide nothing else
            files = store.file_sizes(record.run_id)
        runs = [] if is_run else [run for run, _ in runs_of(store, record.run_id)]
        return cls(
            record,
            row,
            _lineage(store, record),
            files,
            sorted(runs, key=lambda run: -run.metrics.get(METRIC, run.metrics.get(LAST, 0))),
            curves,
            first_weights(store, record) if is_run else None,
            _dead_units(record, curves),
        )

    @property
    def facts(self) -> dict[str, str]:
        """What nnlab's tags tell: label -> text, of those that are there."""
        tags = self.record.tags
        return {label: tags[tag] for label, tag in FACTS.items() if tags.get(tag)}

    def as_dict(self) -> dict[str, object]:
        """Return all but the curves as plain values."""
        related = {
            relation: [run if isinstance(run, str) else run.run_id for run in runs]
            for relation, runs in self.lineage.items()
        }
        return {
            **self.row,
            **self.facts,
            "params": self.record.params,
            "metrics": {name: json_value(x) for name, x in self.record.metrics.items()},
            "tags": own_tags(self.record),
            "lineage": related,
            "first_weights": None if self.beginning is None else self.beginning.as_dict(),
            "dead_before_first_step": self.dead,
            "files": self.files,
            "run_ids": [run.run_id for run in self.runs],
        }


def _lineage(store: Reader, record: RunRecord) -> dict[str, list[RunRecord | str]]:
    tags = record.tags
    related: dict[str, list[RunRecord | str]] = {}
    for tag, relation in {Tag.PARENT: "sweep", **ORIGINS}.items():
        if tag in tags:
            related[relation] = [*store.read([tags[tag]])] or [tags[tag]]
    for tag, relation in OFFSPRING.items():
        if runs := store.tagged(tag, record.run_id):
            related[relation] = [*runs]
    return related


def _curves(store: Reader, record: RunRecord) -> dict[str, Curve]:
    """Return the metrics by epoch, from history.csv, or as far as a run has come."""
    with suppress(TrackingError, StoredFileError, LookupError, ValueError, csv.Error):
        text = store.read_file(record.run_id, HISTORY)
        if text is not None:
            rows = list(csv.DictReader(io.StringIO(text)))
            names = [name for name in rows[0] if name in CURVES]
            return {
                name: [(int(row["epoch"]), float(row[name])) for row in rows if row[name]]
                for name in names
            }
    curves: dict[str, list[tuple[int, float]]] = {}
    for metric, value, _, epoch in store.measurements(record.run_id, CURVES):
        curves.setdefault(metric, []).append((epoch, value))
    return {name: sorted(curves[name]) for name in CURVES if name in curves}


def _dead_units(record: RunRecord, curves: Mapping[str, Curve]) -> int | None:
    with suppress(ValueError, KeyError, OverflowError):
        share = dict(curves["dead_fraction"])[0]
        return round(share * int(record.params["hidden_size"]))
    return None
