"""A store whose folder was moved or copied is noticed, repaired once, and used as before."""

import shutil
import sqlite3
from pathlib import Path

import mlflow
import numpy as np
import pytest
from click.testing import CliRunner
from support.labs import Lab
from support.stopped import stopped_sweep

from nnlab.cli.main import main
from nnlab.errors import TrackingError
from nnlab.jobs.code_version import CodeVersion
from nnlab.tracking.artifacts import read_weights, weights_sha256
from nnlab.tracking.store import Store
from nnlab.tracking.tracker import Tracker

REPAIRED = ": repaired "


def uri_of(folder):
    return f"sqlite:///{folder}/mlflow.db"


def tracker_of(folder, experiment="nnlab"):
    return Tracker(Store(uri_of(folder)), experiment, CodeVersion())


def run_in(tracker, content=b"weights"):
    """A run with a file; None makes one without any."""
    run_id = tracker.start("run", {}, {})
    if content is not None:
        with tracker.folder(run_id) as folder:
            (folder / "weights.npz").write_bytes(content)
    tracker.finish(run_id, "FINISHED")
    return run_id


def doctor(folder, *options):
    done = CliRunner().invoke(main, ["doctor", "--uri", uri_of(folder), *options])
    assert done.exit_code == 0, done.output
    return done.output


def content(folder):
    """The database as text; a move must not happen to a file that is open."""
    connection = sqlite3.connect(folder / "mlflow.db")
    try:
        return list(connection.iterdump())
    finally:
        connection.close()


def addresses(folder):
    connection = sqlite3.connect(folder / "mlflow.db")
    try:
        return {
            address
            for query in (
                "SELECT artifact_location FROM experiments",
                "SELECT artifact_uri FROM runs",
                "SELECT artifact_location FROM logged_models",
                "SELECT source FROM model_versions",
                "SELECT storage_location FROM model_versions",
            )
            for (address,) in connection.execute(query)
        }
    finally:
        connection.close()


@pytest.fixture
def old(tmp_path):
    return tmp_path / "the # old place" / "store"


@pytest.fixture
def new(tmp_path):
    return tmp_path / "the new place"


def test_a_moved_store_is_repaired_once_and_keeps_a_copy_of_the_database(old, new):
    tracker = tracker_of(old)
    run_id, empty = run_in(tracker), run_in(tracker, None)
    before = content(old)
    old.rename(new)

    told = doctor(new, "--dry-run")
    assert f"the store was moved from {old}: would repair 3 addresses" in told
    assert content(new) == before
    told = doctor(new)
    assert f"the store was moved from {old}: repaired 3 addresses" in told
    (backup,) = new.glob("mlflow-before-mending-*.db")
    assert f"the database as it was: {backup}" in told
    connection = sqlite3.connect(backup)
    assert list(connection.iterdump()) == before
    connection.close()
    assert addresses(new) == {
        (new / "artifacts").as_uri(),
        *((new / "artifacts" / each / "artifacts").as_uri() for each in (run_id, empty)),
    }
    assert REPAIRED not in doctor(new)
    assert len(list(new.glob("mlflow-before-mending-*.db"))) == 1

    client = mlflow.MlflowClient(uri_of(new))
    assert Path(client.download_artifacts(run_id, "weights.npz")).read_bytes() == b"weights"
    later = run_in(tracker_of(new))
    assert Store(uri_of(new)).download(later).is_relative_to(new)
    assert not old.exists()


def test_other_commands_name_the_doctor_and_write_nothing_in_the_old_place(old, new, tmp_path):
    run_id = run_in(tracker_of(old))
    old.rename(new)
    said = f"was moved from {old}, where its addresses still lead: `nnlab doctor"
    words = ["export", run_id, str(tmp_path / "out.zip"), "--uri", uri_of(new)]
    done = CliRunner().invoke(main, words)
    assert done.exit_code == 2
    assert said in done.output
    with pytest.raises(TrackingError, match="`nnlab doctor"):
        tracker_of(new)
    assert not old.exists()


def test_a_copied_store_no_longer_leads_into_the_original(old, new):
    run_id = run_in(tracker_of(old))
    shutil.copytree(old, new)
    before = content(old), sorted(old.rglob("*"))
    with pytest.raises(TrackingError, match="was copied from"):
        tracker_of(new)
    told = doctor(new)
    assert f"the store is a copy of the one in {old}, into which its runs would be written" in told
    assert Store(uri_of(new)).download(run_id).is_relative_to(new)
    run_in(tracker_of(new))
    assert (content(old), sorted(old.rglob("*"))) == before
    assert REPAIRED not in doctor(new)
    assert REPAIRED not in doctor(old)


def test_what_points_elsewhere_on_purpose_stays(old, new, tmp_path):
    tracker = tracker_of(old)
    run_in(tracker)
    disk = (tmp_path / "disk" / "artifacts").as_uri()
    mlflow.MlflowClient(tracker.store.uri).create_experiment("disk", disk)
    mlflow.MlflowClient(tracker.store.uri).create_experiment("cloud", "s3://bucket/artifacts")
    there = run_in(tracker_of(old, "disk"))
    gone = (tmp_path / "not mounted" / "artifacts").as_uri()
    mlflow.MlflowClient(tracker.store.uri).create_experiment("gone", gone)
    old.rename(new)
    doctor(new)
    stayed = {disk, gone, "s3://bucket/artifacts", f"{disk}/{there}/artifacts"}
    assert stayed < addresses(new)
    assert not any(old.as_uri() in each for each in addresses(new))
    assert (Store(uri_of(new)).download(there) / "weights.npz").read_bytes() == b"weights"
    run_in(tracker_of(new, "disk"))  # and is not taken for a move


def test_a_database_that_was_moved_without_its_files_still_reads_them(old, new):
    run_id = run_in(tracker_of(old))
    new.mkdir()
    mlflow.MlflowClient(uri_of(old))._tracking_client.store.engine.dispose()
    (old / "mlflow.db").rename(new / "mlflow.db")
    before = content(new)
    assert REPAIRED not in doctor(new)
    assert content(new) == before
    assert (Store(uri_of(new)).download(run_id) / "weights.npz").read_bytes() == b"weights"


def test_files_that_are_in_the_old_place_alone_stay_reachable(old, new):
    tracker = tracker_of(old)
    here, left = run_in(tracker), run_in(tracker)
    mlflow.MlflowClient(tracker.store.uri).create_experiment("mount", (old / "mount").as_uri())
    mounted = run_in(tracker_of(old, "mount"))
    old.rename(new)
    shutil.move(new / "artifacts" / left, old / "artifacts" / left)
    shutil.move(new / "mount", old / "mount")
    assert f"3 addresses stay: their files are in {old} alone" in doctor(new)
    store = Store(uri_of(new))
    assert store.download(mounted) == old / "mount" / mounted / "artifacts"
    assert store.download(left) == old / "artifacts" / left / "artifacts"
    assert store.download(here).is_relative_to(new)


def test_a_store_without_any_files_yet_is_known_by_where_it_was_made(old, new):
    run_in(tracker_of(old), None)
    old.rename(new)
    assert "repaired 2 addresses" in doctor(new)
    run_in(tracker_of(new))
    assert not old.exists()


def test_a_store_that_is_reached_through_a_link_was_not_moved(old, new):
    new.mkdir()
    old.parent.mkdir()
    old.symlink_to(new)
    run_id = run_in(tracker_of(old))
    assert REPAIRED not in doctor(old)
    assert REPAIRED not in doctor(new)
    assert (Store(uri_of(new)).download(run_id) / "weights.npz").exists()


def linked_artifacts(folder, disk):
    """Move a store's artifacts to another disk, and leave a link in their place."""
    disk.parent.mkdir(exist_ok=True)
    shutil.move(folder / "artifacts", disk)
    (folder / "artifacts").symlink_to(disk)


def test_a_link_to_a_larger_disk_is_no_move(old, tmp_path):
    run_id = run_in(tracker_of(old))
    linked_artifacts(old, tmp_path / "disk" / "files")
    before = addresses(old)
    later = run_in(tracker_of(old))
    for _ in range(2):
        assert "moved" not in doctor(old)
    assert addresses(old) > before
    assert not list(old.glob("mlflow-before-mending-*"))
    for each in (run_id, later):
        assert (tmp_path / "disk" / "files" / each / "artifacts" / "weights.npz").exists()
        assert Store(uri_of(old)).download(each).is_relative_to(old)


def test_a_linked_database_is_in_both_folders(old, tmp_path):
    run_id = run_in(tracker_of(old), None)
    mlflow.MlflowClient(uri_of(old))._tracking_client.store.engine.dispose()
    (tmp_path / "disk").mkdir()
    shutil.move(old / "mlflow.db", tmp_path / "disk" / "mlflow.db")
    (old / "mlflow.db").symlink_to(tmp_path / "disk" / "mlflow.db")
    assert REPAIRED not in doctor(old)
    assert Store(uri_of(old)).download(run_id).is_relative_to(old)
    run_in(tracker_of(old))


def test_a_store_with_a_link_to_a_larger_disk_may_move(old, new, tmp_path):
    run_id = run_in(tracker_of(old))
    linked_artifacts(old, tmp_path / "disk")
    old.rename(new)
    with pytest.raises(TrackingError, match="was moved from"):
        tracker_of(new)
    assert f"moved from {old}: repaired 2 addresses" in doctor(new)
    assert REPAIRED not in doctor(new)
    assert len(list(new.glob("mlflow-before-mending-*"))) == 1
    assert (Store(uri_of(new)).download(run_id) / "weights.npz").read_bytes() == b"weights"
    run_in(tracker_of(new))


def test_a_copy_that_shares_its_artifacts_is_left_alone_until_the_original_is_gone(
    old, new, tmp_path
):
    run_in(tracker_of(old))
    linked_artifacts(old, tmp_path / "disk")
    shutil.copytree(old, new, symlinks=True)
    for _ in range(2):
        assert REPAIRED not in doctor(new)
    run_in(tracker_of(new))
    assert not list(new.glob("mlflow-before-mending-*"))
    shutil.rmtree(old)
    assert f"moved from {old}: repaired " in doctor(new)
    assert REPAIRED not in doctor(new)


def test_files_that_stay_in_the_old_place_are_no_reason_to_repair_again(old, new):
    tracker = tracker_of(old)
    kept, left = run_in(tracker), run_in(tracker)
    old.rename(new)
    shutil.move(new / "artifacts" / left, old / "artifacts" / left)
    for _ in range(2):
        doctor(new)
    assert len(list(new.glob("mlflow-before-mending-*"))) == 1
    assert Store(uri_of(new)).download(kept).is_relative_to(new)
    run_in(tracker_of(new))


def test_models_of_mlflows_registry_move_along(old, new):
    tracker = tracker_of(old)
    run_id = run_in(tracker)
    client = mlflow.MlflowClient(tracker.store.uri)
    client.create_logged_model(
        tracker.get_or_create_experiment("nnlab"), name="net", source_run_id=run_id
    )
    client.create_registered_model("net")
    client.create_model_version("net", client.get_run(run_id).info.artifact_uri, run_id)
    assert len(addresses(old)) == 3
    old.rename(new)
    doctor(new)
    assert all(each.startswith(new.as_uri()) for each in addresses(new))


@pytest.mark.long
def test_a_sweep_that_was_stopped_goes_on_after_its_store_has_moved(old, new):
    old.parent.mkdir()  # a root in a folder that is not there is refused
    stopped_sweep(old)
    old.rename(new)
    refused = CliRunner().invoke(main, ["resume", "--uri", uri_of(new / "mlruns")])
    assert refused.exit_code == 2
    assert "`nnlab doctor --uri" in refused.output
    assert "was moved" in doctor(new / "mlruns")
    Lab(new).complete()
    assert not old.exists()
    store = Store(uri_of(new / "mlruns"))
    runs = list(store.search("tags.job != ''"))
    assert [run.status for run in runs] == ["FINISHED"] * 4
    for run in runs:
        weights = read_weights(store.download(run.run_id))
        assert weights.w1.dtype == np.float32
        assert weights_sha256(weights) == run.tags["weights_sha256"]
