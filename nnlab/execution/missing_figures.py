"""Figures of recorded runs: those that could not be drawn at their end, and any one on demand."""

from typing import TYPE_CHECKING

from nnlab.errors import NnlabError, RecordError
from nnlab.execution.drawing import figure_of
from nnlab.execution.figure_contents import drawable, figure_contents
from nnlab.execution.incomplete_records import recorded_config
from nnlab.execution.pictures import draw_run, drawing_pool
from nnlab.jobs.config import from_mapping
from nnlab.jobs.local_fields import without_foreign_values
from nnlab.jobs.prepared_data import prepare
from nnlab.jobs.run import Job, Run, RunState
from nnlab.jobs.tags import Tag
from nnlab.plots.names import EXPLORE, RUN_FIGURES, SNAPSHOTS, SWEEP_FIGURES
from nnlab.system.stored_files import NUMPY_ERRORS
from nnlab.tracking.records import RunRecord
from nnlab.tracking.store import Store
from nnlab.tracking.writer import Writer

if TYPE_CHECKING:
    from nnlab.plots.style import Figure


def draw_missing(writer: Writer, *, dry_run: bool = False) -> list[str]:
    """Draw what the tags of runs name as missing; of a sweep, say which command draws it.

    Returns
    -------
    list of str
        A sentence for each run.
    """
    messages = []
    for record in list(writer.store.search(f"tags.{Tag.FIGURES_MISSING} != ''")):
        missing, name = record.tags[Tag.FIGURES_MISSING], f"{record.run_id[:8]} {record.name}"
        if missing in (SWEEP_FIGURES, EXPLORE):
            messages.append(f"{name} lacks figures; to draw them: nnlab report {record.run_id[:8]}")
        elif dry_run:
            messages.append(f"would draw the figures of {name}: {missing}")
        else:
            try:
                _draw(writer, record)
                messages.append(f"drew the figures of {name}: {missing}")
            except (NnlabError, OSError, *NUMPY_ERRORS) as error:
                messages.append(f"the figures of {name} cannot be drawn: {error}")
    return messages


def recorded_figure(store: Store, record: RunRecord, name: str) -> "Figure":
    """Draw one of a recorded run's figures from its files.

    Parameters
    ----------
    store : Store
    record : RunRecord
        A run that has a result.
    name : str
        One of ``RUN_FIGURES``; or ``SNAPSHOTS``, where the run has taken some.

    Raises
    ------
    RecordError
        Where there is no such figure, the run has no result, or its data has changed.
    """
    run_id = record.run_id
    if name not in (*RUN_FIGURES, SNAPSHOTS):
        raise RecordError(f"A run has no figure {name!r}: there are {', '.join(RUN_FIGURES)}.")
    if Tag.WEIGHTS_SHA256 not in record.tags:
        raise RecordError(f"Run {run_id[:8]} is {record.status} and has no result to draw yet.")
    contents = figure_contents(_recorded_run(store, record), store.download(run_id))
    if name == SNAPSHOTS and contents["snapshots"] is None:
        raise RecordError(f"Run {run_id[:8]} has taken no snapshots: snapshots=20 takes them.")
    if name not in drawable(contents):
        raise RecordError(f"Run {run_id[:8]} gives every image the same answer: no {name} to show.")
    return figure_of(name, contents)


def _recorded_run(store: Store, record: RunRecord) -> Run:
    """Return a recorded run, with its data."""
    config = recorded_config(store, record)
    if Tag.IMPORTED_FROM in record.tags:
        config = from_mapping(without_foreign_values(config.model_dump(), ()))
    prepared = prepare(config.data)
    if prepared.digest != record.tags.get(Tag.DATA_DIGEST):
        raise RecordError("its data has changed.")
    job, state = Job(config, (), record.name), RunState(run_id=record.run_id)
    return Run(job, 0, prepared, record.tags[Tag.RUN_KEY], state)


def _draw(writer: Writer, record: RunRecord) -> None:
    run = _recorded_run(writer.store, record)
    writer.remove_tag(record.run_id, Tag.FIGURES_MISSING)  # it is set again if this fails too
    with drawing_pool(1, 1) as pool:
        assert pool is not None
        draw_run(run, pool, writer)
    if Tag.FIGURES_MISSING in writer.store.get(record.run_id).tags:
        raise RecordError("the process that draws them has died again.")
