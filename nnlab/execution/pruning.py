"""Successive halving: give most of the epochs to the runs that do best with few."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass


@dataclass(frozen=True)
class Halving:
    """Synchronous successive halving (Jamieson & Talwalkar 2016, algorithm 1).

    At each rung all runs stand still; of the ``planned`` ones, the best ``1 / eta`` by validation
    accuracy go on at the first rung, ``1 / eta²`` at the second, and so on; at least one always
    does. Runs that diverged before count as dropped already. The decision depends on the
    runs' own curves alone, so it is the same for any number of workers.

    Attributes
    ----------
    rungs : epochs at which runs are dropped, ascending
    eta : what number of runs share the place of one at the next rung
    planned : runs that were there at the start
    """

    rungs: Sequence[int]
    eta: int
    planned: int

    def next_rung(self, epoch: int) -> int | None:
        """Return the epoch of the first rung behind an epoch, if there is one."""
        return next((rung for rung in self.rungs if rung > epoch), None)

    def places(self, rung: int) -> int:
        """Return how many runs go on behind a rung."""
        share: int = self.eta ** (self.rungs.index(rung) + 1)
        return max(1, math.ceil(self.planned / share))

    def dropped(self, rung: int, accuracy: Mapping[int, float], behind: int) -> dict[int, str]:
        """Decide which runs end at a rung.

        Parameters
        ----------
        rung : int
            One of ``rungs``.
        accuracy : run -> validation accuracy at this rung
            Of all runs that stand at it. Of equal ones the first planned goes on.
        behind : int
            Runs that are past this rung already, and hold their places.

        Returns
        -------
        run -> why
        """
        free = max(0, self.places(rung) - behind)
        ranked = sorted(accuracy, key=lambda run: (-accuracy[run], run))
        return {
            run: f"pruned at epoch {rung}: place {behind + place} of {behind + len(ranked)}, "
            f"{self.places(rung)} go on"
            for place, run in enumerate(ranked, start=1)
            if place > free
        }
