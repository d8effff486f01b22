"""The project's commands, each in a process of its own."""

import os
import signal
import subprocess
import sys
from contextlib import contextmanager
from pathlib import Path

from support import forks
from support.paths import ROOT


def environment(root=None):
    """The environment of this process; ``root`` is where the command keeps its runs."""
    return dict(os.environ) if root is None else {**os.environ, "NNLAB_ROOT": str(root)}


def python(*words, root=None, env=None, check=False, cwd=ROOT, timeout=300):
    """Run Python with these arguments to its end; return what it printed and its exit code.

    The project's programs run in a fork of a process that has imported what they need.
    """
    words = [str(word) for word in words]
    env = {**environment(root), **(env or {})}
    if words[:2] == ["-m", "nnlab"] or Path(words[0]).name == "run.py":
        done = forks.run(words, env, cwd, timeout)
    else:
        done = subprocess.run(
            [sys.executable, *words], env=env, cwd=cwd, timeout=timeout, capture_output=True,
            text=True, check=False,
        )  # fmt: skip
    if check:
        done.check_returncode()
    return done


def run_py(*overrides, **options):
    """Run ``python run.py`` with these overrides."""
    return python(ROOT / "run.py", *overrides, **options)


def nnlab(*words, **options):
    """Run the command ``nnlab``."""
    return python("-m", "nnlab", *words, **options)


def git(*words):
    """Ask git about the project's repository; return what it printed."""
    done = subprocess.run(["git", *words], cwd=ROOT, capture_output=True, text=True, check=True)
    return done.stdout.strip()


@contextmanager
def running(*words, root=None):
    """Start Python with these arguments; it is killed after the block if it still runs."""
    process = subprocess.Popen(
        [sys.executable, *map(str, words)], cwd=ROOT, text=True, start_new_session=True,
        env={**environment(root), "PYTHONUNBUFFERED": "1"},
        stdout=subprocess.PIPE, stderr=subprocess.PIPE,
    )  # fmt: skip
    try:
        yield process
    finally:
        if process.poll() is None:
            os.killpg(process.pid, signal.SIGKILL)
            process.communicate()
