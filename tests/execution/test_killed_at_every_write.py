"""A command that is killed before any of its writes loses nothing, and leaves nothing behind."""

import os

import pytest
from support.killing import killed_before_each_write

SWEEP = (
    "run.py", "-m", "lr=0.1,0.5", "epochs=2", "data.val_size=4000", "pictures=0",
    "hydra.launcher.backend=sequential",
)  # fmt: skip
# One write in eight keeps this within minutes; NNLAB_KILL_STEP=1 tries each of them.
STEP = int(os.environ.get("NNLAB_KILL_STEP", "8"))
ENDS = "commit: UPDATE runs SET status"
PARTS = ("status", "params", "datasets", "tags", "metrics", "files")

pytestmark = pytest.mark.long


def compared(kill, undisturbed):
    """Return which part of which run differs from the undisturbed command's; and what is left."""
    expected = {run["name"]: run for run in undisturbed["runs"]}
    present = {run["name"]: run for run in kill["runs"]}
    assert len(present) == len(kill["runs"]), kill
    differing = [
        (name, part, run[part], present.get(name, {}).get(part))
        for name, run in expected.items()
        for part in PARTS
        if run[part] != present.get(name, {}).get(part)
    ]
    return differing + [("left", path) for path in kill["left"]]


def has_begun(kill):
    """Whether any run was created, before which a killed sweep has nothing to lose."""
    return any("job" in run["tags"] for run in kill["runs"])


def test_a_sweep(tmp_path):
    undisturbed, kills = killed_before_each_write(
        tmp_path, before=[], command=SWEEP, after=[["nnlab", "resume"], ["nnlab", "doctor"]],
        step=STEP,
    )  # fmt: skip
    assert sum(map(has_begun, kills)) > 30 // STEP
    for kill in kills:
        assert kill["codes"] == [0, 0], kill
        if has_begun(kill):
            assert (kill["write"], compared(kill, undisturbed)) == (kill["write"], [])
        else:
            assert all(run["status"] == "KILLED" for run in kill["runs"]), kill
            assert (kill["write"], kill["left"]) == (kill["write"], [])


def test_a_resume(tmp_path):
    undisturbed, kills = killed_before_each_write(
        tmp_path, before=[SWEEP], killed_at=ENDS, command=["nnlab", "resume"],
        after=[["nnlab", "resume"], ["nnlab", "doctor"]], step=STEP,
    )  # fmt: skip
    assert len(kills) > 20 // STEP
    for kill in kills:
        assert (kill["write"], compared(kill, undisturbed)) == (kill["write"], [])


def test_an_import(tmp_path):
    other = f"sqlite:///{tmp_path}/lab/other/mlflow.db"
    archive = str(tmp_path / "lab" / "sweep.zip")
    undisturbed, kills = killed_before_each_write(
        tmp_path,
        before=[
            [*SWEEP, f"tracking.uri={other}"],
            ["nnlab", "export", "last", archive, "--uri", other],
        ],
        command=["nnlab", "import", archive],
        after=[["nnlab", "doctor"], ["nnlab", "import", archive]],
        step=STEP,
    )  # fmt: skip
    assert len(kills) > 20 // STEP
    for kill in kills:
        assert (kill["write"], compared(kill, undisturbed)) == (kill["write"], [])


def test_a_reproduction(tmp_path):
    undisturbed, kills = killed_before_each_write(
        tmp_path, before=[SWEEP], command=["nnlab", "reproduce", "<lr=0.1>"],
        after=[["nnlab", "resume"], ["nnlab", "doctor"]], step=STEP,
    )  # fmt: skip
    assert len(kills) > 20 // STEP
    *recorded, repeated = undisturbed["runs"]
    assert repeated["tags"]["certificate"] == "bit-identical"
    finished = 0
    for kill in kills:
        assert kill["codes"] == [0, 0], kill
        assert kill["runs"][: len(recorded)] == recorded, kill
        for run in kill["runs"][len(recorded) :]:
            if run["status"] == "FINISHED":
                assert run == repeated, kill
                finished += 1
            else:  # killed before its plan was written
                assert run["status"] == "KILLED", kill
                assert "is empty: it was killed before its plan" in kill["printed"][-1]
        assert (kill["write"], kill["left"]) == (kill["write"], [])
    assert finished > len(kills) // 3


def test_a_report(tmp_path):
    report = ["nnlab", "report", "last", "--out", str(tmp_path / "lab" / "report")]
    undisturbed, kills = killed_before_each_write(
        tmp_path, before=[SWEEP], command=report, after=[report, ["nnlab", "doctor"]],
        step=2 * STEP,
    )  # fmt: skip
    assert len(kills) > 10 // STEP
    for kill in kills:
        assert kill["codes"] == [0, 0], kill
        assert (kill["write"], compared(kill, undisturbed)) == (kill["write"], [])


@pytest.mark.parametrize("action", ["trash", "restore", "forever"])
def test_a_removal(tmp_path, action):
    rm = ["nnlab", "rm", "<lr=0.1,0.5>"]
    command = {"trash": rm, "restore": [*rm, "--restore"], "forever": [*rm, *["--forever"] * 2]}
    removed = [["nnlab", "rm", "last"]] if action == "restore" else []
    undisturbed, kills = killed_before_each_write(
        tmp_path, before=[SWEEP, *removed], command=command[action],
        after=[["nnlab", "doctor"]], step=max(1, STEP // 2),
    )  # fmt: skip
    is_back = action == "restore"
    assert len(undisturbed["runs"]) == 3 * is_back
    assert len(kills) > 8 // STEP
    for kill in kills:
        assert kill["codes"] == [0], kill
        if kill["write"].startswith(("os.mkdir: ", "open: ")):  # nothing was done yet
            assert (kill["write"], len(kill["runs"]), kill["left"]) == (
                kill["write"], 3 * (not is_back), []
            )  # fmt: skip
        else:
            assert len(kill["runs"]) == 3 * is_back, kill
            assert (kill["write"], compared(kill, undisturbed)) == (kill["write"], [])
