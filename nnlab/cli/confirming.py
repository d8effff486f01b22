"""``nnlab confirm``: the candidates for the best of a sweep, trained again on new seeds."""

import click

from nnlab.cli.options import URI


@click.command()
@click.argument("sweep", required=False)
@click.argument("overrides", nargs=-1, metavar="[data.dir=…] [data.path=…] [threads=…]")
@URI
@click.option("--metric", metavar="NAME", help="What to judge by; late_val_accuracy by default.")
@click.option("--top", type=click.IntRange(1), help="Only the best so many configurations.")
@click.option("--seeds", type=click.IntRange(1), help="How many; as in the sweep, at least 5.")
def confirm(
    sweep: str | None,
    overrides: tuple[str, ...],
    uri: str | None,
    metric: str | None,
    top: int | None,
    seeds: int | None,
) -> None:
    """Train the candidates for the best of SWEEP again, on seeds that nobody has used.

    The best of many is too good by the runs that selected it. The candidates are the configurations
    that the sweep's seeds do not show to be worse. They are trained as a sweep of their own, which
    `nnlab report` and `nnlab compare` of SWEEP quote. By default, SWEEP is the last one.
    """
    from nnlab.analysis.terminal import echo
    from nnlab.execution.confirm import confirm as confirm_sweep

    if sweep is not None and "=" in sweep:  # the sweep was left out
        overrides, sweep = (sweep, *overrides), None
    sentences = confirm_sweep(sweep, uri, metric=metric, top=top, seeds=seeds, overrides=overrides)
    echo("\n".join(sentence.replace("`", "").replace("**", "") for sentence in sentences))
