"""Which run a word means: the beginning of an id, an address in the UI, or ``last``."""

import re
from collections.abc import Iterator, Sequence
from typing import Literal, Protocol

from nnlab.errors import TrackingError
from nnlab.jobs.tags import Tag
from nnlab.tracking.records import RunRecord

Kind = Literal["sweep", "run"]

LAST = "last"  # what was started last: a sweep, a study, or a single run outside of them
ADDITIONS = {Tag.REPRODUCES, Tag.CONFIRMS, Tag.FURTHER_SEEDS}  # they belong to another run or sweep
RUN_ADDRESS = re.compile(r"(?:/runs/|^runs:/)([0-9a-f]{32})\b")  # in the UI, or MLflow's own form


class Runs(Protocol):
    """What look-ups ask of a store."""

    uri: str
    trash: bool  # whether it holds what is in MLflow's trash, and not the other runs

    def beginning_with(self, letters: str) -> Sequence[RunRecord]:
        """Return the runs whose ids begin with these letters; two are enough."""

    def imported_from(self, letters: str) -> Sequence[RunRecord]:
        """Return the runs whose ids before an import begin with these letters; two are enough."""

    def heads(self) -> Iterator[RunRecord]:
        """Yield the runs that are under no other one of these, the newest first."""


def find_run(store: Runs, which: str, kind: Kind | None = None) -> RunRecord:
    """Return the one run that is meant.

    Parameters
    ----------
    store : Runs
    which : str
        The beginning of its id, or of the id that it had where it was imported from; its address
        in the UI, or ``runs:/…``; or ``last``, the sweep or single run that was started last, and
        that sweep's best run where a run is needed.
    kind : {"sweep", "run"} or None
        What it must be; None takes either.

    Raises
    ------
    TrackingError
        Where there is no such run, or several are meant.
    """
    address = RUN_ADDRESS.search(which)
    if which == LAST:
        record = _last(store)
    else:
        record = _by_id(store, address.group(1) if address else which)
    if kind == "run" and record.is_sweep:
        best = record.tags.get(Tag.BEST_RUN, "-")
        runs = store.beginning_with(best) if best.isalnum() else []
        if which == LAST and runs:
            return runs[0]
        hint = f", such as {best[:8]}, its best" if runs else ""
        raise TrackingError(f"{record.run_id[:8]} is a sweep: name one of its runs{hint}.")
    if kind == "sweep" and not record.is_sweep:
        raise TrackingError(f"{record.run_id[:8]} is a single run, and no sweep.")
    return record


def last_sweep(store: Runs) -> RunRecord:
    """Return the sweep that was started last.

    Raises
    ------
    TrackingError
        Where there is none.
    """
    for record in store.heads():
        if record.is_sweep and not ADDITIONS & record.tags.keys():
            return record
    raise TrackingError(
        f"{store.uri} has no sweep yet: make one with `python run.py -m lr=0.1,0.5`, or name an "
        "experiment or runs."
    )


def _last(store: Runs) -> RunRecord:
    for record in store.heads():
        if {Tag.JOB, Tag.KIND} & record.tags.keys() and not ADDITIONS & record.tags.keys():
            return record
    raise TrackingError(f"{place(store)} has no run yet.")


def place(store: Runs) -> str:
    """Name a store, or its trash, in a sentence."""
    return f"the trash of {store.uri}" if store.trash else store.uri


def _by_id(store: Runs, beginning: str) -> RunRecord:
    if not beginning.isalnum():
        raise TrackingError(
            f"{beginning!r} is no run: give the first letters and digits of its id, its address "
            f"in the UI, or `{LAST}`."
        )
    for look_up in (store.beginning_with, store.imported_from):
        records = look_up(beginning)
        if len(records) == 1:
            return records[0]
        if records:
            raise TrackingError(
                f"In {place(store)} several runs begin with {beginning}: give more of the id."
            )
    trash = "" if store.trash else ", and `nnlab ls --trash`"
    raise TrackingError(
        f"In {place(store)} no run begins with {beginning}: check the id and --uri{trash}."
    )
