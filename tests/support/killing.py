"""Kills a command before each of its writes, repairs the store, and tells what it then holds.

As a program it prints a JSON object a line: first for the command undisturbed, and then for each
kill. Every command runs in a fork of this process, which has imported all that they need: to start
Python for each would take minutes.

A write is a commit of the database that changes something, or a file or folder below the root
that is opened for writing, moved, made or removed. A file that is opened is left empty.
"""

import atexit
import csv
import io
import itertools
import json
import os
import re
import shutil
import signal
import sqlite3
import subprocess
import sys
import traceback
import zipfile
from contextlib import closing
from pathlib import Path

from support import forks
from support.paths import ROOT

CHANGES = ("INSERT", "UPDATE", "DELETE")
PATH_EVENTS = {"os.rename": 1, "os.remove": 0, "os.mkdir": 0, "os.rmdir": 0, "os.link": 1}
VOLATILE = (
    "owner", "git_commit", "git_dirty", "mlflow.source.git.commit", "mlflow.user",
    "mlflow.source.name", "mlflow.source.type", "mlflow.runName",
)  # fmt: skip


class Writes:
    """Counts the writes of this process, and kills it before one of them.

    Parameters
    ----------
    root : Path
        Only files below it count.
    last : int or str or None
        Number of the write before which to kill, or how its description begins; None never kills.
    log : Path
        Gets what was to be written.
    """

    def __init__(self, root, last, log):
        self.root, self.last, self.log = f"{root}/", last, log
        self.count = 0

    def start(self):
        from sqlalchemy import event
        from sqlalchemy.engine import Engine

        def note_change(connection, _cursor, statement, *_):
            if statement.lstrip().upper().startswith(CHANGES):
                connection.info["changed"] = statement.split("(")[0].strip()

        def commit(connection):
            changed = connection.info.pop("changed", None)
            if changed is not None:
                self.before(f"commit: {changed}")

        event.listen(Engine, "before_cursor_execute", note_change)
        event.listen(Engine, "commit", commit)
        sys.addaudithook(self.audit)

    def audit(self, name, arguments):
        if name == "open":
            path, _, flags = arguments
            if flags & (os.O_WRONLY | os.O_RDWR) and not isinstance(path, int):
                self.before_file(name, path, flags)
        elif name in PATH_EVENTS:
            self.before_file(name, arguments[PATH_EVENTS[name]], 0, arguments[-1])

    def before_file(self, name, path, flags, folder=-1):
        path = os.fsdecode(path)
        if isinstance(folder, int) and folder >= 0:
            path = f"{Path(f'/proc/self/fd/{folder}').readlink()}/{path}"
        if path.startswith(self.root):
            self.before(f"{name}: {path.removeprefix(self.root)}", path, flags)

    def before(self, text, path=None, flags=0):
        self.count += 1
        if self.last == self.count or (isinstance(self.last, str) and text.startswith(self.last)):
            if flags & os.O_CREAT:
                os.close(os.open(path, flags & ~os.O_EXCL))
            self.log.write_text(text, encoding="utf-8")
            os.kill(os.getpid(), signal.SIGKILL)


def run(words, output, writes=None):
    """Run a command in a fork, with what it prints in a file; return its exit code."""
    child = os.fork()
    if not child:
        code = 70
        try:
            file = os.open(output, os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
            os.dup2(file, 1)
            os.dup2(file, 2)
            if writes is not None:
                writes.start()
            code = command(words)
            atexit._run_exitfuncs()
        except BaseException:  # noqa: BLE001 - the fork must not go on as its parent
            traceback.print_exc()
        finally:
            sys.stdout.flush()
            sys.stderr.flush()
            os._exit(code)
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])


def command(words):
    """Run a command line in this process, and return its exit code."""
    program, *rest = words
    try:
        forks.execute([str(ROOT / "run.py"), *rest] if program == "run.py" else ["-m", *words])
    except SystemExit as error:
        return error.code or 0
    return 0


def held(root):
    """Return what a store holds, with the runs' names in place of their ids."""
    database = root / "mlruns" / "mlflow.db"
    if not database.exists():
        return {"runs": [], "left": left(root)}
    with closing(sqlite3.connect(database)) as connection:
        ask = lambda query, *values: connection.execute(query, values).fetchall()  # noqa: E731
        runs = [
            {
                "id": run_id,
                "name": name,
                "status": status,
                "params": dict(ask("SELECT key, value FROM params WHERE run_uuid = ?", run_id)),
                "tags": {
                    key: value
                    for key, value in ask("SELECT key, value FROM tags WHERE run_uuid = ?", run_id)
                    if key not in VOLATILE
                },
                "metrics": sorted(
                    ask("SELECT key, step, value FROM metrics WHERE run_uuid = ?", run_id)
                ),
                "datasets": sorted(
                    ask(
                        "SELECT d.name, d.digest FROM inputs i JOIN datasets d "
                        "ON d.dataset_uuid = i.source_id WHERE i.destination_id = ?",
                        run_id,
                    )
                ),
                "files": files(root / "mlruns" / "artifacts" / run_id / "artifacts"),
            }
            for run_id, name, status in ask(
                "SELECT run_uuid, name, status FROM runs WHERE lifecycle_stage = 'active' "
                "ORDER BY start_time"
            )
        ]
        sound = ask("PRAGMA integrity_check") == [("ok",)]
    text = json.dumps({"runs": runs, "left": left(root), "sound": sound})
    for each in runs:
        text = re.sub(rf"{each['id']}|\b{each['id'][:8]}\b", f"<{each['name']}>", text)
    return json.loads(text)


def files(folder):
    """Return a run's files: what is in those that hold results, whether the others are empty."""
    found = {}
    for path in sorted(folder.rglob("*")):
        name = path.relative_to(folder).as_posix()
        if path.suffix == ".npz":
            try:
                with zipfile.ZipFile(path) as arrays:
                    found[name] = {each.filename: each.CRC for each in arrays.infolist()}
            except zipfile.BadZipFile:
                found[name] = "broken"
        elif path.suffix == ".csv":
            rows = csv.reader(io.StringIO(path.read_text(encoding="utf-8")))
            found[name] = list(rows)
        elif path.is_file() and name != "code.patch":
            found[name] = path.stat().st_size > 0
    return found


def left(root):
    """Return the temporary files and the ledgers that are left below a root."""
    mlruns = root / "mlruns"
    known = ("mlflow.db", "mlflow.db-wal", "mlflow.db-shm", "mlflow.db.lock", "artifacts", "sweeps")
    found = [path for path in mlruns.glob("*") if path.name not in known]
    found += [*(mlruns / "sweeps").glob("*"), *(root / "tmp").glob("nnlab-*")]
    return sorted(path.relative_to(root).as_posix() for path in found)


def main(spec):
    root = Path(spec["root"])
    lab, output, log = root / "lab", root / "output", root / "log"
    (lab / "tmp").mkdir(parents=True)
    for words in spec["before"]:
        code = run(words, output, Writes(lab, spec.get("killed_at"), log))
        assert code in (0, -signal.SIGKILL), output.read_text(encoding="utf-8")
    names = {each["id"]: each["name"] for each in raw_runs(lab)}
    template = root / "template"
    shutil.copytree(lab, template)
    for number in itertools.chain([None], itertools.count(1, spec.get("step", 1))):
        shutil.rmtree(lab)
        shutil.copytree(template, lab)
        words = with_ids(spec["command"], names)
        code = run(words, output, Writes(lab, number, log))
        printed = [output.read_text(encoding="utf-8")]
        if number is None or code == -signal.SIGKILL:
            codes = []
            for after in spec["after"] if number is not None else ():
                codes.append(run(with_ids(after, names), output))
                printed.append(output.read_text(encoding="utf-8"))
            write = log.read_text(encoding="utf-8") if number is not None else ""
            line = {"number": number, "write": write, "code": code, "codes": codes,
                    "printed": printed, **held(lab)}  # fmt: skip
            sys.stdout.write(json.dumps(line) + "\n")
            sys.stdout.flush()
        else:
            assert code == 0, printed
            return


def raw_runs(lab):
    """Return the runs that are there before the attack."""
    database = lab / "mlruns" / "mlflow.db"
    if not database.exists():
        return []
    with closing(sqlite3.connect(database)) as connection:
        rows = connection.execute("SELECT run_uuid, name FROM runs").fetchall()
    return [{"id": run_id, "name": name} for run_id, name in rows]


def with_ids(words, names):
    """Put ids in place of ``<name>``."""
    ids = {f"<{name}>": run_id for run_id, name in names.items()}
    return [ids.get(word, word) for word in words]


def killed_before_each_write(root, **spec):
    """Run ``main`` in a process; return what it tells of no kill, and of each of the kills."""
    root.mkdir(exist_ok=True)
    lab = root / "lab"
    env = {
        **os.environ, "NNLAB_ROOT": str(lab), "TMPDIR": str(lab / "tmp"),
        "OPENBLAS_NUM_THREADS": "1", "PYTHONPATH": f"{ROOT}:{ROOT / 'tests'}",
    }  # fmt: skip
    done = subprocess.run(
        [sys.executable, "-W", "ignore", "-m", "support.killing"],
        input=json.dumps({"root": str(root), **spec}), cwd=ROOT, env=env, text=True,
        capture_output=True, timeout=600, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    first, *kills = map(json.loads, done.stdout.splitlines())
    return first, kills


if __name__ == "__main__":
    forks.prepare()
    main(json.load(sys.stdin))
