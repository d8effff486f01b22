"""Taking up what stopped: a sweep or a single run, from its ledger and its checkpoints."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from nnlab.errors import NothingLeftError, ResumeError, TrackingError
from nnlab.execution.dask_workers import check_address
from nnlab.execution.display import say
from nnlab.execution.ledger import PLAN, Ledger, Plan, differences, unfinished
from nnlab.execution.session import Session
from nnlab.runs import provenance
from nnlab.runs.config import SEMANTICS, from_record
from nnlab.runs.launch_config import LaunchConfig, launch_config
from nnlab.runs.run import Job, Run, plan_runs
from nnlab.runs.sweep import Sweep
from nnlab.runs.tags import Tag
from nnlab.tracking.locations import sweeps_folder, tracking_uri
from nnlab.tracking.store import Store


def resume(
    which: str | None,
    uri: str | None = None,
    *,
    anew: bool = False,
    changes: Mapping[str, Any] | None = None,
) -> list[Run]:
    """Complete what is missing or failed of a sweep, and nothing else.

    Parameters
    ----------
    which : id of the sweep or of one of its runs, or its beginning; None takes the newest
    uri : of the store; None as in the config
    anew : start those runs anew whose code or data are not what they were
    changes : settings of the launcher to use instead of the recorded ones

    Raises
    ------
    ResumeError
        Where there is nothing to resume, another process is at it, or the training code's
        meaning or the data have changed.
    """
    address = tracking_uri(uri)
    head = _find(which, address)
    ledger = Ledger(sweeps_folder(address) / head)
    plan = ledger.read() if ledger.plan_file.exists() else _from_store(Store(address), head)
    plan = replace(plan, tracking_uri=address)  # where it is now: a store may have moved
    given = {**plan.settings, "resume": False, **(changes or {})}
    if given["backend"] != "dask":
        given["address"] = None
    settings = launch_config(given)
    if settings.address is not None:
        check_address(settings.address)
    return take_up(plan, head, settings, anew=anew)


def take_up(plan: Plan, head: str, settings: LaunchConfig, *, anew: bool = False) -> list[Run]:
    """Go on with a plan under the run that stands for it."""
    jobs = [
        Job(from_record(_at(job.config, plan)), job.overrides, job.name, job.tags)
        for job in plan.jobs
    ]
    runs = plan_runs(jobs)
    changed = _changed(plan, runs)
    for difference in differences(plan.platform, provenance.numerics()):
        say(f"Note: {difference}; the bits may not be those of an undisturbed sweep.")
    with Session(plan.kind, jobs[0].config, settings) as session:
        session.take_up(plan, head, runs, changed, anew=anew)
        left = [run for run in runs if not run.complete]
        begun = sum(run.epoch > 0 for run in left)
        say(f"{head[:8]} {plan.name}: {len(left)} of {len(runs)} runs left, {begun} of them begun")
        session.work()
    if plan.kind == "run" and runs[0].error is not None:
        raise runs[0].error
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


def _find(which: str | None, address: str) -> str:
    """Return the id of the sweep that is meant."""
    left = unfinished(sweeps_folder(address))
    if which is None and left:
        return left[-1]
    if which is None:  # perhaps one of another machine
        for record in Store(address).search(f"tags.{Tag.KIND} = 'sweep'"):
            if record.status in ("KILLED", "FAILED"):
                return record.run_id
        raise NothingLeftError(f"Nothing to resume: no sweep of {address} was left unfinished.")
    found = [head for head in left if head.startswith(which)]
    if len(found) == 1:
        return found[0]
    record = Store(address).find_run(which)
    return record.parent or record.run_id


def _from_store(store: Store, head: str) -> Plan:
    """Read the plan that the sweep's run carries; the ledger is on another machine, or gone."""
    if store.get(head).status == "FINISHED":
        raise NothingLeftError(f"{head[:8]} is complete: there is nothing to resume.")
    try:
        path = store.download(head, PLAN)
        return Plan.from_json(path.read_text(encoding="utf-8"), f"{PLAN} of {head[:8]}")
    except (TrackingError, OSError) as error:
        raise ResumeError(
            f"{head[:8]} has left no plan: neither a ledger in {sweeps_folder(store.uri)} nor "
            f"the artifact {PLAN}."
        ) from error


def _at(config: dict[str, Any], plan: Plan) -> dict[str, Any]:
    return {**config, "tracking": {**config["tracking"], "uri": plan.tracking_uri}}


def _changed(plan: Plan, runs: Sequence[Run]) -> dict[int, str]:
    """Say of each run whose identity is not what it was in what it differs."""
    found = {}
    for run, job in zip(runs, plan.jobs, strict=True):
        if run.key == job.key:
            continue
        then = {"the training code's meaning": plan.semantics, "the data": job.data_digest}
        now = {"the training code's meaning": SEMANTICS, "the data": run.prepared.digest}
        found[run.index] = ", ".join(differences(then, now)) or "its config reads differently"
    return found
