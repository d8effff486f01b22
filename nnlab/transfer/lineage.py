"""Which run of one store is which run of another: an import gives every run a new id."""

from collections.abc import Collection

from nnlab.jobs.tags import Tag
from nnlab.tracking.store import Store

IDS_A_SEARCH = 100


def find_local_ids(store: Store, ids: Collection[str]) -> dict[str, str]:
    """Find runs in a store by their ids there, or by the ids under which they were first made.

    Parameters
    ----------
    store : Store
    ids : collection of str
        Of runs, in any store.

    Returns
    -------
    dict
        Given id -> id in this store, of the runs that it has. Runs whose import is not complete
        are left out.
    """
    local_ids = {}
    for record in store.search(f"tags.{Tag.IMPORTED_FROM} LIKE '%'"):
        origin = record.tags[Tag.IMPORTED_FROM]
        if origin in ids and Tag.IMPORTING not in record.tags:
            local_ids[origin] = record.run_id
    ordered = sorted(ids)
    for start in range(0, len(ordered), IDS_A_SEARCH):
        listed = ", ".join(f"'{run_id}'" for run_id in ordered[start : start + IDS_A_SEARCH])
        for record in store.search(f"attributes.run_id IN ({listed})"):
            if Tag.IMPORTING not in record.tags:
                local_ids[record.run_id] = record.run_id
    return local_ids
