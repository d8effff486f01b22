"""Which run of one store is which run of another: ids change when runs are carried around."""

from collections.abc import Collection, Iterator

from nnlab.tracking.store import Store

IMPORTED_FROM = "imported_from"  # the tag that keeps the id under which a run was made
IMPORTING = "importing"  # the process that is at it; gone when the run is complete
PARENT, NAME = "mlflow.parentRunId", "mlflow.runName"  # MLflow's own tags
IDS_A_SEARCH = 100


def whereabouts(store: Store, ids: Collection[str]) -> dict[str, str]:
    """Find runs by the ids that they have or had.

    Parameters
    ----------
    ids : of runs, in any store

    Returns
    -------
    dict
        Of those ids that are known here: the id here. Runs that are half imported don't count.
    """
    found = {}
    for record in store.search(f"tags.{IMPORTED_FROM} LIKE '%'"):
        origin = record.tags[IMPORTED_FROM]
        if origin in ids and IMPORTING not in record.tags:
            found[origin] = record.run_id
    for chunk in _chunks(sorted(ids)):
        listed = ", ".join(f"'{run_id}'" for run_id in chunk)
        for record in store.search(f"attributes.run_id IN ({listed})"):
            if IMPORTING not in record.tags:
                found[record.run_id] = record.run_id
    return found


def _chunks(ids: list[str]) -> Iterator[list[str]]:
    for start in range(0, len(ids), IDS_A_SEARCH):
        yield ids[start : start + IDS_A_SEARCH]
