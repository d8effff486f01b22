"""The code that is running: its commit, the changes since, and a digest of each module."""

import hashlib
import os
import shutil
import subprocess
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path

from nnlab.system.temporary import temporary_folder

PACKAGE = Path(__file__).resolve().parents[1]
CHECKOUT = PACKAGE.parent  # has run.py and conf/ beside nnlab/
# A wheel carries conf/ inside the package.
CONF = PACKAGE / "conf" if (PACKAGE / "conf").is_dir() else CHECKOUT / "conf"

# The project's own code and config. Only these are recorded: other files of a working tree may
# be private notes, data or secrets.
PROJECT_FILES = (
    "nnlab", "hydra_plugins", "conf", "run.py", "pyproject.toml", "requirements.lock",
)  # fmt: skip
SOURCE_SUFFIXES = (".py", ".yaml", ".yml", ".toml")  # of untracked files, only these are recorded
PATCH_LIMIT = 1 << 20  # bytes; changed files beyond it are left out of the patch

GIT_TIMEOUT = 20  # seconds


@dataclass(frozen=True)
class CodeVersion:
    """The version of the code.

    Attributes
    ----------
    commit : str or None
        Commit of the checkout; None without git or outside a checkout.
    dirty : bool or None
        Whether the project's own code or config differ from that commit; None likewise.
    patch : bytes
        The changes since the commit, for ``git apply``.
    left_out : tuple[str, ...]
        Changed files that the patch does not hold, because they are too large.
    modules : dict[str, str]
        SHA-256, in hex, of each module, by its path below ``nnlab/``.
    """

    commit: str | None = None
    dirty: bool | None = None
    patch: bytes = field(default=b"", repr=False)
    left_out: tuple[str, ...] = ()
    modules: dict[str, str] = field(default_factory=dict, repr=False)


@cache
def code_version() -> CodeVersion:
    """Describe the code as it is on the disk at the first call."""
    modules = digests(PACKAGE)
    try:
        # Fails where the package is a virtual environment's, inside somebody else's repository.
        git("ls-files", "--error-unmatch", str(PACKAGE / "__init__.py"))
        commit = git("rev-parse", "HEAD").decode().strip()
        patch, left_out = _patch()
    except (OSError, subprocess.SubprocessError):
        return CodeVersion(modules=modules)
    return CodeVersion(commit, bool(patch or left_out), patch, left_out, modules)


def digests(package: Path) -> dict[str, str]:
    """Return the SHA-256, in hex, of each module of a package, by its path below the package."""
    return {
        path.relative_to(package).as_posix(): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in sorted(package.rglob("*.py"))
    }


def git(*arguments: str, folder: Path = CHECKOUT, index: Path | None = None) -> bytes:
    """Run git and return what it prints.

    Parameters
    ----------
    *arguments : str
        The git command.
    folder : Path
        The working tree.
    index : Path or None
        An index to use instead of the user's, which then stays as it is.

    Raises
    ------
    OSError, subprocess.SubprocessError
        Where git is not installed, or refuses.
    """
    environment = {**os.environ, "GIT_OPTIONAL_LOCKS": "0"}
    if index is not None:
        environment["GIT_INDEX_FILE"] = str(index)
    command = ["git", "-C", str(folder), *arguments]
    done = subprocess.run(  # noqa: S603 - the arguments are this project's
        command, capture_output=True, check=True, timeout=GIT_TIMEOUT, env=environment
    )
    return done.stdout


def _patch() -> tuple[bytes, tuple[str, ...]]:
    """Return the changes to the project's files since the commit, and the files left out.

    Untracked files are added to a copy of the index, so that one ``git diff`` shows all changes.
    """
    known = [name for name in PROJECT_FILES if (CHECKOUT / name).exists() or _tracked(name)]
    untracked = git("ls-files", "--others", "--exclude-standard", "-z", "--", *known).decode()
    new = [
        name
        for name in untracked.split("\0")
        if name.endswith(SOURCE_SUFFIXES) and not (CHECKOUT / name).is_symlink()
    ]
    with temporary_folder() as folder:
        index = folder / "index"
        users_index = git("rev-parse", "--git-path", "index").decode().strip()
        shutil.copyfile(CHECKOUT / users_index, index)
        if new:
            git("add", "--intent-to-add", "--", *new, index=index)

        def diff(*names: str) -> bytes:
            options = ("--binary", "--no-color", "--no-ext-diff", "--no-textconv", "--no-renames")
            return git("diff", *options, "HEAD", "--", *names, index=index)

        whole = diff(*known)
        if len(whole) <= PATCH_LIMIT:
            return whole, ()
        changed = git("diff", "--name-only", "--relative", "-z", "HEAD", "--", *known, index=index)
        patch, left_out = b"", []
        for name in filter(None, changed.decode().split("\0")):
            part = diff(name)
            if len(patch) + len(part) <= PATCH_LIMIT:
                patch += part
            else:
                left_out.append(name)
        return patch, tuple(left_out)


def _tracked(name: str) -> bool:
    return bool(git("ls-files", "--", name))
