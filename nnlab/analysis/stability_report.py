"""The report of a stability study: how far 2 / sharpness predicts the largest stable rate."""

import io
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import pandas as pd
from scipy import stats

from nnlab.analysis.configurations import DIGEST, varying_fields
from nnlab.analysis.document import Document, Section, heading
from nnlab.analysis.explanations import TREND_VALUES
from nnlab.analysis.figures import FigureSpec
from nnlab.analysis.formatting import markdown_table, short, written
from nnlab.analysis.ranking import SEED
from nnlab.analysis.sweep_report import checkout_command, provenance_table, typed_command
from nnlab.errors import ReportError
from nnlab.plots.stability import StabilityPoint, stable_learning_rates
from nnlab.runs.commands import recorded_command
from nnlab.runs.provenance import read_environment
from nnlab.runs.study import STUDY_FILE, Study
from nnlab.runs.tags import Tag
from nnlab.safe_text import one_line
from nnlab.system.stored_files import read_text
from nnlab.tracking.artifacts import ENVIRONMENT
from nnlab.tracking.records import RunRecord
from nnlab.tracking.store import Store
from nnlab.training.stability_search import EDGES, agreement_with_theory

NO_PARAMETERS = ("run_id", "sharpness", "holes", SEED, DIGEST)  # nor columns of learning rates


@dataclass(frozen=True)
class StabilityResults:
    """A stability study as the store has it.

    Attributes
    ----------
    parent : RunRecord
        The study's parent run.
    networks : DataFrame
        A row for each network. The middles of the recorded intervals are added.
    trials : DataFrame
        A row for each training.
    environment : dict
        The record of code, libraries and machine.
    """

    parent: RunRecord
    networks: pd.DataFrame
    trials: pd.DataFrame
    study: Study | None
    environment: dict[str, Any]

    @classmethod
    def read(cls, store: Store, parent: RunRecord) -> "StabilityResults":
        """Read what ``nnlab stability`` recorded.

        Raises
        ------
        ReportError
            If the study has not come to its end.
        """
        names = ("stability.csv", "trials.csv", STUDY_FILE, ENVIRONMENT)
        paths = {name: store.download(parent.run_id, name) for name in names}
        texts = {name: read_text(path) for name, path in paths.items() if path.is_file()}
        if "stability.csv" not in texts or "trials.csv" not in texts:
            raise ReportError(
                f"{parent.run_id[:8]} is {parent.status}, and has no table of learning rates: "
                "there is nothing to report. Start `nnlab stability` again."
            )
        networks, trials = (pd.read_csv(io.StringIO(texts[name])) for name in names[:2])
        for edge in EDGES:
            lower, upper = networks[f"lr_{edge}_lower"], networks[f"lr_{edge}_upper"]
            known = (lower > 0) & np.isfinite(upper)
            networks[f"lr_{edge}"] = np.sqrt(lower) * np.sqrt(upper.where(known))
            networks[f"{edge}_over_predicted"] = networks[f"lr_{edge}"] / networks["lr_predicted"]
        first = store.get(str(networks["run_id"].iloc[0]))  # one command, one dataset
        networks[DIGEST] = first.tags.get(Tag.DATA_DIGEST)
        study = parent.tags.get(Tag.STUDY)
        return cls(
            parent, networks, trials,
            Study(study, texts[STUDY_FILE]) if study and STUDY_FILE in texts else None,
            read_environment(paths[ENVIRONMENT]) if ENVIRONMENT in texts else {},
        )  # fmt: skip

    @cached_property
    def fields(self) -> list[str]:
        """The parameters that vary, without the seed."""
        runs = self.networks.copy()
        runs.attrs["params"] = [
            name
            for name in map(str, self.networks)
            if name not in NO_PARAMETERS
            and not name.startswith("lr_")
            and not name.endswith("_over_predicted")
        ]
        return varying_fields(runs)

    @property
    def label(self) -> "pd.Series[Any]":
        """What distinguishes each network, apart from its seed: a number if one number does."""
        if len(self.fields) == 1:
            return self.networks[self.fields[0]]
        settings = self.networks[self.fields].astype(str)
        return settings.agg(" ".join, axis=1) if self.fields else settings.assign(all="all")["all"]

    @property
    def label_name(self) -> str | None:
        """The short name of the one field that varies; None if there is not just one."""
        return short(self.fields[0]) if len(self.fields) == 1 else None


def stability_figures(results: StabilityResults) -> Iterator[FigureSpec]:
    """Yield the figure of a stability study."""
    networks = results.networks
    rates = [networks[f"lr_{name}"].tolist() for name in ("predicted", *EDGES)]
    points = list(map(StabilityPoint, results.label.tolist(), *rates, networks[SEED].tolist()))
    x_name = results.label_name or "network"
    yield FigureSpec(
        "edge",
        "Above: 2 / sharpness, the largest stable learning rate that was found, and the largest at "
        "which the loss still settles; a dot is a network. Below: found over predicted.",
        lambda: stable_learning_rates(points, results.parent.name, x_name),
    )


def stability_document(results: StabilityResults, name: str) -> Document:
    """Write the report of a stability study, without its figures."""
    networks, tags = results.networks, results.parent.tags
    command = typed_command(results.parent) or recorded_command(
        f"nnlab stability {tags.get(Tag.OVERRIDES, '')}", imported=Tag.IMPORTED_FROM in tags
    )
    ratios = [networks[f"{edge}_over_predicted"].dropna().tolist() for edge in EDGES]
    verdict = [
        agreement_with_theory(
            ratios[0], ratios[1], len(networks), int((networks["holes"] > 0).sum())
        )
    ]
    settings = [
        [f"`{short(field)}`", str(len(values)), ", ".join(map(written, values))]
        for field in (*results.fields, SEED)
        for values in [sorted(set(networks[field]), key=str)]
    ]
    return Document(
        **heading(results.study, results.parent.name),
        name=name,
        verdict=[*verdict, *_rank_correlation(results)],
        command=command or f"(not recorded: {one_line(results.parent.name)})",
        varied=markdown_table(["field", "values", ""], settings, left=(0, 1, 2)),
        fixed=f"{len(results.trials)} trainings of {len(networks)} networks; each row of "
        "`networks.csv` is a network, of `trials.csv` a training.",
        sections=[Section("Results", _results(results))],
        failures="None: the search came to its end.",
        provenance=provenance_table(results.parent, results.environment, networks, "networks.csv"),
        reproduce=[
            checkout_command(results.environment),
            command or "",
        ],
    )


def _results(results: StabilityResults) -> str:
    columns = ("sharpness", "lr_predicted", "lr_stable", "stable_over_predicted", "lr_largest",
               "largest_over_predicted")  # fmt: skip
    rows = [
        [
            written(value),
            str(len(group)),
            *(_mean_and_range(group[name].dropna()) for name in columns),
        ]
        for value, group in results.networks.groupby(results.label)
    ]
    titles = [results.label_name or "", "seeds", "sharpness", "2 / sharpness", "lr stable",
              "found / predicted", "lr largest", "found / predicted"]  # fmt: skip
    return (
        f"{markdown_table(titles, rows)}\n\nGeometric means over seeds, and the range. *lr "
        "stable*: up to it the loss never rises above its initial value; *lr largest*: up to it "
        "the loss settles below its initial value."
    )


def _mean_and_range(values: "pd.Series[float]") -> str:
    if not len(values):
        return "-"
    return f"{stats.gmean(values):.3g} ({values.min():.3g}–{values.max():.3g})"


def _rank_correlation(results: StabilityResults) -> Iterator[str]:
    """Say whether the prediction at least orders the networks."""
    rates = results.networks[["lr_predicted", "lr_stable"]].dropna()
    if len(rates) < TREND_VALUES or rates.nunique().min() < 2:  # noqa: PLR2004 - an order takes two
        return
    rho, p = stats.spearmanr(rates["lr_predicted"], rates["lr_stable"])
    predicted, stable = (rates[name].max() / rates[name].min() for name in rates)
    yield (
        "Over all networks, 2 / sharpness "
        f"{'orders the networks as the search does' if rho > 0 else 'does not order them'}: "
        f"Spearman's ρ = {rho:+.2f} (p = {p:.2g}) between it and the largest stable learning rate. "
        f"2 / sharpness ranges over a factor of {predicted:.3g}, the rate that was found over one "
        f"of {stable:.3g}."
    )
