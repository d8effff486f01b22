"""Runs and sweeps that are trained from Python: as the command line trains them, to the bit."""

import shlex
from collections.abc import Sequence
from contextlib import suppress
from typing import TYPE_CHECKING, Unpack, overload

from nnlab.api.fields import RunFields, SweepFields
from nnlab.api.handles import Run, Sweep
from nnlab.api.host import as_guest, interruptible
from nnlab.api.reading import get
from nnlab.api.selections import one_of
from nnlab.errors import ConfigError, NothingLeftError

if TYPE_CHECKING:
    from nnlab.execution.session import Session
    from nnlab.jobs.run import Job
    from nnlab.reproduction.certificate import Certificate


@as_guest
def run(*overrides: str, **fields: Unpack[RunFields]) -> Run:
    """Train one run, as ``python run.py`` does.

    Parameters
    ----------
    *overrides : str
        As they are typed on the command line: ``"lr=0.5"``.
    **fields : RunFields
        Any field of the config: ``lr=0.5``, ``data="mnist"``,
        ``init={"name": "normal", "scale": 0.1}``.

    Returns
    -------
    Run
        The run, which has ended.

    Raises
    ------
    NnlabError
        Where a field or a value is not allowed, or the data or the store cannot be used.
    KeyboardInterrupt
        Where it was interrupted: the run is KILLED, and ``nnlab.resume`` goes on with it.
    """
    from nnlab.api.overrides import overrides_of
    from nnlab.execution.single_session import SingleSession, single_job
    from nnlab.jobs.compose import compose_run
    from nnlab.jobs.launch_config import LaunchConfig
    from nnlab.tracking.locations import tracking_uri

    words = [*overrides, *overrides_of(fields, several=False)]
    _refuse_settings_of_hydra(words)
    config, typed = compose_run(words)
    job = single_job(config, typed)
    with interruptible():
        session = SingleSession(job.name, config, LaunchConfig(), show=False)
        _train(session, [job])
    return Run(session.head, tracking_uri(config.tracking.uri))


@as_guest
def sweep(*overrides: str, **fields: Unpack[SweepFields]) -> Sweep:
    """Train many runs, as ``python run.py -m`` does.

    Parameters
    ----------
    *overrides : str
        As they are typed on the command line: ``"lr=0.1,0.5"``, ``"hydra.launcher.n_jobs=2"``.
    **fields : SweepFields
        Any field of the config, with one value or with several: ``lr=[0.05, 0.1]``,
        ``seed=range(5)``. Each combination is a run. ``experiment="init_scale"`` is a whole study.

    Returns
    -------
    Sweep
        The sweep, which has ended.

    Raises
    ------
    NnlabError
        As ``nnlab.run``; and where all runs were tried, but some failed.
    KeyboardInterrupt
        Where it was interrupted: ``nnlab.resume`` goes on with it.
    """
    from nnlab.api.overrides import overrides_of
    from nnlab.execution.dask_workers import check_address
    from nnlab.execution.failures import raise_if_failed
    from nnlab.execution.progress import print_note
    from nnlab.execution.resume import resume as resume_sweep
    from nnlab.execution.resume import same_sweep
    from nnlab.execution.sweep_session import SweepSession
    from nnlab.jobs.compose import compose_grid
    from nnlab.jobs.launch_config import launch_config
    from nnlab.jobs.sweep import Sweep as Plan
    from nnlab.jobs.tags import Tag
    from nnlab.safe_text import masked
    from nnlab.tracking.locations import tracking_uri

    words = [*overrides, *overrides_of(fields, several=True)]
    _refuse_settings_of_hydra(words)
    grid = compose_grid(words)
    plan = Plan.of(grid.configs, grid.jobs)
    if grid.note is not None:
        print_note(grid.note)
    settings = launch_config(grid.launcher)
    if settings.address is not None:
        check_address(settings.address)
    config = plan.jobs[0].config
    uri = tracking_uri(config.tracking.uri)
    if settings.resume and (begun := same_sweep(plan, uri)) is not None:
        with interruptible():
            raise_if_failed(resume_sweep(begun, uri, settings=settings, show=False))
        return Sweep(begun, uri)
    command = masked(shlex.join(["nnlab", "run", "-m", *words]))
    with interruptible():
        session = SweepSession(
            plan.name, config, settings, tags={Tag.COMMAND: command}, study=grid.study, show=False
        )
        _train(session, plan.jobs, plan.varying)
    raise_if_failed(session.runs)
    return Sweep(session.head, uri)


@as_guest
def resume(
    which: str | Run | Sweep | None = None,
    *overrides: str,
    uri: str | None = None,
    restart: bool = False,
    n_jobs: int | None = None,
    backend: str | None = None,
    address: str | None = None,
) -> Run | Sweep:
    """Complete what is missing or failed of a sweep or a run, as ``nnlab resume`` does.

    Parameters
    ----------
    which : str, Run, Sweep or None
        It, or the beginning of its id; None for the last one that was left unfinished.
    *overrides : str
        Where the data is now: ``"data.dir=…"``, ``"data.path=…"``; ``"threads=…"``.
    uri : str or None
        The store; None for the one of the config.
    restart : bool
        Train runs again whose code or data have changed since.
    n_jobs, backend, address : int, str, str
        Who trains; None as ``conf/hydra/launcher`` says.

    Returns
    -------
    Run or Sweep
        What was named; it is left as it is where nothing is missing.

    Raises
    ------
    NnlabError
        Where nothing was left unfinished and nothing is named, it cannot go on, or runs failed.
    """
    from nnlab.execution.failures import raise_if_failed
    from nnlab.execution.resume import find_resumable
    from nnlab.execution.resume import resume as resume_sweep
    from nnlab.reproduction.missing_certificates import certify_resumed
    from nnlab.tracking.locations import tracking_uri

    name, uri = (None, uri) if which is None else one_of(which, uri)
    address_of_store = tracking_uri(uri)
    head = find_resumable(name, address_of_store)
    given = {"n_jobs": n_jobs, "backend": backend, "address": address}
    changes = {field: value for field, value in given.items() if value is not None}
    with suppress(NothingLeftError), interruptible():
        runs = resume_sweep(
            head, address_of_store, restart=restart, changes=changes, overrides=overrides,
            show=False,
        )  # fmt: skip
        certify_resumed(runs, address_of_store)
        raise_if_failed(runs)
    return get(head, address_of_store)


@overload
def reproduce(
    which: Run, *overrides: str, uri: str | None = ..., tolerance: float | None = ...
) -> "Certificate": ...
@overload
def reproduce(
    which: Sweep, *overrides: str, uri: str | None = ..., tolerance: float | None = ...
) -> "list[Certificate]": ...
@overload
def reproduce(
    which: str, *overrides: str, uri: str | None = ..., tolerance: float | None = ...
) -> "Certificate | list[Certificate]": ...
@as_guest
def reproduce(
    which: str | Run | Sweep,
    *overrides: str,
    uri: str | None = None,
    tolerance: float | None = None,
) -> "Certificate | list[Certificate]":
    """Train a run again as it was recorded, and certify the result, as ``nnlab reproduce`` does.

    Parameters
    ----------
    which : str, Run or Sweep
        It, or the beginning of its id, or ``last``. Of a sweep, every complete run is certified.
    *overrides : str
        Where the data is now: ``"data.dir=…"``, ``"data.path=…"``; ``"threads=…"``.
    uri : str or None
        The store; None for the one of the config.
    tolerance : float or None
        Allowed deviation of a value, relative above 1; None for 0.002.

    Returns
    -------
    Certificate or list of Certificate
        One for a run, a list for a sweep: ``verdict``, ``stands``, ``causes``, deviations.

    Raises
    ------
    NnlabError
        Where it is not in the store or not complete, or its data is missing.
    """
    from nnlab.reproduction import repeat
    from nnlab.reproduction.certificate import TOLERANCE

    named = get(*one_of(which, uri))
    with interruptible():
        certificates = repeat.reproduce(
            named.id, named.uri, sweep=isinstance(named, Sweep), overrides=overrides,
            tolerance=TOLERANCE if tolerance is None else tolerance,
        )  # fmt: skip
    return certificates if isinstance(named, Sweep) else certificates[0]


def _train(session: "Session", jobs: "Sequence[Job]", varying: Sequence[str] = ()) -> None:
    """Train jobs in a session; where that is broken off, say how to go on."""
    from nnlab.execution.progress import print_note
    from nnlab.jobs.run import plan_runs

    try:
        with session:
            session.begin(plan_runs(jobs), varying)
            session.work()
    except BaseException:
        if session.head and not all(run.complete for run in session.runs):
            print_note(f"To go on with it: nnlab.resume({session.head[:8]!r})")
        raise


def _refuse_settings_of_hydra(words: Sequence[str]) -> None:
    """Refuse settings that only a command has: of Hydra itself, and of searches."""
    from nnlab.jobs.sweep import field_of

    for word in words:
        field = field_of(word)
        if field.startswith(("hydra.", "hydra/", "-")) and not field.startswith("hydra.launcher."):
            raise ConfigError(
                f"{word} is for the command line alone: `nnlab run -m {word} …`. From Python, "
                "hydra.launcher.… chooses the workers."
            )
