"""Two configurations, compared over common seeds; and several such pairs."""

from dataclasses import dataclass, replace
from typing import Any

from nnlab.analysis.groups import RunGroup
from nnlab.analysis.looks import look_level
from nnlab.analysis.matching import Key
from nnlab.analysis.paired_statistics import PairedDifference
from nnlab.analysis.statistics import MIN_SEEDS


@dataclass(frozen=True)
class Pair:
    """Two configurations, compared.

    Attributes
    ----------
    a, b : tuple
        The values of the fields that vary.
    groups : tuple of RunGroup
        Their runs, one for each seed.
    deciding : tuple of RunGroup
        Those of the runs that decide, see ``selection``.
    difference : PairedDifference
        Of these, at the level of this look, and of a family of comparisons where there are several.
    common : int
        The number of all common seeds.
    others : int
        The number of those that did not suggest the comparison.
    pairs : float
        By which the level is divided, as the comparison is one of so many that could have been
        chosen; 1 where the deciding runs did not suggest it.
    look : int
        See ``looks``; 0 where too few seeds decide nothing.
    recorded : bool
        Whether the store has recorded the look.
    """

    a: Key
    b: Key
    groups: tuple[RunGroup, RunGroup]
    deciding: tuple[RunGroup, RunGroup]
    difference: PairedDifference
    common: int
    others: int
    pairs: float
    look: int
    recorded: bool

    @property
    def next_look(self) -> PairedDifference:
        """The same difference at the level of the look that further seeds would need."""
        level = self.difference.level * self.pairs / 2 if self.look else look_level(1)
        return replace(self.difference, level=level)

    @property
    def further(self) -> int | None:
        """About how many more seeds would decide it at the next look; 0 if it is decided."""
        if self.difference.decided:
            return 0
        further = self.next_look.further
        if further is None or self.pairs == 1 or not self.difference.testable:
            return further
        return max(MIN_SEEDS, self.difference.n + further) - self.others

    @property
    def chance(self) -> float | None:
        """The probability that they do; None if it is not known."""
        further = self.further
        known = further and self.difference.testable and self.pairs == 1
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
