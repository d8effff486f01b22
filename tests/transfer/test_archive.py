"""Archives: names that are safe everywhere, values to the bit, and a file that is whole."""

import random
import struct
import zipfile

import pytest
from support import zips
from support.zips import ONE

from nnlab.errors import ArchiveError
from nnlab.tracking.records import Measurement
from nnlab.transfer.archive import ArchiveLimits, archived_run, member_name, name_error
from nnlab.transfer.archive_reader import open_archive
from nnlab.transfer.archive_writer import create_archive
from nnlab.transfer.measurements import read_csv, to_csv


def bits(value):
    return struct.pack("<d", value)


def test_any_finite_value_is_read_back_to_the_bit(tmp_path):
    draw = random.Random(1)  # noqa: S311
    values = [struct.unpack("<d", draw.randbytes(8))[0] for _ in range(2000)]
    values = [value for value in values if abs(value) <= 1.8e308] + [float("nan"), -0.0, 0.0]
    points = [Measurement("a b/c", value, step + 5, step) for step, value in enumerate(values)]
    shuffled = draw.sample(points, len(points))
    assert to_csv(shuffled) == to_csv(points)
    path = tmp_path / "metrics.csv"
    path.write_bytes(to_csv(shuffled))
    found = {each.step: each for each in read_csv(path, "metrics.csv")}
    assert [bits(found[step].value) for step in range(len(values))] == list(map(bits, values))


def test_a_name_without_an_error_stays_below_its_folder(tmp_path):
    draw = random.Random(2)  # noqa: S311
    pieces = ["..", ".", "/", "a", "\\", "C:", "~", "\0", "é", " ", "con", "$HOME", "%2e%2e"]
    root = tmp_path.resolve()
    good = 0
    for _ in range(5000):
        name = member_name(ONE, "artifacts", "".join(draw.choices(pieces, k=draw.randint(1, 6))))
        if name_error(name) is None:
            good += 1
            target = root / name
            assert target.resolve().is_relative_to(root / member_name(ONE, "artifacts"))
            assert target.resolve() != root / member_name(ONE, "artifacts")
    assert 200 < good < 4000


def test_nothing_is_left_of_an_archive_that_could_not_be_completed(tmp_path):
    def broken():
        yield Measurement("loss", 0.5, 1, 1)
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt), create_archive(tmp_path / "out.zip") as archive:
        archive.add_run(archived_run(**zips.RUN), broken(), tmp_path / "none")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("limits", [ArchiveLimits(files=2), ArchiveLimits(size=400)])
def test_what_a_reader_would_refuse_is_not_written(limits, tmp_path):
    folder = tmp_path / "artifacts"
    folder.mkdir()
    (folder / "weights").write_bytes(bytes(300))
    with (
        pytest.raises(ArchiveError, match="too large for an archive, which holds"),
        create_archive(tmp_path / "out.zip", limits) as archive,
    ):
        archive.add_run(archived_run(**zips.RUN), [], folder)
    assert list(tmp_path.iterdir()) == [folder]


def test_a_file_that_deflates_like_a_zip_bomb_is_stored_and_read_back(tmp_path):
    folder = tmp_path / "artifacts"
    folder.mkdir()
    (folder / "zeros").write_bytes(bytes(3_000_000))
    (folder / "text").write_bytes(b"epoch,loss\n" * 10)
    out = tmp_path / "out.zip"
    with create_archive(out) as archive:
        archive.add_run(archived_run(**zips.RUN), [Measurement("loss", 0.5, 1, 1)], folder)
    with zipfile.ZipFile(out) as file:
        methods = {info.filename.rpartition("/")[2]: info.compress_type for info in file.infolist()}
    assert (methods["zeros"], methods["text"]) == (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED)
    with open_archive(out) as (found,):
        assert (found.artifacts / "zeros").read_bytes() == bytes(3_000_000)


def test_a_run_with_an_invalid_field_is_not_archived_and_the_field_is_named():
    with pytest.raises(ArchiveError, match=r"Run 1{32} cannot go into an archive: status: Input"):
        archived_run(**{**zips.RUN, "status": "SCHEDULED"})
