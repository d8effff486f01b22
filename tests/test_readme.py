"""What the README promises of the checkout itself; its commands and links: tests/docs/."""

import re
from pathlib import Path

from support.paths import ROOT


def test_a_plain_mlflow_ui_finds_the_store_through_the_committed_link():
    link = ROOT / "mlflow.db"
    assert link.is_symlink()
    assert link.readlink() == Path("mlruns/mlflow.db")


def test_the_lock_names_no_host_and_pins_every_dependency():
    import tomllib

    lock = (ROOT / "requirements.lock").read_text()
    assert "://" not in lock
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    optional = project["optional-dependencies"]
    extras = [each for name, group in optional.items() if name != "bench" for each in group]
    for requirement in project["dependencies"] + extras:
        name = re.match(r"[\w-]+", requirement)[0].lower()
        assert re.search(rf"^{name}==", lock, re.MULTILINE), name
