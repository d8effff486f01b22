"""What a reader of a paired comparison needs to read its numbers right, in sentences."""

from collections.abc import Iterator, Mapping, Sequence

from nnlab.analysis.image_sampling import TEST_ACCURACY
from nnlab.analysis.looks import look_level
from nnlab.analysis.mean_test import ALPHA
from nnlab.analysis.pairs import Pair
from nnlab.analysis.selection import possible_pairs
from nnlab.analysis.statistics import MIN_SEEDS
from nnlab.wording import listed


def selection_notes(suggesting: Mapping[str, int], pairs: Sequence[Pair]) -> Iterator[str]:
    """Say how comparisons are decided that some sweeps, with so many configurations, suggest."""
    if not suggesting or not any(found.look for found in pairs):
        return
    names = listed([f"{sweep[:8]} ({size} configurations)" for sweep, size in suggesting.items()])
    sweeps = f"sweep{'s' * (len(suggesting) > 1)} {names}"
    if all(found.pairs == 1 for found in pairs):
        yield f"Seeds of {sweeps} may have suggested this comparison, and are left out."
        return
    yield (
        f"Seeds of {sweeps} may have suggested this comparison: it is decided as one of "
        f"{possible_pairs(suggesting)} pairs, until {MIN_SEEDS} or more other common seeds decide "
        "alone (--until trains them)."
    )


def notes_on(pairs: Sequence[Pair], added: int) -> Iterator[str]:
    """Say what else the numbers rest on.

    Parameters
    ----------
    pairs : sequence of Pair
    added : int
        Runs of these configurations that were not named.
    """
    if added:
        yield f"{added} further runs of these configurations, found in the store, count too."
    seeds = [found.difference.n for found in pairs]
    if min(seeds) == 0:
        yield "Without a common seed there is no pair: run equal seeds of both."
    if any(0 < n < MIN_SEEDS for n in seeds):
        yield f"Fewer than {MIN_SEEDS} common seeds decide nothing."
    if not all(found.difference.finite for found in pairs):
        yield (
            "A value is infinite (the loss of a diverged run, a target that was not reached): "
            "there is no mean difference, but a pair is won or lost."
        )
    if pairs[0].groups[0].metric == TEST_ACCURACY:
        yield "The differences are for these test images: others are not in the intervals."
    yield from _notes_on_looks([found for found in pairs if found.look])
    if not all(found.recorded for found in pairs):
        yield "The store cannot be written: it does not count this look."


def _notes_on_looks(tested: Sequence[Pair]) -> Iterator[str]:
    """Say at which level comparisons are tested."""
    if not tested:
        return
    look = max(found.look for found in tested)
    yield (
        f"This is look {look} at {'this comparison' if len(tested) == 1 else 'the seeds'}, at a "
        f"level of {look_level(look):.3g}: each look halves it, so that all looks together err in "
        "5 of 100 cases, and their intervals hold together."
    )
    if len(tested) > 1:
        yield f"The {len(tested)} comparisons are one family (Holm)."
        return
    (found,) = tested
    p = found.difference.p_value
    if found.pairs == 1 and not found.difference.decided and p <= ALPHA:
        yield (
            f"Its p-value, {p:.3f}, is between this level and {ALPHA:g}, at which a single look at "
            "a planned number of seeds decides, as in nnlab report."
        )
