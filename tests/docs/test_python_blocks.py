"""The Python that the guide shows runs, from its first block to its last, in one process."""

import re

import pytest
from support.commands import python
from support.paths import ROOT

BLOCK = re.compile(r"^```python\n(.*?)^```", re.MULTILINE | re.DOTALL)


@pytest.mark.long
def test_the_python_of_the_guide_runs_and_says_what_it_shows(tmp_path):
    page = (ROOT / "docs" / "guides" / "python.md").read_text(encoding="utf-8")
    blocks = BLOCK.findall(page)
    assert len(blocks) >= 5
    folder = tmp_path / "work"
    folder.mkdir()
    env = {"PYTHONPATH": str(ROOT)}
    done = python("-c", "\n".join(blocks), root=tmp_path, cwd=folder, env=env)
    assert done.returncode == 0, done.stderr
    assert "bit-identical" in done.stdout
    for shown in re.findall(r"print\(error\)  # (.*)", page):
        assert shown in done.stdout
    assert (folder / "page" / "report.html").is_file()
