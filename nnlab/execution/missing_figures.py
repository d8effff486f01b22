"""Figures of recorded runs that could not be drawn at their end, drawn later."""

from nnlab.errors import NnlabError, RecordError
from nnlab.execution.incomplete_records import recorded_config
from nnlab.execution.pictures import draw_run, drawing_pool
from nnlab.jobs.config import from_mapping
from nnlab.jobs.local_fields import without_foreign_values
from nnlab.jobs.prepared_data import prepare
from nnlab.jobs.run import Job, Run, RunState
from nnlab.jobs.tags import Tag
from nnlab.plots.names import SWEEP_FIGURES
from nnlab.system.stored_files import NUMPY_ERRORS
from nnlab.tracking.records import RunRecord
from nnlab.tracking.writer import Writer


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
        if missing == SWEEP_FIGURES:
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


def _draw(writer: Writer, record: RunRecord) -> None:
    config = recorded_config(writer.store, record)
    if Tag.IMPORTED_FROM in record.tags:
        config = from_mapping(without_foreign_values(config.model_dump(), ()))
    prepared = prepare(config.data)
    if prepared.digest != record.tags.get(Tag.DATA_DIGEST):
        raise RecordError("its data has changed.")
    job, state = Job(config, (), record.name), RunState(run_id=record.run_id)
    run = Run(job, 0, prepared, record.tags[Tag.RUN_KEY], state)
    writer.remove_tag(record.run_id, Tag.FIGURES_MISSING)  # it is set again if this fails too
    with drawing_pool(1, 1) as pool:
        assert pool is not None
        draw_run(run, pool, writer)
    if Tag.FIGURES_MISSING in writer.store.get(record.run_id).tags:
        raise RecordError("the process that draws them has died again.")
