"""The tracking UI as a person sees it: a real sweep, `nnlab ui`, and Chromium without a screen."""

import os
import re
import signal
from pathlib import Path

import pytest
from playwright.sync_api import expect
from support.browsers import TIMEOUT, needs_chromium, open_page
from support.commands import nnlab, run_py, running

from nnlab.tracking.store import Store

AFTER_PAINT = "() => new Promise(done => requestAnimationFrame(() => requestAnimationFrame(done)))"

pytestmark = [needs_chromium, pytest.mark.long]


@pytest.fixture
def swept(store):
    """A sweep of two inits × two rates × six seeds; half of its runs are dead."""
    done = run_py(
        "-m", "init=he,randn_minus_half", "lr=0.05,0.5", "seed=0,1,2,3,4,5", "epochs=12",
        "pictures=0", "data.val_size=4000", "hydra.launcher.backend=sequential",
        f"tracking.uri={store}",
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    return Store(store).last_sweep()


@pytest.fixture
def runs(swept, store):
    """The sweep's runs by their names."""
    return {run.name: run for run in Store(store).children(swept.run_id)}


@pytest.fixture
def report(swept, store, tmp_path):
    """What a report of the sweep must say, once it is written."""
    done = nnlab("report", swept.run_id[:8], "--uri", store, "--out", tmp_path / "report")
    assert done.returncode == 0, done.stderr
    return (
        "0 of 24 runs learned, that is, reached a validation accuracy of 0.8; 12 dead, 12 stalled."
    )


@pytest.fixture
def links(swept, report, store):  # noqa: ARG001 - the report, so that there is a link to it
    """What `nnlab ui` prints, by what it says of each; the UI runs as long as the test."""
    with running("-m", "nnlab", "ui", swept.run_id[:8], "--uri", store) as process:
        found = {}
        for line in process.stdout:
            if line.startswith("Ctrl-C"):
                break
            label, _, link = line.strip().partition(": ")
            found[label] = link
        assert found, process.stderr.read()
        yield found
        process.send_signal(signal.SIGINT)
        process.communicate(timeout=60)
        assert process.returncode == 0


@pytest.fixture
def page():
    """A page of a fresh browser, which waits for what it is asked for."""
    with open_page() as page:
        yield page


@pytest.fixture
def screenshot(page, tmp_path):
    """Keep a picture of the page as it is, under a name."""
    folder = Path(os.environ.get("NNLAB_SCREENSHOTS", tmp_path / "screenshots"))
    folder.mkdir(parents=True, exist_ok=True)

    def keep(name):
        for frame in page.frames:  # what is attached already may not be painted yet
            frame.evaluate(AFTER_PAINT)
        page.screenshot(path=folder / f"{name}.png")

    return keep


def expect_visible(place, description):
    """Fail in a sentence where a place of the page does not appear."""
    expect(place.first, f"not visible: {description}").to_be_visible(timeout=TIMEOUT)


def visit(page, link):
    """Open a link as from a terminal: a change behind the # alone would not load the page."""
    page.goto("about:blank")
    page.goto(link)


def cell(page, run_id, column):
    """A cell of the table of runs; a run's row is in two parts, and named after its group too."""
    return page.locator(f".ag-row[row-id$='{run_id}'] [col-id='{column}']")


def test_a_sweep_is_followed_from_its_link_to_its_curves_and_its_report(
    swept, runs, report, links, page, screenshot
):
    visit(page, links["all runs"])
    expect_visible(page.get_by_role("link", name=swept.name, exact=True), "the sweep's row")
    planned = cell(page, swept.run_id, "metrics.`runs/planned`").get_by_text("24", exact=True)
    expect_visible(planned, "24 runs")
    name = "init=he lr=0.5 seed=1"
    expect(page.get_by_role("link", name=name, exact=True)).to_have_count(0, timeout=TIMEOUT)
    cell(page, swept.run_id, "attributes.`Run Name`").get_by_role("button").click()
    expect_visible(page.get_by_role("link", name=name, exact=True), f"{name} below its sweep")
    screenshot("1-runs")

    visit(page, links[f"sweep {swept.run_id[:8]}"])
    expect_visible(page.get_by_text("MLflow Assistant"), "the Assistant, which opens by itself")
    expect_visible(page.get_by_text("24 matching runs"), "all runs")
    groups = page.get_by_text(re.compile("^Group: "))
    expect(groups, "the configurations").to_have_count(4, timeout=TIMEOUT)
    header = page.locator(".ag-header-cell[col-id='metrics.`late_val_accuracy`']")
    expect(header, "the column that runs are sorted by").to_be_in_viewport(ratio=1, timeout=TIMEOUT)
    best = max(runs.values(), key=lambda run: run.metrics["late_val_accuracy"])
    first = page.locator(".ag-row[row-index='1']").first
    expect(first, "the best run is not below the first group").to_have_attribute(
        "row-id", re.compile(f"{best.run_id}$"), timeout=TIMEOUT
    )
    outcome = cell(page, best.run_id, "tags.`outcome`").get_by_text("stalled", exact=True)
    expect_visible(outcome, "the outcome of the best run")
    screenshot("2-sweep")

    visit(page, links["its charts"])
    expect_visible(page.get_by_text("val/accuracy", exact=True), "the chart of val/accuracy")
    expect_lines(page, at_least=4, bent=2)
    cards = page.get_by_test_id("experiment-view-compare-runs-card")
    expect_dead_runs(cards.filter(has_text="dead_fraction").locator(".js-plotly-plot"))
    screenshot("3-charts")

    visit(page, links["MLflow UI"])
    summary = page.get_by_text(f"24 runs: 12 stalled, 12 dead. Best run: {best.name}")
    expect_visible(summary, "the sweep's description")
    expect_visible(
        page.get_by_role("columnheader", name="mean late val accuracy"), "the table in it"
    )
    summary.scroll_into_view_if_needed()
    screenshot("4-description")

    visit(page, links["compare its configurations"])
    expect_comparison(page, cards.first)
    screenshot("5-compare")

    page.get_by_role("link", name=best.name, exact=True).click()
    page.get_by_role("tab", name="Model metrics").click()
    expect_visible(page.get_by_text("grad_norm", exact=False), "the section of gradient norms")
    expect_lines(page, at_least=1, bent=1)
    screenshot("6-curves")

    visit(page, links["its report"])
    expect_visible(page.get_by_text("report.html", exact=True), "the report among the files")
    expect_visible(page.frame_locator("iframe").get_by_text(report), "the report's text")
    screenshot("7-report")

    visit(page, links["its runs, to explore"])
    expect_runs(page.frame_locator("iframe"), runs.values())
    screenshot("8-explore")


def expect_runs(frame, runs):
    """Fail where the interactive page lacks a run; its frame lets scripts run, and nothing else."""
    expect(frame.locator("#curves svg.main-svg").first).to_be_attached()
    expect(frame.locator("#framed")).to_be_visible()
    expect(frame.locator("#table tr")).to_have_count(len(runs))
    ids = frame.locator("#table a").all_inner_texts()
    assert sorted(ids) == sorted(run.run_id for run in runs)


def expect_dead_runs(plot):
    """Fail where the chart of dead units has no line at 1."""
    expect_visible(plot.locator("path.js-line"), "a line of dead_fraction")
    highest = plot.first.evaluate("plot => Math.max(...plot.data.flatMap(line => line.y || []))")
    assert highest == 1, "no dead run is drawn"


def expect_comparison(page, card):
    """Fail where a comparison does not begin with what varies, the seed left out, and accuracy."""
    sections = page.get_by_test_id("experiment-view-compare-runs-section-header")
    expect(sections.first).to_contain_text("Configurations", timeout=TIMEOUT)
    axes = card.locator("text.label")
    expect_visible(axes.filter(has_text="late_val_accuracy"), "the axis of accuracy")
    assert set(axes.all_text_contents()) == {"init.name", "lr", "late_val_accuracy"}


def expect_lines(page, *, at_least, bent):
    """Fail where the first chart has fewer lines, or fewer that are not straight.

    Of a line without a bend, as a dead run's accuracy is, plotly leaves the ends.
    """
    lines = page.locator(".js-plotly-plot").first.locator("path.js-line")
    expect_visible(lines.nth(at_least - 1), f"the {at_least} lines of a chart")
    points = [len(re.findall(r"[MLCQSHVlchv,]", line.get_attribute("d"))) for line in lines.all()]
    assert min(points) > 2, "an empty line"
    assert sum(count > 10 for count in points) >= bent
