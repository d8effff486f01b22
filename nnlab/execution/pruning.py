"""Successive halving: give most of the epochs to the runs that do best with few."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from nnlab.jobs.config import PruneConfig
from nnlab.jobs.run import Run


@dataclass(frozen=True)
class Halving:
    """Synchronous successive halving (Jamieson & Talwalkar 2016, algorithm 1).

    At each rung all runs stop and are compared: of the ``planned`` ones, the best ``1 / eta`` by
    validation accuracy go on from the first rung, ``1 / eta²`` from the second, and so on; at
    least one always does. Runs that diverged before count as dropped. The decision depends on the
    runs' own curves alone, so it is the same for any number of workers.

    Attributes
    ----------
    rungs : Sequence[int]
        Epochs at which runs are dropped, ascending.
    eta : int
        One of so many runs goes on to the next rung.
    planned : int
        Number of runs at the start.
    """

    rungs: Sequence[int]
    eta: int
    planned: int

    @classmethod
    def of(cls, config: PruneConfig, runs: Sequence[Run]) -> "Halving | None":
        """Return the rule that a config asks for; None where no run can be pruned."""
        if config.rule == "none" or not config.rungs:
            return None
        planned = sum(run.job.config.epochs > config.rungs[0] for run in runs)
        return cls(config.rungs, config.eta, planned) if planned > 1 else None

    def next_rung(self, epoch: int) -> int | None:
        """Return the first rung after an epoch, if there is one."""
        return next((rung for rung in self.rungs if rung > epoch), None)

    def places(self, rung: int) -> int:
        """Return how many runs go on from a rung."""
        share: int = self.eta ** (self.rungs.index(rung) + 1)
        return max(1, math.ceil(self.planned / share))

    def dropped(self, rung: int, accuracy: Mapping[int, float], past: int) -> dict[int, str]:
        """Decide which runs end at a rung.

        Parameters
        ----------
        rung : int
            One of ``rungs``.
        accuracy : Mapping[int, float]
            Index of each run at this rung -> its validation accuracy. Of equal runs the first
            planned goes on.
        past : int
            Runs that are past this rung already; they take up places.

        Returns
        -------
        dict[int, str]
            Index of each run that ends -> the reason.
        """
        free = max(0, self.places(rung) - past)
        ranked = sorted(accuracy, key=lambda run: (-accuracy[run], run))
        return {
            run: f"pruned at epoch {rung}: place {past + place} of {past + len(ranked)}, "
            f"{self.places(rung)} go on"
            for place, run in enumerate(ranked, start=1)
            if place > free
        }
