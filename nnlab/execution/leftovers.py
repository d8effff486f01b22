"""What killed processes have left beside a store: temporary folders, and ledgers of no use."""

import shutil
import tempfile
from contextlib import suppress
from pathlib import Path

from nnlab.errors import ResumeError, TrackingError
from nnlab.execution.ledger import Ledger, unfinished, without_plan
from nnlab.jobs.tags import Tag
from nnlab.plots.names import RUN_FIGURES
from nnlab.system.temporary import MAKING, PREFIX, WRITING, abandoned
from nnlab.tracking.locations import local_database, local_path, sweeps_folder
from nnlab.tracking.process import ProcessId
from nnlab.tracking.records import RunRecord
from nnlab.tracking.store import Store


def remove_folders(uri: str, *, dry_run: bool = False) -> list[str]:
    """Remove the temporary folders of processes that are gone; say how many, and how large.

    Parameters
    ----------
    uri : str
        Of the store beside which they may be; the system's temporary folder is searched too.
    dry_run : bool
        Only say what would be done.
    """
    folders = abandoned(Path(tempfile.gettempdir()), PREFIX, nameless=True)
    database = local_database(uri)
    if database is not None:
        folders += abandoned(database.parent, MAKING, nameless=True)
        for artifacts in database.parent.glob("artifacts/*/artifacts"):
            folders += abandoned(artifacts, WRITING, nameless=True)
    size = sum(file.lstat().st_size for folder in folders for file in folder.rglob("*"))
    if not folders:
        return []
    if not dry_run:
        for folder in folders:
            shutil.rmtree(folder, ignore_errors=True)
    verb = "would remove" if dry_run else "removed"
    return [
        f"{verb} {len(folders)} temporary folders of processes that are gone ({size / 1e6:.1f} MB)"
    ]


def remove_ledgers(store: Store, *, dry_run: bool = False, complete: bool = True) -> list[str]:
    """Remove ledgers by which nothing can be resumed; name them.

    Parameters
    ----------
    store : Store
    dry_run : bool
        Only say what would be done.
    complete : bool
        Also those of sweeps that are complete: their process was killed before it removed them.
    """
    sweeps = sweeps_folder(store.uri)
    useless = [
        (ledger, "it holds no plan")
        for ledger in without_plan(sweeps)
        if not _is_at_work(_record(store, ledger))
    ]
    for head in unfinished(store.uri) if complete else ():
        ledger = Ledger(sweeps / head)
        record = _record(store, ledger)
        if record is not None and record.status == "FINISHED" and _has_figures(store, record):
            useless.append((ledger, "all its runs are complete"))
    messages = []
    for ledger, reason in useless:
        with suppress(ResumeError, TrackingError):  # another process has just taken it up
            if not dry_run:
                with ledger.locked():
                    ledger.close()
            verb = "would remove" if dry_run else "removed"
            messages.append(f"{verb} the ledger of {ledger.folder.name[:8]}: {reason}")
    return messages


def _record(store: Store, ledger: Ledger) -> RunRecord | None:
    try:
        return store.get(ledger.folder.name)
    except TrackingError:
        return None  # there is no such run


def _is_at_work(record: RunRecord | None) -> bool:
    if record is None or record.status != "RUNNING":
        return False
    process = ProcessId.parse(record.tags.get(Tag.OWNER, ""))
    return process is None or not process.is_here or process.lives


def _has_figures(store: Store, record: RunRecord) -> bool:
    """Tell whether nothing is left to draw: of a sweep, figures come before its end."""
    if record.is_sweep or Tag.FIGURES_MISSING in record.tags:
        return True
    plan = Ledger(sweeps_folder(store.uri) / record.run_id).read()
    folder = local_path(store.artifacts(record.run_id))
    wanted = plan.jobs[0].config.get("pictures", 0)
    return not wanted or folder is None or (Path(folder) / f"{RUN_FIGURES[0]}.png").exists()
