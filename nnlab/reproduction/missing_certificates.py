"""Certificates of reproductions whose process was killed before it wrote them."""

from collections.abc import Iterable, Sequence

from nnlab.analysis.terminal import echo
from nnlab.errors import NnlabError
from nnlab.interrupts import deferred
from nnlab.jobs.run import Run
from nnlab.jobs.tags import Tag
from nnlab.reproduction.recorded_run import read_recorded_run
from nnlab.reproduction.repeat import certify_and_log
from nnlab.tracking.process import ProcessId
from nnlab.tracking.records import RunRecord
from nnlab.tracking.store import existing_store
from nnlab.tracking.writer import Writer


def certify_missing(
    writer: Writer, run_ids: Iterable[str] | None = None, *, dry_run: bool = False
) -> list[str]:
    """Compare finished reproductions that have no certificate with their originals.

    Parameters
    ----------
    writer : Writer
    run_ids : iterable of str or None
        Runs of this process, of which any may be a reproduction. None for all of the store, but
        for those that a living process may certify itself.
    dry_run : bool
        Only say what would be done.

    Returns
    -------
    list of str
        A sentence for each.
    """
    store, messages = writer.store, []
    if run_ids is None:
        records = list(store.search(f"tags.{Tag.REPRODUCES} != '' AND status = 'FINISHED'"))
        records = [record for record in records if not _is_at_work(record)]
    else:
        records = [store.get(run_id) for run_id in run_ids]
    for record in filter(_lacks_certificate, records):
        name = f"{record.run_id[:8]} {record.name}"
        if dry_run:
            messages.append(f"{name} has no certificate: would compare it with its original")
            continue
        try:
            original = store.get(record.tags[Tag.REPRODUCES])
            pair = read_recorded_run(store, original), read_recorded_run(store, record)
            with deferred():
                certificate = certify_and_log(writer, *pair)
        except NnlabError as error:
            messages.append(f"{name} has no certificate, and cannot get one: {error}")
            continue
        messages.append(f"{name} had no certificate; compared with its original, it is "
                        f"{certificate.verdict}")  # fmt: skip
    return messages


def certify_resumed(runs: Sequence[Run], uri: str | None) -> None:
    """Certify the reproductions among runs that ``nnlab resume`` has completed; print verdicts."""
    repeated = [run.state.run_id for run in runs if run.complete and Tag.REPRODUCES in run.job.tags]
    if repeated:
        for message in certify_missing(Writer(existing_store(uri)), repeated):
            echo(message)


def _lacks_certificate(record: RunRecord) -> bool:
    """Tell whether a run is a reproduction that was made here, and has a result to compare."""
    tags = record.tags
    return (
        record.status == "FINISHED"
        and Tag.REPRODUCES in tags
        and Tag.WEIGHTS_SHA256 in tags
        and Tag.CERTIFICATE not in tags
        and Tag.IMPORTED_FROM not in tags
    )


def _is_at_work(record: RunRecord) -> bool:
    process = ProcessId.parse(record.tags.get(Tag.OWNER, ""))
    return process is None or not process.is_here or process.lives
