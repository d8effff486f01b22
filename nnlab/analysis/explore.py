"""``explore.html``: a sweep's runs on one page, to be explored by pointing.

The page holds Plotly and all of its data, so that it needs no network and no other file. What it
shows, ``explore.js`` draws from ``content``. Every run is in it, whatever became of it.
"""

import base64
import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pandas as pd
from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup
from plotly.offline import get_plotlyjs

from nnlab.analysis.configurations import (
    common_target,
    leading_fields,
    metric_of,
    varying_fields,
    varying_seeds,
)
from nnlab.analysis.explore_axes import axes_of, colourings, endings_of
from nnlab.analysis.explore_curves import encoded_snapshots, thinned_curves
from nnlab.analysis.figure_groups import axis
from nnlab.analysis.formatting import settings_text, short
from nnlab.analysis.groups import RunGroup, grouped
from nnlab.analysis.ranking import METRIC
from nnlab.analysis.snapshot_files import SnapshotFiles
from nnlab.errors import ComparisonError
from nnlab.safe_text import printable
from nnlab.tracking.artifacts import read_snapshots
from nnlab.tracking.frames import read_curves
from nnlab.tracking.ui import usual_address
from nnlab.training.history import CURVES, Snapshots
from nnlab.training.snapshots import EDGES


@dataclass(frozen=True)
class ExploreData:
    """What the page shows.

    Attributes
    ----------
    title : str
    runs : DataFrame
        All runs, see ``frames.read_runs``.
    fields : list of str
        The parameters that vary.
    metric : str
        The metric that runs are judged by.
    curves : DataFrame
        See ``frames.read_curves``; of any metrics.
    snapshots : Mapping of str to Snapshots
        Those of some runs, by the runs' ids.
    taken : int
        How many runs have snapshots.
    address : str
        Of the page of a run in the UI, without the run's id.
    """

    title: str
    runs: pd.DataFrame
    fields: list[str]
    metric: str
    curves: pd.DataFrame
    snapshots: Mapping[str, Snapshots] = field(default_factory=dict)
    taken: int = 0
    address: str = ""


def read_explore_data(
    uri: str,
    runs: pd.DataFrame,
    title: str,
    experiment_id: str,
    snapshots: SnapshotFiles,
    metric: str = METRIC,
) -> ExploreData:
    """Read what the page shows from a store.

    Parameters
    ----------
    uri : str
    runs : DataFrame
        Those of the sweep, see ``frames.read_runs``.
    title : str
    experiment_id : str
    snapshots : SnapshotFiles
    metric : str
        The metric that runs are judged by.
    """
    try:
        metric = metric_of(runs, metric)
    except ComparisonError:  # no run has a result, and the page shows that
        metric = METRIC
    logged = [name for name in CURVES if name in runs.attrs["metrics"]]
    ids = runs["run_id"].tolist()
    return ExploreData(
        title=title,
        runs=runs,
        fields=leading_fields(runs, varying_fields(runs), title),
        metric=metric,
        curves=read_curves(uri, ids, logged or ["val/accuracy"]),
        snapshots={name: read_snapshots(folder) for name, folder in snapshots.folders.items()},
        taken=snapshots.of,
        address=f"{usual_address(uri)}/#/experiments/{experiment_id}/runs/",
    )


def explore_page(data: ExploreData) -> str:
    """Return the page as HTML.

    Its content security policy admits the page's own scripts by their digests, and no address: a
    name in the store that somebody chose as a script would not run.
    """
    environment = Environment(
        loader=PackageLoader("nnlab.analysis"), undefined=StrictUndefined, autoescape=True
    )
    templates = environment.loader
    assert templates is not None
    script, _, _ = templates.get_source(environment, "explore.js")
    scripts = [get_plotlyjs(), script]
    text = json.dumps(content(data), allow_nan=False, separators=(",", ":"))
    return environment.get_template("explore.html").render(
        title=printable(data.title),
        digests=" ".join(f"'sha256-{_sha256(script)}'" for script in scripts),
        scripts=[Markup(script) for script in scripts],  # noqa: S704 - Plotly's and this package's
        # Within a script, only `<` can begin an end tag or a comment.
        content=Markup(text.replace("<", "\\u003c")),  # noqa: S704 - escaped here
    )


def content(data: ExploreData) -> dict[str, Any]:
    """Return what ``explore.js`` draws, as plain values for JSON."""
    runs = data.runs.reset_index(drop=True)
    runs.attrs = {}  # pandas would copy them at every step
    groups = grouped(runs, data.fields, data.metric)
    members = [group.runs.index.to_numpy(np.int64) for group in groups]
    group_of = np.zeros(len(runs), np.int64)
    for place, rows in enumerate(members):
        group_of[rows] = place
    fields = [*data.fields, *(seed for seed in varying_seeds(runs) if seed not in data.fields)]
    across = axis(groups) if data.fields else None
    return {
        "title": printable(data.title),
        "address": data.address,
        "metric": data.metric,
        "target": common_target(runs),
        "runs": {
            "id": runs["run_id"].tolist(),
            "name": [printable(str(name)) for name in runs["name"]],
            "group": group_of.tolist(),
        },
        "groups": [_label(group, data.title) for group in groups],
        "endings": endings_of(runs, groups),
        "axes": axes_of(runs, fields, data.metric),
        "across": None if across is None else short(across),
        "colourings": colourings(runs, groups, members, data.fields, data.metric),
        **thinned_curves(runs["run_id"].tolist(), members, data.curves),
        "snapshots": {
            "of": data.taken,
            "edges": EDGES.tolist(),
            **encoded_snapshots(runs["run_id"].tolist(), data.snapshots),
        },
    }


def _label(group: RunGroup, title: str) -> str:
    return printable(settings_text(group.settings) or title)


def _sha256(text: str) -> str:
    return base64.b64encode(hashlib.sha256(text.encode()).digest()).decode("ascii")
