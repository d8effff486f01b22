"""Git repositories with a copy of the project's code, in which tests may change and commit."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

from support.paths import ROOT

CODE = ("nnlab", "hydra_plugins", "conf", "run.py", "pyproject.toml", "requirements.lock")


class Checkout:
    """A git repository in a new folder, with a copy of the code in its first commit."""

    def __init__(self, folder):
        self.folder = folder
        folder.mkdir()
        for name in CODE:
            if (ROOT / name).is_dir():
                ignored = shutil.ignore_patterns("__pycache__")
                shutil.copytree(ROOT / name, folder / name, ignore=ignored)
            else:
                shutil.copy(ROOT / name, folder)
        (folder / ".gitignore").write_text("mlruns/\n__pycache__/\n*.log\n")
        self.git("init", "-q", "-b", "main")
        self.git("config", "user.email", "someone@example.org")
        self.git("config", "user.name", "Someone")
        self.commit("The first version")

    def git(self, *words):
        """Run git; return what it printed."""
        done = subprocess.run(
            ["git", *words], cwd=self.folder, capture_output=True, text=True, check=True,
            env={**os.environ, "GIT_OPTIONAL_LOCKS": "0"},  # `git status` writes no index
        )  # fmt: skip
        return done.stdout

    def commit(self, message):
        """Commit all changes; return the commit's hash."""
        self.git("add", "-A")
        self.git("commit", "-q", "-m", message)
        return self.git("rev-parse", "HEAD").strip()

    def edit(self, file, before, after):
        """Replace a text of a file, which must be there."""
        path = self.folder / file
        text = path.read_text()
        assert before in text
        path.write_text(text.replace(before, after))

    @property
    def state(self):
        """What commands must not change: the files, the index, HEAD and the worktrees."""
        files = {
            path.relative_to(self.folder): path.read_bytes()
            for path in sorted(self.folder.rglob("*"))
            if path.is_file() and not {"mlruns", ".git", "__pycache__"} & set(path.parts)
        }
        asked = (("status", "--porcelain"), ("rev-parse", "HEAD"), ("worktree", "list"))
        return files, (self.folder / ".git" / "index").read_bytes(), [
            self.git(*words) for words in asked
        ]  # fmt: skip

    def python(self, *words, env=None, python=sys.executable, stdin=subprocess.DEVNULL):
        """Run Python in this repository: with its code, and with its own store."""
        inherited = {name: value for name, value in os.environ.items() if name != "NNLAB_ROOT"}
        return subprocess.run(
            [str(python), *map(str, words)], cwd=self.folder, env={**inherited, **(env or {})},
            capture_output=True, text=True, timeout=300, check=False, stdin=stdin,
        )  # fmt: skip

    def run(self, *overrides, **options):
        """Run ``run.py``, which must succeed."""
        done = self.python("run.py", *overrides, **options)
        assert done.returncode == 0, done.stderr
        return done

    def nnlab(self, *words, **options):
        """Run the command ``nnlab``."""
        return self.python("-m", "nnlab", *words, **options)

    @property
    def uri(self):
        return f"sqlite:///{self.folder}/mlruns/mlflow.db"

    def artifacts(self, run_id) -> Path:
        """The folder of a run's artifacts."""
        return self.folder / "mlruns" / "artifacts" / run_id / "artifacts"
