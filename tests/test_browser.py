"""The tracking UI as a person sees it: a real sweep, `nnlab ui`, and Chromium without a screen."""

import os
import re
import shutil
import signal
from pathlib import Path

import pytest
from playwright.sync_api import expect, sync_playwright
from support.commands import nnlab, run_py, running

from nnlab.tracking.store import Store

CHROMIUM = next(
    filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None
)
FLAGS = (
    "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run",
    "--disable-background-networking", "--disable-component-update", "--disable-sync",
)  # fmt: skip
AFTER_PAINT = "() => new Promise(done => requestAnimationFrame(() => requestAnimationFrame(done)))"
TIMEOUT = 120_000  # milliseconds that an element may take on a loaded machine

pytestmark = pytest.mark.skipif(
    CHROMIUM is None, reason="no chromium, chromium-browser or google-chrome on PATH"
)


@pytest.fixture
def swept(store):
    """A sweep of two rates × two seeds."""
    done = run_py(
        "-m", "lr=0.05,0.5", "seed=0,1", "epochs=12", "pictures=0", "data.val_size=4000",
        "hydra.launcher.backend=sequential", f"tracking.uri={store}",
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
    return "0 of 4 runs learned, that is, reached a validation accuracy of 0.8; 4 stalled."


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
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=FLAGS)
        page = browser.new_page(viewport={"width": 1600, "height": 1000})
        page.set_default_timeout(TIMEOUT)
        yield page
        browser.close()


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


def values_in(name):
    """What a run was given, by its name: ``lr=0.5 seed=1``."""
    return dict(word.split("=") for word in name.split())


def cell(page, run_id, column):
    """A cell of the table of runs; the row of a run is in two parts."""
    return page.locator(f".ag-row[row-id='{run_id}'] [col-id='{column}']")


def test_a_sweep_is_followed_from_its_link_to_its_curves_and_its_report(
    swept, runs, report, links, page, screenshot
):
    visit(page, links["all runs"])
    expect_visible(page.get_by_role("link", name=swept.name, exact=True), "the sweep's row")
    expect_visible(
        cell(page, swept.run_id, "metrics.`runs/planned`").get_by_text("4", exact=True), "4 runs"
    )
    expect(page.get_by_role("link", name="lr=0.5 seed=1", exact=True)).to_have_count(
        0, timeout=TIMEOUT
    )
    cell(page, swept.run_id, "attributes.`Run Name`").get_by_role("button").click()
    for name in runs:
        expect_visible(page.get_by_role("link", name=name, exact=True), f"{name} below its sweep")
    screenshot("1-runs")

    visit(page, links[f"sweep {swept.run_id[:8]}"])
    for name, run in runs.items():
        expect_visible(page.get_by_role("link", name=name, exact=True), name)
        for field, value in values_in(name).items():
            place = cell(page, run.run_id, f"params.`{field}`").get_by_text(value, exact=True)
            expect_visible(place, f"{field} of {name}")
    first = page.locator(".ag-row[row-index='0']").first
    best = max(runs.values(), key=lambda run: run.metrics["final_val_accuracy"])
    expect(first, "the best run is not the first").to_have_attribute(
        "row-id", best.run_id, timeout=TIMEOUT
    )
    screenshot("2-sweep")

    visit(page, links["its charts"])
    expect_visible(page.get_by_text("val/accuracy", exact=True), "the chart of val/accuracy")
    expect_lines(page, at_least=len(runs))
    screenshot("3-charts")

    visit(page, links["MLflow UI"])
    summary = page.get_by_text(f"4 runs: 4 stalled. Best run: {best.name}")
    expect_visible(summary, "the sweep's description")
    expect_visible(
        page.get_by_role("columnheader", name="mean late val accuracy"), "the table in it"
    )
    summary.scroll_into_view_if_needed()
    screenshot("4-description")

    visit(page, links["compare all 4"])
    expect_visible(page.get_by_text("Comparing 4 Runs from 1 Experiment"), "the comparison")
    for name, run in runs.items():
        expect_visible(page.get_by_role("link", name=run.run_id), f"the id of {name}")
        expect_visible(page.get_by_text(name, exact=True), f"the name of {name}")
    for field in ("lr", "seed"):
        row = page.get_by_role("row").filter(has=page.get_by_text(field, exact=True))
        for name in runs:
            value = values_in(name)[field]
            expect_visible(row.get_by_text(value, exact=True), f"{field}={value} in the comparison")
    page.get_by_text("lr", exact=True).last.scroll_into_view_if_needed()
    screenshot("5-compare")

    page.get_by_role("link", name=best.run_id).click()
    page.get_by_role("tab", name="Model metrics").click()
    expect_visible(page.get_by_text("grad_norm", exact=False), "the section of gradient norms")
    expect_lines(page, at_least=1)
    screenshot("6-curves")

    visit(page, links["its report"])
    expect_visible(page.get_by_text("report.html", exact=True), "the report among the files")
    expect_visible(page.frame_locator("iframe").get_by_text(report), "the report's text")
    screenshot("7-report")


def expect_lines(page, *, at_least):
    """Fail where the first chart has fewer lines (MLflow may draw each twice), or empty ones."""
    lines = page.locator(".js-plotly-plot").first.locator("path.js-line")
    expect_visible(lines.nth(at_least - 1), f"the {at_least} lines of a chart")
    for line in lines.all():
        assert len(re.findall(r"[MLCQSHVlchv,]", line.get_attribute("d"))) > 10, "an empty line"
