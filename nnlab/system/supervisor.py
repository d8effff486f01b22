"""Starts a command in a session of its own, which ends with this process at the latest.

The command may start processes of its own, and knows nothing of nnlab. So a supervisor stands
between: it holds one end of a pipe, this process the other. The system closes this process's end
even if it is killed, however early; then the supervisor ends the command with all its processes.

The supervisor runs this file by its path, without nnlab and without site-packages: it starts at
once, and whatever the folder is in which the command works.
"""

import os
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from typing import Any

END_SECONDS = 10.0  # that a command gets to end by itself after SIGTERM


@contextmanager
def supervised(command: Sequence[str], **options: Any) -> Iterator[subprocess.Popen[bytes]]:  # noqa: ANN401 - Popen's
    """Start a command, and end it with all its processes after the block.

    Parameters
    ----------
    command : Sequence[str]
    **options : Any
        Of ``subprocess.Popen``.

    Yields
    ------
    subprocess.Popen
        Its exit code is the command's, or 128 + the signal that ended the command, as in a shell.
    """
    ours, ended = os.pipe()
    try:
        process = subprocess.Popen(  # noqa: S603 - the callers' commands
            [sys.executable, "-I", "-S", __file__, str(ours), *command],
            pass_fds=(ours,), start_new_session=True, **options,
        )  # fmt: skip
        try:
            yield process
        finally:
            _end(process)
    finally:
        os.close(ours)
        os.close(ended)


def _end(process: subprocess.Popen[bytes]) -> None:
    with suppress(ProcessLookupError):
        if process.poll() is None:
            os.killpg(process.pid, signal.SIGTERM)
            try:
                process.wait(END_SECONDS)
            except subprocess.TimeoutExpired:
                os.killpg(process.pid, signal.SIGKILL)
                process.wait()
    for stream in (process.stdout, process.stderr):
        if stream is not None:
            stream.close()


def _supervise(pipe: int, command: Sequence[str]) -> int:
    """Run a command until it ends, or until the other end of the pipe is closed."""
    # A handler, because the command would inherit that the signal is ignored.
    signal.signal(signal.SIGTERM, lambda *_: None)
    try:
        process = subprocess.Popen(command)  # noqa: S603 - as above
    except OSError as error:
        sys.stderr.write(f"{command[0]}: {error.strerror}\n")
        return 127
    threading.Thread(target=_end_with, args=(pipe,), daemon=True).start()
    code = process.wait()
    os.killpg(0, signal.SIGTERM)  # what the command has left behind; this process ignores it
    return code if code >= 0 else 128 - code


def _end_with(pipe: int) -> None:
    """End the whole group, this process too, when the process that started it is gone."""
    os.read(pipe, 1)
    os.killpg(0, signal.SIGTERM)
    threading.Event().wait(END_SECONDS)
    os.killpg(0, signal.SIGKILL)


if __name__ == "__main__":
    sys.exit(_supervise(int(sys.argv[1]), sys.argv[2:]))
