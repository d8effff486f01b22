"""The report of a sweep: what it asked, what it found, and where that comes from."""

import shlex
from collections.abc import Iterator
from typing import Any

import pandas as pd

from nnlab.analysis.configurations import SEED, endings, varying
from nnlab.analysis.document import Document, table
from nnlab.analysis.groups import levels, named, short, written
from nnlab.analysis.paired import typed
from nnlab.analysis.report_sections import sections
from nnlab.analysis.sweep_results import SweepResults
from nnlab.analysis.verdicts import verdict
from nnlab.runs.tags import Tag
from nnlab.tracking.records import RunRecord

LISTED = 36  # failures that are rows of the report


def sweep_document(found: SweepResults, name: str) -> Document:
    """Write the report of a sweep, without its figures."""
    study = found.study
    lines = verdict(found.groups, found.runs, planned=found.planned, target=found.target)
    parts = sections(found)
    for _, sentences in parts:
        lines += sentences
    return Document(
        name=name,
        title=study.name.replace("_", " ") if study else found.head.name,
        question=study.question if study else "",
        expected=" ".join(study.expected.split()) if study else "",
        verdict=lines,
        command=found.head.tags.get(Tag.COMMAND, f"(not recorded: {found.head.name})"),
        varied=_varied(found),
        fixed=_fixed(found),
        sections=[section for section, _ in parts],
        failures=_failures(found.everything),
        provenance=provenance_table(found.head, found.environment, found.runs),
        reproduce=_reproduce(found),
    )


def _varied(found: SweepResults) -> str:
    fields = [*found.fields, *([SEED] if len(set(found.runs[SEED])) > 1 else [])]
    rows = []
    for field in fields:
        if field == SEED:
            values = [written(each) for each in sorted(found.runs[SEED].unique().tolist())]
        else:
            values = [written(each) for each in levels(found.groups, field)]
        rows.append([f"`{short(field)}`", str(len(values)), ", ".join(values)])
    for field in varying(found.everything):
        if field not in found.fields:
            values = [written(each) for each in found.runs[field].drop_duplicates()]
            rows.append([f"`{short(field)}`", "follows", ", ".join(values)])
    if not rows:
        return "Nothing: one configuration."
    return table(["field", "values", ""], rows, left=3)


def _fixed(found: SweepResults) -> str:
    params: list[str] = found.everything.attrs["params"]
    same = {
        each: found.runs[each].iloc[0]
        for each in params
        if len(set(found.runs[each].astype(str))) == 1 and each != SEED
    }
    told = named({each: value for each, value in same.items() if value is not None})
    return f"The same for all: `{told}`."


def _failures(runs: pd.DataFrame) -> str:
    broken = runs[runs["status"].isin(["FAILED", "KILLED"]) | (runs["outcome"] == "diverged")]
    if not len(broken):
        return f"None: all {len(runs)} runs came to their end with finite weights."
    words = endings(broken)
    rows = [
        [f"`{run_id[:8]}`", name, str(word)]
        for run_id, name, word in zip(broken["run_id"], broken["name"], words, strict=True)
    ]
    more = f"\n\n… and {len(rows) - LISTED} more in `runs.csv`." if len(rows) > LISTED else ""
    return (
        f"{len(broken)} of {len(runs)} runs have no final network:\n\n"
        f"{table(['run', '', 'what became of it'], rows[:LISTED], left=3)}{more}"
    )


def provenance_table(
    head: RunRecord, environment: dict[str, Any], runs: pd.DataFrame, listed: str = "runs.csv"
) -> str:
    """Say where results come from: ids, commit, digest, libraries, machine, time.

    Parameters
    ----------
    listed : the file that has the runs' ids
    """
    return table(["", ""], list(_provenance(head, environment, runs, listed)), left=2)


def _provenance(
    head: RunRecord, environment: dict[str, Any], runs: pd.DataFrame, listed: str
) -> Iterator[list[str]]:
    yield ["id", f"`{head.run_id}`, {head.status}"]
    yield ["runs", f"{len(runs)}; their ids are in `{listed}`"]
    commit = environment.get("git_commit") or head.tags.get(Tag.GIT_COMMIT, "not recorded")
    patched = " with uncommitted changes (`code.patch`)" if environment.get("git_dirty") else ""
    yield ["commit", f"`{commit}`{patched}"]
    if "data_digest" in runs:
        digests = ", ".join(f"`{each}`" for each in sorted(set(runs["data_digest"].dropna())))
        yield ["data", f"SHA-256 {digests}"]
    yield [
        "begun",
        pd.Timestamp(head.start_time, unit="ms", tz="UTC").strftime("%Y-%m-%d %H:%M UTC"),
    ]
    packages = environment.get("packages", {})
    versions = [
        f"{name} {packages[name]}" for name in ("numpy", "scipy", "mlflow") if name in packages
    ]
    own = [f"nnlab {environment.get('nnlab', '?')}", f"Python {environment.get('python', '?')}"]
    yield ["software", ", ".join([*own, *versions])]
    cores = environment.get("cores", "?")
    yield ["machine", f"{environment.get('processor', '?')}, {cores} cores"]


def _reproduce(found: SweepResults) -> list[str]:
    head, best = found.head.run_id[:8], found.groups[0].runs
    lines = [
        f"git checkout {found.environment.get('git_commit') or '<commit>'}",
        found.head.tags.get(Tag.COMMAND, f"nnlab resume {head}"),
    ]
    words = typed(best, found.store.uri)
    if words is not None and SEED in best:
        seeds = ",".join(str(each) for each in sorted(best[SEED]))
        alone = shlex.join(["python", "run.py", "-m", *words, f"seed={seeds}"])
        lines += ["# The best configuration alone:", alone]
    return [*lines, "# A certificate for every run, where the store is:",
            f"nnlab reproduce --all {head}"]  # fmt: skip
