"""``nnlab tag`` and ``nnlab rm``: runs and sweeps marked, and removed."""

import click

from nnlab.cli.options import URI
from nnlab.errors import ConfigError


@click.command()
@click.argument("run", metavar="RUN|SWEEP")
@click.argument("tags", nargs=-1, metavar="[NAME=VALUE ...]")
@click.option("--delete", "deleted", multiple=True, metavar="NAME", help="A tag to delete.")
@URI
def tag(run: str, tags: tuple[str, ...], deleted: tuple[str, ...], uri: str | None) -> None:
    """Give RUN or SWEEP tags of your own, such as paper=yes; without any, show those that it has.

    `nnlab ls --tag paper` lists what has a tag. Tags of nnlab and MLflow cannot be changed.
    """
    from nnlab.analysis.terminal import echo
    from nnlab.tracking.locations import tracking_uri
    from nnlab.tracking.lookup import find_run
    from nnlab.tracking.own_tags import own_tags, write_tags
    from nnlab.tracking.readers import open_reader

    reader = open_reader(tracking_uri(uri))
    record = find_run(reader, run)
    changes: dict[str, str | None] = {}
    for word in tags:
        name, equals, text = word.partition("=")
        if not equals:
            raise ConfigError(f"{word} gives no value: write {word}=VALUE, or --delete {word}.")
        changes[name] = text
    changes |= dict.fromkeys(deleted)
    missing = [name for name in deleted if name not in record.tags]
    if missing:
        raise ConfigError(f"{record.run_id[:8]} has no tag {missing[0]}.")
    if changes:
        write_tags(record.run_id, changes, uri)
        (record,) = reader.read([record.run_id])
    for name, text in own_tags(record).items():
        echo(f"{name}={text}")


@click.command()
@click.argument("runs", nargs=-1, required=True, metavar="RUN|SWEEP ...")
@click.option("--restore", is_flag=True, help="Bring them back from the trash.")
@click.option("--forever", count=True, help="Delete them for good, if it is said twice.")
@URI
def rm(runs: tuple[str, ...], uri: str | None, *, restore: bool, forever: int) -> None:
    """Put RUN, or SWEEP with its runs, into MLflow's trash, or delete it for good with its files.

    What is in the trash is in no table and is not reused; `nnlab ls --trash` lists it. Said once,
    --forever only tells what would be deleted. Runs that are RUNNING stay.
    """
    from nnlab.analysis.terminal import SafeConsole, print_line
    from nnlab.execution.removal import remove
    from nnlab.execution.removal import restore as bring_back

    if restore and forever:
        raise ConfigError("--restore and --forever exclude each other: leave one of them out.")
    for message in bring_back(runs, uri) if restore else remove(runs, uri, forever=forever):
        print_line(SafeConsole(), message)
