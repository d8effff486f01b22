"""The documentation site: built as `make docs` builds it, and readable without a network."""

import os
import re
import subprocess
import sys

import pytest
from click import Context
from support.paths import ROOT

from nnlab.cli.main import main
from nnlab.jobs.config import RunConfig

LOADED = re.compile(
    r"<(?:script|img|iframe|source)\b[^>]*\bsrc=\"?([^\"\s>]+)|<link\b[^>]*\bhref=\"?([^\"\s>]+)"
)


@pytest.fixture(scope="module")
def site(tmp_path_factory):
    folder = tmp_path_factory.mktemp("site")
    done = subprocess.run(
        [sys.executable, "-m", "mkdocs", "build", "--strict", "--site-dir", str(folder)],
        cwd=ROOT, capture_output=True, text=True, check=False,
        env={**os.environ, "PYTHONPATH": str(ROOT), "NO_MKDOCS_2_WARNING": "1"},
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    return folder


def test_the_site_builds_without_a_warning_and_loads_nothing_from_elsewhere(site):
    pages = list(site.glob("**/*.html"))
    assert len(pages) > 30
    for page in pages:
        for found in LOADED.findall(page.read_text(encoding="utf-8")):
            target = "".join(found)
            if not target.startswith("data:"):
                assert not re.match(r"(?:\w+:)?//", target), (page.name, target)
    for sheet in site.glob("**/*.css"):
        assert "url(http" not in sheet.read_text(encoding="utf-8")


def test_the_reference_has_every_field_and_every_command(site):
    fields = (site / "reference" / "configuration.html").read_text(encoding="utf-8")
    for name, field in RunConfig.model_fields.items():
        if name not in ("init", "data", "tracking", "prune", "sharpness"):
            assert f"<code>{name}</code>" in fields, name
        else:
            for inner in field.annotation.model_fields:
                if inner not in ("name", "source", "rule", "cwd"):  # cwd: nobody types it
                    assert f"<code>{name}.{inner}</code>" in fields, inner
    commands = (site / "reference" / "commands.html").read_text(encoding="utf-8")
    for name in main.list_commands(Context(main)):
        assert f'id="{name}"' in commands


def test_links_between_the_pages_lead_to_files_of_a_checkout():
    tracked = subprocess.run(
        ["git", "ls-files", "*.md"], cwd=ROOT, capture_output=True, text=True, check=True
    )
    pages = [ROOT / name for name in tracked.stdout.split() if "/templates/" not in name]
    assert len(pages) > 30
    broken = [
        (page.relative_to(ROOT).as_posix(), target)
        for page in pages
        for target in re.findall(r"\]\(([^)\s#]+)", page.read_text(encoding="utf-8"))
        if not re.match(r"\w+:", target) and not (page.parent / target).exists()
    ]
    assert broken == []
