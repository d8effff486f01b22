"""The project's commands in forks of one process that has imported what they need.

To start Python and to import MLflow takes seconds for each command. Here that is done once, for all
tests of a process; each command then has a process of its own as before, with its own arguments,
environment, folder and files for what it prints.

As a program it serves at a socket. A request is the command and the descriptors of its standard
input and outputs; the answer is the process's id, and then its exit code.
"""

import atexit
import functools
import gc
import json
import os
import runpy
import signal
import socket
import subprocess
import sys
import tempfile
import traceback
from pathlib import Path

from support.fork_client import ask
from support.paths import ROOT


def run(words, env, cwd, timeout):
    """Run Python with these words, ``run.py …`` or ``-m nnlab …``; return as ``subprocess.run``."""
    with (
        socket.socket(socket.AF_UNIX) as connection,
        tempfile.TemporaryFile("w+") as out,
        tempfile.TemporaryFile("w+") as err,
    ):
        connection.settimeout(timeout)
        files = [0, out.fileno(), err.fileno()]
        process, answers = ask(connection, _server(), words, env, str(cwd), files)
        try:
            code = int(answers.readline())
        except TimeoutError:
            os.kill(process, signal.SIGKILL)
            raise
        for file in (out, err):
            file.seek(0)
        return subprocess.CompletedProcess(words, code, out.read(), err.read())


def write_programs(folder):
    """Write programs ``python`` and ``nnlab`` for a shell: ``python run.py`` and ``nnlab`` fork."""
    client = ROOT / "tests" / "support" / "fork_client.py"
    ask = f'exec "{sys.executable}" -IS "{client}" "{_server()}"'
    python = f'case "$1" in run.py) {ask} "$@";; *) exec "{sys.executable}" "$@";; esac'
    nnlab = f'{ask} "{Path(sys.executable).parent / "nnlab"}" "$@"'
    folder.mkdir()
    for name, line in (("python", python), ("nnlab", nnlab)):
        (folder / name).write_text(f"#!/bin/sh\n{line}\n", encoding="utf-8")
        (folder / name).chmod(0o755)


@functools.cache
def _server():
    """Start the process that forks; return the address of its socket."""
    folder = tempfile.mkdtemp(prefix="nnlab-tests-")
    process = subprocess.Popen(
        [sys.executable, "-m", "support.forks", f"{folder}/socket"],
        cwd=ROOT, stdout=subprocess.PIPE,
        env={**os.environ, "PYTHONPATH": f"{ROOT}:{ROOT / 'tests'}"},
    )  # fmt: skip
    atexit.register(process.kill)
    assert process.stdout.readline() == b"ready\n"
    return f"{folder}/socket"


def _serve(address):
    with socket.socket(socket.AF_UNIX) as listening:
        listening.bind(address)
        listening.listen()
        signal.signal(signal.SIGCHLD, signal.SIG_IGN)  # nobody waits for the forks below
        gc.freeze()
        sys.stdout.write("ready\n")
        sys.stdout.flush()
        while True:
            connection, _ = listening.accept()
            if not os.fork():
                listening.close()
                _answer(connection)
            connection.close()


def _answer(connection):
    """Fork once more for the command: its exit code is known to its parent alone."""
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    size, files, _, _ = socket.recv_fds(connection, 4, 3)
    request = json.loads(connection.recv(int.from_bytes(size, "big"), socket.MSG_WAITALL))
    command = os.fork()
    if not command:
        connection.close()
        for number, file in enumerate(files):
            os.dup2(file, number)
            os.close(file)
        os.environ.clear()
        os.environ.update(request["env"])
        os.chdir(request["cwd"])
        _exit(request["words"])
    connection.sendall(f"{command}\n".encode())
    code = os.waitstatus_to_exitcode(os.waitpid(command, 0)[1])
    connection.sendall(f"{code}\n".encode())
    os._exit(0)


def _exit(words):
    """Exit as Python with these words."""
    code = 1
    try:
        execute(words)
        code = 0
    except SystemExit as error:
        code = error.code or 0
    except BaseException:  # noqa: BLE001 - as the interpreter does
        traceback.print_exc()
    finally:
        atexit._run_exitfuncs()
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(code)


def execute(words):
    """Execute what ``python`` executes with these words."""
    sys.orig_argv = [sys.executable, *words]
    if words[0] == "-m":
        sys.argv = list(words[1:])
        runpy.run_module(words[1], run_name="__main__", alter_sys=True)
    else:
        sys.argv = list(words)
        runpy.run_path(str(Path(words[0]).absolute()), run_name="__main__")


def prepare():
    """Import what the commands import, so that a fork has it."""
    import mlflow.store.tracking.sqlalchemy_store  # noqa: F401
    from hydra.core.plugins import Plugins

    import nnlab.analysis.report
    import nnlab.app
    import nnlab.cli.main
    import nnlab.execution.resume
    import nnlab.execution.stability_study
    import nnlab.reproduction.repeat
    import nnlab.search.rounds
    import nnlab.transfer.doctor  # noqa: F401

    Plugins.instance()


if __name__ == "__main__":
    prepare()
    _serve(sys.argv[1])
