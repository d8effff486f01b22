"""The report of a sweep: what it asked, what it found, and where that comes from."""

import json
import shlex
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import pairwise
from typing import Any

import numpy as np
import pandas as pd

from nnlab.artifacts import ENVIRONMENT
from nnlab.compare import METRIC, compare, importance
from nnlab.comparison_tables import markdown, shown
from nnlab.configurations import SEED, endings, lower_is_better, once_each, varying
from nnlab.document import Document, Section, table
from nnlab.errors import ComparisonError
from nnlab.frames import read_curves, read_runs
from nnlab.gallery import CURVES, Exhibit, Extreme, axis, filters_of, rows_of
from nnlab.groups import Group, grouped, levels, named, numeric, short, written
from nnlab.pairs import typed
from nnlab.store import RunRecord, Store
from nnlab.study import FILE, Study
from nnlab.verdicts import (
    best_across,
    dead_on_arrival,
    explained,
    figure,
    held_against,
    interval,
    learned_between,
    moved,
    verdict,
)

CROWD = 36  # configurations above which only the first and last are rows of the report
ENDS = 10  # of these, at either end


@dataclass(frozen=True)
class Findings:
    """A sweep as the store has it."""

    store: Store
    head: RunRecord
    everything: pd.DataFrame
    metric: str

    @classmethod
    def read(cls, store: Store, head: RunRecord, metric: str = METRIC) -> "Findings":
        """Read a sweep's runs."""
        return cls(store, head, read_runs(store.uri, [head.run_id]), metric)

    @cached_property
    def fields(self) -> list[str]:
        """The parameters that vary."""
        return varying(self.everything)

    @cached_property
    def runs(self) -> pd.DataFrame:
        """One run a configuration and seed."""
        return once_each(self.everything, self.fields)

    @cached_property
    def groups(self) -> list[Group]:
        """Its configurations, the best first."""
        return grouped(self.runs, self.fields, self.metric)

    @cached_property
    def curves(self) -> pd.DataFrame:
        """What pictures and tables need of the runs' curves."""
        names = (*CURVES, "train/loss")
        return read_curves(self.store.uri, self.runs["run_id"].tolist(), names)

    @cached_property
    def study(self) -> Study | None:
        """The study that it carried out, if it did."""
        name, text = self.head.tags.get("study"), self._text(FILE)
        return Study(name, text) if name and text else None

    @cached_property
    def environment(self) -> dict[str, Any]:
        """What was recorded of code, libraries and machine."""
        text = self._text(ENVIRONMENT)
        return dict(json.loads(text)) if text else {}

    @property
    def best_config(self) -> str:
        """The config of the best configuration, as its first seed recorded it."""
        first = self.groups[0].runs.sort_values(SEED)["run_id"].iloc[0]
        path = self.store.download(first, "config.yaml")
        return path.read_text(encoding="utf-8") if path.is_file() else ""

    @property
    def planned(self) -> int:
        """How many runs it was to have."""
        return int(self.head.metrics.get("runs/planned", len(self.everything)))

    @property
    def target(self) -> float | None:
        """The validation accuracy that counts as learned, where all runs agree in it."""
        found = set(self.runs.get("target_accuracy", pd.Series(dtype=float)))
        return float(found.pop()) if len(found) == 1 else None

    def exhibit(self) -> Exhibit:
        """Return what its pictures are drawn from."""
        extremes = self._extremes()
        filters = list(map(filters_of, extremes))
        pixels = filters[0].w1.shape[1] if filters else 0
        side = int(pixels**0.5)
        reference = self.study.reference if self.study else None
        line = None  # to hold the curves against: one figure of the same metric
        if reference and reference.metric == self.metric and len(reference.figures) == 1:
            line = next(iter(reference.figures.values())), "reference"
        return Exhibit(
            self.head.name, self.runs, self.fields, self.metric, self.curves, self.target,
            filters if side * side == pixels else [], (side, side), line,
        )  # fmt: skip

    def _extremes(self) -> list[Extreme]:
        """Find the best and the worst run, where there are two with weights."""
        complete = self.runs[self.runs["status"] == "FINISHED"].dropna(subset=[self.metric])
        upwards = lower_is_better(self.metric)
        ordered = complete.sort_values([self.metric, "run_id"], ascending=[upwards, True])
        if len(ordered) < 2:  # noqa: PLR2004 - a best and a worst
            return []
        return [
            (str(run["name"]), float(run[self.metric]),
             self.store.download(run["run_id"], "weights.npz"))
            for _, run in ordered.iloc[[0, -1]].iterrows()
        ]  # fmt: skip

    def _text(self, name: str) -> str | None:
        path = self.store.download(self.head.run_id, name)
        return path.read_text(encoding="utf-8") if path.is_file() else None


def sweep_document(found: Findings, name: str) -> Document:
    """Write the report of a sweep, without its figures."""
    study = found.study
    lines = verdict(found.groups, found.runs, planned=found.planned, target=found.target)
    sections = [Section("Results", _results(found))]
    for part in (_matters(found), _begins(found), _across(found), _reference(found)):
        if part is not None:
            section, sentences = part
            sections.append(section)
            lines += sentences
    return Document(
        name=name,
        title=study.name.replace("_", " ") if study else found.head.name,
        question=study.question if study else "",
        expected=" ".join(study.expected.split()) if study else "",
        verdict=lines,
        command=found.head.tags.get("command", f"(not recorded: {found.head.name})"),
        varied=_varied(found),
        fixed=_fixed(found),
        sections=sections,
        failures=_failures(found.everything),
        provenance=provenance_table(found.head, found.environment, found.runs),
        reproduce=_reproduce(found),
    )


def _varied(found: Findings) -> str:
    fields = [*found.fields, *([SEED] if len(set(found.runs[SEED])) > 1 else [])]
    rows = []
    for field in fields:
        if field == SEED:
            values = [written(each) for each in sorted(found.runs[SEED].unique().tolist())]
        else:
            values = [written(each) for each in levels(found.groups, field)]
        rows.append([f"`{short(field)}`", str(len(values)), ", ".join(values)])
    if not rows:
        return "Nothing: one configuration."
    return table(["field", "values", ""], rows, left=3)


def _fixed(found: Findings) -> str:
    params: list[str] = found.everything.attrs["params"]
    same = {
        each: found.runs[each].iloc[0]
        for each in params
        if len(set(found.runs[each].astype(str))) == 1 and each != SEED
    }
    told = named({each: value for each, value in same.items() if value is not None})
    return f"The same for all: `{told}`."


def _results(found: Findings) -> str:
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


def _grid(found: Findings) -> str:
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


Part = tuple[Section, list[str]] | None  # a section, and what of it belongs in the verdict


def _matters(found: Findings) -> Part:
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


def _begins(found: Findings) -> Part:
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


def _order(found: Findings, group: Group, fields: Sequence[str]) -> tuple[float, ...]:
    """Order initial weights by size, where they are numbers, or as they were given."""
    if all(numeric([group], each) for each in fields):
        return tuple(float(group.settings[each] or 0) for each in fields)
    return (-float(found.runs.index.tolist().index(group.runs.index[-1])),)


def _initial(found: Findings, run_id: str) -> tuple[float, float]:
    path = found.store.download(run_id, "weights_initial.npz")
    if not path.is_file():
        return np.nan, np.nan
    with np.load(path, allow_pickle=False) as file:
        return float(file["W1"].mean()), float(file["W1"].std())


def _across(found: Findings) -> Part:
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


def _reference(found: Findings) -> Part:
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


def _failures(runs: pd.DataFrame) -> str:
    broken = runs[runs["status"].isin(["FAILED", "KILLED"]) | (runs["outcome"] == "diverged")]
    if not len(broken):
        return f"None: all {len(runs)} runs came to their end with finite weights."
    words = endings(broken)
    rows = [
        [f"`{run_id[:8]}`", name, str(word)]
        for run_id, name, word in zip(broken["run_id"], broken["name"], words, strict=True)
    ]
    more = f"\n\n… and {len(rows) - CROWD} more in `runs.csv`." if len(rows) > CROWD else ""
    return (
        f"{len(broken)} of {len(runs)} runs have no final network:\n\n"
        f"{table(['run', '', 'what became of it'], rows[:CROWD], left=3)}{more}"
    )


def provenance_table(head: RunRecord, environment: dict[str, Any], runs: pd.DataFrame) -> str:
    """Say where results come from: ids, commit, digest, libraries, machine, time."""
    return table(["", ""], list(_provenance(head, environment, runs)), left=2)


def _provenance(
    head: RunRecord, environment: dict[str, Any], runs: pd.DataFrame
) -> Iterator[list[str]]:
    yield ["id", f"`{head.run_id}`, {head.status}"]
    yield ["runs", f"{len(runs)}; their ids are in `runs.csv`"]
    commit = environment.get("git_commit") or head.tags.get("git_commit", "not recorded")
    patched = " with uncommitted changes (`code.patch`)" if environment.get("git_dirty") else ""
    yield ["commit", f"`{commit}`{patched}"]
    if "data_digest" in runs:
        digests = ", ".join(f"`{each}`" for each in sorted(set(runs["data_digest"].dropna())))
        yield ["data", f"SHA-256 {digests}"]
    yield [
        "begun",
        pd.Timestamp(head.start_time, unit="ms", tz="UTC").strftime("%Y-%m-%d %H:%M UTC"),
    ]
    packages = environment.get("packages", {})
    versions = [
        f"{name} {packages[name]}" for name in ("numpy", "scipy", "mlflow") if name in packages
    ]
    own = [f"nnlab {environment.get('nnlab', '?')}", f"Python {environment.get('python', '?')}"]
    yield ["software", ", ".join([*own, *versions])]
    cores = environment.get("cores", "?")
    yield ["machine", f"{environment.get('processor', '?')}, {cores} cores"]


def _reproduce(found: Findings) -> list[str]:
    head, best = found.head.run_id[:8], found.groups[0].runs
    lines = [
        f"git checkout {found.environment.get('git_commit') or '<commit>'}",
        found.head.tags.get("command", f"nnlab resume {head}"),
    ]
    words = typed(best, found.store.uri)
    if words is not None and SEED in best:
        seeds = ",".join(str(each) for each in sorted(best[SEED]))
        alone = shlex.join(["python", "run.py", "-m", *words, f"seed={seeds}"])
        lines += ["# The best configuration alone:", alone]
    return [*lines, "# A certificate for every run, where the store is:",
            f"nnlab reproduce --all {head}"]  # fmt: skip
