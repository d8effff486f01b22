"""``nnlab stability``: the edge of stability for a grid of configs, recorded and reported."""

import csv
import io
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from statistics import geometric_mean

import pandas as pd
from rich.console import Console

from nnlab.analysis.configurations import DIGEST
from nnlab.analysis.ranking import SEED, value_of
from nnlab.analysis.stability_verdict import LEGEND, TITLES, add_rates, stability_verdict
from nnlab.analysis.terminal import SafeConsole, print_line
from nnlab.analysis.terminal_tables import FOLD, print_table
from nnlab.errors import ConfigError, TrackingError
from nnlab.execution.failures import status_and_reason
from nnlab.execution.progress import print_note
from nnlab.execution.stability import Network, check, find_edges
from nnlab.interrupts import deferred
from nnlab.jobs import provenance
from nnlab.jobs.code_version import code_version
from nnlab.jobs.compose import compose_grid
from nnlab.jobs.run import plan_runs
from nnlab.jobs.study import parent_tags, write_study
from nnlab.jobs.sweep import Sweep
from nnlab.jobs.tags import Tag
from nnlab.safe_text import spreadsheet_cell
from nnlab.tracking import artifacts
from nnlab.tracking.locations import tracking_uri, uri_option
from nnlab.tracking.store import Store
from nnlab.tracking.tracker import Tracker
from nnlab.training.stability_edges import EDGES, HORIZONS, Bracket
from nnlab.wording import counted


def study_stability(overrides: Sequence[str], tolerance: float) -> list[Network]:
    """Find the edges of all networks that some overrides stand for; record and print them.

    The tracking store gets one run for the command, and under it one for each network, because
    networks are what is compared over seeds and scales. The dozens of trainings of each network
    are rows of a table.

    Parameters
    ----------
    overrides : Sequence[str]
        As for ``python run.py -m``, without the learning rate.
    tolerance : float
        Relative width of the intervals of learning rates.

    Raises
    ------
    ConfigError
        Where the overrides are wrong, or 2 over the sharpness predicts nothing for them.
    """
    jobs, configs, study, _, note = compose_grid(overrides)
    if note is not None:
        print_note(note)
    if any(override.startswith("lr=") for job in jobs for override in job):
        raise ConfigError("lr is what is searched for here: leave it out.")
    for config in configs:
        check(config)
    sweep = Sweep.of(configs, jobs)
    runs = plan_runs(sweep.jobs)
    tracking = configs[0].tracking
    store = Store(tracking_uri(tracking.uri))
    tracker = Tracker(store, tracking.experiment, code_version())
    tags = {Tag.KIND: "stability", Tag.OVERRIDES: " ".join(overrides), **parent_tags(study)}
    with _recorded(tracker, f"stability {sweep.name}", tags) as parent:
        with tracker.folder(parent) as folder:
            write_study(folder, study)
        networks = find_edges(runs, tolerance)
        _record(tracker, parent, networks)
    _report(networks, [field for field in sweep.varying if field != SEED], parent)
    return networks


@contextmanager
def _recorded(tracker: Tracker, name: str, tags: Mapping[str, str]) -> Iterator[str]:
    """Provide a run in the store that says how this block ended."""
    with deferred():
        parent = tracker.start(name, {}, tags)
    try:
        yield parent
    except BaseException as error:
        status, reason = status_and_reason(error)
        with suppress(TrackingError), deferred():
            tracker.finish(parent, status, tags={Tag.REASON: reason})
        raise
    with deferred():
        tracker.finish(parent, "FINISHED")


def _record(tracker: Tracker, parent: str, networks: Sequence[Network]) -> None:
    """Write the results: a run for each network, two tables of them all, the means."""
    run_ids = []
    for network in networks:
        tags = {Tag.KIND: "stability", Tag.DATA_DIGEST: network.run.prepared.digest}
        with deferred():
            run_id = tracker.start(network.run.job.name, _params(network), tags, parent=parent)
            tracker.log(run_id, [(name, value, 0) for name, value in network.figures.items()])
            tracker.finish(run_id, "FINISHED")
        run_ids.append(run_id)
    with deferred(), tracker.folder(parent) as folder:
        split = networks[0].run.prepared.compact_split
        artifacts.write_shared(folder, split, provenance.collect())
        names = ("stability.csv", "trials.csv")
        for name, rows in zip(names, _tables(networks, run_ids), strict=True):
            (folder / name).write_text(_csv_text(rows), encoding="utf-8", newline="")
    ratios = {name: _known(networks, f"{name}_over_predicted") for name in EDGES}
    means = {name: geometric_mean(values) for name, values in ratios.items() if values}
    tracker.log(parent, [(f"{name}_over_predicted", mean, 0) for name, mean in means.items()])


def _tables(
    networks: Sequence[Network], run_ids: Sequence[str]
) -> tuple[list[dict[str, object]], list[dict[str, object]]]:
    """Return the rows of the two tables: of the networks, and of all trainings."""
    named = list(zip(run_ids, networks, strict=True))
    trials = [
        {"run_id": run_id, "name": network.run.job.name, **row}
        for run_id, network in named
        for row in _trial_rows(network)
    ]
    return [{"run_id": run_id, **_edges_row(network)} for run_id, network in named], trials


def _params(network: Network) -> dict[str, str]:
    params = network.run.job.config.params
    return {name: value for name, value in params.items() if name != "lr"}


def _edges_row(network: Network) -> dict[str, object]:
    edges = network.edges
    row: dict[str, object] = {
        **_params(network),
        "sharpness": network.sharpness,
        "lr_predicted": network.predicted,
    }
    for name in ("stable", "largest", *(f"monotone_{horizon}" for horizon in HORIZONS)):
        bracket: Bracket | None = getattr(edges, name)
        row[f"lr_{name}_lower"] = None if bracket is None else bracket.lower
        row[f"lr_{name}_upper"] = None if bracket is None else bracket.upper
        if name != "largest":
            row[f"{name}_killed"] = None if bracket is None else bracket.killed
    return {**row, "holes": edges.holes, "sharpness_trained": network.sharpness_trained}


def _trial_rows(network: Network) -> Iterator[dict[str, object]]:
    for trial in network.trials:
        yield {
            "lr": trial.lr,
            "phase": trial.phase,
            "initial_loss": trial.initial,
            "highest_loss": trial.highest,
            "settled_loss": trial.settled,
            "epochs": trial.epochs,
            "rises_at": trial.rises_at,
            "rising_steps": trial.rising_steps,
            "killed_at": trial.killed_at,
        }


def _csv_text(rows: Sequence[Mapping[str, object]]) -> str:
    file = io.StringIO(newline="")
    writer = csv.writer(file)
    for row in (list(rows[0]), *(row.values() for row in rows)):
        writer.writerow(map(spreadsheet_cell, row))
    return file.getvalue()


def _report(networks: Sequence[Network], fields: Sequence[str], parent: str) -> None:
    """Print a table of the networks, one of the configs over their seeds, and a verdict."""
    console = SafeConsole()
    rest = f"stability.csv among the files of {parent[:8]}"
    _print_networks(console, networks, fields, rest)
    groups: dict[tuple[str, ...], list[Network]] = {}
    for network in networks:
        key = tuple(value_of(network.run, field) for field in fields)
        groups.setdefault(key, []).append(network)
    if len(groups) < len(networks):
        console.print()
        _print_seeds(console, groups, fields, rest)
    for line in ("", LEGEND, "", " ".join(verdict(networks)), ""):
        print_line(console, line)
    console.print(f"run {parent}: {counted(len(networks), 'network')}", soft_wrap=True)
    rest = f" {parent[:8]}{uri_option(networks[0].run.job.config.tracking.uri)}"
    console.print("next:")
    for command in ("report", "ui"):
        console.print(f"  nnlab {command}{rest}", markup=False, soft_wrap=True)


def _print_networks(
    console: Console, networks: Sequence[Network], fields: Sequence[str], rest: str
) -> None:
    edges = _known_edges(networks)
    titles = [TITLES[edge] for edge in edges]
    rows = []
    for network in networks:
        figures = network.figures
        row = (
            *(value_of(network.run, field) for field in fields),
            str(network.run.job.config.seed),
            f"{network.sharpness:.4g}",
            f"{network.predicted:.4g}",
            *(
                f"{figures[f'lr_{edge}']:.3g} = {figures[f'{edge}_over_predicted']:.3g}×"
                if f"lr_{edge}" in figures
                else "-"
                for edge in edges
            ),
        )
        rows.append(row)
    print_table(
        console, (*fields, SEED, "sharpness", "2/sharpness", *titles), rows,
        folded=(*fields, *titles), optional=("sharpness", FOLD, *reversed(titles)), rest=rest,
    )  # fmt: skip


def _print_seeds(
    console: Console,
    groups: Mapping[tuple[str, ...], list[Network]],
    fields: Sequence[str],
    rest: str,
) -> None:
    edges = _known_edges([network for members in groups.values() for network in members])
    titles = [f"{TITLES[edge]} ×" for edge in edges]
    rows = []
    for values, members in groups.items():
        ratios = (_spread(_known(members, f"{edge}_over_predicted")) for edge in edges)
        predicted = _spread(_known(members, "lr_predicted"))
        rows.append((*values, str(len(members)), predicted, *ratios))
    print_table(
        console, (*fields, "seeds", "2/sharpness", *titles), rows,
        folded=(*fields, "2/sharpness", *titles), optional=(FOLD, *reversed(titles)), rest=rest,
    )  # fmt: skip


def verdict(networks: Sequence[Network]) -> list[str]:
    """Return what follows from the networks' edges, as the report has it."""
    ids = list(map(str, range(len(networks))))
    edges, trials = (pd.read_csv(io.StringIO(_csv_text(rows))) for rows in _tables(networks, ids))
    edges[DIGEST] = [network.run.prepared.digest for network in networks]
    return list(stability_verdict(add_rates(edges), trials))


def _known_edges(networks: Sequence[Network]) -> list[str]:
    return [edge for edge in EDGES if _known(networks, f"lr_{edge}")]


def _known(networks: Sequence[Network], figure: str) -> list[float]:
    return [network.figures[figure] for network in networks if network.figures.get(figure)]


def _spread(values: Sequence[float]) -> str:
    """Return the geometric mean, the mean that suits rates, and the range."""
    if not values:
        return "-"
    return f"{geometric_mean(values):.3g} ({min(values):.3g}–{max(values):.3g})"
