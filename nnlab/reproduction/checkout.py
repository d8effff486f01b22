"""The recorded code of a run: checked out beside the working tree, and run in its own process."""

import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psutil

from nnlab.errors import RecordError
from nnlab.jobs.code_version import CHECKOUT, digests, git
from nnlab.jobs.commands import commit_of
from nnlab.jobs.config import DataConfig
from nnlab.jobs.local_fields import NEEDED, PATH_FIELDS
from nnlab.jobs.tags import Tag
from nnlab.jobs.words import quoted
from nnlab.reproduction.differences import WITHOUT_EFFECT
from nnlab.reproduction.recorded_run import RecordedRun
from nnlab.system.supervisor import supervised
from nnlab.system.temporary import temporary_folder
from nnlab.tracking.store import Store
from nnlab.training.initializers import FREE_INITS
from nnlab.wording import counted

PREFIX = "nnlab-original-"  # of the temporary folders; the id of the process that made them follows


@dataclass(frozen=True)
class RecordedCode:
    """The code that made a run.

    Attributes
    ----------
    commit : str
        Commit of the checkout.
    subject : str
        First line of the commit's message.
    patch : bytes
        Changes that were not committed.
    """

    commit: str
    subject: str
    patch: bytes

    @property
    def summary(self) -> str:
        """A description for the user, who decides whether to run it."""
        changed = self.patch.count(b"\ndiff --git ") + self.patch.startswith(b"diff --git ")
        patched = f", with a recorded patch of {counted(changed, 'file')} on it" if changed else ""
        return f"the code of commit {self.commit[:12]} ({self.subject}){patched}"


def recorded_code(recorded: RecordedRun) -> RecordedCode:
    """Find the code that made a run.

    Raises
    ------
    RecordError
        Where the record of the code is not complete, or this repository lacks the commit.
    """
    commit = recorded.run.tags.get(Tag.GIT_COMMIT)
    if commit is None:
        raise RecordError(
            f"Run {recorded.short_id} was not made from a git checkout: there is no commit to go "
            "back to. Leave out --at-commit."
        )
    if commit_of(commit) is None:
        raise RecordError(
            f"Run {recorded.short_id} names {commit!r} as its commit, which is none: it should be "
            "40 or 64 hex digits. Its record was changed; leave out --at-commit."
        )
    left_out = recorded.environment.get("patch_left_out", [])
    if left_out:
        raise RecordError(
            f"The code of run {recorded.short_id} was not recorded whole: {', '.join(left_out)} "
            "had changed and was too large. Leave out --at-commit."
        )
    try:
        subject = git(
            "show", "--no-patch", "--format=%s", "--end-of-options", f"{commit}^{{commit}}"
        )
    except (OSError, subprocess.SubprocessError) as error:
        raise RecordError(
            f"Commit {commit[:12]} of run {recorded.short_id} is not in the repository {CHECKOUT}: "
            "fetch it, and try again."
        ) from error
    return RecordedCode(commit, subject.decode(errors="replace").strip(), recorded.patch)


@contextmanager
def checked_out(code: RecordedCode) -> Iterator[Path]:
    """Provide a temporary worktree with recorded code; the user's working tree does not change.

    Yields
    ------
    Path
        The project's folder in the worktree.

    Raises
    ------
    RecordError
        Where git refuses, or the patch does not fit the commit.
    """
    _remove_abandoned_worktrees()
    with temporary_folder(PREFIX) as folder:
        tree = folder / "tree"
        try:
            git(
                "worktree", "add", "--detach", "--quiet", "--end-of-options", str(tree), code.commit
            )
            if code.patch:
                patch = folder / "code.patch"
                patch.write_bytes(code.patch)
                git("apply", "--whitespace=nowarn", "--end-of-options", str(patch), folder=tree)
            # The project may be in a subfolder of its repository.
            yield tree / git("rev-parse", "--show-prefix").decode().strip()
        except (subprocess.CalledProcessError, subprocess.TimeoutExpired) as error:
            reason = (error.stderr or b"").decode(errors="replace").strip().splitlines()
            raise RecordError(
                f"{code.summary} cannot be checked out: {reason[0] if reason else error}"
            ) from error
        finally:
            if tree.exists():
                git("worktree", "remove", "--force", str(tree))


def check_modules(tree: Path, recorded: RecordedRun) -> None:
    """Compare the modules of a checkout with the digests that a run recorded.

    Raises
    ------
    RecordError
        Where a module differs, because the recorded patch was changed or is missing.
    """
    found = digests(tree / "nnlab")
    expected = recorded.environment.get("modules", {})  # by their original paths, as in the tree
    wrong = sorted(
        name for name, digest in expected.items() if found.get(name) != digest
    ) or sorted(found.keys() - expected.keys())
    if expected and wrong:
        raise RecordError(
            f"The code of run {recorded.short_id} cannot be restored: what its commit and "
            f"code.patch make of nnlab/{wrong[0]} is not what it recorded. Nothing was run."
        )


def _remove_abandoned_worktrees() -> None:
    """Remove the worktrees of processes that were killed."""
    for line in git("worktree", "list", "--porcelain").decode().splitlines():
        tree = Path(line.removeprefix("worktree "))
        process = re.match(rf"{PREFIX}(\d+)-", tree.parent.name)
        if process is not None and not psutil.pid_exists(int(process.group(1))):
            shutil.rmtree(tree.parent, ignore_errors=True)
    git("worktree", "prune")


def train_in_checkout(
    tree: Path, recorded: RecordedRun, config: Mapping[str, Any], folder: Path
) -> tuple[Store, str]:
    """Train a config with the code of a checkout, into a store of its own.

    The code is started by its command line, which all versions of nnlab understand.

    Parameters
    ----------
    tree : Path
        The checkout.
    recorded : RecordedRun
        The run that is reproduced; only fields that its ``config.yaml`` has are given.
    config : Mapping[str, Any]
        Nested, as ``RunConfig.model_dump`` returns it.
    folder : Path
        Folder for the store.

    Returns
    -------
    tuple[Store, str]
        The store, and the id of the new run in it.

    Raises
    ------
    RecordError
        Where the recorded code fails.
    """
    # The variable would lead the recorded code to the user's own store.
    environment = {
        name: value for name, value in os.environ.items() if name != "MLFLOW_TRACKING_URI"
    }
    environment["NNLAB_ROOT"] = str(folder)
    command = [sys.executable, "run.py", *_overrides(recorded.config_yaml, config), "pictures=0"]
    with supervised(
        command, cwd=tree, env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE
    ) as process:
        out, errors = (text.decode(errors="replace").strip() for text in process.communicate())
    if process.returncode:
        last = (errors or out).splitlines()[-1:]
        raise RecordError(
            f"The original code ended with exit code {process.returncode}: {''.join(last)}"
        )
    store = Store(f"sqlite:///{folder}/mlruns/mlflow.db")
    return store, store.find_run("last", "run").run_id


def _overrides(config_yaml: Mapping[str, Any], config: Mapping[str, Any]) -> list[str]:
    """Write a config as overrides, with those fields that its ``config.yaml`` has."""
    init = config_yaml["init"]
    overrides = [f"init={init['name']}", f"data={config_yaml['data']['source']}"]
    for field, value in config.items():
        if field in config_yaml and not isinstance(value, dict) and field not in WITHOUT_EFFECT:
            overrides.append(f"{field}={_quoted(value)}")
    if init["name"] in FREE_INITS:
        overrides += [f"init.{name}={_quoted(config['init'][name])}" for name in ("scale", "shift")]
    if "bias" in init:
        overrides.append(f"init.bias={init['bias']}")
    for name, value in config["data"].items():
        field = f"data.{name}"
        if field in PATH_FIELDS and value is not None:
            path = DataConfig.model_validate(config["data"]).located(value)
            overrides.append(f"{field}={_quoted(str(path.absolute()))}")
        elif (
            field not in (*PATH_FIELDS, "data.source", "data.cwd")
            and name in config_yaml["data"]
            # The other sources have no fields that say how files are read.
            and (field not in WITHOUT_EFFECT or config["data"]["source"] in NEEDED)
        ):
            overrides.append(f"{field}={_quoted(value)}")
    return overrides


def _quoted(value: Any) -> str:  # noqa: ANN401 - any value of a config
    """Write a value as Hydra's grammar reads it."""
    if value is None:
        return "null"
    if isinstance(value, str):
        return quoted(value)
    if isinstance(value, list | tuple):
        return f"[{','.join(map(_quoted, value))}]"
    return repr(value)
