"""The report of a stability study: how far 2 / sharpness predicts the largest stable rate."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import pandas as pd
from scipy import stats

from nnlab.analysis.configurations import DIGEST
from nnlab.analysis.document import Document, Section, heading
from nnlab.analysis.figures import FigureSpec
from nnlab.analysis.formatting import markdown_table, short, written
from nnlab.analysis.ranking import SEED
from nnlab.analysis.stability_verdict import (
    LEGEND,
    TITLES,
    add_rates,
    labels,
    parameters,
    stability_verdict,
)
from nnlab.analysis.sweep_report import checkout_command, provenance_table, typed_command
from nnlab.errors import ReportError
from nnlab.jobs.commands import recorded_command
from nnlab.jobs.provenance import read_environment
from nnlab.jobs.study import STUDY_FILE, Study
from nnlab.jobs.tags import Tag
from nnlab.plots.stability import StabilityPoint, stable_learning_rates
from nnlab.safe_text import one_line
from nnlab.system.stored_files import parse_table, read_text
from nnlab.tracking.artifacts import ENVIRONMENT
from nnlab.tracking.records import RunRecord
from nnlab.tracking.store import Store
from nnlab.training.stability_edges import EDGES, HORIZONS
from nnlab.wording import counted

TABLES = {
    "stability.csv": ("run_id", SEED, "sharpness", "lr_predicted"),
    "trials.csv": ("run_id", "lr", "phase"),
}
NUMBERS = (
    SEED, "sharpness", "lr", "lr_predicted", "holes", "rising_steps", "initial_loss",
    *(f"lr_{edge}_{end}" for edge in EDGES for end in ("lower", "upper")),
)  # fmt: skip


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
        names = (*TABLES, STUDY_FILE, ENVIRONMENT)
        paths = {name: store.download(parent.run_id, name) for name in names}
        texts = {name: read_text(path) for name, path in paths.items() if path.is_file()}
        if not texts.keys() >= TABLES.keys():
            raise ReportError(
                f"{parent.run_id[:8]} is {parent.status}, and has no table of learning rates: "
                "there is nothing to report. Start `nnlab stability` again."
            )
        networks, trials = (
            parse_table(
                texts[name], f"{name} of {parent.run_id[:8]}", needed=needed, numbers=NUMBERS
            )
            for name, needed in TABLES.items()
        )
        if networks.empty:
            raise ReportError(f"stability.csv of {parent.run_id[:8]} has no rows.")
        networks = add_rates(networks)
        first = store.get(str(networks["run_id"].iloc[0]))  # one command, one dataset
        networks[DIGEST] = first.tags.get(Tag.DATA_DIGEST)
        study = parent.tags.get(Tag.STUDY)
        return cls(
            parent, networks, trials,
            Study(study, texts[STUDY_FILE]) if study and STUDY_FILE in texts else None,
            read_environment(paths[ENVIRONMENT]) if ENVIRONMENT in texts else {},
        )  # fmt: skip


def stability_figures(results: StabilityResults) -> Iterator[FigureSpec]:
    """Yield the figure of a stability study."""
    networks = results.networks
    label, name = labels(networks)
    rates = [networks[f"lr_{rate}"].tolist() for rate in ("predicted", *EDGES)]
    points = list(map(StabilityPoint, label.tolist(), *rates, networks[SEED].tolist()))
    yield FigureSpec(
        "edge",
        f"Above: 2 / sharpness, and the rates that were found. {LEGEND} A dot is a network. Below: "
        "found over predicted.",
        lambda: stable_learning_rates(points, results.parent.name, name or "network"),
    )


def stability_document(results: StabilityResults, name: str) -> Document:
    """Write the report of a stability study, without its figures."""
    networks, tags = results.networks, results.parent.tags
    command = typed_command(results.parent) or recorded_command(
        f"nnlab stability {tags.get(Tag.OVERRIDES, '')}", imported=Tag.IMPORTED_FROM in tags
    )
    settings = [
        [f"`{short(field)}`", str(len(values)), ", ".join(map(written, values))]
        for field in (*parameters(networks), SEED)
        for values in [sorted(set(networks[field]), key=str)]
    ]
    return Document(
        **heading(results.study, results.parent),
        name=name,
        verdict=[*stability_verdict(networks, results.trials)],
        command=command or f"(not recorded: {one_line(results.parent.name)})",
        varied=markdown_table(["field", "values", ""], settings, left=(0, 1, 2)),
        fixed=f"{len(results.trials)} trainings of {counted(len(networks), 'network')}; each row "
        "of `networks.csv` is a network, of `trials.csv` a training.",
        sections=[Section("Results", _results(results))],
        failures="None: the search came to its end.",
        provenance=provenance_table(results.parent, results.environment, networks, "networks.csv"),
        reproduce=[
            checkout_command(results.environment),
            command or "",
        ],
    )


def _results(results: StabilityResults) -> str:
    networks = results.networks
    label, name = labels(networks)
    edges = [edge for edge in EDGES if networks[f"lr_{edge}"].notna().any()]
    titles = [f"lr {TITLES[edge]}" for edge in edges]
    rates = ["sharpness", "lr_predicted", *(f"lr_{edge}" for edge in edges)]
    ratios = [f"{edge}_over_predicted" for edge in edges]
    if "sharpness_trained" in networks:
        ratios.append("sharpness_trained")
    tables = [
        markdown_table(
            [name or "", "seeds", *heads],
            [
                [written(value), str(len(group)), *(_mean_and_range(group[c]) for c in columns)]
                for value, group in networks.groupby(label, sort=name is not None)
            ],
        )
        for heads, columns in (
            (["sharpness", "2 / sharpness", *titles], rates),
            (
                [f"{title} ×" for title in titles]
                + ["sharpness after training"] * ("sharpness_trained" in networks),
                ratios,
            ),
        )
    ]
    trained = (
        f" *Sharpness after training*: after {HORIZONS[-1]} epochs at the rate just below lr "
        f"{TITLES[EDGES[1]]}."
    ) * ("sharpness_trained" in networks)
    return "\n\n".join([*tables, f"Geometric means over seeds, and the range. {LEGEND}{trained}"])


def _mean_and_range(values: "pd.Series[float]") -> str:
    values = values.dropna()
    if not len(values):
        return "-"
    return f"{stats.gmean(values):.3g} ({values.min():.3g}–{values.max():.3g})"
