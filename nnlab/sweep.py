"""A whole session: plan, open the store, train, sum up. One run, or many under a parent run."""

import csv
import tempfile
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from nnlab import provenance
from nnlab.config import LaunchConfig, RunConfig
from nnlab.display import Display, report_run, report_sweep
from nnlab.errors import ConfigError
from nnlab.interrupts import held_back
from nnlab.pictures import studio
from nnlab.plan import Job, Run, plan_runs, ranked, value_of
from nnlab.runner import execute
from nnlab.tracking import Status, Tracker
from nnlab.worker import available_cores

ELSEWHERE = ("tracking.", "data.dir=", "data.path=", "threads=", "pictures=", "run_name=", "hydra.")
LISTED = 4  # values of a field that a sweep's name lists before it counts them


@dataclass(frozen=True)
class Sweep:
    """A frozen list of jobs, and the fields in which they differ."""

    jobs: tuple[Job, ...]
    varying: tuple[str, ...]
    name: str

    @classmethod
    def of(cls, configs: Sequence[RunConfig], overrides: Sequence[Sequence[str]]) -> "Sweep":
        """Name the jobs after what varies between them.

        Raises
        ------
        ConfigError
            Where the jobs would be logged to several places.
        """
        if len({config.tracking for config in configs}) > 1:
            raise ConfigError(
                "tracking.* differs between the jobs of one sweep: it must be the same for all, "
                "because they are grouped under one parent run."
            )
        values: dict[str, list[str]] = {}
        for job in overrides:
            for override in filter(_tells, job):
                field, _, value = override.partition("=")
                values.setdefault(field.lstrip("+~"), []).append(value)
        varying = tuple(field for field, found in values.items() if len(set(found)) > 1)
        named = varying or tuple(values)
        jobs = tuple(
            Job(config, tuple(job), config.run_name or job_name(job, named))
            for config, job in zip(configs, overrides, strict=True)
        )
        return cls(jobs, varying, " ".join(_several(field, values[field]) for field in named))


def job_name(overrides: Sequence[str], fields: Sequence[str] | None = None) -> str:
    """Name a run after its overrides, or after those of some fields."""
    chosen = [
        override.lstrip("+~")
        for override in filter(_tells, overrides)
        if fields is None or override.partition("=")[0].lstrip("+~") in fields
    ]
    return " ".join(chosen) or "defaults"


def _tells(override: str) -> bool:
    """Tell whether an override says something of the run, and not of where things are."""
    return not override.startswith(ELSEWHERE)


def run_one(config: RunConfig, overrides: Sequence[str]) -> Run:
    """Make a single run and report it.

    Raises
    ------
    NnlabError
        Where the data or the store cannot be used, or training itself failed.
    """
    job = Job(config, tuple(overrides), config.run_name or job_name(overrides))
    runs = plan_runs([job])
    with studio(
        runs, available_cores()
    ) as pictures:  # before the tracker: it sets up while MLflow is imported
        tracker = Tracker(
            config.tracking.uri, config.tracking.experiment, provenance.code_version()
        )
        with Display() as display:
            execute(runs, tracker, display, pictures, LaunchConfig())
    run = runs[0]
    if run.error is not None:
        raise run.error
    report_run(run, tracker.artifacts(run.run_id))
    return run


def run_sweep(sweep: Sweep, settings: LaunchConfig) -> list[Run]:
    """Make a sweep's runs under one parent run and report them, ranked.

    Returns
    -------
    list of Run
        In the jobs' order; those that failed say why.
    """
    runs = plan_runs(sweep.jobs)
    tracking = sweep.jobs[0].config.tracking
    with studio(runs, available_cores()) as pictures:
        tracker = Tracker(tracking.uri, tracking.experiment, provenance.code_version())
        parent = ""
        try:
            with held_back():
                name = sweep.name or "sweep"
                parent = tracker.start(name, _common_params(sweep), {"kind": "sweep"})
            with Display() as display:
                execute(runs, tracker, display, pictures, settings, parent=parent)
        except BaseException as error:
            if parent:
                _finish(tracker, parent, sweep, runs, error)
            raise
    _finish(tracker, parent, sweep, runs, None)
    report_sweep(runs, sweep.varying, parent)
    return runs


def _common_params(sweep: Sweep) -> dict[str, str]:
    """Return the parameters in which all jobs agree: the parent's own columns."""
    params = [job.config.params for job in sweep.jobs]
    return {
        name: value
        for name, value in params[0].items()
        if all(other[name] == value for other in params)
    }


def _finish(
    tracker: Tracker,
    parent: str,
    sweep: Sweep,
    runs: Sequence[Run],
    error: BaseException | None,
) -> None:
    """End the parent run: the table, the best, the counts of outcomes, an honest status."""
    with held_back():
        _write_end(tracker, parent, sweep, runs, error)


def _write_end(
    tracker: Tracker,
    parent: str,
    sweep: Sweep,
    runs: Sequence[Run],
    error: BaseException | None,
) -> None:
    best = ranked(runs)[0]
    points = [(name, value, 0) for name, value in best.metrics.items() if name != "diverged_at"]
    outcomes = Counter(run.summary.outcome for run in runs if run.summary is not None)
    points += [(f"runs/{outcome}", float(count), 0) for outcome, count in outcomes.items()]
    tracker.log(parent, [*points, ("runs/planned", float(len(runs)), 0)])

    tags = {"best_run": best.run_id}
    broken = [run for run in runs if run.error is not None]
    if error is not None:
        tags["reason"] = str(error) or type(error).__name__
    elif broken:
        tags["reason"] = f"{len(broken)} of {len(runs)} runs failed"
    status: Status = "FAILED" if "reason" in tags else "FINISHED"
    if isinstance(error, KeyboardInterrupt):
        status = "KILLED"
    with tempfile.TemporaryDirectory(prefix="nnlab-") as folder:
        _write_table(Path(folder) / "runs.csv", sweep, runs)
        tracker.finish(parent, status, tags=tags, folder=Path(folder))


def _write_table(path: Path, sweep: Sweep, runs: Sequence[Run]) -> None:
    """Write the sweep's runs as CSV, best first."""
    metrics = sorted({name for run in runs for name in run.metrics})
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        writer.writerow(["run_id", "name", *sweep.varying, "status", "outcome", *metrics, "reason"])
        for run in ranked(runs):
            writer.writerow(
                [
                    run.run_id,
                    run.job.name,
                    *(value_of(run, field) for field in sweep.varying),
                    run.status or "",
                    run.summary.outcome if run.summary else "",
                    *(run.metrics.get(name, "") for name in metrics),
                    run.reason or "",
                ]
            )


def _several(field: str, values: Sequence[str]) -> str:
    """Write a field with its values, counted where they are many: ``seed=0…19 (20)``."""
    distinct = list(dict.fromkeys(values))
    if len(distinct) <= LISTED:
        return f"{field}={','.join(distinct)}"
    return f"{field}={distinct[0]}…{distinct[-1]} ({len(distinct)})"
