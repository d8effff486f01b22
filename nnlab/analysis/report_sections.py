"""The sections of a sweep's report, each with the sentences that it adds to the verdict."""

from collections.abc import Mapping, Sequence
from itertools import pairwise

import numpy as np
import pandas as pd

from nnlab.analysis.comparison import compare, importance
from nnlab.analysis.comparison_tables import as_text, markdown
from nnlab.analysis.document import Section
from nnlab.analysis.explanations import (
    BestValue,
    InitialState,
    against_reference,
    best_across,
    best_value_trend,
    candidates_across,
    dead_on_arrival,
    learned_between,
    short_cause,
    variation_shares,
)
from nnlab.analysis.figure_groups import axis, rows_of
from nnlab.analysis.formatting import interval, markdown_table, number, short, written
from nnlab.analysis.groups import RunGroup, grouped, levels, numeric
from nnlab.analysis.paired_statistics import as_family, further_text, wins_text
from nnlab.analysis.ranking import SEED
from nnlab.analysis.sweep_results import SweepResults
from nnlab.errors import ComparisonError
from nnlab.system.stored_files import read_npz

MAX_ROWS = 36  # of the table of results; with more, it has only the first and the last
END_ROWS = 10  # at either end of such a table

SectionAndSentences = tuple[Section, list[str]]  # a section, and what it adds to the verdict


def sections(results: SweepResults) -> list[SectionAndSentences]:
    """Write the sections that the design of a sweep supports."""
    optional = (
        _what_matters(results),
        _initial_states(results),
        _best_across(results),
        _against_reference(results),
    )
    return [(Section("Results", _results(results)), []), *filter(None, optional)]


def _results(results: SweepResults) -> str:
    table = compare([results.parent.run_id], results.store.uri, results.metric)
    cells = as_text(table).rename(columns=short)
    parts = []
    if len(cells) > MAX_ROWS:
        parts += [
            _grid_of_means(results),
            f"The first and the last {END_ROWS} of {len(cells)} configurations:",
        ]
        cells = pd.concat([cells.head(END_ROWS), cells.tail(END_ROWS)])
    parts += [
        markdown(cells),
        f"Metric: `{results.metric}`; `configurations.csv` has every row, `runs.csv` every run.",
        _bullets(table.attrs["notes"]),
    ]
    return "\n\n".join(filter(None, parts))


def _bullets(notes: Sequence[str]) -> str:
    return "\n".join(f"- {note}" for note in notes)


def _grid_of_means(results: SweepResults) -> str:
    """Write the means as a grid of two fields, if just two vary and one is a number."""
    across = axis(results.groups)
    if across is None or len(results.fields) != 2:  # noqa: PLR2004 - a table has two sides
        return ""
    columns = levels(results.groups, across)
    (down,) = [field for field in results.fields if field != across]
    rows = []
    for members in rows_of(results.groups, across).values():
        means = {group.settings[across]: group.summary.mean for group in members}
        best = members[0].summary.mean
        cells = [_mean(means.get(column), best) for column in columns]
        rows.append([written(members[0].settings[down]), *cells])
    titles = [f"{short(down)} \\ {short(across)}", *map(written, columns)]
    table = markdown_table(titles, rows)
    return f"Mean {results.metric} over seeds, the best of each row in bold:\n\n{table}"


def _mean(value: float | None, best: float) -> str:
    if value is None or np.isnan(value):
        return ""
    return f"**{value:.3f}**" if value == best else f"{value:.3f}"


def _what_matters(results: SweepResults) -> SectionAndSentences | None:
    title = "What matters"
    if len(results.fields) < 2:  # noqa: PLR2004 - a single field cannot be compared with another
        return None
    try:
        effects = importance([results.parent.run_id], results.store.uri, results.metric)
    except ComparisonError as error:
        return Section(title, str(error)), []
    cells = as_text(effects)
    cells["cause"] = cells["cause"].map(short_cause)
    text = f"{markdown(cells)}\n\n{_bullets(effects.attrs['notes'])}"
    sentences = [variation_shares(effects, results.metric)]
    learned: pd.DataFrame | None = effects.attrs["learned"]
    if learned is not None:
        sentences.append(variation_shares(learned, results.metric, effects.attrs["among"]))
    return Section(title, text), sentences


def _initial_states(results: SweepResults) -> SectionAndSentences | None:
    """Describe how the networks begin, by the fields that determine their initial weights."""
    fields = [name for name in results.fields if name.startswith("init.") or name == "hidden_size"]
    if not any(name.startswith("init.") for name in fields):
        return None
    ends = results.curves.groupby("run_id")[["dead_fraction", "train/loss"]].agg(["first", "last"])
    rows, states = [], []
    for group in sorted(
        grouped(results.runs, fields, results.metric),
        key=lambda group: _init_key(results, group, fields),
    ):
        once = group.runs.drop_duplicates(SEED)
        moments = [_initial_moments(results, run_id) for run_id in once["run_id"]]
        mean, deviation = np.mean(moments, axis=0)
        at = ends.reindex(group.runs["run_id"]).mean()
        states.append(InitialState(group.label, float(at["dead_fraction", "first"]), float(mean)))
        rows.append(
            [group.label, f"{mean:+.4f}", f"{deviation:.4f}", f"{at['train/loss', 'first']:.4g}",
             *(f"{at['dead_fraction', when]:.1%}" for when in ("first", "last"))]
        )  # fmt: skip
    titles = ["", "mean of W1", "standard deviation of W1", "initial loss (nats)",
              "dead units at first", "dead units at the end"]  # fmt: skip
    note = (
        "A dead unit is silent on every training image. A loss of ln 10 = 2.303 is that of "
        "guessing. Each number is the mean over all runs that begin so."
    )
    section = Section("How the networks begin", f"{markdown_table(titles, rows)}\n\n{note}")
    return section, [*dead_on_arrival(states)]


def _init_key(results: SweepResults, group: RunGroup, fields: Sequence[str]) -> tuple[float, ...]:
    """Return the key that sorts initial weights: by size if they are numbers, or by first run."""
    if all(numeric([group], field) for field in fields):
        return tuple(float(group.settings[field] or 0) for field in fields)
    return (-float(results.runs.index.tolist().index(group.runs.index[-1])),)


def _initial_moments(results: SweepResults, run_id: str) -> tuple[float, float]:
    """Return the mean and the standard deviation of a run's initial W1."""
    path = results.store.download(run_id, "weights_initial.npz")
    if not path.is_file():
        return np.nan, np.nan
    first = read_npz(path, ["W1"])["W1"]
    return float(first.mean()), float(first.std())


def _best_across(results: SweepResults) -> SectionAndSentences | None:
    """Describe how the best learning rate (or other horizontal field) changes with the rest."""
    across = axis(results.groups)
    if across is None or len(levels(results.groups, across)) < 3:  # noqa: PLR2004 - too few
        return None
    rows = rows_of(results.groups, across)
    if len(rows) < 2:  # noqa: PLR2004 - a change takes two
        return None
    cells, bests = [], []
    for label, members in rows.items():
        value = best_across(members, across)
        candidates = candidates_across(members, across)
        learned = any(member.share("learned") for member in members)
        cells.append(
            [label, written(value) if value is not None else "any" if learned else "none learned",
             ", ".join(map(written, candidates)) if value is not None else "",
             members[0].mean_text, learned_between(members, across)]
        )  # fmt: skip
        bests.append((members[0].settings, value, candidates))
    name = short(across)
    titles = ["", f"best {name}", "may be the best", f"{results.metric} at the best",
              f"most seeds learn at {name}"]  # fmt: skip
    text = (
        f"{markdown_table(titles, cells)}\n\n*may be the best*: the best {name}, and every other "
        f"one that the seeds do not tell from it.\n\n{_best_rows_compared(rows, name)}"
    )
    others = [field for field in results.fields if field != across]
    sentences = []
    if len(others) == 1:
        (field,) = others
        best_values = [
            BestValue(settings[field], value, candidates) for settings, value, candidates in bests
        ]
        sentences = [best_value_trend(best_values, field, across)]
    return Section(f"The best {name}", text), [*filter(None, sentences)]


def _best_rows_compared(rows: Mapping[str, Sequence[RunGroup]], across: str) -> str:
    """Compare each row at its best with the next one, seed by seed."""
    best = sorted((members[0] for members in rows.values()), key=lambda group: group.rank)
    cells = []
    neighbours = list(pairwise(best))
    family = as_family([better.against(worse) for better, worse in neighbours])
    for (better, worse), difference in zip(neighbours, family, strict=True):
        mean = number(difference.mean, "+")
        between = interval(difference.interval.low, difference.interval.high)
        cells.append(
            [better.label, worse.label, f"{mean} {between}".strip(),
             wins_text(difference.a_beats_b, difference.n),
             "told apart" if difference.decided else further_text(difference.further, difference.n)]
        )  # fmt: skip
    titles = ["A", "B", "A - B", "A wins", ""]
    table = markdown_table(titles, cells, left=(0, 1))
    return f"Each at its best {across} against the next, seed by seed:\n\n{table}"


def _against_reference(results: SweepResults) -> SectionAndSentences | None:
    reference = results.study.reference if results.study else None
    if reference is None or reference.metric not in results.runs:
        return None
    groups = grouped(results.runs, results.fields, reference.metric)
    rows, sentence = against_reference(groups, reference)
    if not rows:
        return None
    titles = ["", "reference", "mean here", "seeds between", "difference"]
    cells = [
        [row.label, f"{row.reference:g}", number(row.mean),
         f"{number(row.low)} and {number(row.high)}", number(row.difference, "+")]
        for row in rows
    ]  # fmt: skip
    text = f"`{reference.metric}`, {reference.source}.\n\n{markdown_table(titles, cells)}"
    return Section("Against what others found", text), [sentence]
