"""Runs that earlier versions have left: read, repeated, and found to be what they were.

``stored/`` has an exported run of every schema of the config. A new schema adds one, made by

    python run.py lr=0.2 init=he hidden_size=5 epochs=30 seed=1 data.val_size=4000 pictures=0
    nnlab export last tests/stored/schema-N.zip
"""

import platform
import re

import pytest
from support.paths import ROOT

from nnlab.jobs.config import CONFIG_SCHEMA
from nnlab.reproduction.differences import ABSENT
from nnlab.reproduction.repeat import reproduce
from nnlab.tracking.store import Store
from nnlab.transfer.importing import import_runs

STORED = sorted((ROOT / "tests" / "stored").glob("schema-*.zip"))


def test_there_is_a_stored_run_of_every_schema():
    numbers = [int(re.search(r"schema-(\d+)", path.name)[1]) for path in STORED]
    assert numbers == list(range(1, CONFIG_SCHEMA + 1))


@pytest.mark.parametrize("archive", STORED, ids=lambda path: path.stem)
def test_a_stored_run_is_reproduced(archive, store):
    import_runs(archive, store)
    record = Store(store).find_run("last", "run")
    (found,) = reproduce(record.tags["imported_from"][:8], store)
    assert found.run == record.run_id
    assert found.stands
    assert not {"record", "config", "data"} & set(found.causes)
    code = [each for each in found.differences if each.kind == "code"]
    assert [each.what for each in code if each.other == ABSENT] == []  # see module_names.py
    same_machine = not any(each.kind == "BLAS or processor" for each in found.differences)
    if same_machine and platform.system() == "Linux":
        assert found.verdict == "bit-identical"
