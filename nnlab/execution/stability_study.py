"""``nnlab stability``: the edge of stability for a grid of configs, recorded and reported."""

import csv
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from statistics import geometric_mean

from rich.markup import escape
from rich.table import Table

from nnlab.analysis.ranking import SEED, value_of
from nnlab.analysis.terminal import results_console, results_table
from nnlab.errors import ConfigError, TrackingError
from nnlab.execution.failures import status_and_reason
from nnlab.execution.stability import Network, check, find_edges
from nnlab.interrupts import deferred
from nnlab.runs import provenance
from nnlab.runs.code_version import code_version
from nnlab.runs.compose import compose_grid
from nnlab.runs.run import plan_runs
from nnlab.runs.study import parent_tags, write_study
from nnlab.runs.sweep import Sweep
from nnlab.runs.tags import Tag
from nnlab.safe_text import spreadsheet_cell
from nnlab.tracking import artifacts
from nnlab.tracking.locations import tracking_uri
from nnlab.tracking.store import Store
from nnlab.tracking.tracker import Tracker
from nnlab.training.stability_search import EDGES, Bracket, agreement_with_theory


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
    jobs, configs, study = compose_grid(overrides)
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
    edges: list[dict[str, object]] = []
    trials: list[dict[str, object]] = []
    for network in networks:
        job = network.run.job
        tags = {Tag.KIND: "stability", Tag.DATA_DIGEST: network.run.prepared.digest}
        with deferred():
            run_id = tracker.start(job.name, _params(network), tags, parent=parent)
            tracker.log(run_id, [(name, value, 0) for name, value in network.figures.items()])
            tracker.finish(run_id, "FINISHED")
        edges.append({"run_id": run_id, **_edges_row(network)})
        trials += [{"run_id": run_id, "name": job.name, **row} for row in _trial_rows(network)]
    with deferred(), tracker.folder(parent) as folder:
        split = networks[0].run.prepared.compact_split
        artifacts.write_shared(folder, split, provenance.collect())
        _write(folder / "stability.csv", edges)
        _write(folder / "trials.csv", trials)
    ratios = {name: _ratios(networks, name) for name in EDGES}
    means = {name: geometric_mean(values) for name, values in ratios.items() if values}
    tracker.log(parent, [(f"{name}_over_predicted", mean, 0) for name, mean in means.items()])


def _params(network: Network) -> dict[str, str]:
    params = network.run.job.config.params
    return {name: value for name, value in params.items() if name != "lr"}


def _edges_row(network: Network) -> dict[str, object]:
    edges = network.edges
    return {
        **_params(network),
        "sharpness": network.sharpness,
        "lr_predicted": network.predicted,
        "lr_stable_lower": edges.stable.lower,
        "lr_stable_upper": edges.stable.upper,
        "lr_largest_lower": edges.largest.lower,
        "lr_largest_upper": edges.largest.upper,
        "holes": edges.holes,
    }


def _trial_rows(network: Network) -> Iterator[dict[str, object]]:
    for trial in network.trials:
        yield {
            "lr": trial.lr,
            "phase": trial.phase,
            "initial_loss": trial.initial,
            "highest_loss": trial.highest,
            "settled_loss": trial.settled,
        }


def _write(path: Path, rows: Sequence[dict[str, object]]) -> None:
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        for row in (list(rows[0]), *(row.values() for row in rows)):
            writer.writerow(map(spreadsheet_cell, row))


def _report(networks: Sequence[Network], fields: Sequence[str], parent: str) -> None:
    """Print a table of the networks, one of the configs over their seeds, and a verdict."""
    console = results_console()
    console.print(_networks_table(networks, fields))
    groups: dict[tuple[str, ...], list[Network]] = {}
    for network in networks:
        key = tuple(value_of(network.run, field) for field in fields)
        groups.setdefault(key, []).append(network)
    if len(groups) < len(networks):
        console.print()
        console.print(_seeds_table(groups, fields))
    console.print(f"\n{verdict(networks)}", soft_wrap=True)
    console.print(f"\nrun {parent}: {len(networks)} networks", soft_wrap=True)
    console.print(f"look at it: nnlab ui {parent[:8]}", soft_wrap=True)


def _networks_table(networks: Sequence[Network], fields: Sequence[str]) -> Table:
    titles = ("sharpness", "2/sharpness", "lr stable", "ratio", "lr largest", "ratio")
    table = results_table((*fields, SEED, *titles))
    for network in networks:
        edges, figures = network.edges, network.figures
        table.add_row(
            *(escape(value_of(network.run, field)) for field in fields),
            str(network.run.job.config.seed),
            f"{network.sharpness:.4g}",
            f"{network.predicted:.4g}",
            _interval(edges.stable),
            _figure(figures, "stable_over_predicted"),
            _interval(edges.largest),
            _figure(figures, "largest_over_predicted"),
        )
    return table


def _seeds_table(groups: Mapping[tuple[str, ...], list[Network]], fields: Sequence[str]) -> Table:
    titles = ("2/sharpness", "lr stable", "ratio", "lr largest", "ratio")
    table = results_table((*fields, "seeds", *titles))
    for values, members in groups.items():
        rows = [network.figures for network in members]
        names = ("lr_predicted", "lr_stable", "stable_over_predicted", "lr_largest",
                 "largest_over_predicted")  # fmt: skip
        table.add_row(
            *map(escape, values),
            str(len(members)),
            *(_spread([row[name] for row in rows if name in row]) for name in names),
        )
    return table


def verdict(networks: Sequence[Network]) -> str:
    """Return a sentence on how well 2 over the sharpness predicts the edges."""
    stable, largest = (_ratios(networks, name) for name in EDGES)
    holes = sum(network.edges.holes > 0 for network in networks)
    return agreement_with_theory(stable, largest, len(networks), holes)


def _ratios(networks: Sequence[Network], edge: str) -> list[float]:
    name = f"{edge}_over_predicted"
    return [network.figures[name] for network in networks if network.figures.get(name)]


def _interval(bracket: Bracket) -> str:
    return f"{bracket.lower:.4g}–{bracket.upper:.4g}"


def _figure(figures: Mapping[str, float], name: str) -> str:
    return f"{figures[name]:.3g}" if name in figures else "-"


def _spread(values: Sequence[float]) -> str:
    """Return the geometric mean, the mean that suits rates, and the range."""
    if not values:
        return "-"
    return f"{geometric_mean(values):.3g} ({min(values):.3g}–{max(values):.3g})"
