"""The report of a stability study: how far 2 / sharpness predicts the largest stable rate."""

import io
import json
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import pandas as pd
from scipy import stats

from nnlab.analysis.configurations import DIGEST, SEED, varying
from nnlab.analysis.document import Document, Section, table
from nnlab.analysis.figures import FigureSpec
from nnlab.analysis.groups import short, written
from nnlab.analysis.sweep_report import provenance_table
from nnlab.errors import ReportError
from nnlab.plots.stability import StabilityPoint, stable_learning_rates
from nnlab.runs.study import STUDY_FILE, Study
from nnlab.runs.tags import Tag
from nnlab.tracking.artifacts import ENVIRONMENT
from nnlab.tracking.records import RunRecord
from nnlab.tracking.store import Store
from nnlab.training.stability_search import EDGES, judged

FOUND = (
    "run_id",
    "sharpness",
    "lr_predicted",
    "holes",
    SEED,
    DIGEST,
)  # columns that are no settings


@dataclass(frozen=True)
class StabilityResults:
    """A stability study as the store has it.

    Attributes
    ----------
    networks : a row each; the middles of the intervals are added to what was recorded
    trials : a row each training
    """

    head: RunRecord
    networks: pd.DataFrame
    trials: pd.DataFrame
    study: Study | None
    environment: dict[str, Any]

    @classmethod
    def read(cls, store: Store, head: RunRecord) -> "StabilityResults":
        """Read what ``nnlab stability`` recorded.

        Raises
        ------
        ReportError
            Where it has not come to its end.
        """
        names = ("stability.csv", "trials.csv", STUDY_FILE, ENVIRONMENT)
        paths = {name: store.download(head.run_id, name) for name in names}
        texts = {
            name: path.read_text(encoding="utf-8") for name, path in paths.items() if path.is_file()
        }
        if "stability.csv" not in texts or "trials.csv" not in texts:
            raise ReportError(
                f"{head.run_id[:8]} is {head.status}, and has no table of edges: there is nothing "
                "to tell. Start `nnlab stability` again."
            )
        networks, trials = (pd.read_csv(io.StringIO(texts[name])) for name in names[:2])
        for edge in EDGES:
            lower, upper = networks[f"lr_{edge}_lower"], networks[f"lr_{edge}_upper"]
            known = (lower > 0) & np.isfinite(upper)
            networks[f"lr_{edge}"] = np.sqrt(lower) * np.sqrt(upper.where(known))
            networks[f"{edge}_over_predicted"] = networks[f"lr_{edge}"] / networks["lr_predicted"]
        first = store.get(str(networks["run_id"].iloc[0]))  # one command, one dataset
        networks[DIGEST] = first.tags.get(Tag.DATA_DIGEST)
        study = head.tags.get(Tag.STUDY)
        return cls(
            head, networks, trials,
            Study(study, texts[STUDY_FILE]) if study and STUDY_FILE in texts else None,
            json.loads(texts.get(ENVIRONMENT, "{}")),
        )  # fmt: skip

    @cached_property
    def fields(self) -> list[str]:
        """What varies, but for the seed."""
        params = [
            each
            for each in map(str, self.networks)
            if not each.startswith("lr_")
            and not each.endswith("_over_predicted")
            and each not in FOUND
        ]
        runs = self.networks.copy()
        runs.attrs["params"] = params
        return varying(runs)

    @property
    def label(self) -> "pd.Series[Any]":
        """What tells a network from others, but for the seed: a number, where one number does."""
        if len(self.fields) == 1:
            return self.networks[self.fields[0]]
        told = self.networks[self.fields].astype(str)
        return told.agg(" ".join, axis=1) if self.fields else told.assign(all="all")["all"]


def stability_figures(found: StabilityResults) -> Iterator[FigureSpec]:
    """Yield the picture of a stability study."""
    rates = [found.networks[f"lr_{each}"].tolist() for each in ("predicted", *EDGES)]
    seeds = found.networks[SEED].tolist()
    points = list(map(StabilityPoint, found.label.tolist(), *rates, seeds))
    name = short(found.fields[0]) if len(found.fields) == 1 else "network"
    yield FigureSpec(
        "edge",
        "Above: 2 / sharpness, the largest stable learning rate that was found, and the largest at "
        "which the loss still settles; a dot is a network. Below: found over predicted.",
        lambda: stable_learning_rates(points, found.head.name, name),
    )


def stability_document(found: StabilityResults, name: str) -> Document:
    """Write the report of a stability study, without its figures."""
    networks, study = found.networks, found.study
    ratios = [networks[f"{edge}_over_predicted"].dropna().tolist() for edge in EDGES]
    verdict = [judged(ratios[0], ratios[1], len(networks), int((networks["holes"] > 0).sum()))]
    verdict += _ranks(found)
    settings = [[f"`{short(each)}`", str(len(set(networks[each]))),
                 ", ".join(written(value) for value in sorted(set(networks[each]), key=str))]
                for each in (*found.fields, SEED)]  # fmt: skip
    return Document(
        name=name,
        title=study.name.replace("_", " ") if study else found.head.name,
        question=study.question if study else "",
        expected=" ".join(study.expected.split()) if study else "",
        verdict=verdict,
        command=found.head.tags.get(
            Tag.COMMAND, f"nnlab stability {found.head.tags[Tag.OVERRIDES]}"
        ),
        varied=table(["field", "values", ""], settings, left=3),
        fixed=f"{len(found.trials)} trainings of {len(networks)} networks; each row of "
        "`networks.csv` is a network, of `trials.csv` a training.",
        sections=[Section("Results", _results(found))],
        failures="None: the search came to its end.",
        provenance=provenance_table(found.head, found.environment, networks, "networks.csv"),
        reproduce=[
            f"git checkout {found.environment.get('git_commit') or '<commit>'}",
            found.head.tags.get(Tag.COMMAND, ""),
        ],
    )


def _results(found: StabilityResults) -> str:
    columns = ("sharpness", "lr_predicted", "lr_stable", "stable_over_predicted", "lr_largest",
               "largest_over_predicted")  # fmt: skip
    rows = []
    for value, own in found.networks.groupby(found.label):
        cells = [_spread(own[column].dropna()) for column in columns]
        rows.append([written(value), str(len(own)), *cells])
    name = short(found.fields[0]) if len(found.fields) == 1 else ""
    titles = [name, "seeds", "sharpness", "2 / sharpness", "lr stable", "found / predicted",
              "lr largest", "found / predicted"]  # fmt: skip
    return (
        f"{table(titles, rows)}\n\nGeometric means over seeds, and the range. *lr stable*: up to "
        "it the loss never rises above where it began; *lr largest*: up to it the loss settles "
        "below where it began."
    )


def _spread(values: "pd.Series[float]") -> str:
    if not len(values):
        return "-"
    return f"{stats.gmean(values):.3g} ({values.min():.3g}–{values.max():.3g})"


def _ranks(found: StabilityResults) -> Iterator[str]:
    """Say whether the prediction at least orders the networks."""
    both = found.networks[["lr_predicted", "lr_stable"]].dropna()
    if len(both) < 5 or both.nunique().min() < 2:  # noqa: PLR2004 - ranks need something to order
        return
    rho, p = stats.spearmanr(both["lr_predicted"], both["lr_stable"])
    told = "orders the networks as the search does" if rho > 0 else "does not order them"
    yield (
        f"Over all networks, 2 / sharpness {told}: Spearman's ρ = {rho:+.2f} (p = {p:.2g}) between "
        f"it and the largest stable learning rate. While 2 / sharpness ranges over a factor of "
        f"{both['lr_predicted'].max() / both['lr_predicted'].min():.3g}, the rate that was found "
        f"does over one of {both['lr_stable'].max() / both['lr_stable'].min():.3g}."
    )
