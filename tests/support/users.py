"""Processes of a user whom this machine does not know, as those of a container may be."""

import shutil
import subprocess

import pytest

NUMBER = 12345


def as_unknown_user():
    """Return the words before a command with which an unknown user runs it.

    The files of the user who tests are that user's; permissions hold, for root's files too.
    """
    words = ["unshare", f"--map-user={NUMBER}"]
    if (
        shutil.which("unshare") is None
        or subprocess.run([*words, "true"], capture_output=True, check=False).returncode
    ):
        pytest.skip("user namespaces are not available here")
    return words
