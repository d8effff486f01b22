"""Confirmations: what a sweep's best configurations come to on seeds that did not select them.

The best of many, judged by the runs that made it the best, is too good: luck is part of what
selected it. ``nnlab confirm`` trains the candidates for the best on new seeds.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from nnlab.analysis.configurations import one_run_per_seed
from nnlab.analysis.groups import RunGroup, grouped
from nnlab.jobs.tags import Tag
from nnlab.tracking.frames import read_runs
from nnlab.tracking.locations import tracking_uri
from nnlab.tracking.readers import open_reader


@dataclass(frozen=True)
class Confirmation:
    """A sweep's candidates for the best, on new seeds.

    Attributes
    ----------
    sweeps : list of str
        The ids of the sweeps that confirm it, the newest first.
    groups : list of RunGroup
        The configurations, the best on the new seeds first.
    """

    sweeps: list[str]
    groups: list[RunGroup]

    def runs_of(self, group: RunGroup) -> RunGroup | None:
        """Return the new runs of a configuration, with or without results; None if it has none."""
        for confirmed in self.groups:
            if confirmed.settings == group.settings:
                return confirmed
        return None


def confirming_sweeps(uri: str | None, sweep: str) -> list[str]:
    """Return the ids of the sweeps that confirm a sweep, the newest first.

    One that came out of an archive before the sweep did names it by its first id.
    """
    reader = open_reader(tracking_uri(uri))
    origins = [record.tags.get(Tag.IMPORTED_FROM, sweep) for record in reader.read([sweep])]
    names = dict.fromkeys((sweep, *origins))
    records = [record for name in names for record in reader.tagged(Tag.CONFIRMS, name)]
    return [record.run_id for record in records if record.is_sweep]


def read_confirmation(
    uri: str | None, sweep: str, fields: Sequence[str], metric: str
) -> Confirmation | None:
    """Read what confirms a sweep.

    Parameters
    ----------
    uri : str or None
    sweep : str
        The sweep's whole id.
    fields : sequence of str
        The parameters that vary between its configurations.
    metric : str

    Returns
    -------
    Confirmation or None
        None where nothing confirms it, or no run of that has begun.
    """
    sweeps = confirming_sweeps(uri, sweep)
    begun = [head for head in sweeps if open_reader(tracking_uri(uri)).tagged(Tag.PARENT, head)]
    if not begun:
        return None
    runs = read_runs(uri, begun)
    if not {*fields, metric} <= set(runs):
        return None
    return Confirmation(begun, grouped(one_run_per_seed(runs, list(fields)), fields, metric))
