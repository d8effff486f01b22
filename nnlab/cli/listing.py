"""``nnlab ls`` and ``nnlab show``: what a store holds, and what it holds of one run or sweep."""

from typing import Any

import click

from nnlab.cli.options import URI

STATUSES = ["running", "finished", "failed", "killed"]


@click.command()
@click.argument("selection", nargs=-1)
@URI
@click.option(
    "--where", metavar="CONDITION", help="Runs such as \"lr>0.1 and outcome=='learned'\"."
)
@click.option("--status", type=click.Choice(STATUSES, case_sensitive=False))
@click.option("--tag", metavar="NAME[=VALUE]", help="Sweeps and runs that have this tag.")
@click.option("--runs", is_flag=True, help="Trained runs, in sweeps or not, instead of sweeps.")
@click.option("--trash", is_flag=True, help="What is in MLflow's trash.")
@click.option("--limit", type=click.IntRange(1), help="Rows; 20 by default, csv and json have all.")
@click.option("--format", "form", type=click.Choice(["table", "csv", "json"]), default="table")
def ls(
    selection: tuple[str, ...], *, where: str | None, status: str | None, tag: str | None,
    **options: Any,  # noqa: ANN401
) -> None:  # fmt: skip
    """List sweeps and single runs, or the runs of SELECTION, the newest first.

    SELECTION: ids of sweeps or runs (or their beginnings), an experiment's name, or `last`. A
    sweep's accuracy is that of its best run. A run that did not come to its end is shown with its
    last epoch and value.
    """
    from nnlab.analysis.listing import Filters, list_runs

    filters = Filters(where, status and status.upper(), tag)
    list_runs(selection, filters=filters, **options)


@click.command()
@click.argument("run", metavar="RUN|SWEEP")
@URI
@click.option("--json", "as_json", is_flag=True, help="Print it as JSON, without the curves.")
def show(run: str, uri: str | None, *, as_json: bool) -> None:
    """Show what is recorded of RUN or SWEEP: config, outcome, curves, lineage, files.

    RUN is an id or its beginning, an address in the UI, or `last`, which was started last. "At
    first" is before the first step: the shape and the numbers of W1, and the hidden units that no
    training image activates.
    """
    from nnlab.analysis.description_text import show as show_description

    show_description(run, uri, as_json=as_json)
