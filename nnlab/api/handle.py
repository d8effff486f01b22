"""What handles on runs and on sweeps have in common: an id, and what the store has of it."""

from typing import TYPE_CHECKING, TypeAlias

from nnlab.api.host import as_guest
from nnlab.errors import NnlabError, TrackingError
from nnlab.safe_text import masked, printable

if TYPE_CHECKING:
    from nnlab.tracking.records import RunRecord
    from nnlab.tracking.store import Store

Value: TypeAlias = int | float | str | None


class Handle:
    """What runs and sweeps have in common.

    Attributes
    ----------
    id : str
        The id in the store, 32 letters and digits. Wherever one is asked for, its beginning is
        enough.
    uri : str
        The address of the store.
    """

    def __init__(self, run_id: str, uri: str) -> None:
        self.id = run_id
        self.uri = uri
        self._last: RunRecord | None = None

    @property
    def name(self) -> str:
        """What it is called: the fields that vary, with their values."""
        return self._record.name

    @property
    def status(self) -> str:
        """RUNNING, FINISHED, FAILED or KILLED."""
        return self._record.status

    @property
    def params(self) -> dict[str, Value]:
        """The parameters; of a sweep, those that all its runs have in common."""
        from nnlab.tracking.frames import typed_value

        return {name: typed_value(text) for name, text in self._record.params.items()}

    @property
    def metrics(self) -> dict[str, float]:
        """The last value of each metric, and the summaries; of a sweep, those of its best run."""
        return dict(self._record.metrics)

    @property
    def tags(self) -> dict[str, str]:
        """The tags: where it comes from, and what became of it."""
        return dict(self._record.tags)

    @as_guest
    def tag(self, /, **tags: str | None) -> None:
        """Set tags of your own, as ``nnlab tag`` does.

        Parameters
        ----------
        **tags : str or None
            Such as ``paper="yes"``; None deletes one.

        Raises
        ------
        NnlabError
            Where a tag is nnlab's or MLflow's, or its name is not allowed; then none is set.
        """
        from nnlab.tracking.own_tags import write_tags

        write_tags(self.id, tags, self.uri)
        self._last = None

    @as_guest
    def delete(self, *, forever: bool = False) -> None:
        """Put it into MLflow's trash, a sweep with its runs, as ``nnlab rm`` does.

        Parameters
        ----------
        forever : bool
            Delete it for good, with its files. Files that are not in the store stay.

        Raises
        ------
        NnlabError
            Where it is running; then nothing is deleted.
        """
        from nnlab.execution.removal import SURE, remove

        remove([self.id], self.uri, forever=SURE * forever)
        self._last = None

    @as_guest
    def restore(self) -> None:
        """Bring it back from the trash.

        Raises
        ------
        NnlabError
            Where it is not there, or its sweep is there too.
        """
        from nnlab.execution.removal import restore

        restore([self.id], self.uri)

    @property
    def _record(self) -> "RunRecord":
        """What the store has of it now; what has finished is read once."""
        if self._last is None or self._last.status != "FINISHED":
            self._last = self._read()
        return self._last

    @as_guest
    def _read(self) -> "RunRecord":
        from nnlab.tracking.readers import open_reader

        for record in open_reader(self.uri).read([self.id]):
            return record
        raise TrackingError(f"In {self.uri} there is no run {self.id} any longer: it was deleted.")

    def _store(self) -> "Store":
        from nnlab.tracking.store import existing_store

        return existing_store(self.uri)

    def _stated(self) -> str:
        return self.status.lower()

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Handle) and (self.id, self.uri) == (other.id, other.uri)

    def __hash__(self) -> int:
        return hash((self.id, self.uri))

    def __repr__(self) -> str:
        kind = type(self).__name__
        try:
            return printable(masked(f"<{kind} {self.id[:8]} {self.name!r}: {self._stated()}>"))
        except NnlabError:  # a debugger shows it too, when the store is gone
            return f"<{kind} {self.id[:8]}>"
