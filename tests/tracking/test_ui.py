"""The tracking UI: a real server, with a real run in its store."""

import json
import re
import signal
import urllib.request

import psutil
import pytest
from click.testing import CliRunner
from support.commands import nnlab, run_py, running

from nnlab.cli.main import main
from nnlab.errors import TrackingError
from nnlab.tracking.ui import _reserved_port


@pytest.mark.long
def test_the_ui_shows_the_run_and_leaves_no_process_behind(store):
    done = run_py("epochs=1", "pictures=0", f"tracking.uri={store}")
    assert done.returncode == 0, done.stderr
    beginning = re.search(r"nnlab ui (\w{8})", done.stdout)[1]
    with running("-m", "nnlab", "ui", beginning, "--uri", store) as process:
        line = process.stdout.readline()
        base, run_id = re.search(
            r"(http://127\.0\.0\.1:\d+)/#/experiments/\d+/runs/(\w+)", line
        ).groups()
        with urllib.request.urlopen(  # noqa: S310 - the server above
            f"{base}/api/2.0/mlflow/runs/get?run_id={run_id}"
        ) as answer:
            run = json.load(answer)["run"]
        assert run["info"]["run_name"] == "epochs=1"
        served = psutil.Process(process.pid).children(recursive=True)
        assert served
        process.send_signal(signal.SIGTERM)
        out, errors = process.communicate(timeout=60)
    assert process.returncode == 0
    assert "Stopped." in out
    assert "Traceback" not in errors
    _, alive = psutil.wait_procs(served, timeout=60)
    assert not alive


def test_two_that_start_at_once_get_two_ports_and_a_store_has_its_own():
    first, port = _reserved_port("sqlite:///a.db", None)
    second, other = _reserved_port("sqlite:///a.db", None)
    assert port != other
    with pytest.raises(TrackingError, match=f"Port {port} is taken by another program: leave"):
        _reserved_port("sqlite:///b.db", port)
    first.close()
    again, same = _reserved_port("sqlite:///a.db", None)
    assert same == port
    again.close()
    second.close()


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["no/id"], "'no/id' is no run: "),
        (["ffffffff"], "no run begins with ffffffff"),
        (["--uri", "http://127.0.0.1:9"], "is a tracking server already: open it in a browser"),
    ],
)
def test_a_run_that_cannot_be_shown_is_said_in_a_sentence(arguments, sentence, store):
    where = [] if "--uri" in arguments else ["--uri", store]
    done = CliRunner().invoke(main, ["ui", *arguments, *where])
    assert done.exit_code == 2
    assert sentence in done.stderr
    assert "Traceback" not in done.stderr


def test_a_file_that_is_no_database_is_not_touched(tmp_path):
    database = tmp_path / "mlflow.db"
    database.write_text("my thesis")
    done = CliRunner().invoke(main, ["ui", "--uri", f"sqlite:///{database}"])
    assert done.exit_code == 2
    assert "is not an SQLite database: move it away" in done.stderr
    assert database.read_text() == "my thesis"


@pytest.mark.long
def test_a_damaged_database_is_named_and_not_changed(tmp_path):
    whole, torn = tmp_path / "whole.db", tmp_path / "torn.db"
    done = run_py("epochs=0", "pictures=0", f"tracking.uri=sqlite:///{whole}")
    assert done.returncode == 0, done.stderr
    torn.write_bytes(whole.read_bytes()[:40_000])
    for done in (
        nnlab("ui", "--uri", f"sqlite:///{torn}"),
        run_py("epochs=0", f"tracking.uri=sqlite:///{torn}"),
    ):
        assert done.returncode == 2, done.stderr
        assert f"{torn} cannot be used: database disk image is malformed" in done.stderr
        assert "Traceback" not in done.stderr
    assert torn.stat().st_size == 40_000


def test_the_module_is_the_command():
    assert nnlab("--version").stdout == f"nnlab, version {__import__('nnlab').__version__}\n"
