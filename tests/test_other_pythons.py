"""A wheel, installed without a checkout, works on every Python that is at hand."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from support.paths import ROOT
from support.wheels import build_wheel

pytestmark = pytest.mark.long
CODE = """
import nnlab, sys
run = nnlab.run(epochs=3, lr=0.5, pictures=0)
print(*sys.version_info[:2], sep=".")
print(run.status, *run.weights()["W1"].shape, *run.history()["train/loss"].round(4))
"""


def interpreter(version):
    """The path of a Python of this version that starts, or None."""
    paths = [
        shutil.which(f"python{version}"),
        *Path.home().glob(f".pyenv/versions/{version}.*/bin/python"),
    ]
    for path in filter(None, paths):
        done = subprocess.run([path, "-c", "import ssl, sqlite3"], capture_output=True, check=False)
        if done.returncode == 0:
            return path
    return None


def result(python, folder):
    """What the code above prints under this Python, in a new folder, word by word."""
    folder.mkdir()
    hidden = {"PYTHONPATH", "NNLAB_ROOT", "PYTHONWARNINGS"}
    env = {name: text for name, text in os.environ.items() if name not in hidden}
    done = subprocess.run(
        [python, "-c", CODE], cwd=folder, env=env, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    return done.stdout.split()


@pytest.fixture(scope="module")
def wheel(tmp_path_factory):
    return build_wheel(tmp_path_factory.mktemp("wheel"))


@pytest.mark.parametrize("version", ["3.12", "3.13", "3.14"])
def test_a_wheel_installed_with_the_lock_trains_as_it_does_here(version, wheel, tmp_path):
    python = interpreter(version)
    if python is None:
        pytest.skip(f"there is no Python {version} on this machine")
    uv = [sys.executable, "-m", "uv", "--quiet"]
    new = tmp_path / "venv" / "bin" / "python"
    lock = ROOT / "requirements.lock"
    subprocess.run([*uv, "venv", "--python", python, tmp_path / "venv"], check=True)
    install = [*uv, "pip", "install", "--python", new, "--constraint", lock, wheel]
    done = subprocess.run(install, capture_output=True, text=True, check=False)
    if done.returncode and "error sending request" in done.stderr.lower():
        pytest.skip("no package registry answers")
    assert done.returncode == 0, done.stderr
    found, *trained = result(new, tmp_path / "lab")
    assert found == version
    assert trained == result(sys.executable, tmp_path / "here")[1:]
