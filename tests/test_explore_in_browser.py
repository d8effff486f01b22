"""The interactive page as a person uses it, in Chromium without a network."""

from dataclasses import replace

import pytest
from playwright.sync_api import expect
from support.browsers import needs_chromium, open_page
from support.made_up_sweeps import made_up_sweep

from nnlab.analysis.explore import explore_page

HOSTILE = "</script><script>alert(1)</script><img src=x onerror=alert(2)><a href='javascript:3'>"
DRAWN = "svg.main-svg"

pytestmark = needs_chromium


@pytest.fixture
def page():
    with open_page() as page:
        page.context.set_offline(True)
        page.heard = []
        page.on("pageerror", lambda error: page.heard.append(str(error)))
        page.on("dialog", lambda dialog: page.heard.append(dialog.message))
        page.on("request", lambda request: page.heard.append(request.url))
        yield page


def visit(page, sweep, folder):
    file = folder / "explore.html"
    file.write_text(explore_page(sweep), encoding="utf-8")
    page.goto(file.as_uri())
    assert page.heard == [file.as_uri()]  # nothing else is asked for
    page.heard.clear()
    expect(page.locator(f"#curves {DRAWN}").first).to_be_attached()


def drawn_ids(page, view):
    """The runs whose marks a view has, by what it says when one points at them."""
    return page.evaluate(
        """view => at(view).data.flatMap(trace => (trace.text ?? []))
            .flatMap(text => text?.match(/<b>([0-9a-f]{32})/)?.[1] ?? [])""",
        view,
    )


@pytest.mark.long
def test_a_sweep_is_explored_without_a_network(page, tmp_path):
    sweep = made_up_sweep(inits=3, rates=3, seeds=2)
    runs = sweep.runs.assign(name=[f"{HOSTILE}{name}" for name in sweep.runs["name"]])
    runs["init.name"] = HOSTILE + runs["init.name"]
    runs.attrs = sweep.runs.attrs
    visit(page, replace(sweep, title=HOSTILE, runs=runs), tmp_path)
    ids = sweep.runs["run_id"].tolist()

    expect(page.locator("#table tr")).to_have_count(len(ids))
    assert page.locator("#table a").all_inner_texts() == ids
    expect(page.locator("#summary")).to_contain_text("18 runs, 9 configurations")
    expect(page.locator("#summary")).to_contain_text("diverged")
    expect(page.locator("#framed")).to_be_hidden()

    assert sorted(drawn_ids(page, "curves")) == sorted(sweep.curves["run_id"].unique())
    expect(page.locator("#curves .ytitle")).to_have_text("val/accuracy")
    page.select_option("#metric", "grad_norm/w1")
    page.select_option("#scale", "logarithmic")
    expect(page.locator("#curves .ytitle")).to_have_text("grad_norm/w1")
    assert page.evaluate("at('curves').layout.yaxis.type") == "log"

    page.locator("#map").scroll_into_view_if_needed()
    expect(page.locator(f"#map {DRAWN}").first).to_be_attached()
    assert sorted(drawn_ids(page, "map")) == sorted(ids)
    page.select_option("#colour", "lr")
    expect(page.locator("#map .legendtext").first).to_have_text("0.01 (6)")
    mark = page.locator("#map .points path").first
    mark.hover(force=True)
    expect(page.locator("#map .hovertext").first).to_contain_text("late validation accuracy")
    mark.click(force=True)
    link = page.locator("#picked a")
    run_id = link.inner_text()
    assert run_id in ids
    assert link.get_attribute("href") == (
        f"http://127.0.0.1:20001/#/experiments/1/runs/{run_id}?workflowType=machine_learning"
    )
    expect(page.locator("#picked")).to_contain_text(f"nnlab ui {run_id[:8]}")

    page.locator("#parallel").scroll_into_view_if_needed()
    expect(page.locator("#parallel .parcoords").first).to_be_attached()
    axes = page.evaluate("at('parallel').data[0].dimensions.map(axis => axis.values.length)")
    assert len(axes) >= 5
    assert set(axes) == {len(ids)}
    page.evaluate("Plotly.restyle('parallel', {'dimensions[0].constraintrange': [[[-0.1, 0.1]]]})")
    expect(page.locator("#selected")).to_contain_text("Selected: 6 of 18.")

    page.locator("#histograms").scroll_into_view_if_needed()
    expect(page.locator(f"#histograms {DRAWN}").first).to_be_attached()
    expect(page.locator("#histogram-at")).to_have_text("0")
    before = page.evaluate("at('histograms').data[1].y")
    page.locator("#histogram-epoch").press("End")
    expect(page.locator("#histogram-at")).to_have_text("30")
    assert page.evaluate("at('histograms').data[1].y") != before

    assert page.locator("img, #table script").count() == 0
    assert page.heard == []


@pytest.mark.long
def test_a_thousand_runs_open_with_every_id(page, tmp_path):
    visit(page, made_up_sweep(inits=10, rates=20, seeds=5, epochs=200), tmp_path)
    expect(page.locator("#table tr")).to_have_count(1000)
    assert len(set(page.locator("#table a").all_inner_texts())) == 1000
    page.locator("#map").scroll_into_view_if_needed()
    expect(page.locator(f"#map {DRAWN}").first).to_be_attached()
    assert len(set(drawn_ids(page, "map"))) == 1000
    assert page.heard == []
