"""Comparing two configurations: the difference over common seeds, and how many more decide it."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import pandas as pd

from nnlab.analysis.compared import common_values
from nnlab.analysis.conditions import left_out_note, runs_where
from nnlab.analysis.configurations import metric_of, one_run_per_seed, varying_fields
from nnlab.analysis.groups import RunGroup
from nnlab.analysis.image_sampling import TEST_ACCURACY
from nnlab.analysis.looks import count_look, look_level
from nnlab.analysis.matching import Key, matching, with_all_seeds
from nnlab.analysis.mean_test import ALPHA
from nnlab.analysis.paired_statistics import MIN_SEEDS, PairedDifference, as_family
from nnlab.analysis.ranking import METRIC, SEED
from nnlab.analysis.seed_commands import seeds_command
from nnlab.analysis.seed_variance import left_out_of_intervals
from nnlab.analysis.selection import selection_notes
from nnlab.errors import ComparisonError
from nnlab.tracking.frames import read_runs
from nnlab.wording import counted


@dataclass(frozen=True)
class Pair:
    """Two configurations, compared.

    Attributes
    ----------
    a, b : tuple
        The values of the fields that vary.
    groups : tuple of RunGroup
        Their runs, one for each seed.
    difference : PairedDifference
        At the level of this look, and of a family of comparisons where there are several.
    look : int
        See ``looks``; 0 where too few seeds decide nothing.
    recorded : bool
        Whether the store has recorded the look.
    """

    a: Key
    b: Key
    groups: tuple[RunGroup, RunGroup]
    difference: PairedDifference
    look: int
    recorded: bool

    @property
    def next_look(self) -> PairedDifference:
        """The same difference at the level of the look that further seeds would need."""
        return replace(
            self.difference, level=self.difference.level / 2 if self.look else look_level(1)
        )

    @property
    def further(self) -> int | None:
        """About how many more seeds would decide it at the next look; 0 if it is decided."""
        return 0 if self.difference.decided else self.next_look.further

    @property
    def chance(self) -> float | None:
        """The probability that they do; None if it is not known."""
        further = self.further
        known = further and self.difference.testable
        return self.next_look.chance(further) if further and known else None


@dataclass(frozen=True)
class Pairs:
    """Pairs of configurations, and what they have in common.

    Attributes
    ----------
    fields : list of str
        The fields that vary between all configurations.
    shared : list of str
        Those in which the two configurations of each pair agree.
    metric : str
    unused_seed : int
        The lowest seed above all that were used.
    params : list of str
        The columns of runs that hold parameters.
    common : dict
        Parameter -> value, of those that do not vary.
    notes : list of str
    """

    pairs: list[Pair]
    fields: list[str]
    shared: list[str]
    metric: str
    unused_seed: int
    params: list[str]
    common: dict[str, Any]
    notes: list[str]

    def label(self, key: Key) -> str:
        """Name a configuration by the fields in which it differs from the other."""
        settings = dict(zip(self.fields, key, strict=True))
        return " ".join(
            f"{name}={value}" for name, value in settings.items() if name not in self.shared
        )


def pair(
    a: str,
    b: str,
    uri: str | None = None,
    metric: str = METRIC,
    where: str | None = None,
) -> pd.DataFrame:
    """Compare two sides seed by seed: equal seeds draw equal random numbers.

    A side selects runs: a sweep, an experiment, one run, or several with commas. It stands for the
    *configurations* of those runs, with every seed that the store has of them: one run alone would
    prove nothing, and seeds that were added later belong to the comparison. If one side is a
    single configuration, it is compared with each one of the other side; otherwise, those
    configurations are compared that agree in everything that varies within a side.

    Below 5 common seeds nothing is decided. The store counts the looks at a comparison, and each
    one has a level of its own, see ``looks``; several rows are one family, see
    ``paired_statistics.as_family``.

    Parameters
    ----------
    a, b : str
        See ``frames.read_runs``.
    uri, metric, where
        As in ``comparison.compare``. Runs without a result are left out; a diverged run counts as
        accuracy 0 or as an infinite loss.

    Returns
    -------
    DataFrame
        A row for each pair of configurations: ``a`` and ``b``, in which they differ; the fields
        that vary between the rows; ``seeds`` in common; ``mean_a, mean_b`` over these;
        ``difference`` (A − B) with its interval ``low, high`` and the method that found it
        (``interval``): the intervals of all rows and all looks hold together with 95 %
        confidence; ``a_beats_b``, the probability, with ties counted half; ``decided``, whether
        the interval leaves 0 out; ``look``, its number; ``further``, about how many more seeds
        would decide it at the next look (see ``mean_test.further_seeds``; NaN if that is not
        known), and ``chance``, the probability that they do; ``command``, which runs just these,
        or None. ``attrs``: ``metric``, ``notes``, ``compared``, ``common``, as in
        ``comparison.compare``.

    Raises
    ------
    TrackingError
        If the store cannot be read, or has nothing of a side.
    ComparisonError
        If no two configurations can be paired, or as in ``comparison.compare``.
    """
    compared = compare_pairs(a, b, uri, metric, where)
    rows = [
        {
            "a": compared.label(found.a),
            "b": compared.label(found.b),
            **{field: found.a[compared.fields.index(field)] for field in compared.shared},
            **_row(found),
            "command": seeds_command(found.groups, found.further, compared.unused_seed, uri),
        }
        for found in compared.pairs
    ]
    table = pd.DataFrame(rows)
    table.attrs.update(
        metric=compared.metric, notes=compared.notes, common=compared.common,
        compared=f"A = {a} and B = {b}, seed by seed: {counted(len(table), 'pair')} of "
        "configurations" + ("" if where is None else f", where {where}"),
    )  # fmt: skip
    return table


def compare_pairs(
    a: str, b: str, uri: str | None = None, metric: str = METRIC, where: str | None = None
) -> Pairs:
    """Compare two sides seed by seed; see ``pair``."""
    chosen = [set(read_runs(uri, [side])["run_id"]) for side in (a, b)]
    pool = with_all_seeds(uri, set.union(*chosen))
    if SEED not in pool:
        raise ComparisonError(f"The runs of {a} and {b} have no parameter `seed` to pair them by.")
    if pool[SEED].dtype.kind not in "iuf":
        raise ComparisonError(f"Among the runs of {a} and {b} are seeds that are no numbers.")
    name, unused, params = metric_of(pool, metric), int(pool[SEED].max()) + 1, pool.attrs["params"]
    left_out = []
    if where is not None:
        pool, left_out = runs_where(pool, where), left_out_note(pool, where)
    fields = varying_fields(pool)
    keys = pool[fields].apply(tuple, axis=1) if fields else pd.Series([()] * len(pool), pool.index)
    sides = [list(dict.fromkeys(keys[pool["run_id"].isin(ids)])) for ids in chosen]
    shared, matched = matching(*sides, fields=fields)
    if not matched:
        raise ComparisonError(
            f"{a} and {b} cannot be paired: both stand for the same configurations, or for several "
            "that do not match one by one. Name two configurations by a run of each, or narrow "
            "them down with --where."
        )
    once = one_run_per_seed(pool, fields)
    pairs = []
    for one, other in matched:
        of_one, of_other = (
            RunGroup({}, once[keys[once.index] == key], name) for key in (one, other)
        )
        difference, look, recorded = of_one.against(of_other), 0, True
        if difference.testable:
            look, recorded = count_look(uri, (of_one, of_other), params)
            difference = replace(difference, level=look_level(look))
        pairs.append(Pair(one, other, (of_one, of_other), difference, look, recorded))
    family = as_family([found.difference for found in pairs])
    pairs = [
        replace(found, difference=difference)
        for found, difference in zip(pairs, family, strict=True)
    ]
    added = int((~once["run_id"].isin(set.union(*chosen))).sum())
    notes = left_out + _notes(pairs, added)
    if any(found.difference.testable for found in pairs):
        notes += left_out_of_intervals(once, fields)
    notes += [
        note.replace("`", "") for note in selection_notes([pair.groups for pair in pairs], uri)
    ]
    return Pairs(pairs, fields, shared, name, unused, params, common_values(pool), notes)


def _row(found: Pair) -> dict[str, Any]:
    """Write a comparison as columns."""
    difference = found.difference
    one, other = found.groups[0].common_results(found.groups[1])
    return {
        "seeds": difference.n,
        "mean_a": float(one.mean()),
        "mean_b": float(other.mean()),
        "difference": difference.mean,
        "low": difference.interval.low,
        "high": difference.interval.high,
        "interval": difference.interval.method,
        "a_beats_b": difference.a_beats_b,
        "decided": difference.decided,
        "look": found.look,
        "further": found.further,
        "chance": found.chance,
    }


def _notes(pairs: Sequence[Pair], added: int) -> list[str]:
    """Return the sentences that a reader needs to read the numbers right."""
    notes = []
    if added:
        notes.append(
            f"{added} further runs of these configurations, found in the store, count too."
        )
    seeds = [found.difference.n for found in pairs]
    if min(seeds) == 0:
        notes.append("Without a common seed there is no pair: run equal seeds of both.")
    if any(0 < n < MIN_SEEDS for n in seeds):
        notes.append(f"Fewer than {MIN_SEEDS} common seeds decide nothing.")
    if not all(found.difference.finite for found in pairs):
        notes.append(
            "A value is infinite (the loss of a diverged run, a target that was not reached): "
            "there is no mean difference, but a pair is won or lost."
        )
    if pairs[0].groups[0].metric == TEST_ACCURACY:
        notes.append("The differences are for these test images: others are not in the intervals.")
    tested = [found for found in pairs if found.look]
    if tested:
        look = max(found.look for found in tested)
        notes.append(
            f"This is look {look} at {'this comparison' if len(tested) == 1 else 'the seeds'}, "
            f"decided at a level of {look_level(look):.3g}: each look halves it, so that all looks "
            "together err in 5 of 100 cases, and their intervals hold together."
        )
        between = [found.difference.p_value for found in tested if not found.difference.decided]
        if len(tested) == 1 and between and between[0] <= ALPHA:
            notes.append(
                f"Its p-value, {between[0]:.3f}, is between this level and {ALPHA:g}, at which a "
                "single look at a planned number of seeds decides, as in nnlab report."
            )
    if len(tested) > 1:
        notes.append(f"The {len(tested)} comparisons are one family (Holm).")
    if not all(found.recorded for found in pairs):
        notes.append("The store cannot be written: it does not count this look.")
    return notes
