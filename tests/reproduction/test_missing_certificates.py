"""A reproduction that was killed before it was certified does not look finished for long."""

import json
import socket
from pathlib import Path

import mlflow
import pytest
from click.testing import CliRunner
from support.configs import config
from support.sweeps import run_sweep

from nnlab.cli.main import main
from nnlab.jobs.launch_config import LaunchConfig
from nnlab.jobs.run import Job
from nnlab.jobs.sweep import Sweep
from nnlab.reproduction.repeat import reproduce
from nnlab.tracking.store import Store

DEAD = f"{socket.gethostname()}:1:1.00"


@pytest.fixture
def killed(store):
    """A reproduction as a kill before its certificate leaves it, and the certificate."""
    job = Job(config(epochs=1, tracking__uri=store), (), "original")
    (run,) = run_sweep(Sweep((job,), (), "one"), LaunchConfig(n_jobs=1))
    (certificate,) = reproduce(run.state.run_id, store)
    client = mlflow.MlflowClient(store)
    client.delete_tag(certificate.reproduction, "certificate")
    file(store, certificate.reproduction).unlink()
    return certificate


def file(store, run_id):
    return Path(Store(store).artifacts(run_id)) / "certificate.json"


def doctor(store, *options):
    done = CliRunner().invoke(main, ["doctor", "--uri", store, *options])
    assert done.exit_code == 0, done.output
    return done.output


def test_the_doctor_certifies_it(store, killed):
    client = mlflow.MlflowClient(store)
    assert "certificate" not in doctor(store)  # this process might be about to write it
    client.set_tag(killed.reproduction, "owner", DEAD)
    assert "would compare it with its original" in doctor(store, "--dry-run")
    assert not file(store, killed.reproduction).exists()
    assert "compared with its original, it is bit-identical" in doctor(store)
    assert Store(store).get(killed.reproduction).tags["certificate"] == "bit-identical"
    written = json.loads(file(store, killed.reproduction).read_text())
    assert written == json.loads(json.dumps(killed.as_dict()))
    assert "certificate" not in doctor(store)


def test_one_whose_original_is_gone_is_named(store, killed):
    client = mlflow.MlflowClient(store)
    client.set_tag(killed.reproduction, "owner", DEAD)
    client.set_tag(killed.reproduction, "reproduces", "0" * 32)
    told = doctor(store)
    assert f"{killed.reproduction[:8]} " in told
    assert "has no certificate, and cannot get one: " in told
    assert "certificate" not in Store(store).get(killed.reproduction).tags


def test_one_that_was_imported_is_left_as_its_archive_has_it(store, killed):
    client = mlflow.MlflowClient(store)
    client.set_tag(killed.reproduction, "owner", DEAD)
    client.set_tag(killed.reproduction, "imported_from", "1" * 32)
    assert "certificate" not in doctor(store)
