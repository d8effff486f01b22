"""The sections of a sweep's report, each with what of it belongs in the verdict."""

from collections.abc import Mapping, Sequence
from itertools import pairwise

import numpy as np
import pandas as pd

from nnlab.analysis.comparison import compare, importance
from nnlab.analysis.comparison_tables import markdown, shown
from nnlab.analysis.configurations import SEED
from nnlab.analysis.document import Section, table
from nnlab.analysis.explanations import (
    best_across,
    dead_on_arrival,
    explained,
    held_against,
    learned_between,
    moved,
)
from nnlab.analysis.figures import axis, rows_of
from nnlab.analysis.groups import Group, grouped, levels, numeric, short, written
from nnlab.analysis.sweep_results import SweepResults
from nnlab.analysis.verdicts import figure, interval
from nnlab.errors import ComparisonError

CROWD = 36  # configurations above which only the first and last are rows of the report
ENDS = 10  # of these, at either end

Part = tuple[Section, list[str]]  # a section, and what of it belongs in the verdict


def sections(found: SweepResults) -> list[Part]:
    """Write the sections that the design of a sweep supports."""
    parts = (_matters(found), _begins(found), _across(found), _reference(found))
    return [(Section("Results", _results(found)), []), *(part for part in parts if part)]


def _results(found: SweepResults) -> str:
    whole = compare([found.head.run_id], found.store.uri, found.metric)
    cells = shown(whole).rename(columns=short)
    notes = "\n".join(f"- {each}" for each in whole.attrs["notes"])
    text = ""
    grid = _grid(found)
    if len(cells) > CROWD:
        text = f"{grid}\n\nThe first and the last {ENDS} of {len(cells)} configurations:\n\n"
        cells = pd.concat([cells.head(ENDS), cells.tail(ENDS)])
    text += f"{markdown(cells)}\n\nMetric: `{found.metric}`; `configurations.csv` has every row, "
    return f"{text}`runs.csv` every run.\n\n{notes}".strip()


def _grid(found: SweepResults) -> str:
    """Write the means as a table of two fields, where there are just two and one is a number."""
    across = axis(found.groups)
    if across is None or len(found.fields) != 2:  # noqa: PLR2004 - a table has two sides
        return ""
    columns = levels(found.groups, across)
    (down,) = [field for field in found.fields if field != across]
    rows = []
    for members in rows_of(found.groups, across).values():
        means = {group.settings[across]: group.summary.mean for group in members}
        best = max(means.values())
        cells = [_mean(means.get(column), best) for column in columns]
        rows.append([written(members[0].settings[down]), *cells])
    heads = [f"{short(down)} \\ {short(across)}", *(written(each) for each in columns)]
    return f"Mean {found.metric} over seeds, the best of each row in bold:\n\n{table(heads, rows)}"


def _mean(value: float | None, best: float) -> str:
    if value is None or np.isnan(value):
        return ""
    return f"**{value:.3f}**" if value == best else f"{value:.3f}"


def _matters(found: SweepResults) -> Part | None:
    title = "What matters"
    if len(found.fields) < 2:  # noqa: PLR2004 - one matters, or nothing does
        return None
    try:
        effects = importance([found.head.run_id], found.store.uri, found.metric)
    except ComparisonError as error:
        return Section(title, str(error)), []
    notes = "\n".join(f"- {each}" for each in effects.attrs["notes"])
    told = shown(effects)
    told["cause"] = [" × ".join(map(short, each.split(" × "))) for each in told["cause"]]
    return Section(title, f"{markdown(told)}\n\n{notes}"), [explained(effects, found.metric)]


def _begins(found: SweepResults) -> Part | None:
    """Tell how the networks start, by what decides their initial weights."""
    fields = [each for each in found.fields if each.startswith("init.") or each == "hidden_size"]
    if not any(each.startswith("init.") for each in fields):
        return None
    ends = found.curves.groupby("run_id")[["dead_fraction", "train/loss"]].agg(["first", "last"])
    rows, dead = [], []
    for group in sorted(
        grouped(found.runs, fields, found.metric), key=lambda each: _order(found, each, fields)
    ):
        once = group.runs.drop_duplicates(SEED)
        means, spreads = zip(*(_initial(found, each) for each in once["run_id"]), strict=True)
        own, mean = ends.reindex(group.runs["run_id"]).mean(), float(np.mean(means))
        dead.append((group.label, float(own["dead_fraction", "first"]), mean))
        rows.append(
            [group.label, f"{mean:+.4f}", f"{np.mean(spreads):.4f}",
             f"{own['train/loss', 'first']:.4g}",
             *(f"{own['dead_fraction', when]:.1%}" for when in ("first", "last"))]
        )  # fmt: skip
    titles = ["", "mean of W1", "its standard deviation", "loss at first (nats)",
              "dead units at first", "at the end"]  # fmt: skip
    note = (
        "Dead: silent on every training image. A loss of ln 10 = 2.303 is that of guessing. In "
        "the mean over all runs that begin so."
    )
    return Section("How the networks begin", f"{table(titles, rows)}\n\n{note}"), [
        *dead_on_arrival(dead)
    ]


def _order(found: SweepResults, group: Group, fields: Sequence[str]) -> tuple[float, ...]:
    """Order initial weights by size, where they are numbers, or as they were given."""
    if all(numeric([group], each) for each in fields):
        return tuple(float(group.settings[each] or 0) for each in fields)
    return (-float(found.runs.index.tolist().index(group.runs.index[-1])),)


def _initial(found: SweepResults, run_id: str) -> tuple[float, float]:
    path = found.store.download(run_id, "weights_initial.npz")
    if not path.is_file():
        return np.nan, np.nan
    with np.load(path, allow_pickle=False) as file:
        return float(file["W1"].mean()), float(file["W1"].std())


def _across(found: SweepResults) -> Part | None:
    """Tell how the best learning rate (or whatever goes across) moves with the rest."""
    across = axis(found.groups)
    if across is None or len(levels(found.groups, across)) < 3:  # noqa: PLR2004 - a trend takes three
        return None
    rows = rows_of(found.groups, across)
    if len(rows) < 2:  # noqa: PLR2004 - nothing to move with
        return None
    cells = []
    for label, members in rows.items():
        best = min(members, key=lambda each: each.rank)
        summary = best.summary
        between = interval(summary.interval.low, summary.interval.high)
        cells.append(
            [label, _best_value(members, across), f"{figure(summary.mean)} {between}".strip(),
             learned_between(members, across)]
        )  # fmt: skip
    name = short(across)
    titles = ["", f"best {name}", f"{found.metric} there", f"most seeds learn at {name}"]
    text = f"{table(titles, cells)}\n\n{_ladder(rows, name)}"
    others = [field for field in found.fields if field != across]
    sentences = []
    if len(others) == 1:
        best_at = [
            (members[0].settings[others[0]], best_across(members, across))
            for members in rows.values()
        ]
        sentences = [each for each in [moved(best_at, others[0], across)] if each]
    return Section(f"The best {name}", text), sentences


def _best_value(members: Sequence[Group], across: str) -> str:
    best = best_across(members, across)
    return "any: all are equal" if best is None else written(best)


def _ladder(rows: Mapping[str, Sequence[Group]], across: str) -> str:
    """Compare each row at its best with the next one, seed by seed."""
    best = sorted(
        (min(members, key=lambda each: each.rank) for members in rows.values()),
        key=lambda each: each.rank,
    )
    cells = []
    for better, worse in pairwise(best):
        found = better.against(worse)
        mean = "-" if found.mean is None else f"{found.mean:+.4f}"
        between = interval(found.interval.low, found.interval.high)
        further = "" if found.further is None else f": about {found.further} more seeds would tell"
        cells.append(
            [better.label, worse.label, f"{mean} {between}".strip(), f"{found.a_beats_b:.2f}",
             "the seeds suffice" if found.decided else f"open{further}"]
        )  # fmt: skip
    titles = ["better", "worse", "mean difference", "P(better beats worse)", ""]
    return f"Each at its best {across} against the next, seed by seed:\n\n" + table(
        titles, cells, left=2
    )


def _reference(found: SweepResults) -> Part | None:
    reference = found.study.reference if found.study else None
    if reference is None or reference.metric not in found.runs:
        return None
    groups = grouped(found.runs, found.fields, reference.metric)
    rows, sentence = held_against(groups, reference)
    if not rows:
        return None
    titles = ["", "reference", "mean here", "seeds between", "difference"]
    cells = [
        [name, f"{value:g}", f"{mean:.4f}", f"{low:.4f} and {high:.4f}", f"{difference:+.4f}"]
        for name, value, mean, low, high, difference in rows
    ]
    text = f"`{reference.metric}`, {reference.source}.\n\n{table(titles, cells)}"
    return Section("Against what others found", text), [sentence]
