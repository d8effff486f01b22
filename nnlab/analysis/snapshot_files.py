"""Where the snapshots of a sweep's runs are; apart from what draws them, which imports pandas."""

from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import NamedTuple, Self

from nnlab.errors import TrackingError
from nnlab.tracking.artifacts import SNAPSHOTS
from nnlab.tracking.store import Store

MOST = 60  # runs, whose histograms take 36 kB of a page each, at 20 snapshots


class SnapshotFiles(NamedTuple):
    """Where the snapshots of some runs are.

    Attributes
    ----------
    folders : dict of str to Path
        By the runs' ids.
    of : int
        How many runs have snapshots.
    """

    folders: dict[str, Path]
    of: int

    @classmethod
    def find(cls, store: Store, run_ids: Sequence[str]) -> Self:
        """Find those of the runs of a sweep, of which all or none have taken some.

        Parameters
        ----------
        store : Store
        run_ids : sequence of str
            The best run first.
        """
        folders = {}
        for run_id in run_ids[:: max(1, -(-len(run_ids) // MOST))]:
            with suppress(TrackingError):
                file = store.download(run_id, SNAPSHOTS)
                if file.is_file():
                    folders[run_id] = file.parent
            if not folders:
                return cls({}, 0)
        return cls(folders, len(run_ids))
