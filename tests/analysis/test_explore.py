"""What the interactive page of a sweep holds: every run, whatever became of it."""

import base64
import json
from dataclasses import replace

import numpy as np
import pytest
from support.made_up_sweeps import made_up_sweep
from support.pages import Page

from nnlab.analysis.configurations import endings
from nnlab.analysis.explore import content, explore_page

MEGABYTE = 10**6
HOSTILE = "</script><script>alert(1)</script><!-- <img src=x onerror=alert(2)> {{ 1 }} \u202e"


def floats(text, *shape):
    return np.frombuffer(base64.b64decode(text), "<f4").reshape(shape)


def embedded(page):
    text = page.partition('<script type="application/json" id="content">')[2]
    return json.loads(text.partition("</script>")[0])


@pytest.fixture(scope="module")
def sweep():
    return made_up_sweep(inits=3, rates=3, seeds=2)


def test_runs_of_every_outcome_are_in_every_view(sweep):
    made = content(sweep)
    assert made["runs"]["id"] == sweep.runs["run_id"].tolist()
    names = np.array(made["endings"]["names"])
    assert names[made["endings"]["runs"]].tolist() == endings(sweep.runs).tolist()
    assert set(names) >= {"learned", "stalled", "dead", "diverged", "pruned"}
    for axis in made["axes"].values():
        assert len(axis["values"]) == len(sweep.runs)
    for colouring in made["colourings"].values():
        assert len(colouring["runs"]) == len(sweep.runs)
        assert max(colouring["runs"]) < len(colouring["labels"])
    accuracy = made["axes"]["late_val_accuracy"]["values"]
    known = sweep.runs["late_val_accuracy"].notna().tolist()
    assert [value is not None for value in accuracy] == known


def test_a_line_is_the_median_of_a_configuration_between_its_lowest_and_highest_run(sweep):
    made = content(sweep)
    shape = len(made["groups"]), len(made["epochs"])
    found = {name: floats(text, *shape) for name, text in made["curves"]["val/loss"].items()}
    table = sweep.curves.pivot_table("val/loss", "run_id", "epoch")
    table = table.reindex(sweep.runs["run_id"]).to_numpy()
    assert made["epochs"] == list(range(table.shape[1]))
    for group, label in enumerate(made["groups"]):
        members = [k for k, place in enumerate(made["runs"]["group"]) if place == group]
        assert {sweep.runs["name"][k].rpartition(" ")[0] for k in members} == {label}
        for column in range(table.shape[1]):
            values = table[members, column][~np.isnan(table[members, column])]
            assert found["count"][group, column] == len(values)
            expected = [f(values) if len(values) else np.nan for f in (np.median, np.min, np.max)]
            drawn = [found[name][group, column] for name in ("middle", "low", "high")]
            np.testing.assert_allclose(drawn, expected, rtol=1e-6)


def test_each_run_ends_at_its_last_epoch_with_its_last_value(sweep):
    made = content(sweep)
    last = sweep.curves.sort_values("epoch").groupby("run_id").tail(1).set_index("run_id")
    last = last.reindex(sweep.runs["run_id"])
    for name, column in (("epoch", "epoch"), ("val/accuracy", "val/accuracy")):
        np.testing.assert_allclose(floats(made["ends"][name], -1), last[column], rtol=1e-6)


def test_a_thousand_runs_stay_below_15_megabytes_and_keep_their_first_and_last_epoch():
    sweep = made_up_sweep(inits=20, rates=50, seeds=1, epochs=150)
    chosen = list(sweep.snapshots)[:60]
    page = explore_page(replace(sweep, snapshots={key: sweep.snapshots[key] for key in chosen}))
    assert len(page.encode()) < 15 * MEGABYTE
    made = embedded(page)
    assert len(made["runs"]["id"]) == 1000
    assert [made["epochs"][0], made["epochs"][-1]] == [0, 150]
    assert 20 <= len(made["epochs"]) < made["logged"] == 151


def test_no_name_ends_a_script_or_begins_one(sweep):
    runs = sweep.runs.assign(name=HOSTILE)
    runs["init.name"] = HOSTILE + runs["init.name"]
    runs.attrs = sweep.runs.attrs
    text = explore_page(replace(sweep, title=HOSTILE, runs=runs))
    page = Page(text)
    assert page.tags.count("script") == 3  # the data, Plotly, and the page's own
    assert page.tags.count("img") == 0
    assert page.addresses == []
    shown = HOSTILE.replace("\u202e", "\\u202e")
    assert embedded(text)["title"] == shown
    assert set(embedded(text)["runs"]["name"]) == {shown}


def test_the_page_admits_its_own_scripts_and_no_address(sweep):
    text = explore_page(sweep)
    policy = text.partition('content="')[2].partition('"')[0]
    assert "default-src 'none'" in policy
    assert "http" not in policy
    assert policy.count("sha256-") == 2
    assert "unsafe-inline' " not in policy.partition("script-src")[2]


def test_a_losing_configuration_that_diverges_counts_as_its_worst_result(sweep):
    made = content(sweep)["colourings"]["late_val_accuracy"]
    labels = np.array(made["labels"])[made["runs"]]
    diverged = (sweep.runs["outcome"] == "diverged").to_numpy()
    assert set(labels[diverged]) == {labels[np.array(made["runs"]) == 0][0]}
    assert set(labels[(sweep.runs["outcome"] == "pruned").to_numpy()]) == {"no result"}
