"""The report of a sweep: what it asked, what it found, and where that comes from."""

import shlex
from collections.abc import Iterator
from typing import Any

import pandas as pd

from nnlab.analysis.conclusions import conclusions
from nnlab.analysis.configurations import DIGEST, endings, varying_fields, varying_seeds
from nnlab.analysis.confirmation import read_confirmation
from nnlab.analysis.confirmation_text import about_confirmation
from nnlab.analysis.document import Document, heading
from nnlab.analysis.formatting import markdown_table, settings_text, short, written
from nnlab.analysis.groups import following_levels, levels
from nnlab.analysis.ranking import SEED
from nnlab.analysis.report_sections import sections
from nnlab.analysis.seed_commands import typed_overrides
from nnlab.analysis.sweep_results import SweepResults
from nnlab.jobs.commands import commit_of, recorded_command
from nnlab.jobs.tags import Tag
from nnlab.safe_text import one_line
from nnlab.tracking.records import RunRecord
from nnlab.training.arithmetic import EXACT
from nnlab.wording import agreeing, counted

MAX_FAILURES = 36  # that are rows of the report


def sweep_document(results: SweepResults, name: str) -> Document:
    """Write the report of a sweep, without its figures."""
    parent = results.parent
    verdict = conclusions(
        results.groups,
        results.runs,
        planned=results.planned,
        target=results.target,
        confirmation=_confirmation(results),
    )
    parts = sections(results)
    return Document(
        **heading(results.study, parent),
        name=name,
        verdict=[*verdict, *(sentence for _, sentences in parts for sentence in sentences)],
        command=typed_command(parent) or f"(not recorded: {one_line(parent.name)})",
        varied=_varied(results),
        fixed=_fixed(results),
        sections=[section for section, _ in parts],
        failures=_failures(results.all_runs),
        provenance=provenance_table(parent, results.environment, results.runs),
        reproduce=_reproduce(results),
    )


def _confirmation(results: SweepResults) -> Iterator[str]:
    """Say what runs that did not select the best configuration make of it."""
    parent = results.parent
    if Tag.CONFIRMS in parent.tags:
        yield (
            f"These seeds confirm sweep `{one_line(parent.tags[Tag.CONFIRMS])[:8]}`: they did not "
            "select its candidates for the best."
        )
        return
    if not results.groups[0].summary.n:
        return
    confirmation = read_confirmation(
        results.store.uri, parent.run_id, results.fields, results.metric
    )
    yield from about_confirmation(results.groups, confirmation, parent.run_id)


def _varied(results: SweepResults) -> str:
    values = {field: levels(results.groups, field) for field in results.fields}
    for seed in varying_seeds(results.runs):
        values[seed] = sorted(results.runs[seed].unique().tolist())
    rows = [
        [f"`{short(field)}`", str(len(chosen)), ", ".join(map(written, chosen))]
        for field, chosen in values.items()
    ]
    for field in varying_fields(results.all_runs):
        if field not in results.fields:
            following = following_levels(results.groups, field)
            rows.append([f"`{short(field)}`", "follows", ", ".join(map(written, following))])
    if not rows:
        return "Nothing: one configuration."
    return markdown_table(["field", "values", ""], rows, left=(0, 1, 2))


def _fixed(results: SweepResults) -> str:
    params: list[str] = results.all_runs.attrs["params"]
    values = {
        name: results.runs[name].iloc[0]
        for name in params
        if len(set(results.runs[name].astype(str))) == 1 and name != SEED
    }
    known = {name: value for name, value in values.items() if value is not None}
    return f"The same for all: `{settings_text(known)}`."


def _failures(runs: pd.DataFrame) -> str:
    failed = runs[runs["status"].isin(["FAILED", "KILLED"]) | (runs["outcome"] == "diverged")]
    if not len(failed):
        return f"None: all {len(runs)} runs came to their end with finite weights."
    rows = [
        [f"`{run_id[:8]}`", name, str(ending)]
        for run_id, name, ending in zip(
            failed["run_id"], failed["name"], endings(failed), strict=True
        )
    ]
    table = markdown_table(["run", "", "what became of it"], rows[:MAX_FAILURES], left=(0, 1, 2))
    left = len(rows) - MAX_FAILURES
    more = f"\n\n… and {left} more in `runs.csv`." if left > 0 else ""
    have = agreeing(len(failed), "has", "have")
    return f"{len(failed)} of {counted(len(runs), 'run')} {have} no final network:\n\n{table}{more}"


def provenance_table(
    parent: RunRecord, environment: dict[str, Any], runs: pd.DataFrame, listed: str = "runs.csv"
) -> str:
    """Say where results come from: ids, commit, digest, libraries, machine, time.

    Parameters
    ----------
    parent : RunRecord
        The run that stands for all of them.
    environment : dict
        The record of code, libraries and machine.
    runs : DataFrame
    listed : str
        The file that lists the runs' ids.
    """
    rows = [[label, text] for label, text in _provenance(parent, environment, runs, listed)]
    return markdown_table(["", ""], rows, left=(0, 1))


def _provenance(
    parent: RunRecord, environment: dict[str, Any], runs: pd.DataFrame, listed: str
) -> Iterator[tuple[str, str]]:
    yield "id", f"`{parent.run_id}`, {parent.status}"
    yield "runs", f"{len(runs)}; their ids are in `{listed}`"
    noted = environment.get("git_commit") or parent.tags.get(Tag.GIT_COMMIT)
    commit = commit_of(noted) or "not recorded"
    patch = " with uncommitted changes (`code.patch`)" if environment.get("git_dirty") else ""
    yield "commit", f"`{commit}`{patch}"
    if DIGEST in runs:
        digests = ", ".join(f"`{digest}`" for digest in sorted(set(runs[DIGEST].dropna())))
        yield "data", f"SHA-256 {digests}"
    if "dtype" in runs and set(runs["dtype"]) == {EXACT}:
        yield "bits", f"the same on any machine; SHA-256 of all weights in `{listed}`"
    begun = pd.Timestamp(parent.start_time, unit="ms", tz="UTC")
    yield "begun", begun.strftime("%Y-%m-%d %H:%M UTC")
    packages = environment.get("packages", {})
    versions = {
        "nnlab": environment.get("nnlab", "?"),
        "Python": environment.get("python", "?"),
        **{name: packages[name] for name in ("numpy", "scipy", "mlflow") if name in packages},
    }
    yield "software", ", ".join(f"{name} {version}" for name, version in versions.items())
    cores = environment.get("cores", "?")
    yield "machine", f"{environment.get('processor', '?')}, {cores} core{'s' * (cores != 1)}"


def typed_command(parent: RunRecord) -> str | None:
    """Return the command that made a sweep; None where it was not recorded, or may not be shown."""
    imported = Tag.IMPORTED_FROM in parent.tags
    return recorded_command(parent.tags.get(Tag.COMMAND, ""), imported=imported)


def checkout_command(environment: dict[str, Any]) -> str:
    """Return the command that brings back the recorded code."""
    return f"git checkout {commit_of(environment.get('git_commit')) or '<commit>'}"


def _reproduce(results: SweepResults) -> list[str]:
    parent, best = results.parent, results.groups[0].runs
    lines = [
        checkout_command(results.environment),
        typed_command(parent) or f"nnlab resume {parent.run_id[:8]}",
    ]
    overrides = typed_overrides(best, results.store.uri)
    if overrides is not None and SEED in best:
        seeds = ",".join(str(seed) for seed in sorted(best[SEED]))
        command = shlex.join(["python", "run.py", "-m", *overrides, f"seed={seeds}"])
        lines += ["# The best configuration alone:", command]
    return [*lines, "# A certificate for every run, where the store is:",
            f"nnlab reproduce --all {parent.run_id[:8]}"]  # fmt: skip
