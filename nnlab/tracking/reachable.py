"""Whether a tracking server or a database server is there, before MLflow asks it for minutes."""

import importlib.util
import re
from collections.abc import Callable

from nnlab.errors import ServerLostError, TrackingError
from nnlab.tracking.server import ANSWER_SECONDS, answer, in_thread, lost_reason

DATABASES = ("postgresql", "mysql", "mssql")  # that MLflow has stores in
OF_DATABRICKS = ("databricks", "databricks-uc", "uc")

# The module of a driver -> the package to install, and the scheme that names the driver.
DRIVERS = {
    "psycopg": ("psycopg[binary]", "postgresql+psycopg"),
    "psycopg2": ("psycopg2-binary", "postgresql+psycopg2"),
    "asyncpg": ("asyncpg", "postgresql+asyncpg"),
    "pymysql": ("pymysql", "mysql+pymysql"),
    "MySQLdb": ("mysqlclient", "mysql"),
    "mysql": ("mysql-connector-python", "mysql+mysqlconnector"),
    "pyodbc": ("pyodbc", "mssql+pyodbc"),
    "pymssql": ("pymssql", "mssql+pymssql"),
}


def require_server(uri: str) -> None:
    """Make sure that the server of a store answers.

    Raises
    ------
    TrackingError
        Where it does not, or the driver of a database is missing.
    """
    scheme, colon, rest = uri.partition(":")
    if scheme in ("http", "https"):
        _ask(uri, lambda: _answers(uri))
    elif scheme.partition("+")[0] in DATABASES:
        _ask(uri, lambda: _connect(uri))
    elif not colon or scheme == "file":
        raise TrackingError(
            f"The tracking store {uri} is a folder, which MLflow no longer writes: name a database "
            "in it, such as sqlite:///mlruns/mlflow.db. `mlflow migrate-filestore` takes the runs "
            "of a folder over."
        )
    elif scheme not in OF_DATABRICKS:
        meant = f"postgresql:{rest}" if scheme == "postgres" else f"http://{uri}"
        hint = f" Did you mean {meant}?" if scheme == "postgres" or rest[:1].isdigit() else ""
        raise TrackingError(
            f"The tracking store {uri} is of no known kind: allowed are http://… and https://… of "
            f"a server, sqlite:///…, and {', '.join(f'{kind}://…' for kind in DATABASES)}.{hint}"
        )


def _ask(uri: str, question: Callable[[], None]) -> None:
    try:
        answer(in_thread(question), ANSWER_SECONDS)
    except ModuleNotFoundError as error:
        raise TrackingError(_missing(uri, error.name or "")) from error
    except Exception as error:
        reason = getattr(error, "reason", None) or lost_reason(error) or str(error).splitlines()[0]
        raise ServerLostError(
            f"The tracking server {uri} does not answer: {reason}. Check tracking.uri and "
            "MLFLOW_TRACKING_URI, or log to this machine with tracking.uri=null."
        ) from error


def _answers(uri: str) -> None:
    """Ask for the server's health as MLflow's client would, with its user, token and certificates.

    Whether it refuses a request is for that client to say.
    """
    from mlflow.utils.credentials import get_default_host_creds
    from mlflow.utils.rest_utils import http_request

    user = get_default_host_creds(uri)  # type: ignore[no-untyped-call]
    ask: Callable[..., object] = http_request
    ask(user, "/health", "GET", max_retries=0, timeout=ANSWER_SECONDS, raise_on_status=False)


def _connect(uri: str) -> None:
    from sqlalchemy import create_engine

    engine = create_engine(uri)
    try:
        engine.connect().close()
    finally:
        engine.dispose()


def _missing(uri: str, module: str) -> str:
    """Name the package of a driver that is missing, and a driver that is not."""
    package, _ = DRIVERS.get(module, (module, ""))
    dialect = re.split(r"[+:]", uri)[0]
    others = [
        scheme
        for name, (_, scheme) in DRIVERS.items()
        if scheme.startswith(dialect) and importlib.util.find_spec(name) is not None
    ]
    instead = f", or take the driver that is installed: {others[0]}://…" if others else ""
    return (
        f"The tracking store {uri} needs the package {package}, which is not installed: "
        f"pip install '{package}'{instead}."
    )
