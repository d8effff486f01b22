"""Links into MLflow's UI that open where somebody wants to be: a sweep's runs, charts, comparison.

A link names a view that the experiment must know; ``links`` sees to that.
"""

import json
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import urlencode

from nnlab.runs.tags import Tag
from nnlab.tracking.locations import local_path
from nnlab.tracking.records import RunRecord
from nnlab.tracking.store import Store
from nnlab.tracking.ui_views import View, best_first, of_experiment, of_sweep
from nnlab.tracking.writer import Writer

MODE = {"workflowType": "machine_learning"}  # a fresh browser is in another mode
REPORT = "report.html"
COMPARED = 12  # of the best runs: each is a column of the page, and 40 characters of the link


@dataclass(frozen=True)
class Links:
    """Paths below the server's address.

    Attributes
    ----------
    first : what was asked for
    others : by what they show
    """

    first: str
    others: dict[str, str] = field(default_factory=dict)


def links(store: Store, which: str | None) -> Links:
    """Return the links to a run or sweep, or to the newest experiment and its newest sweep.

    Raises
    ------
    TrackingError
        Where there is no such run.
    """
    run = store.newest() if which is None else store.find_run(which)
    if run is None:
        return Links("")
    everything = of_experiment(store.experiment_of(run))
    _show(store, run, everything)
    runs = _table(run, everything)
    head = _newest_sweep(store) if which is None else run
    children = [] if head is None else store.children(head.run_id)
    others = {} if which is None else {"all runs": runs}
    if head is not None and children:
        view = of_sweep(head, children)
        _show(store, head, view)
        best = best_first(children)[:COMPARED]
        count = f"all {len(best)}" if len(best) == len(children) else f"the {len(best)} best"
        others[f"{head.tags.get('kind', 'sweep')} {head.run_id[:8]}"] = _table(head, view)
        others["its charts"] = _table(head, view, compareRunsMode="CHART")
        others[f"compare {count}"] = _compare(best)
        files = local_path(store.artifacts(head.run_id))
        if files is not None and (Path(files) / REPORT).is_file():
            others["its report"] = _run(head, f"/artifacts/{REPORT}")
    elif which is not None:
        others["its curves"] = _run(run, "/model-metrics")
    return Links(_run(run) if which is not None else runs, others)


def _newest_sweep(store: Store) -> RunRecord | None:
    """Return the run that stands for the newest sweep or stability study, if there is one."""
    found = store.newest(f"tags.{Tag.KIND} LIKE 's%'")  # a study's own runs have its kind too
    parent = None if found is None else found.parent
    return found if parent is None else store.get(parent)


def _show(store: Store, run: RunRecord, view: View) -> None:
    now = int(time.time() * 1000)
    Writer(store).tag_experiment(run.experiment_id, *view.tag(now))


def _run(run: RunRecord, tab: str = "") -> str:
    return f"#/experiments/{run.experiment_id}/runs/{run.run_id}{tab}?{urlencode(MODE)}"


def _table(run: RunRecord, view: View, **more: str) -> str:
    query = urlencode({**MODE, **more, "viewStateShareKey": view.key})
    return f"#/experiments/{run.experiment_id}/runs?{query}"


def _compare(runs: Sequence[RunRecord]) -> str:
    ids = json.dumps([run.run_id for run in runs], separators=(",", ":"))
    experiments = json.dumps([runs[0].experiment_id])
    query = urlencode({"runs": ids, "experiments": experiments, **MODE}, safe=",")
    return f"#/compare-runs?{query}"
