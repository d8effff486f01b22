"""The original code: checked out beside the working tree, and run in a process of its own."""

import os
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psutil

from nnlab.errors import RecordError
from nnlab.reproduction.differences import INDIFFERENT
from nnlab.reproduction.record import RecordedRun
from nnlab.runs.code_version import CHECKOUT, digests, git
from nnlab.runs.tags import Tag
from nnlab.tracking.store import Store
from nnlab.training.initializers import FREE_INITS

PATH_FIELDS = ("data.dir", "data.path")
PREFIX = "nnlab-original-"  # of the temporary folders, followed by whose they are


@dataclass(frozen=True)
class RecordedCode:
    """The code that a run was made with.

    Attributes
    ----------
    commit : of the checkout
    subject : first line of the commit's message
    patch : what was changed since
    """

    commit: str
    subject: str
    patch: bytes

    @property
    def summary(self) -> str:
        """What is about to be run, for a person to decide."""
        changed = self.patch.count(b"\ndiff --git ") + self.patch.startswith(b"diff --git ")
        patched = f", with a recorded patch of {changed} files on it" if changed else ""
        return f"the code of commit {self.commit[:12]} ({self.subject}){patched}"


def original_code(record: RecordedRun) -> RecordedCode:
    """Find the code that a run was made with.

    Raises
    ------
    RecordError
        Where it was not recorded whole, or this repository does not have the commit.
    """
    commit = record.run.tags.get(Tag.GIT_COMMIT)
    if commit is None:
        raise RecordError(
            f"Run {record.id} was not made from a git checkout: there is no commit to go back to. "
            "Leave out --at-commit."
        )
    left_out = record.environment.get("patch_left_out", [])
    if left_out:
        raise RecordError(
            f"The code of run {record.id} was not recorded whole: {', '.join(left_out)} had "
            "changed and was too large. Leave out --at-commit."
        )
    try:
        subject = git("show", "--no-patch", "--format=%s", f"{commit}^{{commit}}")
    except (OSError, subprocess.SubprocessError) as error:
        raise RecordError(
            f"Commit {commit[:12]} of run {record.id} is not in the repository {CHECKOUT}: fetch "
            "it, and try again."
        ) from error
    return RecordedCode(commit, subject.decode(errors="replace").strip(), record.patch)


@contextmanager
def checked_out(original: RecordedCode) -> Iterator[Path]:
    """Provide a temporary worktree of the commit with the patch on it; the working tree stays.

    Raises
    ------
    RecordError
        Where git refuses, or the patch does not fit.
    """
    _clean_up()
    with tempfile.TemporaryDirectory(prefix=f"{PREFIX}{os.getpid()}-") as folder:
        tree = Path(folder) / "tree"
        try:
            git("worktree", "add", "--detach", "--quiet", str(tree), original.commit)
            if original.patch:
                patch = Path(folder) / "code.patch"
                patch.write_bytes(original.patch)
                git("apply", "--whitespace=nowarn", str(patch), folder=tree)
            # The project may stand in a subfolder of its repository.
            yield tree / git("rev-parse", "--show-prefix").decode().strip()
        except subprocess.CalledProcessError as error:
            reason = error.stderr.decode(errors="replace").strip().splitlines()
            raise RecordError(
                f"{original.summary} cannot be checked out: {reason[0] if reason else error}"
            ) from error
        finally:
            if tree.exists():
                git("worktree", "remove", "--force", str(tree))


def check_code(tree: Path, record: RecordedRun) -> None:
    """Make sure that a checkout has the code that a run recorded, module by module.

    Raises
    ------
    RecordError
        Where it has not: the patch was changed, or is gone.
    """
    found = digests(tree / "nnlab")
    recorded = record.environment.get("modules", {})  # under their names of then, as in the tree
    wrong = sorted(
        name for name, digest in recorded.items() if found.get(name) != digest
    ) or sorted(found.keys() - recorded.keys())
    if recorded and wrong:
        raise RecordError(
            f"The code of run {record.id} cannot be had again: what its commit and code.patch make "
            f"of nnlab/{wrong[0]} is not what it recorded. Nothing was run."
        )


def _clean_up() -> None:
    """Remove the worktrees of processes that were killed."""
    for line in git("worktree", "list", "--porcelain").decode().splitlines():
        tree = Path(line.removeprefix("worktree "))
        owner = re.match(rf"{PREFIX}(\d+)-", tree.parent.name)
        if owner is not None and not psutil.pid_exists(int(owner.group(1))):
            shutil.rmtree(tree.parent, ignore_errors=True)
    git("worktree", "prune")


def run_original(
    tree: Path, record: RecordedRun, config: Mapping[str, Any], folder: Path
) -> tuple[Store, str]:
    """Train a recorded config with the code of a checkout, into a store of its own.

    The command line is what all versions understand, so that is how the code is asked.

    Parameters
    ----------
    tree : the checkout
    config : nested, as ``RunConfig.model_dump`` returns it
    folder : for the store

    Returns
    -------
    The store, and the id of the new run in it.

    Raises
    ------
    RecordError
        Where the original code fails.
    """
    # Its command line decides where it logs, and the lab's address must not tempt it elsewhere.
    environment = {
        name: value for name, value in os.environ.items() if name != "MLFLOW_TRACKING_URI"
    }
    environment["NNLAB_ROOT"] = str(folder)
    done = subprocess.run(  # noqa: S603 - what the user has agreed to
        [sys.executable, "run.py", *_overrides(record.stated, config), "pictures=0"],
        cwd=tree, env=environment, capture_output=True, text=True, check=False,
    )  # fmt: skip
    store = Store(f"sqlite:///{folder}/mlruns/mlflow.db")
    if done.returncode:
        last = (done.stderr.strip() or done.stdout.strip()).splitlines()[-1:]
        raise RecordError(
            f"The original code ended with exit code {done.returncode}: {''.join(last)}"
        )
    return store, store.find_run("last", "run").run_id


def _overrides(stated: Mapping[str, Any], config: Mapping[str, Any]) -> list[str]:
    """Write a config down as overrides, with the fields that it had when it was recorded."""
    found = [f"init={stated['init']['name']}", f"data={stated['data']['source']}"]
    for field, value in config.items():
        if field in stated and not isinstance(value, dict) and field not in INDIFFERENT:
            found.append(f"{field}={_written(value)}")
    if stated["init"]["name"] in FREE_INITS:
        found += [f"init.{name}={_written(config['init'][name])}" for name in ("scale", "shift")]
    if "bias" in stated["init"]:
        found.append(f"init.bias={stated['init']['bias']}")
    for name, value in config["data"].items():
        field = f"data.{name}"
        if field in PATH_FIELDS and value is not None:
            found.append(f"{field}={_written(str(Path(value).expanduser().absolute()))}")
        elif field not in (*PATH_FIELDS, "data.source") and name in stated["data"]:
            found.append(f"{field}={_written(value)}")
    return found


def _written(value: Any) -> str:  # noqa: ANN401 - any value of a config
    """Write a value as Hydra's grammar reads it."""
    if value is None:
        return "null"
    if isinstance(value, str):
        escaped = value.replace("\\", "\\\\").replace("'", "\\'")
        return f"'{escaped}'"
    return repr(value)
