"""Archives that would do harm are refused, each with its sentence, and the store is untouched."""

import random
import sqlite3
import stat
import struct
import zipfile
import zlib

import pytest
from click.testing import CliRunner
from mlflow import MlflowClient
from support import zips
from support.zips import ONE, TWO

from nnlab.cli.main import main
from nnlab.errors import ArchiveError
from nnlab.jobs.code_version import CodeVersion
from nnlab.tracking.store import Store
from nnlab.tracking.tracker import Tracker
from nnlab.transfer.archive import ArchiveLimits
from nnlab.transfer.archive_reader import open_archive

FILE = f"runs/{ONE}/artifacts/weights.npz"


@pytest.fixture(scope="module")
def lab(tmp_path_factory):
    """A store with a run in it, and where unpacked files would be left behind."""
    root = tmp_path_factory.mktemp("lab")
    tracker = Tracker(Store(f"sqlite:///{root}/store/mlflow.db"), "nnlab", CodeVersion())
    run_id = tracker.start("mine", {"lr": "1"}, {})
    with tracker.folder(run_id) as folder:
        (folder / "weights.npz").write_bytes(b"mine")
    tracker.finish(run_id, "FINISHED")
    MlflowClient(tracker.store.uri)._tracking_client.store.engine.dispose()
    return root


def state(root):
    """All that is in the store, and in every folder around it."""
    connection = sqlite3.connect(root / "store" / "mlflow.db")
    try:
        database = list(connection.iterdump())
    finally:
        connection.close()
    tree = {
        path.relative_to(root): path.read_bytes() if path.is_file() else None
        for path in root.rglob("*")
        if not path.name.startswith("mlflow.db")
    }
    return database, tree


@pytest.fixture
def refused(lab, monkeypatch):
    """Import an archive that must be refused; return what is said."""
    scratch = lab / "scratch"
    scratch.mkdir(exist_ok=True)
    monkeypatch.setattr("tempfile.tempdir", str(scratch))

    def refuse(archive):
        before = state(lab)
        uri = f"sqlite:///{lab}/store/mlflow.db"
        done = CliRunner().invoke(main, ["import", str(archive), "--uri", uri])
        assert done.exit_code == 2, done.output
        assert state(lab) == before
        assert done.output.count("\n") == 1, "one sentence, no traceback"
        assert "Nothing was imported." in done.output
        return done.output

    return refuse


@pytest.fixture
def path(tmp_path):
    return tmp_path / "archive.zip"


def with_file(name, data=b"x"):
    return {**zips.files(), name: data}


def test_what_is_written_by_hand_as_the_format_says_is_read(path):
    with open_archive(zips.write(path, zips.files())) as (found,):
        assert found.run.model_dump() == zips.RUN
        assert list(found.metrics()) == [("val/loss", 0.5, 1700000000500, 1)]
        assert (found.artifacts / "weights.npz").read_bytes() == b"weights " * 100


LEADS_OUT = "it leads out of its folder"
ABSOLUTE = "it is absolute, or names a drive"


@pytest.mark.parametrize(
    ("name", "why"),
    [
        ("../../outside", LEADS_OUT),
        (f"runs/{ONE}/artifacts/../../../outside", LEADS_OUT),
        (f"runs/{ONE}/artifacts/./weights", LEADS_OUT),
        ("/etc/outside", ABSOLUTE),
        ("C:/outside", ABSOLUTE),
        (f"runs/{ONE}/artifacts/notes.txt:hidden", ABSOLUTE),
        (f"runs/{ONE}/artifacts\\..\\outside", "it holds a backslash"),
        (f"runs/{ONE}/artifacts//outside", "a part of it is empty"),
        (f"runs/{ONE}/artifacts/folder/", "a part of it is empty"),
        (f"runs/{ONE}/artifacts/new\nline", "it holds a control character"),
        (f"runs/{ONE}/artifacts/dot.", "a part of it ends in a dot or a blank"),
        (f"runs/{ONE}/artifacts/" + "long" * 64, "a part of it is longer than 255 bytes"),
        ("outside", "no archive has such a file"),
        (f"runs/{ONE}/outside", "no archive has such a file"),
        ("runs/short/artifacts/weights.npz", "no archive has such a file"),
    ],
)
def test_a_name_that_leads_elsewhere_is_refused(name, why, refused, path):
    assert f"may not be in an archive: {why}" in refused(zips.write(path, with_file(name)))


def test_a_name_that_zipfile_itself_would_cut_at_a_null_is_refused(refused, path):
    zips.write(path, with_file(f"runs/{ONE}/artifacts/aXb"))
    path.write_bytes(path.read_bytes().replace(b"artifacts/aXb", b"artifacts/a\0b"))
    assert "it holds a control character" in refused(path)


@pytest.mark.parametrize(
    ("first", "second", "why"),
    [
        ("a.txt", "a.txt", "is there twice"),
        ("a.txt", "A.TXT", "are the same file to some systems"),
        ("\u00e9", "e\u0301", "are the same file to some systems"),
        ("a", "a/b", "is a file and a folder at once"),
        ("A/b", "a", "is a file and a folder at once"),
    ],
)
@pytest.mark.filterwarnings("ignore:Duplicate name")
def test_names_that_collide_are_refused(first, second, why, refused, path):
    infos = [(zipfile.ZipInfo(f"runs/{ONE}/artifacts/{name}"), b"x") for name in (first, second)]
    assert why in refused(zips.write(path, zips.files(), infos=infos))


@pytest.mark.parametrize(
    "mode", [stat.S_IFLNK, stat.S_IFCHR, stat.S_IFBLK, stat.S_IFIFO, stat.S_IFSOCK, stat.S_IFDIR]
)
def test_links_devices_and_folders_are_refused(mode, refused, path):
    info = zipfile.ZipInfo(f"runs/{ONE}/artifacts/link")
    info.external_attr = (mode | 0o777) << 16
    told = refused(zips.write(path, zips.files(), infos=[(info, b"/etc/passwd")]))
    assert "it is a link, a folder or a device, not a file" in told


@pytest.mark.parametrize("flag", [0x1, 0x40, 0x2000])
def test_encrypted_files_are_refused(flag, refused, path):
    zips.patch(zips.write(path, zips.files()), FILE, flags=flag)
    assert "it is encrypted" in refused(path)


@pytest.mark.parametrize("method", [zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA])
def test_other_methods_of_compression_are_refused(method, refused, path):
    told = refused(zips.write(path, zips.files(), method=method))
    assert f"its compression method {method} is neither stored nor deflated" in told


def test_a_zip_bomb_is_refused_by_what_it_says_of_itself(refused, path):
    assert "a zip bomb" in refused(zips.write(path, with_file(FILE, bytes(20_000_000))))


def test_a_zip_bomb_that_lies_about_its_size_is_refused_where_it_goes_on(refused, path):
    whole, said = bytes(20_000_000), bytes(10)
    content = with_file(FILE, whole)
    zips.write(path, content, zips.manifest_of({**content, FILE: said}))
    assert path.stat().st_size < 100_000
    zips.patch(path, FILE, size=len(said), crc=zlib.crc32(said))
    assert "inflates to more than 10 bytes" in refused(path)
    with zipfile.ZipFile(path) as file:  # Python's own reader sees nothing wrong
        assert file.read(FILE) == said


def test_a_manifest_that_lies_about_its_size_is_not_read_whole(refused, path, monkeypatch):
    monkeypatch.setattr("nnlab.transfer.archive_reader.JSON_SIZE", 1_000_000)
    zips.write(path, zips.files(), zips.manifest_of(zips.files()) + b" " * 5_000_000)
    zips.patch(path, "manifest.json", size=1000)
    assert "'manifest.json' inflates to more than 1,000,000 bytes" in refused(path)


def test_a_file_that_breaks_off_is_refused(refused, path):
    content = zips.files()
    more = content[FILE] + b"more"
    zips.write(path, content, zips.manifest_of({**content, FILE: more}))
    zips.patch(path, FILE, size=len(more))
    assert f"breaks off behind 800 of {len(more)} bytes" in refused(path)


def test_more_bytes_than_are_allowed_are_refused_before_any_is_inflated(refused, path):
    content = with_file(f"runs/{ONE}/artifacts/b", b"x")
    zips.write(path, content)
    for name in (*content, "manifest.json"):
        zips.patch(path, name, size=0xFFFFFFF0)
    assert "at most 17,179,869,184 are allowed" in refused(path)


def test_more_files_than_are_allowed_are_refused(path):
    zips.write(path, with_file(f"runs/{ONE}/artifacts/b"))
    with (
        pytest.raises(ArchiveError, match="it holds 5 files, at most 3 are allowed"),
        open_archive(path, ArchiveLimits(files=3)),
    ):
        pass


def test_files_that_share_their_bytes_are_refused(refused, path):
    name = f"runs/{ONE}/artifacts/b"
    content = {**zips.files(), name: zips.files()[FILE]}
    zips.write(path, content)
    data = bytearray(path.read_bytes())
    with zipfile.ZipFile(path) as file:
        first = file.getinfo(FILE).header_offset
    entry = data.rindex(name.encode()) - 46
    assert data[entry : entry + 4] == b"PK\x01\x02"
    struct.pack_into("<I", data, entry + 42, first)
    path.write_bytes(data)
    assert "is no zip file, or a damaged one" in refused(path)


@pytest.mark.parametrize(
    ("manifest", "why"),
    [
        (b"", "'manifest.json' cannot be read: Invalid JSON"),
        (b"\xff\xfe{}", "'manifest.json' cannot be read: Invalid JSON"),
        (b"[" * 100_000, "'manifest.json' cannot be read: Invalid JSON"),
        (b'{"format": 2}', "it has format 2, this version of nnlab reads 1"),
        (b'{"format": 1}', "nnlab: Field required"),
        (zips.manifest_of({}, more=1), "more: Extra inputs are not permitted"),
        (zips.manifest_of({FILE: b"x"}), "not listed in manifest.json"),
        (zips.manifest_of({**zips.files(), f"runs/{TWO}/run.json": b""}), "is missing"),
        (zips.manifest_of({**zips.files(), FILE: b"x" * 799}), "800 bytes by its header, 799 by"),
        (
            zips.manifest_of({**zips.files(), FILE: b"x" * 800}),
            "it was changed or damaged on its way",
        ),
    ],
)
def test_a_manifest_that_does_not_list_just_what_is_there_is_refused(manifest, why, refused, path):
    assert why in refused(zips.write(path, zips.files(), manifest))


@pytest.mark.parametrize(
    ("changes", "why"),
    [
        ({"status": "RUNNING"}, "status: Input should be 'FINISHED', 'FAILED' or 'KILLED'"),
        ({"run_id": TWO}, "is of another run"),
        ({"run_id": "../../etc"}, "run_id: String should match pattern"),
        ({"start_time": "now"}, "start_time: Input should be a valid integer"),
        ({"start_time": 2**63}, "start_time: Input should be less than or equal to"),
        ({"name": ""}, "name: String should have at least 1 character"),
        ({"tags": {"a": 1}}, "tags.a: Input should be a valid string"),
        ({"tags": {"a": "x" * 8001}}, "tags.a: String should have at most 8000 characters"),
        ({"params": {"../a": "1"}}, "a key may not read like a path elsewhere"),
        ({"params": {"a[0]": "1"}}, "String should match pattern"),
        ({"parent": ONE}, "is nested under itself"),
        ({"pickle": "gASV"}, "pickle: Extra inputs are not permitted"),
    ],
)
def test_a_run_with_an_invalid_field_is_refused(changes, why, refused, path):
    assert why in refused(zips.write(path, zips.files(**changes)))


@pytest.mark.parametrize(
    ("metrics", "why"),
    [
        (b"", "does not begin with key,value,timestamp,step"),
        (b"\xff", "codec can't decode"),
        (zips.METRICS + b"val/loss,0.5,1\n", "line 3: found 3 cells, expected 4"),
        (zips.METRICS + b"val/loss,much,1,1\n", "line 3: could not convert string to float"),
        (zips.METRICS + b"val/loss,inf,1,1\n", "line 3: an infinite value"),
        (zips.METRICS + b"val/loss,1,-1,1\n", "line 3: a time or a step beyond all bounds"),
        (zips.METRICS + b"val/loss,1,1," + b"9" * 30 + b"\n", "a time or a step beyond all bounds"),
        (zips.METRICS + b"val/loss,1,1," + b"9" * 9999 + b"\n", "line 3: Exceeds the limit"),
        (zips.METRICS + b"val#loss,1,1,1\n", "line 3: String should match pattern"),
        (zips.METRICS + b"x" * 200_000 + b",1,1,1\n", "field larger than field limit"),
        (zips.METRICS + b'"val/loss,1,1,1\n', "unexpected end of data"),
    ],
)
def test_invalid_metrics_are_refused(metrics, why, refused, path):
    content = {**zips.files(), f"runs/{ONE}/metrics.csv": metrics}
    assert why in refused(zips.write(path, content))


@pytest.mark.parametrize("missing", ["run.json", "metrics.csv"])
def test_a_run_without_a_part_of_its_record_is_refused(missing, refused, path):
    content = zips.files()
    del content[f"runs/{ONE}/{missing}"]
    assert f"'runs/{ONE}/{missing}' is missing" in refused(zips.write(path, content))


def test_a_file_that_is_no_archive_is_refused(refused, path):
    path.write_bytes(b"no zip")
    assert "is no zip file, or a damaged one" in refused(path)
    assert "it holds no runs" in refused(zips.write(path, {}))
    with zipfile.ZipFile(path, "w") as file:
        file.writestr(f"runs/{ONE}/run.json", "{}")
    assert "it has no manifest.json: it was not made by `nnlab export`" in refused(path)


def test_a_file_that_does_not_exist_is_named(tmp_path):
    done = CliRunner().invoke(main, ["import", str(tmp_path / "none.zip")])
    assert done.exit_code == 2
    assert "none.zip cannot be unpacked: No such file or directory." in done.output


def test_whatever_byte_is_changed_an_archive_reads_as_it_was_or_not_at_all(path):
    """A bit that zip does not use (a date, say) may change; content may not."""
    zips.write(path, zips.files())
    whole = path.read_bytes()
    draw = random.Random(0)  # noqa: S311
    refusals = 0
    for _ in range(150):
        place = draw.randrange(len(whole))
        changed = bytearray(whole)
        changed[place] ^= 1 << draw.randrange(8)
        path.write_bytes(changed)
        try:
            with open_archive(path) as (found,):
                assert found.run.model_dump() == zips.RUN
                assert list(found.metrics()) == [("val/loss", 0.5, 1700000000500, 1)]
                assert (found.artifacts / "weights.npz").read_bytes() == b"weights " * 100
        except ArchiveError:
            refusals += 1
    assert refusals > 75


def test_an_archive_that_is_cut_off_anywhere_is_refused(path):
    zips.write(path, zips.files())
    whole = path.read_bytes()
    for length in range(0, len(whole), 37):
        path.write_bytes(whole[:length])
        with pytest.raises(ArchiveError), open_archive(path):
            pass
