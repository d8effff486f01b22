"""The study of ``dtype=exact``: its archive holds its figures, and any machine makes them again."""

import csv
import json
import zipfile

import pytest
from support.commands import nnlab
from support.paths import ROOT

from nnlab.jobs.config import SEMANTICS

FOLDER = ROOT / "experiments" / "init_exact"
ARCHIVE = FOLDER / "init_exact.zip"


@pytest.fixture(scope="module")
def figures():
    """The rows of the page's table of runs, by id."""
    with (FOLDER / "runs.csv").open(encoding="utf-8", newline="") as file:
        return {row["run_id"]: row for row in csv.DictReader(file)}


def test_the_archive_of_the_exact_study_holds_the_runs_and_digests_of_its_page(figures):
    with zipfile.ZipFile(ARCHIVE) as archive:
        names = [name for name in archive.namelist() if name.endswith("/run.json")]
        runs = [json.loads(archive.read(name)) for name in names]
    children = [run for run in runs if "weights_sha256" in run["tags"]]
    assert len(children) == len(figures) == 30
    for run in children:
        assert run["tags"]["weights_sha256"] == figures[run["run_id"]]["weights_sha256"]
        # With another meaning of the training code, the study has to be run again.
        assert run["tags"]["semantics"] == str(SEMANTICS)
        assert run["params"]["dtype"] == "exact"


@pytest.mark.long
def test_runs_of_the_exact_study_are_bit_identical_here(figures, tmp_path):
    nnlab("import", ARCHIVE, root=tmp_path, check=True)
    for init in ("glorot", "randn"):
        (row,) = (row for row in figures.values() if (row["init.name"], row["seed"]) == (init, "1"))
        done = nnlab("reproduce", row["run_id"][:8], "--json", root=tmp_path, check=True)
        found = json.loads(done.stdout)
        assert found["verdict"] == "bit-identical"
        assert found["weights_sha256"] == [row["weights_sha256"]] * 2
        assert found["expected"] == "the same bits, as on any machine"
