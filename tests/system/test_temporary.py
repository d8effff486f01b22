"""Temporary folders do not outlive their process by much, however it ends."""

import os
import signal
import tempfile
import time

import pytest
from support.commands import running

from nnlab.system.temporary import OLD_SECONDS, abandoned, temporary_folder

HOLD = (
    "import pathlib, time\n"
    "from nnlab.system.temporary import temporary_folder\n"
    "with temporary_folder() as folder:\n"
    "    print(folder.name, flush=True)\n"
    "    time.sleep(600)\n"
)


@pytest.fixture
def place(tmp_path, monkeypatch):
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    monkeypatch.setattr(tempfile, "tempdir", None)
    return tmp_path


def make_old(folder):
    then = time.time() - OLD_SECONDS - 60
    os.utime(folder, (then, then))


def test_the_folder_of_a_killed_process_is_removed_when_the_next_one_makes_its_own(place):
    with running("-c", HOLD) as process:
        name = process.stdout.readline().strip()
        (place / name / "large").write_bytes(b"0")
        with temporary_folder():
            assert (place / name / "large").exists()  # its process lives
        make_old(place / name)
        assert abandoned(place) == []  # however old it is
        process.send_signal(signal.SIGKILL)
        process.communicate(timeout=60)
        assert abandoned(place) == [place / name]
        with temporary_folder() as folder:
            assert list(place.iterdir()) == [folder]
    assert list(place.iterdir()) == []


def test_a_process_number_that_is_in_use_again_keeps_no_old_folder(place):
    with running("-c", HOLD) as process:
        name = process.stdout.readline().strip()
        process.send_signal(signal.SIGKILL)
        process.communicate(timeout=60)
    taken = place / name.replace(f"-{process.pid}-", f"-{os.getpid()}-")
    (place / name).rename(taken)
    assert abandoned(place) == []  # it may be about to lock it
    make_old(taken)
    assert abandoned(place) == [taken]


def test_folders_of_other_programs_and_of_older_versions_are_left_alone_at_first(place):
    for name in ("nnlab-abcdefgh", "nnlab-hydra-abcdefgh", "nnlab-notes", "other-1-abcdefgh"):
        (place / name).mkdir()
    (place / "nnlab-999999999-abcdefgh").symlink_to(place / "other-1-abcdefgh")
    assert abandoned(place) == abandoned(place, nameless=True) == []
    for path in place.iterdir():
        make_old(path)
    assert abandoned(place) == []
    old = [place / "nnlab-abcdefgh", place / "nnlab-hydra-abcdefgh"]
    assert abandoned(place, nameless=True) == old
