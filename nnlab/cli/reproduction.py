"""``nnlab reproduce`` and ``nnlab explain``: train a run again, and say where two runs differ."""

import json
import sys

import click

from nnlab.cli.options import URI
from nnlab.errors import ConfigError
from nnlab.safe_text import printable
from nnlab.system.status_line import status


@click.command()
@click.argument("run", metavar="RUN|SWEEP")
@click.argument("overrides", nargs=-1, metavar="[data.dir=…] [data.path=…] [threads=…]")
@URI
@click.option("--all", "sweep", is_flag=True, help="Certify every run of a sweep, stacked.")
@click.option("--at-commit", is_flag=True, help="Run the original code: commit and patch.")
@click.option("--yes", is_flag=True, help="Run the original code without asking.")
@click.option(
    "--tolerance",
    type=click.FloatRange(min=0),
    help="Allowed deviation of a value, relative above 1; 0.002 by default.",
)
@click.option("--json", "as_json", is_flag=True, help="Print the certificates as JSON.")
def reproduce(
    run: str,
    overrides: tuple[str, ...],
    uri: str | None,
    *,
    sweep: bool,
    at_commit: bool,
    yes: bool,
    tolerance: float | None,
    as_json: bool,
) -> None:
    """Train RUN again as it was recorded, and certify whether its result stands.

    RUN is an id or its beginning, an address in the UI, or `last`: the single run that was started
    last, or the best run of the last sweep. Exit code 0: bit-identical, or within tolerance. 1:
    different.
    """
    from nnlab.reproduction import repeat
    from nnlab.reproduction.certificate import TOLERANCE
    from nnlab.reproduction.printing import print_certificates

    allowed = TOLERANCE if tolerance is None else tolerance
    if at_commit:
        certificates = repeat.reproduce_at_commit(
            run, uri, sweep=sweep, overrides=overrides, tolerance=allowed,
            confirm=lambda code: _confirm(code, yes=yes),
        )  # fmt: skip
    else:
        certificates = repeat.reproduce(
            run, uri, sweep=sweep, overrides=overrides, tolerance=allowed
        )
    if as_json:
        values = [certificate.as_dict() for certificate in certificates]
        click.echo(json.dumps(values if sweep else values[0], indent=2))
    else:
        print_certificates(certificates, uri)
    if not all(certificate.stands for certificate in certificates):
        sys.exit(1)


def _confirm(code: str, *, yes: bool) -> None:
    """Ask whether recorded code may be run.

    Raises
    ------
    ConfigError
        Where the user does not agree, or there is no terminal to ask on.
    """
    click.echo(printable(f"About to run {code}, on this machine, with your rights."), err=True)
    if yes:
        return
    if not sys.stdin.isatty():
        raise ConfigError("Nothing was run: there is no terminal to ask on; add --yes to agree.")
    try:
        agreed = click.confirm("Run it?", err=True)
    except click.Abort:
        agreed = False
    if not agreed:
        raise ConfigError("Nothing was run.")


@click.command()
@click.argument("one", metavar="A")
@click.argument("other", metavar="B")
@URI
@click.option("--json", "as_json", is_flag=True, help="Print it as JSON.")
def explain(one: str, other: str, uri: str | None, *, as_json: bool) -> None:
    """Tell what differs between runs A and B, and where their curves part."""
    from nnlab.reproduction.explanation import explain_runs
    from nnlab.reproduction.printing import print_explanation

    with status("reading what was recorded"):
        explanation = explain_runs(one, other, uri)
    if as_json:
        click.echo(json.dumps(explanation.as_dict(), indent=2))
    else:
        print_explanation(explanation)
