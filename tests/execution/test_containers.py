"""Containers: a user whom nobody has entered, no home folder, a store that cannot be written."""

import os
import re
import shutil
import subprocess
import sys

import numpy as np
import pytest
from support.labs import Lab
from support.paths import ROOT
from support.users import NUMBER, as_unknown_user

from nnlab.tracking.relocation import repair

pytestmark = pytest.mark.long

# Runs nnlab's commands, one a line of the standard input, in one process.
SEVERAL = """
import shlex, sys
from nnlab.cli.main import main
for line in sys.stdin:
    try:
        code = main(shlex.split(line), standalone_mode=False)
    except SystemExit as exit:
        code = exit.code
    print("exit code", code or 0, flush=True)
"""


def run_unknown(words, root, *, text="", **env):
    """Run Python as an unknown user with nothing but these variables in its environment."""
    kept = {name: os.environ[name] for name in ("PATH", "NNLAB_CACHE") if name in os.environ}
    kept |= {"PYTHONPATH": str(ROOT), "NNLAB_ROOT": str(root), **env}
    words = [*as_unknown_user(), sys.executable, *map(str, words)]
    return subprocess.run(
        words, env=kept, cwd=ROOT, input=text, capture_output=True, text=True, timeout=200,
        check=False,
    )  # fmt: skip


@pytest.mark.parametrize("home", [{}, {"HOME": "/proc"}], ids=["no home", "not writable"])
def test_a_user_without_name_and_home_trains_and_nothing_is_said_of_it(tmp_path, home):
    done = run_unknown(["run.py", "-m", "lr=0.1,0.5", "epochs=3"], tmp_path, **home)
    said = re.sub(r"drawing figures .*\n", "", done.stderr)  # on a slow machine, every ten seconds
    assert (done.returncode, said) == (0, "")
    users = Lab(tmp_path).ask("SELECT DISTINCT value FROM tags WHERE key = 'mlflow.user'")
    assert users == [(str(NUMBER),)]


@pytest.fixture
def read_only(compared, tmp_path):
    """A copy of a store that nobody can write, closed as a store is that was mounted."""
    root = tmp_path / "copy"
    shutil.copytree(compared.removeprefix("sqlite:///").removesuffix("mlflow.db"), root / "mlruns")
    lab = Lab(root)
    repair(lab.database)
    lab.ask("PRAGMA wal_checkpoint(TRUNCATE)")
    for name in ("mlflow.db-wal", "mlflow.db-shm"):
        lab.database.with_name(name).unlink(missing_ok=True)
    folders = [root, *(path for path in root.rglob("*") if path.is_dir())]
    for path in root.rglob("*"):
        path.chmod(0o444 if path.is_file() else 0o555)
    yield lab
    for folder in folders:
        folder.chmod(0o755)


def test_a_store_that_cannot_be_written_is_read_and_writing_commands_say_so(read_only, tmp_path):
    query = (
        "SELECT min(job.run_uuid) FROM tags job JOIN params init USING (run_uuid) "
        "JOIN params lr USING (run_uuid) WHERE job.key = 'job' AND init.key = 'init.name' "
        "AND lr.key = 'lr' AND lr.value = '0.5' GROUP BY init.value"
    )
    one, other = (run_id for (run_id,) in read_only.ask(query))
    np.save(tmp_path / "images.npy", np.random.default_rng(0).integers(0, 256, (5, 784), np.uint8))
    reading = [
        "compare last",
        f"compare {one} {other}",
        f"report last --out {tmp_path}/report",
        f"explain {one} {other}",
        f"predict {one} {tmp_path}/images.npy --out {tmp_path}/predicted.csv",
        f"export {one} {tmp_path}/one.zip",
        "doctor",
    ]
    writing = [f"reproduce {one}", "confirm last", "run epochs=2", "run -m lr=0.1,0.2 epochs=2"]
    done = run_unknown(
        ["-c", SEVERAL], read_only.root, text="\n".join([*reading, *writing]), HOME=str(tmp_path)
    )
    codes = [line for line in done.stdout.splitlines() if line.startswith("exit code")]
    assert "Traceback" not in done.stderr
    assert codes == ["exit code 0"] * len(reading) + ["exit code 2"] * len(writing), done.stderr
    assert done.stderr.count("its file or its folder is read-only. Change") == len(writing)
    assert "in the UI: no, as the store cannot be written" in done.stdout
    assert "the store cannot be written from here: nothing is repaired" in done.stdout
    assert (tmp_path / "report" / "README.md").is_file()
