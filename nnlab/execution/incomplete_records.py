"""Runs whose process was killed between their creation and their params or their dataset."""

from contextlib import suppress

from nnlab.errors import NnlabError, RecordError
from nnlab.execution.ledger import PLAN, Ledger, Plan
from nnlab.jobs.config import SEMANTICS, RunConfig, from_record
from nnlab.jobs.prepared_data import prepare
from nnlab.jobs.tags import Tag
from nnlab.system.stored_files import parse_yaml
from nnlab.tracking.locations import ledger_folder
from nnlab.tracking.records import DatasetInput, RunRecord
from nnlab.tracking.store import Store
from nnlab.tracking.tracker import DatasetRecord
from nnlab.tracking.writer import Writer


def lacking(record: RunRecord) -> str:
    """Name what a run of a network should have and does not; empty where nothing is missing."""
    if Tag.JOB not in record.tags or Tag.RUN_KEY not in record.tags:
        return ""  # it stands for others, or another program made it
    parts = {"params": bool(record.params), "dataset": record.has_dataset is not False}
    return " and no ".join(name for name, is_there in parts.items() if not is_there)


def add_missing(writer: Writer, record: RunRecord) -> None:
    """Write the params and the dataset that a run lacks, from its own config.

    The config is its artifact ``config.yaml``, or that of its job in its sweep's plan.

    Raises
    ------
    RecordError
        Where neither can be read, or belongs to another run.
    """
    config = recorded_config(writer.store, record)
    dataset = None if record.has_dataset else _dataset(writer.store, record, config)
    writer.add_missing(record, params=config.params, tags={}, dataset=dataset)


def recorded_config(store: Store, record: RunRecord) -> RunConfig:
    """Return a run's config, from its artifact or its sweep's plan, and check that it is its own.

    Raises
    ------
    RecordError
        Where neither can be read, or belongs to another run.
    """
    try:
        text = store.read_file(record.run_id, "config.yaml")
        config = from_record(
            parse_yaml(text, "config.yaml") if text is not None else _planned(store, record)
        )
        key = config.key(record.tags.get(Tag.DATA_DIGEST, ""))
    except (NnlabError, OSError, ValueError, LookupError, TypeError) as error:
        raise RecordError(
            f"The config of run {record.run_id[:8]} cannot be read: {' '.join(str(error).split())}"
        ) from error
    present = record.tags.get(Tag.SEMANTICS) == str(SEMANTICS)
    if present and key != record.tags[Tag.RUN_KEY]:
        raise RecordError(f"The config of run {record.run_id[:8]} is not the one it trained with.")
    return config


def _planned(store: Store, record: RunRecord) -> dict[str, object]:
    """Return the config that a run has in the plan of its ledger, or of its sweep's artifacts."""
    head = record.parent or record.run_id
    ledger = Ledger(ledger_folder(store.uri, head))
    if ledger.plan_file.exists():
        plan = ledger.read()
    else:
        text = store.read_file(head, PLAN)
        if text is None:
            raise RecordError("there is neither config.yaml nor a plan.")
        plan = Plan.from_json(text, f"{PLAN} of {head[:8]}")
    if not 0 <= record.job < len(plan.jobs):
        raise RecordError(f"the plan has no job {record.job}.")
    return plan.jobs[record.job].config


def _dataset(store: Store, record: RunRecord, config: RunConfig) -> DatasetInput | None:
    """Return the dataset as another run on the same data has it, or read from the data itself."""
    digest = record.tags.get(Tag.DATA_DIGEST, "")
    for other in store.search(f"tags.{Tag.DATA_DIGEST} = '{digest}'"):
        if other.has_dataset and other.params.get("data.name") == config.data.name:
            return store.details(other.run_id).datasets[0]
    if config.data.source == "mnist":
        return None  # it might have to be downloaded
    if Tag.IMPORTED_FROM in record.tags and (config.data.dir or config.data.path):
        return None  # a path of another machine
    with suppress(NnlabError, OSError):
        prepared = prepare(config.data)
        if prepared.digest == digest:
            return DatasetRecord.of(config.data.name, prepared).as_input()
    return None
