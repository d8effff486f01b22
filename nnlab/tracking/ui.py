"""The tracking UI: MLflow's own server, on this machine only, with few processes."""

import os
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
import zlib
from contextlib import suppress

import click

from nnlab.errors import TrackingError
from nnlab.safe_text import masked, printable
from nnlab.system.status_line import status
from nnlab.system.supervisor import supervised
from nnlab.tracking.database import client_address
from nnlab.tracking.locations import local_database, tracking_uri
from nnlab.tracking.store import Store
from nnlab.tracking.ui_links import links

HOST = "http://127.0.0.1"
FIRST_PORT, PORTS = 20_000, 10_000  # below those that systems assign by themselves
START_SECONDS = 120  # enough for MLflow's imports on a busy machine


def serve(uri: str | None, run: str | None, port: int | None) -> None:
    """Start the UI, print its links, and stop it on Ctrl-C.

    Parameters
    ----------
    uri : str or None
        Of the store; None as in the config.
    run : str or None
        As in ``Store.find_run``; None links to the newest.
    port : int or None
        None takes a free one.

    Raises
    ------
    TrackingError
        Where the store cannot be used, the run is not there, or the server does not start.
    """
    address = tracking_uri(uri)
    if address.startswith("http"):
        raise TrackingError(f"{address} is a tracking server already: open it in a browser.")
    database = local_database(address)
    paths = links(Store(address), run)
    reserved, port = _reserved_port(address, port)
    signal.signal(signal.SIGTERM, signal.default_int_handler)  # ends as Ctrl-C does
    base = f"{HOST}:{port}"
    # Without its job executor the server is 2 processes instead of 15.
    environment = {
        **os.environ,
        # Not as a word: other users see the words of a command line.
        "MLFLOW_BACKEND_STORE_URI": address if database is None else client_address(database),
        "MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false",
        "MLFLOW_DISABLE_TELEMETRY": "true",
        "UVICORN_LOG_LEVEL": "warning",
    }
    command = [
        sys.executable, "-m", "mlflow", "server",
        "--host", "127.0.0.1", "--port", str(port), "--workers", "1",
    ]  # fmt: skip
    try:
        with (
            reserved,
            supervised(
                command, env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE
            ) as server,
        ):
            with status("starting the MLflow UI"):
                _wait_for_start(server, base)
            click.echo(f"MLflow UI: {base}/{paths.main}")
            for label, path in paths.others.items():
                click.echo(f"  {printable(label)}: {base}/{path}")
            click.echo("Ctrl-C stops it.")
            server.wait()
            raise TrackingError(f"The MLflow UI stopped by itself: {_last_line(server)}.")
    except KeyboardInterrupt:
        click.echo("Stopped.")


def usual_address(uri: str) -> str:
    """Return the address at which the UI of a store is, unless its port was taken or given."""
    return masked(uri).rstrip("/") if uri.startswith("http") else f"{HOST}:{_usual_port(uri)}"


def _usual_port(address: str) -> int:
    return FIRST_PORT + zlib.crc32(address.encode()) % PORTS


def _reserved_port(address: str, asked: int | None) -> tuple[socket.socket, int]:
    """Find a free port, where possible the same one for the same store, and reserve it.

    A browser keeps the settings of the UI by its address: with another port they are lost, and
    with the port of another store they do not fit. The server takes seconds to bind its port; until
    then, the UDP port of the same number tells other processes of nnlab that it is taken.

    Returns
    -------
    reserved : socket.socket
        It is held as long as the server runs.
    port : int

    Raises
    ------
    TrackingError
        Where no port is free, or the one that was asked for is taken.
    """
    for port in (_usual_port(address), 0) if asked is None else (asked,):
        reserved = socket.socket(type=socket.SOCK_DGRAM)
        with socket.socket() as probe, suppress(OSError):
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            probe.bind(("127.0.0.1", port))
            reserved.bind(probe.getsockname())
            return reserved, int(probe.getsockname()[1])
        reserved.close()
    if asked is None:
        raise TrackingError("No port of 127.0.0.1 is free.")
    raise TrackingError(
        f"Port {asked} is taken by another program: leave --port out, or give another."
    )


def _wait_for_start(server: subprocess.Popen[bytes], base: str) -> None:
    deadline = time.monotonic() + START_SECONDS
    while time.monotonic() < deadline:
        if server.poll() is not None:
            break
        try:
            with urllib.request.urlopen(f"{base}/health", timeout=5):  # noqa: S310 - our own server
                return
        except (urllib.error.URLError, OSError):
            time.sleep(0.2)
    reason = "no answer" if server.poll() is None else _last_line(server)
    raise TrackingError(f"The MLflow UI did not start at {base}: {reason}. Try another --port.")


def _last_line(server: subprocess.Popen[bytes]) -> str:
    """Return the last line that a server wrote to its standard error before it ended."""
    assert server.stderr is not None
    return server.stderr.read().decode(errors="replace").strip().rpartition("\n")[2]
