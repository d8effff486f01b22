"""The folder of a local store, and what leads out of it."""

import os
from functools import cache
from pathlib import Path

from nnlab.tracking.locations import local_path


class StoreFolder:
    """The folder that a database is in.

    A link in the folder, such as ``artifacts`` to a larger disk, does not lead out: it stays in its
    place. Nor does a path that comes into the folder through a link.
    """

    def __init__(self, database: Path) -> None:
        self.folder = database.resolve().parent
        self._resolved = cache(os.path.realpath)
        self._places = {str(self.folder), self._resolved(database.parent)}

    def outside(self, address: str) -> Path | None:
        """Return the path of a local address that leads out of the folder, else None."""
        location = local_path(address)  # None for a server or a bucket
        if location is None or not Path(location).is_absolute():
            return None
        path = Path(location)
        if any(self._resolved(parent) in self._places for parent in path.parents):
            return None
        return None if Path(self._resolved(path)).is_relative_to(self.folder) else path


def is_outside(database: Path, address: str) -> bool:
    """Tell whether a local address leads out of the folder that the database is in."""
    return StoreFolder(database).outside(address) is not None
