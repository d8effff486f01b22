"""Resuming a sweep or a single run from its ledger and its checkpoints."""

import shlex
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import replace
from typing import Any

from nnlab.errors import ConfigError, NothingLeftError, ResumeError, StoredFileError, TrackingError
from nnlab.execution.dask_workers import check_address
from nnlab.execution.failures import does_not_fit
from nnlab.execution.ledger import PLAN, Ledger, Plan, PlannedJob, differences, unfinished
from nnlab.execution.progress import print_note
from nnlab.execution.reuse import is_complete
from nnlab.execution.session import Session
from nnlab.execution.single_session import SingleSession
from nnlab.execution.sweep_session import SweepSession
from nnlab.jobs import provenance
from nnlab.jobs.config import SEMANTICS, from_mapping, from_record
from nnlab.jobs.launch_config import LaunchConfig, launch_config, own_fields
from nnlab.jobs.local_fields import set_local_field, without_foreign_values
from nnlab.jobs.run import Job, Run, plan_runs
from nnlab.jobs.sweep import Sweep, field_of
from nnlab.jobs.tags import Tag
from nnlab.system.stored_files import read_text
from nnlab.tracking.locations import ledger_folder, sweeps_folder, tracking_uri
from nnlab.tracking.lookup import Kind
from nnlab.tracking.records import RunRecord
from nnlab.tracking.store import Store
from nnlab.training.arithmetic import EXACT
from nnlab.wording import counted

OF_THE_PLAN = ("stack", "on_error")  # settings that a plan may decide, wherever it comes from
JOB_TAGS = (Tag.REPRODUCES,)  # that a plan may give its runs

SESSIONS: dict[Kind, type[Session]] = {"sweep": SweepSession, "run": SingleSession}


def resume(
    run_or_sweep: str | None,
    uri: str | None = None,
    *,
    restart: bool = False,
    changes: Mapping[str, Any] | None = None,
    settings: LaunchConfig | None = None,
    overrides: Sequence[str] = (),
    show: bool = True,
) -> list[Run]:
    """Complete what is missing or failed of a sweep or a single run, and nothing else.

    The plan may come from elsewhere, out of an archive or with a copied store. It says what is
    trained. Who trains it, and where the data is, this machine says: to connect to a cluster means
    to let it run code here.

    Parameters
    ----------
    run_or_sweep : str or None
        Id of the sweep or of one of its runs, or the id's beginning; None takes the newest.
    uri : str or None
        Of the store; None as in the config.
    restart : bool
        Train those runs again from their beginning whose code or data are not what they were.
    changes : Mapping[str, Any] or None
        Settings of the launcher to use instead of this machine's own.
    settings : LaunchConfig or None
        All settings, of a command that has them; None for this machine's own, and of the plan how
        runs are stacked and whether an error stops the sweep.
    overrides : Sequence[str]
        ``field=value``, for where the data is now; see ``local_fields``.
    show : bool
        Whether the results are printed at the end.

    Raises
    ------
    NothingLeftError
        Where nothing was left unfinished.
    ResumeError
        Where no plan is left, another process works on it, or the training code's meaning or the
        data have changed.
    """
    address = tracking_uri(uri)
    head = find_resumable(run_or_sweep, address)
    store = Store(address)
    ledger = Ledger(ledger_folder(address, head))
    plan = ledger.read() if ledger.plan_file.exists() else _plan_in_store(store, head)
    plan = replace(plan, tracking_uri=address)  # where it is now: a store may have moved
    if settings is None:
        settings = _settings(plan, changes or {})
        if not (changes or {}).keys() & {"backend", "address"}:
            _compare_backends(head, plan, settings)
    if settings.address is not None:
        check_address(settings.address)
    imported = Tag.IMPORTED_FROM in store.get(head).tags
    return _complete(head, plan, settings, overrides, restart=restart, imported=imported, show=show)


def _settings(plan: Plan, changes: Mapping[str, Any]) -> LaunchConfig:
    """Return how to work: as this machine does, but for what harms nobody."""
    recorded = {name: plan.settings[name] for name in OF_THE_PLAN if name in plan.settings}
    fields = {**own_fields(), **recorded, **changes, "resume": False}
    if fields.get("backend") != "dask" and "address" not in changes:
        fields["address"] = None
    return launch_config(fields)


def _compare_backends(head: str, plan: Plan, settings: LaunchConfig) -> None:
    """Say where other workers go on with a sweep than began it, and how those are used again."""
    backend, address = (plan.settings.get(name) for name in ("backend", "address"))
    if backend is None or (backend, address) == (settings.backend, settings.address):
        return
    then, again = f"backend={backend}", ["--backend", str(backend)]
    if address is not None:
        then, again = f"{then} address={address}", [*again, "--address", str(address)]
    now = f"backend={settings.backend}"
    if settings.address is not None:
        now += f" address={settings.address}"
    trust = "" if address is None else ", if it is yours (a scheduler can run any code here)"
    print_note(
        f"Note: {head[:8]} was begun with {then}; this machine goes on with {now}. To use what it "
        f"was begun with{trust}: nnlab resume {head[:8]} {shlex.join(again)}"
    )


def _complete(
    head: str, plan: Plan, settings: LaunchConfig, overrides: Sequence[str], *,
    restart: bool, imported: bool, show: bool,
) -> list[Run]:  # fmt: skip
    """Go on with a plan under the run that stands for it."""
    jobs = [
        _job(job, plan, overrides, f"jobs.{index} of {PLAN} of {head[:8]}", imported=imported)
        for index, job in enumerate(plan.jobs)
    ]
    runs = plan_runs(jobs)
    changed = _changed(plan, runs)
    inexact = any(job.config.dtype != EXACT for job in jobs)
    for difference in differences(plan.platform, provenance.numerics()) if inexact else ():
        print_note(f"Note: {difference}; the bits may not be those of an undisturbed sweep.")
    with SESSIONS[plan.kind](plan.name, jobs[0].config, settings, show=show) as session:
        session.take_up(head, plan, runs, changed, restart=restart)
        left = [run for run in runs if not run.complete]
        begun = sum(run.state.epoch > 0 for run in left)
        print_note(
            f"{head[:8]} {plan.name}: {len(left)} of {counted(len(runs), 'run')} left, {begun} of "
            "them begun"
        )
        session.work()
    return runs


def same_sweep(sweep: Sweep, uri: str | None) -> str | None:
    """Return the id of the newest unfinished sweep of just these jobs, if there is one."""
    address = tracking_uri(uri)
    wanted = [run.key for run in plan_runs(sweep.jobs)]
    for head in reversed(unfinished(address)):
        plan = Ledger(ledger_folder(address, head)).read()
        if plan.kind == "sweep" and [job.key for job in plan.jobs] == wanted:
            return head
    return None


def find_resumable(run_or_sweep: str | None, address: str) -> str:
    """Return the id of the run that stands for what is to be resumed."""
    left = unfinished(address)
    if run_or_sweep is None and left:
        return left[-1]
    if run_or_sweep is None:  # its ledger may be on another machine
        store = Store(address)
        for record in store.search(f"tags.{Tag.KIND} = 'sweep'"):
            if record.status in ("KILLED", "FAILED") and _has_work(store, record.run_id):
                return record.run_id
        raise NothingLeftError(f"Nothing to resume: no sweep of {address} was left unfinished.")
    matches = [head for head in left if head.startswith(run_or_sweep)]
    if len(matches) == 1:
        return matches[0]
    record = Store(address).find_run(run_or_sweep)
    return record.parent or record.run_id


def _has_work(store: Store, head: str) -> bool:
    """Tell whether a sweep can go on: by a plan among its artifacts, with runs that are left."""
    with suppress(TrackingError, StoredFileError):
        text = store.read_file(head, PLAN)
        if text is None:
            return False  # it was killed early
        plan = Plan.from_json(text, PLAN)
        return _jobs_with(store, head, lambda run: is_complete(run) or does_not_fit(run)) < len(
            plan.jobs
        )
    return True  # a damaged one, which is then named


def _jobs_with(store: Store, head: str, condition: Callable[[RunRecord], bool]) -> int:
    return len({run.tags.get(Tag.JOB) for run in store.children(head) if condition(run)})


def _plan_in_store(store: Store, head: str) -> Plan:
    """Read the plan among the artifacts of the sweep: its ledger is on another machine, or gone."""
    record = store.get(head)
    nothing_left = NothingLeftError(f"{head[:8]} is complete: there is nothing to resume.")
    if record.status == "FINISHED" and not record.is_sweep:
        raise nothing_left
    try:
        plan = Plan.from_json(read_text(store.download(head, PLAN)), f"{PLAN} of {head[:8]}")
    except (TrackingError, StoredFileError) as error:
        if record.status == "FINISHED":
            raise nothing_left from error
        raise ResumeError(
            f"{head[:8]} has left no plan: neither a ledger in {sweeps_folder(store.uri)} nor "
            f"the artifact {PLAN}."
        ) from error
    # Runs of a sweep that has ended may have been deleted since; reused runs are in other sweeps.
    if record.status == "FINISHED" and (
        plan.jobs[0].config.get("reuse") or _jobs_with(store, head, is_complete) == len(plan.jobs)
    ):
        raise nothing_left
    return plan


def _job(
    planned: PlannedJob, plan: Plan, overrides: Sequence[str], where: str, *, imported: bool
) -> Job:
    """Return a job of a plan as it is done on this machine; ``where`` it stands is for messages."""
    config, tracking = planned.config, planned.config.get("tracking")
    if isinstance(tracking, dict):  # else it is refused, with the names of what is missing
        config = {**config, "tracking": {**tracking, "uri": plan.tracking_uri}}
    try:
        plain = from_record(config).model_dump()
    except ConfigError as error:
        raise ResumeError(f"{where} cannot be used: {error}") from error
    for override in overrides:
        set_local_field(plain, override, "a resumed run")
    if imported:
        plain = without_foreign_values(plain, [field_of(override) for override in overrides])
        plain["reuse"] = bool(plain["reuse"])  # whether imported runs are welcome is said here
    tags = {name: text for name, text in planned.tags.items() if name in JOB_TAGS}
    return Job(from_mapping(plain), planned.overrides, planned.name, tags)


def _changed(plan: Plan, runs: Sequence[Run]) -> dict[int, str]:
    """Return why runs have another identity than in the plan, by their index."""
    changed = {}
    for run, job in zip(runs, plan.jobs, strict=True):
        if run.key == job.key:
            continue
        then = {"the training code's meaning": plan.semantics, "the data": job.data_digest}
        now = {"the training code's meaning": SEMANTICS, "the data": run.prepared.digest}
        changed[run.index] = ", ".join(differences(then, now)) or "its config reads differently"
    return changed
