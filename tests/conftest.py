"""Fixtures that several tests share: cache, stores, the real MNIST, and sweeps made once."""

import json
import os
from pathlib import Path

import pytest
from filelock import FileLock
from support.commands import run_py
from support.paths import ROOT


@pytest.fixture(scope="session", autouse=True)
def cache(tmp_path_factory):
    """A cache folder for the tests, apart from the user's."""
    folder = tmp_path_factory.mktemp("cache")
    before = os.environ.get("NNLAB_CACHE")
    os.environ["NNLAB_CACHE"] = str(folder)
    os.environ["MLFLOW_DISABLE_TELEMETRY"] = "true"
    os.environ.pop("MLFLOW_TRACKING_URI", None)
    yield folder
    if before is None:
        del os.environ["NNLAB_CACHE"]
    else:
        os.environ["NNLAB_CACHE"] = before


@pytest.fixture
def own_cache(tmp_path, monkeypatch):
    """An empty cache folder, for one test."""
    monkeypatch.setenv("NNLAB_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache"


@pytest.fixture(scope="session")
def mnist_dir():
    """The folder of the full MNIST's IDX files, where there is one."""
    for folder in (os.environ.get("NNLAB_MNIST_DIR"), ROOT.parent / "shared" / "mnist"):
        if folder and Path(folder).is_dir():
            return Path(folder)
    pytest.skip("the full MNIST is not here: set NNLAB_MNIST_DIR to the folder of its IDX files")


@pytest.fixture
def store(tmp_path):
    """The address of a tracking store that does not exist yet."""
    return f"sqlite:///{tmp_path}/store/mlflow.db"


@pytest.fixture
def tracker(store):
    """A tracker that writes into that store."""
    from nnlab.jobs.code_version import CodeVersion
    from nnlab.tracking.store import Store
    from nnlab.tracking.tracker import Tracker

    return Tracker(Store(store), "nnlab", CodeVersion())


@pytest.fixture(scope="session")
def compared(tmp_path_factory):
    """A store with two real sweeps, to be read only; the second reuses runs of the first.

    Two inits × two learning rates × three seeds; then one init at two learning rates, one of which
    diverges, with a fourth seed.
    """
    # The processes that share the tests out share it too: the first one that gets here makes it.
    folder = tmp_path_factory.getbasetemp().parent / "compared"
    store = f"sqlite:///{folder}/mlflow.db"
    with FileLock(f"{folder}.lock"):
        if not folder.exists():
            _make_compared(store)
    return store


def _make_compared(store):
    small = ("epochs=20", "data.val_size=4000", "pictures=0", "target_accuracy=0.3")
    for sweep in (
        ("init=randn_small,he", "lr=0.1,0.5", "seed=range(0,3)"),
        ("init=he", "lr=0.5,1e30", "seed=range(0,4)", "reuse=true"),
    ):
        launcher = "hydra.launcher.backend=sequential"
        run_py("-m", *sweep, *small, f"tracking.uri={store}", launcher, check=True)


@pytest.fixture
def lab(tmp_path):
    """A store of its own, with the commands that work on it."""
    from support.labs import Lab

    return Lab(tmp_path)


@pytest.fixture(scope="session")
def undisturbed(tmp_path_factory):
    """The weights of the sweep when nothing happens to it, trained in one process alone."""
    from support.labs import EPOCHS, SWEEP, Lab

    folder = tmp_path_factory.getbasetemp().parent / "undisturbed"
    kept = folder / "weights.json"
    with FileLock(f"{folder}.lock"):
        if not kept.exists():
            folder.mkdir()
            assert "40 runs" in Lab(folder).run(*SWEEP, EPOCHS).stdout
            found = Lab(folder).weights()
            assert len(found) == 40
            kept.write_text(json.dumps(found))
    return json.loads(kept.read_text())
