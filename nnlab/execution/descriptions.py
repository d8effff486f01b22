"""What MLflow's UI says of a sweep on its page: its results as a table, and what to do with them.

MLflow shows the tag ``mlflow.note.content`` of a run as its description, in Markdown.
"""

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence

from nnlab.runs.ranking import SEED, over_seeds, ranked, value_of, verdict
from nnlab.runs.run import Run
from nnlab.runs.study import Study

TAG = "mlflow.note.content"
ROWS = 10  # of the table; runs.csv has all runs


def describe_sweep(
    parent: str, runs: Sequence[Run], varying: Sequence[str], study: Study | None = None
) -> str:
    """Describe a sweep at its end, in Markdown.

    Parameters
    ----------
    parent : the id of the run that stands for it
    varying : the fields in which its runs differ
    study : that it carried out, if any: its question comes first
    """
    head = parent[:8]
    counts = Counter(verdict(run) for run in runs).most_common()
    what = ", ".join(f"{count} {word}" for word, count in counts)
    words = ["nnlab ui", "nnlab compare", "nnlab reproduce --all"]
    if not all(run.complete for run in runs):
        words.insert(0, "nnlab resume")
    best = ranked(runs)[0]
    score = _figure(best.metrics.get("final_val_accuracy"))
    if score:
        what += f". Best: **{best.job.name}**, validation accuracy {score}, run `{best.run_id[:8]}`"
    parts = [
        *([study.question] if study is not None and study.question else []),
        f"{len(runs)} runs: {what}.",
        "\n".join(_table(runs, varying)),
        "\n".join(f"- `{word} {head}`" for word in words),
    ]
    return "\n\n".join(parts) + "\n"


def _table(runs: Sequence[Run], varying: Sequence[str]) -> Iterator[str]:
    fields = [field for field in varying if field != SEED]
    rows: Iterable[Sequence[str]]
    if SEED in varying:
        groups = over_seeds(runs, varying)
        yield from _head((*fields, "seeds", "mean val accuracy", "worst", "best", "outcomes"))
        rows = (
            (*each.values, str(len(each.runs)), *_spread(each.accuracies), each.verdicts)
            for each in groups[:ROWS]
        )
        left = len(groups) - ROWS
    else:
        yield from _head((*fields, "val accuracy", "outcome", "run"))
        rows = (
            (
                *(value_of(run, field) for field in fields),
                _figure(run.metrics.get("final_val_accuracy")),
                verdict(run),
                f"`{run.run_id[:8]}`",
            )
            for run in ranked(runs)[:ROWS]
        )
        left = len(runs) - ROWS
    yield from map(_row, rows)
    if left > 0:
        yield f"\n… and {left} more: `runs.csv` among the artifacts has every run."


def _head(titles: Sequence[str]) -> Iterator[str]:
    yield _row(titles)
    yield _row(["---"] * len(titles))


def _row(cells: Sequence[str]) -> str:
    return "| " + " | ".join(cell.replace("|", r"\|") for cell in cells) + " |"


def _spread(values: Sequence[float]) -> tuple[str, str, str]:
    if not values:
        return "", "", ""
    return _figure(sum(values) / len(values)), _figure(min(values)), _figure(max(values))


def _figure(value: float | None) -> str:
    return "" if value is None else f"{value:.4f}"
