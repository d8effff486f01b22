"""Reproduction: train a recorded run again, compare, and log the certificate."""

import json
import shutil
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from typing import Any

from nnlab.errors import RecordError
from nnlab.execution.progress import print_note
from nnlab.execution.session import Session
from nnlab.execution.single_session import SingleSession
from nnlab.execution.sweep_session import SweepSession
from nnlab.interrupts import deferred
from nnlab.jobs.code_version import CodeVersion
from nnlab.jobs.config import RunConfig, from_mapping
from nnlab.jobs.launch_config import LaunchConfig
from nnlab.jobs.local_fields import set_local_field, without_foreign_values
from nnlab.jobs.run import Job, plan_runs
from nnlab.jobs.sweep import field_of
from nnlab.jobs.tags import Tag
from nnlab.reproduction.certificate import TOLERANCE, Certificate, certify
from nnlab.reproduction.checkout import (
    check_modules,
    checked_out,
    recorded_code,
    train_in_checkout,
)
from nnlab.reproduction.recorded_run import RecordedRun, read_recorded_run
from nnlab.system.status_line import status
from nnlab.system.temporary import temporary_folder
from nnlab.tracking.records import RunRecord
from nnlab.tracking.store import Store, existing_store
from nnlab.tracking.tracker import Tracker
from nnlab.tracking.writer import Writer

CERTIFICATE = "certificate.json"
COPIED_TAGS = (
    Tag.JOB, Tag.RUN_KEY, Tag.DATA_DIGEST, Tag.SEMANTICS, Tag.OUTCOME, Tag.WEIGHTS_SHA256,
)  # fmt: skip


def reproduce(
    which: str,
    uri: str | None = None,
    *,
    sweep: bool = False,
    overrides: Sequence[str] = (),
    tolerance: float = TOLERANCE,
) -> list[Certificate]:
    """Train a recorded run, or all complete runs of a sweep, again, and certify the results.

    Parameters
    ----------
    which : str
        A run or, with ``sweep``, a sweep; see ``Store.find_run``.
    uri : str or None
        Tracking URI of the store; None as in the config.
    sweep : bool
        Whether ``which`` names a sweep.
    overrides : Sequence[str]
        ``field=value``, for where the data is now; see ``local_fields``.
    tolerance : float
        See ``certificate.certify``.

    Returns
    -------
    list[Certificate]
        One a run. The new run has it as an artifact and its verdict as a tag.

    Raises
    ------
    NnlabError
        Where a run is not in the store or not complete, or its data is missing.
    """
    with status("reading what was recorded"):
        store = existing_store(uri)
        head, records = _read(store, which, sweep=sweep)
        configs = [_config(recorded, store, overrides) for recorded in records]
    jobs = [
        Job(config, (), _name(recorded.run), {Tag.REPRODUCES: recorded.run.run_id})
        for config, recorded in zip(configs, records, strict=True)
    ]
    runs = plan_runs(jobs)
    name, settings = _name(head), LaunchConfig()
    session: Session = (
        SweepSession(name, configs[0], settings, tags={Tag.REPRODUCES: head.run_id}, show=False)
        if sweep
        else SingleSession(name, configs[0], settings, show=False)
    )
    with session:
        session.begin(runs)
        session.work()
    for run in runs:
        if run.state.error is not None:
            raise run.state.error
    tracker = session.tracker
    with status("comparing with what was recorded"):
        repeated = [
            read_recorded_run(tracker.store, tracker.store.get(run.state.run_id)) for run in runs
        ]
        return [
            certify_and_log(tracker, *pair, tolerance)
            for pair in zip(records, repeated, strict=True)
        ]


def reproduce_at_commit(
    which: str,
    uri: str | None = None,
    *,
    confirm: Callable[[str], None],
    sweep: bool = False,
    overrides: Sequence[str] = (),
    tolerance: float = TOLERANCE,
) -> list[Certificate]:
    """Train runs again with the code that made them, and certify the results.

    The code runs in a process of its own, in a temporary worktree of the recorded commit with the
    recorded patch. The parameters that are not listed are those of ``reproduce``.

    Parameters
    ----------
    confirm : Callable[[str], None]
        Gets a description of the code before it runs; raises an exception to prevent it.

    Raises
    ------
    NnlabError
        As ``reproduce``, and where the code was not recorded, cannot be restored, or fails.
    """
    with status("reading what was recorded"):
        store = existing_store(uri)
        head, records = _read(store, which, sweep=sweep)
        configs = [_config(recorded, store, overrides) for recorded in records]
    code = recorded_code(records[0])
    version = CodeVersion(code.commit, bool(code.patch))
    tracker = Tracker(store, store.experiment_of(head), version)
    certificates = []
    with ExitStack() as stack:
        tree = stack.enter_context(checked_out(code))
        check_modules(tree, records[0])
        confirm(code.summary)
        parent = stack.enter_context(_parent(tracker, head)) if sweep else None
        for recorded, config in zip(records, configs, strict=True):
            print_note(f"training {recorded.short_id} {recorded.run.name}")
            with status("training with the recorded code"), temporary_folder() as folder:
                other, run_id = train_in_checkout(tree, recorded, config.model_dump(), folder)
                repeated = read_recorded_run(other, other.get(run_id))
                copy = _copy(tracker, recorded, repeated, other, parent)
            repeated = replace(repeated, run=replace(repeated.run, run_id=copy))
            certificates.append(certify_and_log(tracker, recorded, repeated, tolerance))
    return certificates


@contextmanager
def _parent(tracker: Tracker, head: RunRecord) -> Iterator[str]:
    """Provide a run that groups the reproductions of a sweep."""
    tags = {Tag.KIND: "sweep", Tag.REPRODUCES: head.run_id}
    parent = tracker.start(_name(head), {}, tags)
    try:
        yield parent
    except BaseException:
        tracker.finish(parent, "FAILED")
        raise
    tracker.finish(parent, "FINISHED")


def _copy(
    tracker: Tracker, recorded: RecordedRun, repeated: RecordedRun, other: Store, parent: str | None
) -> str:
    """Copy a run that the recorded code has logged to a store of its own, and return its new id."""
    tags: dict[str, str] = {
        name: repeated.run.tags[name] for name in COPIED_TAGS if name in repeated.run.tags
    }
    tags |= {Tag.REPRODUCES: recorded.run.run_id, Tag.AT_COMMIT: "true"}
    values = [(name, value, epoch) for (name, epoch), value in repeated.points.items()]
    with deferred():
        copy = tracker.start(_name(recorded.run), repeated.run.params, tags, parent=parent)
        with tracker.folder(copy) as folder:
            shutil.copytree(other.download(repeated.run.run_id), folder, dirs_exist_ok=True)
        tracker.log(copy, values)
        tracker.finish(copy, "FINISHED")
    return copy


def _name(run: RunRecord) -> str:
    return f"reproduction of {run.run_id[:8]}"


def _read(store: Store, which: str, *, sweep: bool) -> tuple[RunRecord, list[RecordedRun]]:
    """Read a run, or the complete runs of a sweep."""
    head = store.find_run(which, "sweep" if sweep else "run")
    if not sweep:
        return head, [read_recorded_run(store, head)]
    children = sorted(store.children(head.run_id), key=lambda run: run.job)
    complete = [run for run in children if Tag.WEIGHTS_SHA256 in run.tags]
    if not complete:
        raise RecordError(
            f"No run of sweep {head.run_id[:8]} is complete: `nnlab resume` may complete them."
        )
    if len(complete) < len(children):
        count = len(children) - len(complete)
        print_note(f"Note: {count} of its runs have no result, and get no certificate.")
    return head, [read_recorded_run(store, run) for run in complete]


def _config(recorded: RecordedRun, store: Store, overrides: Sequence[str]) -> RunConfig:
    """Return the config of a reproduction: up to the same epoch, into the same experiment."""
    plain: dict[str, Any] = recorded.config.model_dump()
    for override in overrides:
        set_local_field(plain, override, "a reproduction")
    if Tag.IMPORTED_FROM in recorded.run.tags:
        plain = without_foreign_values(plain, [field_of(override) for override in overrides])
    plain["tracking"] |= {"uri": store.uri, "experiment": store.experiment_of(recorded.run)}
    plain |= {
        "epochs": recorded.last_epoch, "pictures": 0, "reuse": False, "prune": {},
        "run_name": None, "model": False,
    }  # fmt: skip
    return from_mapping(plain)


def certify_and_log(
    writer: Writer, recorded: RecordedRun, repeated: RecordedRun, tolerance: float = TOLERANCE
) -> Certificate:
    """Compare a reproduction with its original; log the certificate, and at last its verdict."""
    certificate = certify(recorded, repeated, tolerance)
    with writer.folder(certificate.reproduction) as folder:
        text = json.dumps(certificate.as_dict(), indent=2) + "\n"
        (folder / CERTIFICATE).write_text(text, encoding="utf-8")
    tags: dict[str, str] = {Tag.CERTIFICATE: certificate.verdict}
    if certificate.causes:
        tags[Tag.CAUSES] = ", ".join(certificate.causes)
    writer.log(certificate.reproduction, (), tags)
    return certificate
