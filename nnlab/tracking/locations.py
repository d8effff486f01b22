"""Where the tracking store, the files of a run and the ledgers of unfinished sweeps are."""

import os
from pathlib import Path
from urllib.parse import urlparse
from urllib.request import url2pathname

from nnlab.runs.provenance import project_root


def tracking_uri(configured: str | None) -> str:
    """Return where runs are logged: the config's URI, the environment's, or ``mlruns/mlflow.db``.

    A local address becomes absolute: MLflow would read it relative to the working directory, and a
    run started in a subfolder would silently make a second store.
    """
    uri = configured or os.environ.get("MLFLOW_TRACKING_URI")
    if not uri:
        return f"sqlite:///{project_root() / 'mlruns' / 'mlflow.db'}"
    database = local_database(uri)
    return uri if database is None else f"sqlite:///{database}"


def local_database(uri: str) -> Path | None:
    """Return the file behind an SQLite URI, or None for any other store."""
    if not uri.startswith("sqlite:///"):
        return None
    return Path(uri.removeprefix("sqlite:///")).expanduser().absolute()


def sweeps_folder(uri: str) -> Path:
    """Return where the ledgers of unfinished sweeps are: beside a local store, else ``mlruns/``."""
    database = local_database(uri)
    return (project_root() / "mlruns" if database is None else database.parent) / "sweeps"


def local_path(uri: str) -> str | None:
    """Return the path behind a file URI or a bare path; None for any other address."""
    if uri.startswith("file:"):
        return url2pathname(urlparse(uri).path)
    return None if "://" in uri or uri.startswith("mlflow-artifacts:") else uri
