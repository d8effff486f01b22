"""The code that is running: its commit, what was changed since, and a digest of each module."""

import hashlib
import os
import shutil
import subprocess
import tempfile
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path

PACKAGE = Path(__file__).resolve().parents[1]
CHECKOUT = PACKAGE.parent  # where run.py and conf/ stand beside nnlab/

# The project's own code and config. Nothing else is ever looked at: notes, data and secrets that
# lie about in a working tree are nobody's business.
OWN = ("nnlab", "hydra_plugins", "conf", "run.py", "pyproject.toml", "requirements.lock")
UNTRACKED = (".py", ".yaml", ".yml", ".toml")  # of files that git does not know, only sources
PATCH_LIMIT = 1 << 20  # bytes of a patch beyond which files are left out

GIT_SECONDS = 20


@dataclass(frozen=True)
class CodeVersion:
    """Which code it is.

    Attributes
    ----------
    commit : of the checkout; None without git or outside a checkout
    dirty : whether the project's own code or config differ from that commit; None likewise
    patch : what ``git apply`` makes of the commit to get the code that ran
    left_out : changed files that the patch does not hold, because they are too large
    modules : file of the package -> SHA-256, in hex
    """

    commit: str | None = None
    dirty: bool | None = None
    patch: bytes = field(default=b"", repr=False)
    left_out: tuple[str, ...] = ()
    modules: dict[str, str] = field(default_factory=dict, repr=False)


@cache
def code_version() -> CodeVersion:
    """Describe the code that is running, as it stands on the disk at the first call."""
    modules = digests(PACKAGE)
    try:
        # In a virtual environment inside somebody's repository, the package is not part of it.
        git("ls-files", "--error-unmatch", str(PACKAGE / "__init__.py"))
        commit = git("rev-parse", "HEAD").decode().strip()
        patch, left_out = _patch()
    except (OSError, subprocess.SubprocessError):
        return CodeVersion(modules=modules)
    return CodeVersion(commit, bool(patch or left_out), patch, left_out, modules)


def digests(package: Path) -> dict[str, str]:
    """Return the SHA-256, in hex, of each module of a package."""
    return {
        path.relative_to(package).as_posix(): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in sorted(package.rglob("*.py"))
    }


def git(*arguments: str, folder: Path = CHECKOUT, index: Path | None = None) -> bytes:
    """Ask git; with an index of our own, so that the user's stays as it is.

    Raises
    ------
    OSError, subprocess.SubprocessError
        Where there is no git, or it refuses.
    """
    environment = {**os.environ, "GIT_OPTIONAL_LOCKS": "0"}
    if index is not None:
        environment["GIT_INDEX_FILE"] = str(index)
    command = ["git", "-C", str(folder), *arguments]
    done = subprocess.run(  # noqa: S603 - our own words
        command, capture_output=True, check=True, timeout=GIT_SECONDS, env=environment
    )
    return done.stdout


def _patch() -> tuple[bytes, tuple[str, ...]]:
    """Return the difference between the commit and the project's own files, and what is too large.

    New files enter through a copy of the index in which they are announced, so that one ``git
    diff`` shows all.
    """
    own = [name for name in OWN if (CHECKOUT / name).exists() or git("ls-files", "--", name)]
    listed = git("ls-files", "--others", "--exclude-standard", "-z", "--", *own).decode()
    new = [
        name
        for name in listed.split("\0")
        if name.endswith(UNTRACKED) and not (CHECKOUT / name).is_symlink()
    ]
    with tempfile.TemporaryDirectory(prefix="nnlab-") as folder:
        index = Path(folder) / "index"
        where = git("rev-parse", "--git-path", "index").decode().strip()
        shutil.copyfile(CHECKOUT / where, index)
        if new:
            git("add", "--intent-to-add", "--", *new, index=index)

        def difference(*names: str) -> bytes:
            plain = ("--binary", "--no-color", "--no-ext-diff", "--no-textconv", "--no-renames")
            return git("diff", *plain, "HEAD", "--", *names, index=index)

        whole = difference(*own)
        if len(whole) <= PATCH_LIMIT:
            return whole, ()
        changed = git("diff", "--name-only", "--relative", "-z", "HEAD", "--", *own, index=index)
        patch, left_out = b"", []
        for name in filter(None, changed.decode().split("\0")):
            piece = difference(name)
            if len(patch) + len(piece) <= PATCH_LIMIT:
                patch += piece
            else:
                left_out.append(name)
        return patch, tuple(left_out)
