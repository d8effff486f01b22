"""The ``nnlab`` command."""

import sys

import click

from nnlab import __version__
from nnlab.app import plainly
from nnlab.errors import RunsFailedError
from nnlab.interrupts import terminable


class Plainly(click.Group):
    """A group whose commands end with a sentence and an exit code, not a traceback."""

    def invoke(self, ctx: click.Context) -> object:
        """Run the command that was typed."""
        with terminable(), plainly():
            return super().invoke(ctx)


@click.group(cls=Plainly, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__, prog_name="nnlab")
def main() -> None:
    """Look after nnlab's runs. To make some: python run.py --help."""


URI = click.option("--uri", metavar="URI", help="A tracking store other than mlruns/mlflow.db.")


@main.command()
@click.argument("sweep", required=False)
@URI
@click.option("--anew", is_flag=True, help="Start runs anew whose code or data have changed.")
@click.option("--n-jobs", type=int, help="Worker processes, instead of the recorded number.")
@click.option("--backend", help="loky, dask or sequential, instead of the recorded one.")
@click.option("--address", help="A dask scheduler, tcp://…, instead of the recorded one.")
def resume(sweep: str | None, uri: str | None, *, anew: bool, **changes: object) -> None:
    """Complete what is missing or failed of SWEEP (an id or its beginning), or of the last one.

    Runs go on from their checkpoints, and end with the bits of an undisturbed sweep.
    """
    from nnlab.resume import resume as take_up

    given = {name: value for name, value in changes.items() if value is not None}
    runs = take_up(sweep, uri, anew=anew, changes=given)
    failed = sum(run.error is not None for run in runs)
    if failed:
        raise RunsFailedError(f"{failed} of {len(runs)} runs failed; the reasons are above.")


@main.command()
@URI
@click.option("--dry-run", is_flag=True, help="Only tell what would be done.")
@click.option("--host", help="Close runs of this machine too, of which you know that it is gone.")
def doctor(uri: str | None, host: str | None, *, dry_run: bool) -> None:
    """Check the store, and close runs that are RUNNING though their process is gone."""
    from nnlab.doctor import examine

    if not examine(uri, dry_run=dry_run, gone=host):
        sys.exit(1)


@main.command()
@click.argument("overrides", nargs=-1)
@click.option(
    "--tolerance",
    type=click.FloatRange(0.001, 1),
    default=0.03,
    show_default=True,
    help="Relative width of the intervals of learning rates.",
)
def stability(overrides: tuple[str, ...], tolerance: float) -> None:
    """Find the largest stable learning rate, and compare it with 2 over the sharpness.

    OVERRIDES are those of `python run.py -m`, without lr: 'seed=range(0,5)' init=he,randn. Every
    network is trained at dozens of rates, for `epochs` epochs each. Sharpness is the largest
    eigenvalue of the Hessian of the untrained network's loss.
    """
    from nnlab.edge_study import study_stability

    study_stability(overrides, tolerance)


@main.command()
@click.argument("run", required=False)
@click.option("--port", type=click.IntRange(1, 65535), help="A port; by default a free one.")
@URI
def ui(run: str | None, port: int | None, uri: str | None) -> None:
    """Open the tracking UI on this machine; with RUN (an id or its beginning), show that run."""
    from nnlab.ui import serve

    serve(uri, run, port)
