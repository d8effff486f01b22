"""Where the tracking store, the files of a run and the ledgers of unfinished sweeps are."""

import os
import re
import shlex
from pathlib import Path
from urllib.parse import urlparse
from urllib.request import url2pathname

from nnlab.errors import TrackingError
from nnlab.jobs.provenance import project_root
from nnlab.safe_text import masked

RUN_ID = re.compile(r"[0-9a-f]{32}")
OPTIONS = re.compile(r"\?\w+=[^/?]*$")  # of SQLAlchemy, behind the path of a database

# MLflow's variables that choose what nnlab chooses otherwise.
UNREAD = {
    "MLFLOW_EXPERIMENT_ID": "MLFLOW_EXPERIMENT_NAME or tracking.experiment names the experiment",
    "MLFLOW_RUN_ID": "each run is a new one, and `nnlab resume RUN` goes on with one",
    "MLFLOW_ENABLE_SYSTEM_METRICS_LOGGING": "the load of the machine is not recorded",
}


def unread_variables() -> str:
    """Say which of MLflow's variables are set and are not read; empty where none is."""
    said = [
        f"{name} is not read: {instead}"
        for name, instead in UNREAD.items()
        if os.environ.get(name, "").lower() not in ("", "false")
    ]
    return f"Note: {'; '.join(said)}." if said else ""


def tracking_uri(configured: str | None) -> str:
    """Return where runs are logged: the config's URI, the environment's, or ``mlruns/mlflow.db``.

    A local address becomes absolute: MLflow would read it relative to the working directory, and a
    run started in a subfolder would silently make a second store.

    Raises
    ------
    TrackingError
        Where a local address names no file.
    """
    uri = configured or os.environ.get("MLFLOW_TRACKING_URI")
    if not uri:
        return f"sqlite:///{project_root() / 'mlruns' / 'mlflow.db'}"
    database = local_database(uri)
    return uri if database is None else f"sqlite:///{database}"


def uri_option(uri: str | None) -> str:
    """Return what a command needs to find a store: `` --uri …``, empty for the one of the config.

    A password is masked: it is printed.
    """
    if tracking_uri(uri) == tracking_uri(None):
        return ""
    return f" --uri {shlex.quote(masked(str(uri)))}"


def local_database(uri: str) -> Path | None:
    """Return the file behind an SQLite URI, or None for any other store.

    The path stands there as it is, whatever letters it has. Options behind it (``?timeout=5``) are
    left out: nnlab has its own.

    Raises
    ------
    TrackingError
        Where the URI names no file, but a database in memory, or is none of SQLite's.
    """
    scheme, _, rest = uri.partition(":")
    if scheme not in ("sqlite", "sqlite+pysqlite"):
        return None
    path = OPTIONS.sub("", rest.removeprefix("///"))
    if not rest.startswith("///") or path in ("", ":memory:") or "mode=memory" in rest:
        raise TrackingError(
            f"The tracking store {uri} is no file, and would be gone with the process: name one, "
            "such as tracking.uri=sqlite:///mlruns/mlflow.db."
        )
    if path.startswith("file:"):
        path = url2pathname(urlparse(path).path)
    return Path(path).expanduser().absolute()


def sweeps_folder(uri: str) -> Path:
    """Return where the ledgers of unfinished sweeps are: beside a local store, else ``mlruns/``."""
    database = local_database(uri)
    return (project_root() / "mlruns" if database is None else database.parent) / "sweeps"


def ledger_folder(uri: str, run_id: str) -> Path:
    """Return where the ledger of a sweep or a single run is, by the id of its run.

    Raises
    ------
    TrackingError
        Where that is no id: it could lead elsewhere.
    """
    if not run_id.isalnum():
        raise TrackingError(f"{run_id!r} is no run's id: letters and digits are expected.")
    return sweeps_folder(uri) / run_id


def files_folder(database: Path, run_id: str) -> Path:
    """Return where a local store keeps a run's files, by its id alone.

    Raises
    ------
    TrackingError
        Where that is no id: it could lead elsewhere.
    """
    if not RUN_ID.fullmatch(run_id):
        raise TrackingError(f"{run_id!r} is no run's id: 32 letters and digits are expected.")
    return database.parent / "artifacts" / run_id


def own_folder(uri: str, run_id: str) -> str:
    """Return where a run's files are: the path of a local folder, or the address as it is.

    Parameters
    ----------
    uri : str
        The address that the database has; a database may be somebody else's.
    run_id : str

    Raises
    ------
    TrackingError
        Where a local folder is not the run's own, or is a link.
    """
    path = local_path(uri)
    if path is None:
        return uri
    folder = Path(path)
    if folder.parent.name != run_id or folder.is_symlink() or folder.parent.is_symlink():
        raise TrackingError(
            f"The files of run {run_id[:8]} are said to be in {path}, which is no folder of its "
            "own, or a link: the store was changed by hand. Nothing is read or written there."
        )
    return path


def refuse_links(folder: Path) -> None:
    """Refuse to write into a folder with links, behind which another file would be overwritten.

    Raises
    ------
    TrackingError
        Naming the first link.
    """
    with os.scandir(folder) as entries:
        link = next((entry.name for entry in entries if entry.is_symlink()), None)
    if link is not None:
        raise TrackingError(
            f"{folder / link} is a link, and a run's own files are none: nothing is written there. "
            "Put the file itself in its place."
        )


def local_path(uri: str) -> str | None:
    """Return the path behind a file URI or a bare path; None for any other address."""
    if uri.startswith("file:"):
        return url2pathname(urlparse(uri).path)
    return None if "://" in uri or uri.startswith("mlflow-artifacts:") else uri
