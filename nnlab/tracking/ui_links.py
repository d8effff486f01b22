"""Links into MLflow's UI: a sweep's runs, charts and comparison; a run's curves.

A link names a view of the experiment; ``links`` saves these views in the store.
"""

import time
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import urlencode

from nnlab.jobs.tags import Tag
from nnlab.plots.names import EXPLORE
from nnlab.tracking.locations import local_path
from nnlab.tracking.records import RunRecord
from nnlab.tracking.store import Store
from nnlab.tracking.ui_views import View, experiment_view, sweep_views
from nnlab.tracking.writer import Writer

MODE = {"workflowType": "machine_learning"}  # a new browser profile starts in another mode
CHARTS = {"compareRunsMode": "CHART"}
REPORT = "report.html"


@dataclass(frozen=True)
class Links:
    """Paths below the server's address.

    Attributes
    ----------
    main : str
        To the run or sweep that was asked for, or else to all runs.
    others : dict of str to str
        What a link shows -> the link.
    """

    main: str
    others: dict[str, str] = field(default_factory=dict)


def links(store: Store, which: str | None) -> Links:
    """Return the links to a run or sweep, or to the newest experiment and its newest sweep.

    Parameters
    ----------
    store : Store
    which : str or None
        As in ``Store.find_run``; None for the newest.

    Raises
    ------
    TrackingError
        Where there is no such run.
    """
    run = store.newest() if which is None else store.find_run(which)
    if run is None:
        return Links("")
    all_runs = _saved(store, run, experiment_view(store.experiment_of(run)))
    runs_link = _table_link(run, all_runs)
    head = _newest_sweep(store) if which is None else run
    children = [] if head is None else store.children(head.run_id)
    others = {} if which is None else {"all runs": runs_link}
    if head is not None and children:
        views = sweep_views(head, children)
        part = "" if views.drawn == len(children) else f" ({views.drawn} of {len(children)} runs)"
        for label, view, options in (
            (f"{head.tags.get(Tag.KIND, 'sweep')} {head.run_id[:8]}", views.table, {}),
            (f"its charts{part}", views.charts, CHARTS),
            (f"compare its configurations{part}", views.comparison, CHARTS),
        ):
            saved = _saved(store, head, view)
            if saved is not None or view is not views.comparison:
                others[label] = _table_link(head, saved, **options)
        files = local_path(store.artifacts(head.run_id))
        for label, page in (("its report", REPORT), ("its runs, to explore", EXPLORE)):
            if files is not None and (Path(files) / page).is_file():
                others[label] = _run_link(head, f"/artifacts/{page}")
    elif which is not None:
        others["its curves"] = _run_link(run, "/model-metrics")
    return Links(_run_link(run) if which is not None else runs_link, others)


def _newest_sweep(store: Store) -> RunRecord | None:
    """Return the run that stands for the newest sweep or stability study, if there is one."""
    record = store.newest(f"tags.{Tag.KIND} LIKE 's%'")
    # The runs of a stability study have its kind too.
    parent = None if record is None else record.parent
    return record if parent is None else store.get(parent)


def _saved(store: Store, run: RunRecord, view: View) -> View | None:
    """Save a view in the store; return None where that cannot be written."""
    if store.read_only:
        return None
    Writer(store).tag_experiment(run.experiment_id, *view.tag(int(time.time() * 1000)))
    return view


def _run_link(run: RunRecord, tab: str = "") -> str:
    return f"#/experiments/{run.experiment_id}/runs/{run.run_id}{tab}?{urlencode(MODE)}"


def _table_link(run: RunRecord, view: View | None, **options: str) -> str:
    state = {} if view is None else {"viewStateShareKey": view.key}
    query = urlencode({**MODE, **options, **state})
    return f"#/experiments/{run.experiment_id}/runs?{query}"
