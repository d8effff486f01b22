"""Options that several of the ``nnlab`` commands have."""

import click

URI = click.option("--uri", metavar="URI", help="A tracking store other than mlruns/mlflow.db.")
