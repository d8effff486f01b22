"""``nnlab report``: a study's page, in a folder and beside its run in the store."""

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import pandas as pd

from nnlab.analysis.comparison import compare
from nnlab.analysis.configurations import run_results, varying_seeds
from nnlab.analysis.document import SIGNATURE, Document, FigureFile
from nnlab.analysis.explore import explore_page, read_explore_data
from nnlab.analysis.figures import FigureSpec, sweep_figures
from nnlab.analysis.formatting import csv_text
from nnlab.analysis.ranking import METRIC, SEED, lower_is_better, worst_result
from nnlab.analysis.snapshot_files import SnapshotFiles
from nnlab.analysis.stability_report import StabilityResults, stability_document, stability_figures
from nnlab.analysis.sweep_report import sweep_document
from nnlab.analysis.sweep_results import SweepResults
from nnlab.analysis.terminal import track
from nnlab.data.files import write_whole
from nnlab.errors import ReportError, reason_of
from nnlab.interrupts import deferred
from nnlab.jobs import provenance
from nnlab.jobs.tags import Tag
from nnlab.plots.names import EXPLORE
from nnlab.plots.style import Figure, save
from nnlab.safe_text import file_name, path_error
from nnlab.system.temporary import temporary_folder
from nnlab.tracking.records import RunRecord
from nnlab.tracking.store import Store, existing_store
from nnlab.tracking.writer import Writer

README = "README.md"
PAGE = "report.html"
NOTES = "notes.md"  # written by hand: read, and never written
BEST = "best.yaml"  # the config of the best configuration
FOLDER = "experiments"


@dataclass(frozen=True)
class Report:
    """Where a report was written to."""

    folder: Path
    page: Path
    run_id: str
    in_store: bool  # whether the page is among the files of the sweep's run too


def report(
    sweep: str | None, uri: str | None = None, metric: str | None = None, out: Path | None = None
) -> Report:
    """Write the report of a sweep, or of a stability study.

    ``README.md``, figures and tables go into a folder. ``report.html``, a page that needs no other
    file, and a sweep's interactive ``explore.html`` go there too, and to the files of the sweep's
    run in the store.

    Parameters
    ----------
    sweep : str or None
        The beginning of its id, or ``last``; None for the last sweep.
    uri : str or None
        The store; None for the one of the config.
    metric : str or None
        The metric by which configurations are judged; None for the final validation accuracy.
    out : Path or None
        The folder; None for ``experiments/<name>``, named after the study, or after the sweep.

    Raises
    ------
    TrackingError, ComparisonError
        If there is no such sweep, or it has no results.
    ReportError
        If the folder holds a README that somebody else has written.
    """
    store = existing_store(uri)
    parent = _parent(store, sweep)
    folder = out or provenance.project_root() / FOLDER / _name(parent)
    _refuse_to_overwrite(folder)
    figures: Iterable[FigureSpec]
    files: dict[str, str] = {}
    if parent.tags.get(Tag.KIND) == "stability":
        study = StabilityResults.read(store, parent)
        document, figures = stability_document(study, folder.name), stability_figures(study)
        tables = {"networks.csv": study.networks, "trials.csv": study.trials}
    else:
        results = SweepResults.read(store, parent, metric or METRIC)
        document, figures = sweep_document(results, folder.name), sweep_figures(results.figure_data)
        files = {BEST: results.best_config, EXPLORE: _explore_page(results)}
        tables = {
            "runs.csv": _runs_table(results),
            "configurations.csv": compare([parent.run_id], store.uri, results.metric),
        }
    with temporary_folder() as made:
        for name, table in tables.items():
            files[name] = csv_text(table)
        for name, text in files.items():
            (made / name).write_text(text, encoding="utf-8")
        complete = _draw(document, figures, made, folder / NOTES)
        (made / README).write_text(complete.markdown(), encoding="utf-8")
        (made / PAGE).write_text(complete.html(made), encoding="utf-8")
        try:
            folder.mkdir(parents=True, exist_ok=True)
            _remove_figures(folder)
            for file in made.iterdir():  # only now: the last report stays whole until this one is
                (folder / file.name).write_bytes(file.read_bytes())
        except OSError as error:
            raise ReportError(
                f"{folder} cannot be written: {reason_of(error)}. Name another folder with --out."
            ) from error
        if not store.read_only:
            _attach(store, parent, sorted([*made.glob("*.html"), *made.glob("*.png")]))
    return Report(folder, folder / PAGE, parent.run_id, in_store=not store.read_only)


def _explore_page(results: SweepResults) -> str:
    store, parent, runs = results.store, results.parent, results.all_runs
    ended = runs[runs["outcome"].notna()]
    taken = SnapshotFiles.find(store, ended.sort_values(results.metric)["run_id"].tolist()[::-1])
    return explore_page(
        read_explore_data(
            store.uri, runs, parent.name, parent.experiment_id, taken, results.metric
        )
    )  # fmt: skip


def _attach(store: Store, parent: RunRecord, files: Sequence[Path]) -> None:
    """Put the page and its figures among the files of the sweep's run, where the UI shows them."""
    with deferred(), Writer(store).folder(parent.run_id) as folder:
        for file in files:
            write_whole(folder / file.name, file.read_bytes())  # in place of a link, not behind it
    if Tag.FIGURES_MISSING in parent.tags:
        Writer(store).remove_tag(parent.run_id, Tag.FIGURES_MISSING)


def sweep_figure(
    sweep: str, name: str, uri: str | None = None, metric: str | None = None
) -> Figure:
    """Draw one of the figures of a sweep, or of a stability study.

    Parameters
    ----------
    sweep, uri, metric
        As in ``report``.
    name : str
        Such as ``curves``; which figures there are depends on what the sweep varies.

    Raises
    ------
    ReportError
        If there is no such figure, with the names of those that there are.
    """
    store = existing_store(uri)
    parent = _parent(store, sweep)
    if parent.tags.get(Tag.KIND) == "stability":
        figures = list(stability_figures(StabilityResults.read(store, parent)))
    else:
        results = SweepResults.read(store, parent, metric or METRIC)
        figures = list(sweep_figures(results.figure_data))
    for figure in figures:
        if figure.name == name:
            return figure.draw()
    names = ", ".join(figure.name for figure in figures)
    raise ReportError(f"Sweep {parent.run_id[:8]} has no figure {name!r}: there are {names}.")


def _parent(store: Store, sweep: str | None) -> RunRecord:
    """Return the parent run of the sweep or study that was asked for."""
    record = store.last_sweep() if sweep is None else store.find_run(sweep)
    if record.tags.get(Tag.KIND) in ("sweep", "stability"):
        return record
    hint = f": its sweep is {record.parent[:8]}" if record.parent else ""
    raise ReportError(f"{record.run_id[:8]} is a single run, and no sweep{hint}.")


def _name(parent: RunRecord) -> str:
    """Name a folder after the study, or after what the sweep varied and its id."""
    study = parent.tags.get(Tag.STUDY)
    if study and path_error(study) is None:
        return study
    return f"{file_name(parent.name) or 'sweep'}-{parent.run_id[:8]}"


def _refuse_to_overwrite(folder: Path) -> None:
    readme = folder / README
    if readme.is_file() and SIGNATURE not in readme.read_text(encoding="utf-8", errors="replace"):
        raise ReportError(
            f"{readme} was not made by `nnlab report`, and is left alone: name another folder with "
            f"--out, or move your words to {NOTES}, which a report takes in."
        )
    if folder.exists() and not folder.is_dir():
        raise ReportError(f"{folder} is a file: name a folder with --out.")


def _remove_figures(folder: Path) -> None:
    """Remove the figures of an earlier report: this one may have others."""
    readme = folder / README
    if readme.is_file():
        text = readme.read_text(encoding="utf-8", errors="replace")
        for name in re.findall(r"\]\((\w+\.png)\)", text):
            (folder / name).unlink(missing_ok=True)


def _draw(document: Document, figures: Iterable[FigureSpec], made: Path, notes: Path) -> Document:
    """Draw the figures into a folder, and return the document with them and the notes."""
    files = []
    for figure in track(list(figures), "drawing figures"):
        save(figure.draw(), made / f"{figure.name}.png")
        files.append(FigureFile(f"{figure.name}.png", figure.caption))
    text = notes.read_text(encoding="utf-8").strip() if notes.is_file() else ""
    return replace(document, figures=files, notes=text)


def _runs_table(results: SweepResults) -> pd.DataFrame:
    """Return all runs, the best first: ids, what varied, what became of them, metrics, digest."""
    runs = results.all_runs
    seeds = [*([SEED] if SEED in runs else []), *varying_seeds(runs)]
    columns = dict.fromkeys(
        ("run_id", "name", *results.fields, *seeds, "status", "outcome", *runs.attrs["metrics"],
         "weights_sha256")
    )  # fmt: skip
    result = run_results(runs, results.metric).fillna(worst_result(results.metric))
    ordered = runs.assign(_result=result).sort_values(
        ["_result", "run_id"], ascending=[lower_is_better(results.metric), True]
    )
    return ordered[list(columns)]
