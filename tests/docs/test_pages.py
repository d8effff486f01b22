"""The README and the pages are true: links lead somewhere, what is named is there."""

import importlib
import re

import consoles
import pytest
import yaml
from support.paths import ROOT

NOTES = "docs/notes.md"
GENERATED = ("configuration.md", "commands.md", "tour.md")  # by docs/tools/generated_pages.py


def anchors(text):
    """The anchors of a page's headings, as GitHub and MkDocs make them."""
    headings = re.findall(r"^#+ (.+)$", text, re.MULTILINE)
    return {re.sub(r"[^\w -]", "", each).strip().lower().replace(" ", "-") for each in headings}


@pytest.mark.parametrize("page", consoles.pages())
def test_every_relative_link_leads_to_a_page_and_a_heading(page):
    folder = (ROOT / page).parent
    for target in re.findall(r"\]\((?!https?:)([^)\s]+)\)", consoles.read(page)):
        name, _, anchor = target.partition("#")
        path = (folder / name).resolve() if name else ROOT / page
        # The site has benchmarks/ and experiments/ beside its own pages; MkDocs checks those links.
        inside = str(path).replace(str(ROOT / "docs" / "benchmarks"), str(ROOT / "benchmarks"))
        inside = inside.replace(str(ROOT / "docs" / "experiments"), str(ROOT / "experiments"))
        if path.name in GENERATED:
            continue
        assert (ROOT / inside).exists(), target
        if anchor:
            assert anchor in anchors((ROOT / inside).read_text(encoding="utf-8")), target


def test_the_readme_is_a_page():
    assert len(consoles.read("README.md").splitlines()) <= 170


def test_every_function_that_the_notes_table_names_is_there():
    named = re.findall(r"`(training\.\w+)\.(\w+)`", consoles.read(NOTES))
    assert len(named) >= 8
    for module, name in named:
        assert hasattr(importlib.import_module(f"nnlab.{module}"), name), (module, name)


@pytest.mark.parametrize("page", consoles.pages())
def test_every_file_that_a_page_names_is_there(page):
    roots = r"(?:nnlab|tests|conf|benchmarks|experiments|hydra_plugins|docs)"
    for name in re.findall(rf"`({roots}/[\w./-]*)`", consoles.read(page)):
        assert "NAME" in name or (ROOT / name).exists(), name


def test_every_test_that_a_page_names_is_there():
    tests = "\n".join(path.read_text(encoding="utf-8") for path in (ROOT / "tests").glob("**/*.py"))
    for page in consoles.pages():
        for name in re.findall(r"`(test_\w+)`", consoles.read(page)):
            assert f"def {name}(" in tests, name


def test_every_page_of_the_site_is_in_its_menu():
    class Loader(yaml.SafeLoader):
        """Reads mkdocs.yml, whose tags are MkDocs' own."""

    menu = str(yaml.load((ROOT / "mkdocs.yml").read_text(encoding="utf-8"), Loader)["nav"])  # noqa: S506
    for page in consoles.pages():
        if page.startswith("docs/"):
            assert f"'{page.removeprefix('docs/')}'" in menu, page
