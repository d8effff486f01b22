"""The process that imports nnlab stays as it was, and imports nothing heavy before it is used."""

import subprocess
import sys
import zipfile

import pytest
from support.commands import environment, python
from support.paths import ROOT
from support.wheels import build_wheel

import nnlab

HEAVY = "{'numpy', 'pandas', 'mlflow', 'hydra', 'omegaconf', 'pydantic', 'matplotlib', 'joblib'}"
STATE = """
import gc, logging, os, random, signal, sys, threading, warnings
import numpy as np
import scipy.linalg
from threadpoolctl import threadpool_info

def state():
    loggers = {None: logging.root, **logging.root.manager.loggerDict}
    return {
        "folder": os.getcwd(), "environment": dict(os.environ), "path": list(sys.path),
        "argv": list(sys.argv), "streams": (sys.stdout, sys.stderr, sys.stdin),
        "hooks": (sys.excepthook, threading.excepthook, sys.displayhook),
        "signals": [signal.getsignal(n) for n in signal.valid_signals()],
        "warnings": (list(warnings.filters), warnings.showwarning),
        "logging": {
            name: (logger.level, list(logger.handlers), logger.propagate, logger.disabled)
            for name, logger in loggers.items()
            if isinstance(logger, logging.Logger) and name in KNOWN
        },
        "log": (logging.root.manager.disable, logging.getLogRecordFactory()),
        "garbage": (gc.isenabled(), gc.get_freeze_count(), gc.get_threshold()),
        "random": (hash(random.getstate()), str(np.random.get_state())[-30:]),
        "numpy": (np.geterr(), np.get_printoptions()),
        "blas": [(lib["filepath"], lib["num_threads"]) for lib in threadpool_info()],
        "threads": {thread.name for thread in threading.enumerate()},
    }

logging.getLogger("sqlalchemy.engine").setLevel(logging.INFO)
logging.getLogger("mine").addHandler(logging.NullHandler())
KNOWN = {None} | {
    name
    for name, logger in logging.root.manager.loggerDict.items()
    if isinstance(logger, logging.Logger)
}
signal.signal(signal.SIGTERM, lambda *_: None)
warnings.filterwarnings("error", "a warning of the host's")
"""
SMALL = "epochs=2, hidden_size=4, pictures=0, data={'val_size': 4000}"


def test_the_process_is_as_it_was_after_a_run_and_after_a_failure(tmp_path):
    code = f"""{STATE}
before = state()
def check(what):
    after = state()
    for part in before:
        assert after[part] == before[part], (what, part, before[part], after[part])

import nnlab
run = nnlab.run(lr=0.5, {SMALL})
check("run")
run.history(), run.weights(), run.figure("curves"), nnlab.runs(), repr(run)
check("reading")
for wrong in (lambda: nnlab.run(lrr=3), lambda: nnlab.run(data="idx"), lambda: nnlab.get("zz")):
    try:
        wrong()
    except nnlab.NnlabError:
        check("failure")
    else:
        raise AssertionError
"""
    folder = tmp_path / "elsewhere"
    folder.mkdir()
    done = python("-c", code, root=tmp_path, cwd=folder, env={"PYTHONPATH": str(ROOT)})
    assert done.returncode == 0, done.stderr
    assert done.stdout == ""
    assert list(folder.iterdir()) == []


def test_the_import_loads_nothing_heavy():
    code = f"import sys, nnlab\nassert dir(nnlab)\nprint({HEAVY} & set(sys.modules))"
    done = python("-c", code, check=True)
    assert done.stdout.strip() == "set()"


def test_the_offered_names_are_there_and_others_are_refused():
    names = {
        "run", "sweep", "get", "runs", "compare", "explain", "reproduce", "resume", "NnlabError",
        "Run", "Sweep",
    }  # fmt: skip
    assert names == set(nnlab.__all__)
    assert names <= set(dir(nnlab))
    for name in names:
        assert getattr(nnlab, name).__name__ == name
        assert getattr(nnlab, name).__doc__
    with pytest.raises(AttributeError, match="'nnlab' has no attribute 'rnu'"):
        _ = nnlab.rnu


@pytest.fixture(scope="module")
def installed(tmp_path_factory):
    """What a wheel installs, unpacked: a folder for the path."""
    folder = tmp_path_factory.mktemp("wheel")
    with zipfile.ZipFile(build_wheel(folder)) as packed:
        packed.extractall(folder / "site")
    return folder / "site"


@pytest.mark.long
def test_a_wheel_trains_in_any_folder_and_keeps_its_runs_there(installed, tmp_path):
    code = f"import nnlab\nprint(nnlab.__file__)\nnnlab.run(init='lecun', {SMALL})"
    env = {name: text for name, text in environment().items() if name != "NNLAB_ROOT"}
    done = subprocess.run(
        [sys.executable, "-c", code],
        cwd=tmp_path, env={**env, "PYTHONPATH": str(installed)}, capture_output=True, text=True,
        check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert done.stdout.strip() == str(installed / "nnlab" / "__init__.py")
    assert (tmp_path / "mlruns" / "mlflow.db").is_file()


def test_a_wheel_has_the_command_run_with_its_groups_and_fields(installed, tmp_path):
    env = {**environment(), "PYTHONPATH": str(installed)}
    done = subprocess.run(
        [sys.executable, "-m", "nnlab", "run", "--help"],
        cwd=tmp_path, env=env, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert "randn_minus_half" in done.stdout
    assert "hidden_size" in done.stdout
