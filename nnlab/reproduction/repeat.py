"""Reproduction: train again what was recorded, compare, and log the certificate."""

import json
import shutil
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

from nnlab.errors import ConfigError, RecordError
from nnlab.execution.display import say
from nnlab.execution.session import Session
from nnlab.interrupts import deferred
from nnlab.reproduction.certificate import TOLERANCE, Certificate, certify
from nnlab.reproduction.checkout import check_code, checked_out, original_code, run_original
from nnlab.reproduction.record import RecordedRun, read_record
from nnlab.runs.code_version import CodeVersion
from nnlab.runs.config import RunConfig, from_mapping
from nnlab.runs.launch_config import LaunchConfig
from nnlab.runs.run import Job, Run, plan_runs
from nnlab.runs.tags import Tag
from nnlab.tracking.records import RunRecord
from nnlab.tracking.store import Store, existing_store
from nnlab.tracking.tracker import Tracker

CERTIFICATE = "certificate.json"
ADOPTED = (Tag.JOB, Tag.RUN_KEY, Tag.DATA_DIGEST, Tag.SEMANTICS, Tag.OUTCOME, Tag.WEIGHTS_SHA256)
MOVABLE = ("data.dir", "data.path", "threads")  # what may be elsewhere now


def reproduce(
    which: str,
    uri: str | None = None,
    *,
    sweep: bool = False,
    overrides: Sequence[str] = (),
    tolerance: float = TOLERANCE,
) -> list[Certificate]:
    """Train runs again under their recorded configs, and certify what came out.

    Parameters
    ----------
    which : a run or, with ``sweep``, a sweep; see ``Store.find_run``
    uri : of the store; None as in the config
    overrides : ``field=value``, for where the data is now
    tolerance : see ``certificate.certify``

    Returns
    -------
    list of Certificate
        One a run. Each is an artifact and a tag of the new run too.

    Raises
    ------
    NnlabError
        Where a run is not there or not complete, or its data is gone.
    """
    store = existing_store(uri)
    head, records = recorded(store, which, sweep=sweep)
    configs = [repeated(record, store, overrides) for record in records]
    jobs = [
        Job(config, (), f"reproduction of {record.id}", {Tag.REPRODUCES: record.run.run_id})
        for config, record in zip(configs, records, strict=True)
    ]
    runs = plan_runs(jobs)
    tags = {Tag.REPRODUCES: head.run_id}
    settings = LaunchConfig()
    with Session("sweep" if sweep else "run", configs[0], settings, tags=tags, show=False) as made:
        made.begin(f"reproduction of {head.run_id[:8]}", (), runs)
        made.work()
    for run in runs:
        if run.error is not None:
            raise run.error
    return [
        _certified(made.tracker, record, run, tolerance)
        for record, run in zip(records, runs, strict=True)
    ]


def reproduce_at_commit(
    which: str,
    uri: str | None = None,
    *,
    agree: Callable[[str], None],
    sweep: bool = False,
    overrides: Sequence[str] = (),
    tolerance: float = TOLERANCE,
) -> list[Certificate]:
    """Train runs again with the code that made them, and certify what came out.

    The code is run in a process of its own, in a temporary worktree of the recorded commit with
    the recorded patch on it.

    Parameters
    ----------
    agree : told what is about to be run; raises where that is not wanted

    Raises
    ------
    NnlabError
        As ``reproduce``, and where the code was not recorded, is gone, or fails.
    """
    store = existing_store(uri)
    head, records = recorded(store, which, sweep=sweep)
    configs = [repeated(record, store, overrides) for record in records]
    original = original_code(records[0])
    then = CodeVersion(original.commit, bool(original.patch))
    tracker = Tracker(store, store.experiment_of(head), then)
    certificates = []
    with ExitStack() as opened:
        tree = opened.enter_context(checked_out(original))
        check_code(tree, records[0])
        agree(original.summary)
        parent = opened.enter_context(_parent(tracker, head, sweep=sweep))
        for record, config in zip(records, configs, strict=True):
            say(f"training {record.id} {record.run.name}")
            with tempfile.TemporaryDirectory(prefix="nnlab-") as folder:
                other, run_id = run_original(tree, record, config.model_dump(), Path(folder))
                again = read_record(other, other.get(run_id))
                made = _adopt(tracker, record, again, other, parent)
            again = replace(again, run=replace(again.run, run_id=made))
            certificates.append(certify(record, again, tolerance))
            log(tracker, certificates[-1])
    return certificates


@contextmanager
def _parent(tracker: Tracker, head: RunRecord, *, sweep: bool) -> Iterator[str | None]:
    """Provide a run that groups the repetitions of a sweep."""
    if not sweep:
        yield None
        return
    tags = {Tag.KIND: "sweep", Tag.REPRODUCES: head.run_id}
    parent = tracker.start(f"reproduction of {head.run_id[:8]}", {}, tags)
    try:
        yield parent
    except BaseException:
        tracker.finish(parent, "FAILED")
        raise
    tracker.finish(parent, "FINISHED")


def _adopt(
    tracker: Tracker, record: RecordedRun, again: RecordedRun, other: Store, parent: str | None
) -> str:
    """Take a run that the original code has made in a store of its own into the lab's store."""
    tags = {name: again.run.tags[name] for name in ADOPTED if name in again.run.tags}
    with deferred():
        made = tracker.start(
            f"reproduction of {record.id}",
            again.run.params,
            {**tags, Tag.REPRODUCES: record.run.run_id},
            parent=parent,
        )
        with tracker.folder(made) as folder:
            shutil.copytree(other.download(again.run.run_id), folder, dirs_exist_ok=True)
        tracker.log(made, [(name, value, epoch) for (name, epoch), value in again.points.items()])
        tracker.finish(made, "FINISHED")
    return made


def recorded(store: Store, which: str, *, sweep: bool) -> tuple[RunRecord, list[RecordedRun]]:
    """Read the run that is meant, or the complete ones of the sweep that is meant."""
    head = store.find_run(which, "sweep" if sweep else "run")
    if not sweep:
        return head, [read_record(store, head)]
    children = sorted(store.children(head.run_id), key=lambda run: int(run.tags.get(Tag.JOB, "0")))
    complete = [run for run in children if Tag.WEIGHTS_SHA256 in run.tags]
    if not complete:
        raise RecordError(f"No run of sweep {head.run_id[:8]} has come to its end.")
    if len(complete) < len(children):
        left = len(children) - len(complete)
        say(f"Note: {left} of its runs have no result, and there is nothing to certify of them.")
    return head, [read_record(store, run) for run in complete]


def repeated(record: RecordedRun, store: Store, overrides: Sequence[str] = ()) -> RunConfig:
    """Return the config that repeats a run: to where it ended, into the same experiment."""
    plain: dict[str, Any] = record.config.model_dump()
    for override in overrides:
        _put(plain, override)
    tracking = {
        **plain["tracking"],
        "uri": store.uri,
        "experiment": store.experiment_of(record.run),
    }
    plain.update(
        epochs=record.last_epoch, tracking=tracking, pictures=0, reuse=False, prune={},
        run_name=None, model=False,
    )  # fmt: skip
    return from_mapping(plain)


def _put(plain: Mapping[str, Any], override: str) -> None:
    field, equals, value = override.partition("=")
    if field not in MOVABLE or not equals:
        raise ConfigError(
            f"{override} cannot be changed: a reproduction keeps its config. What may be elsewhere "
            f"now is {', '.join(MOVABLE)}; to train with changes, python run.py --config-from."
        )
    *path, last = field.split(".")
    inner: Any = plain
    for part in path:
        inner = inner[part]
    inner[last] = int(value) if field == "threads" and value.isdigit() else value


def _certified(tracker: Tracker, record: RecordedRun, run: Run, tolerance: float) -> Certificate:
    """Compare a repeated run with its record, and log the certificate with the new run."""
    certificate = certify(
        record, read_record(tracker.store, tracker.store.get(run.run_id)), tolerance
    )
    log(tracker, certificate)
    return certificate


def log(tracker: Tracker, certificate: Certificate) -> None:
    """Keep a certificate with the run that it speaks of."""
    with tracker.folder(certificate.reproduction) as folder:
        text = json.dumps(certificate.as_dict(), indent=2) + "\n"
        (folder / CERTIFICATE).write_text(text, encoding="utf-8")
    causes = ", ".join(certificate.causes)
    tags = {Tag.CERTIFICATE: certificate.verdict, **({Tag.CAUSES: causes} if causes else {})}
    tracker.log(certificate.reproduction, (), tags)
