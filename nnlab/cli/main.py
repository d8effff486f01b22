"""The ``nnlab`` command."""

import ast
import inspect
import sys
from pathlib import Path
from typing import Any, cast

import click
from click.exceptions import NoArgsIsHelpError

from nnlab import __version__
from nnlab.app import exit_on_error
from nnlab.cli.confirming import confirm
from nnlab.cli.keeping import rm, tag
from nnlab.cli.listing import ls, show
from nnlab.cli.options import URI
from nnlab.cli.reproduction import explain, reproduce
from nnlab.errors import ConfigError
from nnlab.interrupts import terminable
from nnlab.system.home import ensure_home
from nnlab.system.standard_streams import StandardStreams
from nnlab.system.status_line import status
from nnlab.wording import counted


class Commands(click.Group):
    """Commands that end with a sentence and an exit code, not a traceback."""

    def main(self, *args: Any, **options: Any) -> Any:  # noqa: ANN401 - as in the base class
        """Run the command line, with help texts under ``python -OO`` too."""
        if sys.flags.optimize > 1:  # docstrings are left out of functions; the source has them
            for command in (self, *self.commands.values()):
                tree = ast.parse(inspect.getsource(command.callback or Commands))
                command.help = ast.get_docstring(cast("ast.FunctionDef", tree.body[0]))
        with StandardStreams():
            return super().main(*args, **options)

    def invoke(self, ctx: click.Context) -> object:
        """Run the command that was typed."""
        ensure_home()
        with terminable(), exit_on_error():
            try:
                return super().invoke(ctx)
            except click.UsageError as error:
                raise _in_one_sentence(error) from error

    def make_context(self, *args: Any, **options: Any) -> click.Context:  # noqa: ANN401 - as above
        """Read the options before the command's name."""
        try:
            return super().make_context(*args, **options)
        except click.UsageError as error:
            with exit_on_error():
                raise _in_one_sentence(error) from error

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """List the commands with their whole first sentences, which click itself would cut."""
        commands = {name: self.get_command(ctx, name) for name in self.list_commands(ctx)}
        rows = [(name, each.get_short_help_str(1000)) for name, each in commands.items() if each]
        with formatter.section("Commands"):
            formatter.write_dl(rows)


def _in_one_sentence(error: click.UsageError) -> Exception:
    """Return what is said of words that cannot be read; click itself would print the usage first.

    A command without any words is answered with its help, as it is.
    """
    if isinstance(error, NoArgsIsHelpError):
        return error
    context = error.ctx
    inner = context is not None and context.parent is not None
    command = f"nnlab {context.info_name}" if context and inner else "nnlab"
    return ConfigError(f"{command}: {error.format_message().rstrip('.')}; see `{command} --help`.")


@click.group(cls=Commands, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__, prog_name="nnlab")
def main() -> None:
    """Train runs, and manage those that are recorded. The fields of a run: nnlab run --help."""


main.add_command(reproduce)
main.add_command(explain)
main.add_command(ls)
main.add_command(show)
main.add_command(tag)
main.add_command(rm)


@main.command(
    add_help_option=False, context_settings={"ignore_unknown_options": True}, options_metavar="[-m]"
)
@click.argument("words", nargs=-1, metavar="[FIELD=VALUE ...]", type=click.UNPROCESSED)
def run(words: tuple[str, ...]) -> None:
    """Train a run, or with -m a sweep: python run.py, from any folder. --help lists the fields."""
    from nnlab.app import run_words

    run_words(words)


@main.command()
@click.argument("sweep", required=False)
@click.argument("overrides", nargs=-1, metavar="[data.dir=…] [data.path=…] [threads=…]")
@URI
@click.option(
    "--restart", is_flag=True, help="Train runs again whose code or data have changed since."
)
@click.option("--n-jobs", type=int, help="Worker processes; else as conf/hydra/launcher says.")
@click.option("--backend", help="loky, dask or sequential; likewise.")
@click.option("--address", help="A dask scheduler, which can run any code here.")
def resume(
    sweep: str | None, overrides: tuple[str, ...], uri: str | None, *, restart: bool,
    **changes: object,
) -> None:  # fmt: skip
    """Complete what is missing or failed of SWEEP (an id or its beginning), or of the last one.

    Runs go on from their checkpoints, and end with the bits of an undisturbed sweep. Who trains
    them is this machine's business, not the plan's.
    """
    from nnlab.execution import failures
    from nnlab.execution.resume import resume as resume_sweep
    from nnlab.reproduction.missing_certificates import certify_resumed

    if sweep is not None and "=" in sweep:  # the sweep was left out
        overrides, sweep = (sweep, *overrides), None
    given = {name: value for name, value in changes.items() if value is not None}
    runs = resume_sweep(sweep, uri, restart=restart, changes=given, overrides=overrides)
    certify_resumed(runs, uri)
    failures.raise_if_failed(runs)


@main.command()
@URI
@click.option("--dry-run", is_flag=True, help="Only tell what would be done.")
@click.option("--host", help="Close runs of this machine too, of which you know that it is gone.")
def doctor(uri: str | None, host: str | None, *, dry_run: bool) -> None:
    """Check the store, and repair it.

    Addresses of a store that was moved or copied are changed to where it is now. Runs that are
    RUNNING though their process is gone are closed. Records that an interruption left incomplete
    are completed from the sweep's files, figures that are missing are drawn, and temporary files
    that nobody uses are removed. Exit code 1: the database is damaged.
    """
    from nnlab.transfer.doctor import examine

    with status("looking at runs"):
        sound = examine(uri, dry_run=dry_run, lost_host=host)
    if not sound:
        sys.exit(1)


@main.command()
@click.argument("run")
@click.argument("images", nargs=-1, required=True, type=click.Path(path_type=Path))
@click.option("--out", metavar="FILE", type=click.Path(path_type=Path), help="A new CSV file.")
@click.option("--kaggle", is_flag=True, help="Write ImageId,Label, as the competition wants it.")
@click.option("--invert", is_flag=True, help="The images are black on white, not as MNIST's.")
@click.option(
    "--pixel-max", metavar="VALUE", type=click.FloatRange(0, min_open=True),
    help="The pixel value that is white, where the values do not tell.",
)  # fmt: skip
@URI
def predict(
    run: str, images: tuple[Path, ...], out: Path | None, uri: str | None,
    pixel_max: float | None, *, kaggle: bool, invert: bool,
) -> None:  # fmt: skip
    """Classify IMAGES by the recorded weights of RUN (an id or its beginning), and write a CSV.

    IMAGES is one file of many images (CSV, ARFF, NumPy, IDX), or pictures (PNG, JPEG). Pixels are
    whole numbers from 0 to 255, or fractions from 0 to 1; else as the run was trained with them.
    """
    from nnlab.tracking.predictions import predict_files

    predict_files(run, images, out=out, uri=uri, kaggle=kaggle, invert=invert, pixel_max=pixel_max)


@main.command()
@click.argument("selection", nargs=-1)
@URI
@click.option("--metric", metavar="NAME", help="What to compare; late_val_accuracy by default.")
@click.option(
    "--by", metavar="FIELDS", help="Pivot: rows by the first fields, columns by the last."
)
@click.option("--where", metavar="CONDITION", help="Such as \"lr>0.1 and outcome=='learned'\".")
@click.option(
    "--importance",
    "by_importance",
    is_flag=True,
    help="What each hyper-parameter explains, on a grid.",
)
@click.option(
    "--format", "form", type=click.Choice(["table", "csv", "json", "markdown"]), default="table"
)
@click.option(
    "--until",
    type=click.FloatRange(0, min_open=True),
    metavar="WIDTH",
    help="Train further seeds of two, until decided or known to ± WIDTH.",
)
@click.option(
    "--max-seeds", type=click.IntRange(5), default=50, show_default=True,
    help="Common seeds in all, of --until.",
)  # fmt: skip
def compare(
    selection: tuple[str, ...],
    *,
    until: float | None,
    max_seeds: int,
    **options: Any,  # noqa: ANN401
) -> None:
    """Compare configurations over their seeds: of SELECTION, or of the last sweep.

    SELECTION: ids of sweeps or runs (or their beginnings; several may be joined by commas), an
    experiment's name, or `last`, the sweep or run that was started last. Exactly two are compared
    with each other, seed by seed.
    """
    from nnlab.analysis.comparison_output import BOTH, show

    if until is not None:
        from nnlab.execution.until_decided import Goal, compare_until

        others = [name for name in ("by", "where", "by_importance") if options[name]]
        if len(selection) != BOTH or others:
            raise ConfigError("--until needs two selections, and no --by, --where or --importance.")
        goal = Goal(until, max_seeds)
        a, b = selection
        selection, reason = compare_until(a, b, options["uri"], goal, options["metric"])
        options["notes"] = [reason]
    show(selection, **options)


@main.command()
@click.argument("sweep", required=False)
@URI
@click.option("--metric", metavar="NAME", help="What to judge by; late_val_accuracy by default.")
@click.option(
    "--out", metavar="FOLDER", type=click.Path(path_type=Path), help="experiments/NAME by default."
)
def report(sweep: str | None, uri: str | None, metric: str | None, out: Path | None) -> None:
    """Write SWEEP's report: question, verdict, tables, figures, provenance. By default the last.

    A folder with README.md, figures and tables; and report.html, which needs nothing else, there
    and among the sweep's files in the UI. What stands in the folder's notes.md is taken in.
    """
    from nnlab.analysis.report import report as write
    from nnlab.tracking.locations import uri_option

    with status("reading runs"):
        done = write(sweep, uri, metric, out)
    click.echo(f"{done.folder / 'README.md'}\n{done.page}")
    command = f"nnlab ui {done.run_id[:8]}{uri_option(uri)}"
    in_ui = command if done.in_store else "no, as the store cannot be written"
    click.echo(f"in the UI: {in_ui}")


main.add_command(confirm)


@main.command()
@click.argument("overrides", nargs=-1)
def plan(overrides: tuple[str, ...]) -> None:
    """Tell what a sweep would take, and what its seeds could show, without training.

    OVERRIDES are those of `python run.py -m`: lr=0.05,0.1 'seed=range(0,5)'. Runs, stacks, minutes
    and megabytes; and the mean difference of two configurations that a paired t-test finds with
    80 % power, from the spread of similar runs in the store, where there are some. Nothing is
    written.
    """
    from nnlab.execution.sweep_plan import show_plan

    with status("reading runs"):
        show_plan(overrides)


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
    from nnlab.execution.stability_study import study_stability

    study_stability(overrides, tolerance)


@main.command()
@click.argument("run", metavar="RUN|SWEEP")
@click.argument("out", type=click.Path(dir_okay=False, path_type=Path), metavar="OUT.ZIP")
@URI
def export(run: str, out: Path, uri: str | None) -> None:
    """Pack RUN, or SWEEP with all its runs, into a zip file: metrics, files, lineage."""
    from nnlab.transfer.exporting import export_runs

    with status("reading runs"):
        done = export_runs(run, out, uri)
    for run_id in done.missing:
        click.echo(f"left out: {run_id}, which the sweep lists and the store no longer has")
    if done.models:
        models = counted(done.models, "model")
        click.echo(f"left out: {models}, logged beside the files of runs")
    content = f"{counted(done.runs, 'run')}, {counted(done.files, 'file')}"
    click.echo(f"{out}: {content}, {done.size / 1e6:,.1f} MB")


@main.command("import")
@click.argument("archive", type=click.Path(path_type=Path), metavar="OUT.ZIP")
@URI
def import_(archive: Path, uri: str | None) -> None:
    """Check what `nnlab export` has packed, and write it into the store."""
    from nnlab.transfer.importing import import_runs

    with status("checking the archive"):
        done = import_runs(archive, uri)
    for run_id, here in done.existing.items():
        name = "" if here == run_id else f", as {here[:8]}"
        click.echo(f"left alone {run_id[:8]}: it is in the store already{name}")
    for run_id, here in done.created.items():
        click.echo(f"imported {run_id[:8]} as {here}")
    click.echo(f"imported {counted(len(done.created), 'run')} from {archive}")


@main.command()
@click.argument("run", required=False, metavar="[RUN|SWEEP]")
@click.option("--port", type=click.IntRange(1, 65535), help="A port; by default a free one.")
@URI
def ui(run: str | None, port: int | None, uri: str | None) -> None:
    """Open the tracking UI on this machine, and print where it shows RUN or SWEEP.

    They are named by an id or its beginning, or `last`. Without one: all runs, and the last
    sweep's table, charts and comparison.
    """
    from nnlab.tracking.ui import serve

    serve(uri, run, port)
