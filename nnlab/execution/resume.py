"""Resuming a sweep or a single run from its ledger and its checkpoints."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from nnlab.errors import NothingLeftError, ResumeError, StoredFileError, TrackingError
from nnlab.execution.dask_workers import check_address
from nnlab.execution.ledger import PLAN, Ledger, Plan, differences, unfinished
from nnlab.execution.progress import print_note
from nnlab.execution.session import Session
from nnlab.execution.single_session import SingleSession
from nnlab.execution.sweep_session import SweepSession
from nnlab.runs import provenance
from nnlab.runs.config import SEMANTICS, from_record
from nnlab.runs.launch_config import LaunchConfig, launch_config
from nnlab.runs.run import Job, Run, plan_runs
from nnlab.runs.sweep import Sweep
from nnlab.runs.tags import Tag
from nnlab.stored_files import read_text
from nnlab.tracking.locations import sweeps_folder, tracking_uri
from nnlab.tracking.store import Kind, Store

SESSIONS: dict[Kind, type[Session]] = {"sweep": SweepSession, "run": SingleSession}


def resume(
    run_or_sweep: str | None,
    uri: str | None = None,
    *,
    restart: bool = False,
    changes: Mapping[str, Any] | None = None,
) -> list[Run]:
    """Complete what is missing or failed of a sweep or a single run, and nothing else.

    Parameters
    ----------
    run_or_sweep : str or None
        Id of the sweep or of one of its runs, or the id's beginning; None takes the newest.
    uri : str or None
        Of the store; None as in the config.
    restart : bool
        Train those runs again from their beginning whose code or data are not what they were.
    changes : Mapping[str, Any] or None
        Settings of the launcher to use instead of the recorded ones.

    Raises
    ------
    NothingLeftError
        Where nothing was left unfinished.
    ResumeError
        Where no plan is left, another process works on it, or the training code's meaning or the
        data have changed.
    """
    address = tracking_uri(uri)
    head = _find(run_or_sweep, address)
    ledger = Ledger(sweeps_folder(address) / head)
    plan = ledger.read() if ledger.plan_file.exists() else _plan_in_store(Store(address), head)
    plan = replace(plan, tracking_uri=address)  # where it is now: a store may have moved
    fields = {**plan.settings, "resume": False, **(changes or {})}
    if fields.get("backend") != "dask":
        fields["address"] = None
    settings = launch_config(fields)
    if settings.address is not None:
        check_address(settings.address)
    return _complete(head, plan, settings, restart=restart)


def _complete(head: str, plan: Plan, settings: LaunchConfig, *, restart: bool) -> list[Run]:
    """Go on with a plan under the run that stands for it."""
    jobs = [
        Job(from_record(_logged_to(job.config, plan)), job.overrides, job.name, job.tags)
        for job in plan.jobs
    ]
    runs = plan_runs(jobs)
    changed = _changed(plan, runs)
    for difference in differences(plan.platform, provenance.numerics()):
        print_note(f"Note: {difference}; the bits may not be those of an undisturbed sweep.")
    with SESSIONS[plan.kind](plan.name, jobs[0].config, settings) as session:
        session.take_up(head, plan, runs, changed, restart=restart)
        left = [run for run in runs if not run.complete]
        begun = sum(run.epoch > 0 for run in left)
        print_note(
            f"{head[:8]} {plan.name}: {len(left)} of {len(runs)} runs left, {begun} of them begun"
        )
        session.work()
    return runs


def same_sweep(sweep: Sweep, uri: str | None) -> str | None:
    """Return the id of the newest unfinished sweep of just these jobs, if there is one."""
    folder = sweeps_folder(tracking_uri(uri))
    wanted = [run.key for run in plan_runs(sweep.jobs)]
    for head in reversed(unfinished(folder)):
        plan = Ledger(folder / head).read()
        if plan.kind == "sweep" and [job.key for job in plan.jobs] == wanted:
            return head
    return None


def _find(run_or_sweep: str | None, address: str) -> str:
    """Return the id of the run that stands for what is to be resumed."""
    left = unfinished(sweeps_folder(address))
    if run_or_sweep is None and left:
        return left[-1]
    if run_or_sweep is None:  # its ledger may be on another machine
        for record in Store(address).search(f"tags.{Tag.KIND} = 'sweep'"):
            if record.status in ("KILLED", "FAILED"):
                return record.run_id
        raise NothingLeftError(f"Nothing to resume: no sweep of {address} was left unfinished.")
    matches = [head for head in left if head.startswith(run_or_sweep)]
    if len(matches) == 1:
        return matches[0]
    record = Store(address).find_run(run_or_sweep)
    return record.parent or record.run_id


def _plan_in_store(store: Store, head: str) -> Plan:
    """Read the plan among the artifacts of the sweep: its ledger is on another machine, or gone."""
    if store.get(head).status == "FINISHED":
        raise NothingLeftError(f"{head[:8]} is complete: there is nothing to resume.")
    try:
        path = store.download(head, PLAN)
        return Plan.from_json(read_text(path), f"{PLAN} of {head[:8]}")
    except (TrackingError, StoredFileError) as error:
        raise ResumeError(
            f"{head[:8]} has left no plan: neither a ledger in {sweeps_folder(store.uri)} nor "
            f"the artifact {PLAN}."
        ) from error


def _logged_to(config: dict[str, Any], plan: Plan) -> dict[str, Any]:
    tracking = config.get("tracking")
    if not isinstance(tracking, dict):
        return config  # it is refused, with the names of what is missing
    return {**config, "tracking": {**tracking, "uri": plan.tracking_uri}}


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
