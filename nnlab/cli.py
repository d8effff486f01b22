"""The ``nnlab`` command."""

import sys

import click

from nnlab import __version__
from nnlab.errors import NnlabError


class Plainly(click.Group):
    """A group whose commands end with a sentence and an exit code, not a traceback."""

    def invoke(self, ctx: click.Context) -> object:
        """Run the command that was typed."""
        try:
            return super().invoke(ctx)
        except NnlabError as error:
            click.echo(str(error), err=True)
            sys.exit(error.exit_code)


@click.group(cls=Plainly, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__, prog_name="nnlab")
def main() -> None:
    """Look after nnlab's runs. To make some: python run.py --help."""


@main.command()
@click.argument("run", required=False)
@click.option("--port", type=click.IntRange(1, 65535), help="A port; by default a free one.")
@click.option("--uri", metavar="URI", help="A tracking store other than mlruns/mlflow.db.")
def ui(run: str | None, port: int | None, uri: str | None) -> None:
    """Open the tracking UI on this machine; with RUN (an id or its beginning), show that run."""
    from nnlab.ui import serve

    serve(uri, run, port)
