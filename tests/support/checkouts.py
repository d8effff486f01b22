"""A repository of its own with the project's code in it, in which tests may commit and change."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

from support.paths import ROOT

CODE = ("nnlab", "hydra_plugins", "conf", "run.py", "pyproject.toml", "requirements.lock")


class Checkout:
    """A git repository with the code as it stands here, committed."""

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
        done = subprocess.run(
            ["git", *words], cwd=self.folder, capture_output=True, text=True, check=True,
            env={**os.environ, "GIT_OPTIONAL_LOCKS": "0"},  # to look changes nothing
        )  # fmt: skip
        return done.stdout

    def commit(self, message):
        self.git("add", "-A")
        self.git("commit", "-q", "-m", message)
        return self.git("rev-parse", "HEAD").strip()

    def edit(self, file, before, after):
        path = self.folder / file
        text = path.read_text()
        assert before in text
        path.write_text(text.replace(before, after))

    @property
    def state(self):
        """All that a command must leave as it was: the tree, the index, HEAD, the worktrees."""
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
        """Run something with this repository's code and its own store."""
        inherited = {name: value for name, value in os.environ.items() if name != "NNLAB_ROOT"}
        return subprocess.run(
            [str(python), *map(str, words)], cwd=self.folder, env={**inherited, **(env or {})},
            capture_output=True, text=True, timeout=300, check=False, stdin=stdin,
        )  # fmt: skip

    def run(self, *overrides, **options):
        done = self.python("run.py", *overrides, **options)
        assert done.returncode == 0, done.stderr
        return done

    def nnlab(self, *words, **options):
        return self.python("-m", "nnlab", *words, **options)

    @property
    def uri(self):
        return f"sqlite:///{self.folder}/mlruns/mlflow.db"

    def artifacts(self, run_id) -> Path:
        return self.folder / "mlruns" / "artifacts" / run_id / "artifacts"
