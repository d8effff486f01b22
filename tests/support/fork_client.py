"""Asks the process of ``support.forks`` to run a command; as a program it stands for Python itself.

``fork_client.py SOCKET WORDS…`` does what ``python WORDS…`` would, sooner. It imports little.
"""

import json
import os
import signal
import socket
import sys


def ask(connection, address, words, env, cwd, files):
    """Send a command and the files for its input and outputs; return its id, and a file to read.

    The file ends with the command's exit code.
    """
    connection.connect(address)
    request = json.dumps({"words": words, "env": env, "cwd": cwd}).encode()
    socket.send_fds(connection, [len(request).to_bytes(4, "big")], files)
    connection.sendall(request)
    answers = connection.makefile("r")
    return int(answers.readline()), answers


def main(address, words):
    with socket.socket(socket.AF_UNIX) as connection:
        folder = os.getcwd()  # noqa: PTH109 - pathlib takes as long to import as all else
        command, answers = ask(connection, address, words, dict(os.environ), folder, [0, 1, 2])
        for number in (signal.SIGINT, signal.SIGTERM):
            signal.signal(number, lambda number, _: os.kill(command, number))
        code = int(answers.readline())
    if code < 0:
        signal.signal(-code, signal.SIG_DFL)
        os.kill(os.getpid(), -code)
    return code


if __name__ == "__main__":
    sys.exit(main(sys.argv[1], sys.argv[2:]))
