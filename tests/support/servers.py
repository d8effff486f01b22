"""Servers on this machine: MLflow's tracking server, PostgreSQL, and a dask cluster."""

import contextlib
import os
import shutil
import socket
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
from pathlib import Path

import pytest


def free_port():
    """A port on which nothing listens now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


@contextlib.contextmanager
def started(words, log, **options):
    """Start a process, which is ended after the block; its output goes to the file ``log``."""
    with log.open("w") as file:
        process = subprocess.Popen(words, stdout=file, stderr=subprocess.STDOUT, **options)
        try:
            yield process
        finally:
            process.terminate()
            try:
                process.wait(20)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()


def wait_until(condition, process, log, seconds=90):
    """Wait for a condition; the test fails if the process ends before, or after so many seconds."""
    deadline = time.monotonic() + seconds
    while not condition():
        assert process.poll() is None, log.read_text()
        assert time.monotonic() < deadline, log.read_text()
        time.sleep(0.1)


def listens(port):
    try:
        with socket.create_connection(("127.0.0.1", port), 1):
            return True
    except OSError:
        return False


@contextlib.contextmanager
def mlflow_server(backend, folder):
    """Start MLflow's tracking server on a store; yield its address."""
    port, log = free_port(), folder / "mlflow.txt"
    words = [
        sys.executable, "-m", "mlflow", "server", "--backend-store-uri", backend,
        "--artifacts-destination", str(folder / "artifacts"), "--host", "127.0.0.1",
        "--port", str(port), "--workers", "1",
    ]  # fmt: skip
    env = {**os.environ, "MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false"}

    def healthy():
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{port}/health", timeout=5):
                return True
        except (urllib.error.URLError, OSError):
            return False

    with started(words, log, env=env, start_new_session=True) as process:
        wait_until(healthy, process, log)
        yield f"http://127.0.0.1:{port}"


@contextlib.contextmanager
def postgres():
    """Start a new PostgreSQL server; yield the address of an empty database."""
    programs = _postgres_programs()
    # PostgreSQL refuses to run as root.
    user = {"user": "nobody", "group": "nogroup"} if os.getuid() == 0 else {}
    folder = Path(tempfile.mkdtemp(prefix="nnlab-postgres-"))
    try:
        if user:
            shutil.chown(folder, "nobody", "nogroup")
        data, port, log = folder / "data", free_port(), Path(tempfile.mkstemp()[1])
        subprocess.run(
            [programs / "initdb", "-D", data, "-U", "nnlab", "-A", "trust"],
            check=True, capture_output=True, cwd=folder, **user,
        )  # fmt: skip
        words = [
            programs / "postgres",
            "-D",
            data,
            "-p",
            str(port),
            "-h",
            "127.0.0.1",
            "-k",
            folder,
        ]
        with started(words, log, cwd=folder, **user) as process:
            wait_until(lambda: listens(port), process, log)
            yield f"postgresql+psycopg2://nnlab@127.0.0.1:{port}/postgres"
        log.unlink()
    finally:
        shutil.rmtree(folder)


def _postgres_programs():
    program = shutil.which("postgres")
    if program:
        return Path(program).resolve().parent
    versions = sorted(Path("/usr/lib/postgresql").glob("*/bin/postgres"))
    if versions:
        return versions[-1].parent
    pytest.skip("PostgreSQL is not installed here: apt-get install postgresql")


@contextlib.contextmanager
def dask_scheduler(folder):
    """Start a dask scheduler; yield its address and its process."""
    port, log = free_port(), folder / "scheduler.txt"
    words = [
        sys.executable, "-m", "distributed.cli.dask_scheduler", "--host", "127.0.0.1",
        "--port", str(port), "--no-dashboard",
    ]  # fmt: skip
    with started(words, log) as process:
        wait_until(lambda: listens(port), process, log)
        yield f"tcp://127.0.0.1:{port}", process


@contextlib.contextmanager
def dask_worker(address, folder, number):
    """Start a dask worker; yield its process."""
    words = [
        sys.executable, "-m", "distributed.cli.dask_worker", address, "--nthreads", "1",
        "--no-dashboard", "--no-nanny", "--local-directory", str(folder), "--name", str(number),
    ]  # fmt: skip
    with started(words, folder / f"worker{number}.txt") as process:
        yield process
