"""``nnlab report``: a study's page, in a folder and beside its run in the store."""

import re
import tempfile
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import pandas as pd

from nnlab.analysis.comparison import METRIC, compare
from nnlab.analysis.document import MARK, Document, FigureFile
from nnlab.analysis.figures import FigureSpec, gallery
from nnlab.analysis.stability_report import StabilityResults, stability_document, stability_figures
from nnlab.analysis.sweep_report import sweep_document
from nnlab.analysis.sweep_results import SweepResults
from nnlab.errors import ReportError
from nnlab.interrupts import deferred
from nnlab.plots.style import save
from nnlab.runs import provenance
from nnlab.runs.tags import Tag
from nnlab.tracking.records import RunRecord
from nnlab.tracking.store import Store, existing_store
from nnlab.tracking.writer import Writer

README = "README.md"
PAGE = "report.html"
NOTES = "notes.md"  # somebody's own words: read, and never written
BEST = "best.yaml"  # the config of the best configuration
FOLDER = "experiments"


@dataclass(frozen=True)
class Report:
    """Where a report was written to."""

    folder: Path
    page: Path
    run_id: str


def report(
    sweep: str, uri: str | None = None, metric: str | None = None, out: Path | None = None
) -> Report:
    """Write the report of a sweep, or of a stability study.

    ``README.md``, figures and tables go into a folder, and ``report.html``, a page that needs no
    other file, beside them and among the files of the sweep's run in the store.

    Parameters
    ----------
    sweep : beginning of its id, or ``last``
    uri : of the store; None as in the config
    metric : that configurations are judged by; None for the final validation accuracy
    out : the folder; None for ``experiments/<name>``, with the study's name or else the sweep's

    Raises
    ------
    TrackingError, ComparisonError
        Where there is no such sweep, or nothing to tell of it.
    ReportError
        Where the folder holds a README that somebody else has written.
    """
    store = existing_store(uri)
    head = _head(store, sweep)
    folder = out or provenance.project_root() / FOLDER / _name(head)
    _refuse_to_overwrite(folder)
    pictures: Iterable[FigureSpec]
    kept: dict[str, str] = {}
    if head.tags.get(Tag.KIND) == "stability":
        edges = StabilityResults.read(store, head)
        document, pictures = stability_document(edges, folder.name), stability_figures(edges)
        tables = {"networks.csv": edges.networks, "trials.csv": edges.trials}
    else:
        found = SweepResults.read(store, head, metric or METRIC)
        document, pictures = sweep_document(found, folder.name), gallery(found.figure_data())
        kept = {BEST: found.best_config}
        tables = {
            "runs.csv": _runs_table(found),
            "configurations.csv": compare([head.run_id], store.uri, found.metric),
        }
    with tempfile.TemporaryDirectory(prefix="nnlab-") as scratch:
        made = Path(scratch)
        for name, table in tables.items():
            table.to_csv(made / name, index=False)
        for name, text in kept.items():
            (made / name).write_text(text, encoding="utf-8")
        written = _draw(document, pictures, made, folder / NOTES)
        (made / README).write_text(written.markdown(), encoding="utf-8")
        (made / PAGE).write_text(written.html(made), encoding="utf-8")
        folder.mkdir(parents=True, exist_ok=True)
        _forget_figures(folder)
        for file in made.iterdir():  # only now: what stood there is whole until all is made
            (folder / file.name).write_bytes(file.read_bytes())
        _attach(store, head, [made / PAGE, *sorted(made.glob("*.png"))])
    return Report(folder, folder / PAGE, head.run_id)


def _attach(store: Store, head: RunRecord, files: Sequence[Path]) -> None:
    """Put the page and its figures among the files of the sweep's run, where the UI shows them."""
    with deferred(), Writer(store).folder(head.run_id) as place:
        for file in files:
            (place / file.name).write_bytes(file.read_bytes())


def _head(store: Store, which: str) -> RunRecord:
    found = store.find_run(which, "sweep" if which == "last" else None)
    if found.tags.get(Tag.KIND) in ("sweep", "stability"):
        return found
    parent = found.parent
    hint = f": its sweep is {parent[:8]}" if parent else ""
    raise ReportError(f"{found.run_id[:8]} is a single run, and no sweep{hint}.")


def _name(head: RunRecord) -> str:
    """Name a folder after the study, or after what the sweep varied and its id."""
    study = head.tags.get(Tag.STUDY)
    words = re.sub(r"[^A-Za-z0-9.]+", "-", head.name)[:40].strip("-.")
    return study or f"{words or 'sweep'}-{head.run_id[:8]}"


def _refuse_to_overwrite(folder: Path) -> None:
    readme = folder / README
    if readme.is_file() and MARK not in readme.read_text(encoding="utf-8", errors="replace"):
        raise ReportError(
            f"{readme} was not made by `nnlab report`, and is left alone: name another folder with "
            f"--out, or move your words to {NOTES}, which a report takes in."
        )
    if folder.exists() and not folder.is_dir():
        raise ReportError(f"{folder} is a file: name a folder with --out.")


def _forget_figures(folder: Path) -> None:
    """Remove the figures that an earlier report has shown: this one may have others."""
    readme = folder / README
    if readme.is_file():
        for name in re.findall(r"\]\((\w+\.png)\)", readme.read_text(encoding="utf-8")):
            (folder / name).unlink(missing_ok=True)


def _draw(document: Document, pictures: Iterable[FigureSpec], made: Path, notes: Path) -> Document:
    """Draw the figures into a folder, and return the document with them."""
    figures = []
    for picture in pictures:
        save(picture.draw(), made / f"{picture.name}.png")
        figures.append(FigureFile(f"{picture.name}.png", picture.caption))
    own = notes.read_text(encoding="utf-8").strip() if notes.is_file() else ""
    return replace(document, figures=figures, notes=own)


def _runs_table(found: SweepResults) -> pd.DataFrame:
    """Return every run, the best first: its id, what varied, what became of it."""
    runs = found.everything
    seeds = [each for each in ("seed",) if each in runs]
    columns: Sequence[str] = dict.fromkeys(  # type: ignore[assignment]
        ("run_id", "name", *found.fields, *seeds, "status", "outcome", *runs.attrs["metrics"])
    )
    return runs[list(columns)].sort_values(
        [found.metric, "run_id"], ascending=[False, True], na_position="last"
    )
