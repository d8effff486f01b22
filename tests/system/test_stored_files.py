"""Every stored file, damaged at random: its reader returns, or raises its one error."""

import itertools
import json
import random
import shutil
import zipfile
from typing import Any

import pytest
from support.paths import ROOT

from nnlab.errors import ConfigError, ResumeError, StoredFileError
from nnlab.execution.checkpoints import Checkpoints
from nnlab.execution.ledger import Ledger
from nnlab.jobs.config import from_record
from nnlab.jobs.provenance import read_environment
from nnlab.system.stored_files import (
    DEEPEST,
    parse_column,
    parse_json,
    parse_table,
    parse_yaml,
    read_npz,
    read_text,
    read_yaml,
)
from nnlab.tracking.artifacts import read_history, read_weights

SWEEP = "mlruns/sweeps/c6e256499f9549648f8a2c704a1fa16f"
PARENT = "mlruns/artifacts/c6e256499f9549648f8a2c704a1fa16f/artifacts"
RUN = "mlruns/artifacts/44fc6ec6fb2f41db9e5d8aa0b46d9b75/artifacts"

READERS = {
    f"{SWEEP}/plan.json": (
        lambda path: [from_record(job.config) for job in Ledger(path.parent).read().jobs],
        (ResumeError, ConfigError),
    ),
    f"{SWEEP}/checkpoints/000001.state": (
        lambda path: Checkpoints(path.parent).load(1), StoredFileError,
    ),
    f"{PARENT}/environment.json": (read_environment, StoredFileError),
    f"{PARENT}/split.npz": (read_npz, StoredFileError),
    f"{RUN}/config.yaml": (
        lambda path: from_record(read_yaml(path)), (StoredFileError, ConfigError),
    ),
    f"{RUN}/history.csv": (lambda path: read_history(path.parent), StoredFileError),
    f"{RUN}/weights.npz": (lambda path: read_weights(path.parent), StoredFileError),
}  # fmt: skip


@pytest.fixture(scope="module")
def unfinished(tmp_path_factory):
    folder = tmp_path_factory.mktemp("unfinished")
    with zipfile.ZipFile(ROOT / "tests" / "stored" / "unfinished-store.zip") as file:
        for name in READERS:
            file.extract(name, folder)
    return folder


def damaged(content, random):
    """Flip some bytes, or cut the end off, or put other bytes in."""
    place = random.randrange(len(content))
    match random.randrange(3):
        case 0:
            changed = bytearray(content)
            for _ in range(random.choice((1, 1, 5, 50))):
                changed[random.randrange(len(content))] ^= 1 << random.randrange(8)
            return bytes(changed)
        case 1:
            return content[:place]
    other = random.choice((b"", b"\xff\xfe", b"[" * 20_000, b"NaN", b"{}", b"\0" * 9, b"9" * 5000))
    return content[:place] + other + content[place + random.randrange(9) :]


@pytest.mark.parametrize("name", READERS)
def test_a_damaged_file_is_read_or_refused_by_its_one_error(name, unfinished, tmp_path):
    read, error = READERS[name]
    path = tmp_path / (unfinished / name).name
    shutil.copy(unfinished / name, path)
    assert read(path) is not None
    content, generator = path.read_bytes(), random.Random(0)  # noqa: S311 - no secret
    refused = 0
    for _ in range(100):
        path.write_bytes(damaged(content, generator))
        try:
            read(path)
        except error:
            refused += 1
    assert refused or name.endswith(".state")  # a damaged checkpoint counts as none


def places(value: Any, path=()):
    """Return the path of each value within lists and dicts."""
    inner = value.items() if isinstance(value, dict) else enumerate(value)
    for key, part in inner:
        yield (*path, key)
        if isinstance(part, dict | list):
            yield from places(part, (*path, key))


@pytest.mark.parametrize("name", [f"{SWEEP}/plan.json", f"{PARENT}/environment.json"])
def test_a_value_of_another_type_is_read_or_refused_at_every_key(name, unfinished, tmp_path):
    read, error = READERS[name]
    path = tmp_path / (unfinished / name).name
    content = json.loads((unfinished / name).read_text())
    others = itertools.cycle((None, {}, [], 1.5, "x", True, float("nan"), 10**30, [[{}]]))
    for *outer, last in places(json.loads(json.dumps(content))):
        part = content
        for key in outer:
            part = part[key]
        before, part[last] = part[last], next(others)
        path.write_text(json.dumps(content))
        part[last] = before
        try:
            read(path)
        except error:
            continue


def test_depth_size_and_numbers_are_limited(tmp_path):
    for text in ("[" * 20_000, "[" * (DEEPEST + 1) + "]" * (DEEPEST + 1), "[NaN]", "[1e999]"):
        with pytest.raises(StoredFileError, match=r"^here "):
            parse_json(text, list[Any], "here")
    for text in ("[" * 5000, "a: &a [*a]", "? [a]\n: b", "!!timestamp x", "!!int ''"):
        with pytest.raises(StoredFileError, match=r"^here "):
            parse_yaml(text, "here")
    for text in ("", "b\n1", "a,b\n1,2\n\n3\n4,5,6", f"a,b\n1,{'1' * 200_000}"):
        with pytest.raises(StoredFileError, match=r"^here "):
            parse_table(text, "here", needed=["a"], numbers=["a", "b"])
    for text in ("", "b\n1", "b,a\n1", f"a\n{'1' * 200_000}"):
        with pytest.raises(StoredFileError, match=r"^here "):
            parse_column(text, "a", "here")
    (tmp_path / "long").write_text("x" * 11)
    with pytest.raises(StoredFileError, match="has 11 bytes, expected at most 10"):
        read_text(tmp_path / "long", 10)


def test_a_folder_in_place_of_a_checkpoint_is_named(tmp_path):
    (tmp_path / "000001.state").mkdir()
    with pytest.raises(StoredFileError, match=r"000001\.state is no checkpoint .*: remove it"):
        Checkpoints(tmp_path).load(1)
