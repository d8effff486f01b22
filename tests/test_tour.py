"""The tour: a notebook that walks from one run to a verdict, run as its reader would."""

import re

import nbformat
import pytest
from nbclient import NotebookClient
from support.paths import ROOT

NOTEBOOK = ROOT / "experiments" / "tour.ipynb"


def code_cells(notebook):
    return [cell for cell in notebook.cells if cell.cell_type == "code"]


def shown(cell, kind):
    """What a cell put out, of one MIME type or from ``print``."""
    found = []
    for output in cell.outputs:
        if output.output_type == "stream":
            found.append(output.text if kind == "text" else "")
        elif kind in output.get("data", {}):
            found.append(output.data[kind])
    return "".join(found)


def test_the_tour_has_ten_cells_with_their_outputs_and_no_trace_of_a_machine():
    text = NOTEBOOK.read_text(encoding="utf-8")
    cells = code_cells(nbformat.reads(text, as_version=4))
    assert len(cells) == 10
    assert [cell.execution_count for cell in cells] == list(range(1, 11))
    assert all(cell.outputs for cell in cells)
    assert "Traceback" not in text
    written = re.sub(r'"image/png": "[^"]*"', "", text)
    assert not re.findall(r"/(?:home|root|tmp|Users|work)/", written)


@pytest.mark.long
def test_the_tour_runs_from_one_run_to_a_verdict(tmp_path, monkeypatch):
    monkeypatch.setenv("NNLAB_ROOT", str(tmp_path))
    notebook = nbformat.read(NOTEBOOK, as_version=4)
    for cell in code_cells(notebook):
        cell.outputs, cell.execution_count = [], None
    client = NotebookClient(
        notebook, timeout=400, resources={"metadata": {"path": str(NOTEBOOK.parent)}}
    )
    client.execute()
    one, _, sweep, table, phase, curves, _, matters, certificate, verdict = code_cells(notebook)
    assert "val accuracy" in shown(one, "text/html")
    assert shown(sweep, "text/html").count("<tr") == 2 + 1 + 9
    assert shown(table, "text/html").count("<tr") == 9 + 1
    assert len(shown(phase, "image/png")) > 10_000
    assert len(shown(curves, "image/png")) > 10_000
    assert "init.name" in shown(matters, "text/html")
    assert "bit-identical" in shown(certificate, "text/plain")
    said = shown(verdict, "text/markdown")
    assert "Best of 9 configurations" in said
    assert "init=randn_minus_half is dead on arrival" in said
