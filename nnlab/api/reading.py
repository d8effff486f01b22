"""What is recorded, read and compared."""

from typing import TYPE_CHECKING

from nnlab.api.handles import Run, Sweep
from nnlab.api.host import as_guest
from nnlab.api.selections import Selection, words_of
from nnlab.errors import ComparisonError

if TYPE_CHECKING:
    from collections.abc import Sequence

    import pandas as pd

    from nnlab.reproduction.explanation import Explanation
    from nnlab.tracking.records import RunRecord


def handle_of(record: "RunRecord", uri: str) -> Run | Sweep:
    """Return the handle of a record."""
    from nnlab.jobs.tags import Tag

    kind = Sweep if Tag.KIND in record.tags else Run
    return kind(record.run_id, uri)


@as_guest
def get(which: str, uri: str | None = None) -> Run | Sweep:
    """Return a recorded run or sweep.

    Parameters
    ----------
    which : str
        The beginning of its id; its address in the UI; or ``last``, the sweep or single run that
        was started last.
    uri : str or None
        The store; None for the one of the config.

    Raises
    ------
    NnlabError
        Where there is none, or several are meant.
    """
    from nnlab.tracking.locations import tracking_uri
    from nnlab.tracking.lookup import find_run
    from nnlab.tracking.readers import open_reader

    reader = open_reader(tracking_uri(uri))
    return handle_of(find_run(reader, which), reader.uri)


@as_guest
def runs(
    where: str | None = None, *, selection: "Selection | None" = None, uri: str | None = None
) -> "pd.DataFrame":
    """Return recorded runs as a table.

    Parameters
    ----------
    where : str or None
        A condition: ``"lr > 0.1 and outcome == 'learned'"``. None for all runs.
    selection : Run, Sweep, str, several of them, or None
        Only these: sweeps, runs, the beginnings of ids, the names of experiments, ``last``. None
        for the whole store.
    uri : str or None
        The store; None for the one of the config.

    Returns
    -------
    DataFrame
        A row a run, the newest first: ``run_id``, ``name``, ``sweep``, ``experiment``, ``status``,
        ``outcome``, ``start_time``, …, a column for each parameter and for each metric.

    Raises
    ------
    NnlabError
        Where a name is unknown, or no run meets the condition.
    """
    from nnlab.api.tables import runs_table

    words = None
    if selection is not None:
        words, uri = words_of([selection], uri)
    return runs_table(words, where, uri)


@as_guest
def compare(
    *selection: "Selection",
    by: "str | Sequence[str] | None" = None,
    metric: str | None = None,
    where: str | None = None,
    uri: str | None = None,
) -> "pd.DataFrame":
    """Compare configurations over their seeds, as ``nnlab compare`` does.

    Parameters
    ----------
    *selection : Run, Sweep, str, or several of them
        What to compare: sweeps, runs, the beginnings of ids, the names of experiments, ``last``.
        Exactly two are compared with each other, seed by seed. None for the last sweep.
    by : str, sequence of str or None
        Fields to pivot by: rows by the first ones, columns by the last.
    metric : str or None
        What to compare; None for ``late_val_accuracy``.
    where : str or None
        A condition on runs, as in ``nnlab.runs``.
    uri : str or None
        The store; None for the one of the config.

    Returns
    -------
    DataFrame
        A row for each configuration, best first: the fields that vary, ``seeds``, ``mean`` with its
        95 % interval ``low, high``, ``median, iqm, worst, best``, counts of outcomes; of two
        selections, a row for each pair: ``difference``, ``low, high``, ``a_beats_b``, ``decided``.
        ``attrs["notes"]`` has the sentences that a reader must know.

    Raises
    ------
    NnlabError
        Where there is nothing to compare, or a name or the condition is not understood.
    """
    from nnlab.api.tables import comparison_table

    words, uri = words_of(selection, uri)
    return comparison_table(words, by, metric, where, uri)


@as_guest
def explain(a: str | Run, b: str | Run, uri: str | None = None) -> "Explanation":
    """Tell what differs between two runs, as ``nnlab explain`` does.

    Parameters
    ----------
    a, b : str or Run
        The runs, or the beginnings of their ids.
    uri : str or None
        The store; None for the one of the config.

    Returns
    -------
    Explanation
        ``differences`` of config, code, data and environment; ``first`` and ``largest``, where
        their curves part.

    Raises
    ------
    NnlabError
        Where one of them is not in the store, or has no result.
    """
    from nnlab.reproduction.explanation import explain_runs

    (one, other), store = words_of([a, b], uri)
    if "," in one + other:
        raise ComparisonError("Two runs are explained: give one run, or one id, for each.")
    return explain_runs(one, other, store)
