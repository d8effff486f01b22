"""What a caller names, as the command line names it: handles, ids, or several of them."""

from collections.abc import Iterable
from typing import Any, TypeAlias, cast

from nnlab.api.handle import Handle
from nnlab.errors import ComparisonError

Named: TypeAlias = str | Handle
Selection: TypeAlias = Named | Iterable[Named]


def one_of(named: Named, uri: str | None) -> tuple[str, str | None]:
    """Return the id, or its beginning, and the store that are meant."""
    (word,), store = words_of([named], uri)
    return word, store


def words_of(selections: Iterable[Selection], uri: str | None) -> tuple[list[str], str | None]:
    """Return each selection as one word of the command line, and the store that has them all.

    Parameters
    ----------
    selections : iterable
        Each a handle, an id or its beginning, an experiment's name, ``last``; or several of these,
        such as a column of ids.
    uri : str or None
        The store; None for that of the handles, or else the one of the config.

    Raises
    ------
    ComparisonError
        Where a selection is none, or handles are of different stores.
    """
    stores = set()
    words = []
    for selection in selections:
        several = isinstance(selection, Iterable) and not isinstance(selection, str)
        parts: list[Any] = list(cast("Any", selection)) if several else [selection]
        for part in parts:
            if not isinstance(part, Named):
                raise ComparisonError(
                    f"{part!r} names no run: give a run or a sweep, the beginning of an id, the "
                    "name of an experiment, or 'last'."
                )
        if not parts:
            raise ComparisonError("A selection is empty: there is no run in it.")
        stores |= {part.uri for part in parts if isinstance(part, Handle)}
        words.append(",".join(part.id if isinstance(part, Handle) else part for part in parts))
    if len(stores) > 1:
        raise ComparisonError(
            "These runs are in different stores: bring them together by `nnlab export` and "
            "`nnlab import`."
        )
    return words, uri or next(iter(stores), None)
